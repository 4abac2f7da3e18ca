//! The public listener: what Azure posts to, and nothing else.

pub mod callbacks;
pub mod grid;
pub mod secret;
pub mod token;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use metrics::counter;

use super::problem::{Code, Problem, no_such_route, read_problems, wrong_method};
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
