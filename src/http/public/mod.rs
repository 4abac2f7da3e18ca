//! The public listener: what Azure posts to, and nothing else.

pub mod callbacks;
pub mod grid;
pub mod secret;
pub mod token;

use actix_web::{HttpResponse, web};

use metrics::counter;

use super::problem::{Problem, no_such_route};
use crate::wire::events::BadElement;

/// Declares the routes of the public listener.
pub fn routes(
    callbacks: web::Data<callbacks::Door>,
    grid: web::Data<grid::Door>,
) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(callbacks)
            .app_data(grid)
            .service(web::resource("/webhooks/calls").route(web::post().to(callbacks::receive)))
            .service(
                web::resource("/webhooks/eventgrid")
                    .route(web::post().to(grid::receive))
                    .route(web::method(actix_web::http::Method::OPTIONS).to(grid::consent)),
            )
            .route("/livez", web::get().to(alive))
            .default_service(web::to(no_such_route));
    }
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
