//! The public listener: what Azure posts to, and nothing else.

pub mod callbacks;
pub mod grid;
pub mod secret;
pub mod token;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use metrics::counter;
use serde::Serialize;

use super::problem::{Code, Problem, RejectedElement, no_such_route, read_problems, wrong_method};
use crate::wire::events::BadElement;

/// Declares the routes of the public listener.
pub fn routes(
    callbacks: web::Data<callbacks::Door>,
    grid: web::Data<grid::Door>,
) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        read_problems(config);
        let resource = |path, allowed: &'static str| {
            web::resource(path).default_service(web::to(move || {
                count_refusal(path, &Problem::new(Code::MethodNotAllowed));
                std::future::ready(wrong_method(allowed))
            }))
        };
        config
            .app_data(callbacks)
            .app_data(grid)
            .service(resource("/webhooks/calls", "POST").route(web::post().to(callbacks::receive)))
            .service(
                resource("/webhooks/eventgrid", "POST, OPTIONS")
                    .route(web::post().to(grid::receive))
                    .route(web::method(Method::OPTIONS).to(grid::consent)),
            )
            .service(resource("/livez", "GET").route(web::get().to(alive)))
            .default_service(web::to(nothing_here));
    }
}

async fn nothing_here() -> Result<HttpResponse, Problem> {
    no_such_route().await.inspect_err(|problem| count_refusal("other", problem))
}

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("alive\n")
}

/// A request of this listener was refused.
fn count_refusal(route: &'static str, problem: &Problem) {
    let (status, code, _) = problem.code().face();
    counter!("switchhook_http_requests_total",
        "listener" => "public", "route" => route, "status" => status.to_string())
    .increment(1);
    tracing::debug!(route, code, "request refused");
}

/// One element of a posted array could not be read; its neighbours were.
fn count_bad_element(door: &'static str, bad: &BadElement) {
    let code = bad.problem.code();
    counter!("switchhook_events_rejected_total", "door" => door, "code" => code).increment(1);
    tracing::warn!(door, index = bad.index, code, "an element of a delivery was rejected");
}

/// What a posted array held: events to be taken, and what will be said of the rest.
struct Sorted<T> {
    events: Vec<T>,
    rejected: Vec<RejectedElement>,
}

impl<T> Sorted<T> {
    /// Parts the good elements from the bad ones, which are counted and told (rule C1).
    fn out(door: &'static str, read: Vec<Result<T, BadElement>>) -> Result<Self, Problem> {
        let (mut events, mut rejected) = (Vec::with_capacity(read.len()), Vec::new());
        for element in read {
            match element {
                Ok(event) => events.push(event),
                Err(bad) => {
                    count_bad_element(door, &bad);
                    rejected.push(RejectedElement::from(&bad));
                }
            }
        }
        if events.is_empty() && !rejected.is_empty() {
            return Err(Problem::new(Code::NoValidEvents).with("rejected", rejected));
        }
        Ok(Self { events, rejected })
    }
}

/// 200: with nothing to add, or with what was rejected beside the accepted ones.
fn receipt(accepted: usize, rejected: Vec<RejectedElement>) -> HttpResponse {
    #[derive(Serialize)]
    struct Receipt {
        accepted: usize,
        rejected: Vec<RejectedElement>,
    }
    match rejected.is_empty() {
        true => HttpResponse::Ok().finish(),
        false => HttpResponse::Ok().json(Receipt { accepted, rejected }),
    }
}
