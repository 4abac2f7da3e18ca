//! The private listener: waits, events, numbers, admin, metrics. Never faces the internet.

pub mod admin;
pub mod auth;
pub mod events;
pub mod forwards;
pub mod gateway;
pub mod numbers;
pub mod openapi;
pub mod operations;
pub mod probes;
pub mod waits;

use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, guard};

use super::problem::{no_such_route, read_problems, wrong_method};
use crate::actors::Calls;
use crate::ports::Clock;

/// What the routes of the private listener share.
pub struct Desk {
    /// The calls.
    pub calls: Calls,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Bodies are refused beyond this.
    pub max_body_bytes: usize,
    /// A wait's timeout when it names none.
    pub wait_timeout: Duration,
    /// The longest wait that is taken.
    pub max_wait: Duration,
}

/// Everything the private listener needs.
#[derive(Clone)]
pub struct Private {
    /// Shared by most routes.
    pub desk: web::Data<Desk>,
    /// Number assignments and decisions.
    pub routing: web::Data<numbers::RoutingDesk>,
    /// Who may come in.
    pub guard: web::Data<auth::Guard>,
    /// Probes and metrics.
    pub probes: web::Data<probes::Probes>,
    /// The way to the call service for official SDKs.
    pub gateway: web::Data<gateway::Gateway>,
    /// Events that could not be forwarded.
    pub forwards: web::Data<forwards::ForwardDesk>,
    /// What the admin routes show beside the calls.
    pub admin: web::Data<admin::AdminDesk>,
}

/// Every route of the private listener: method and path, as data. A test walks it.
pub const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/calls/{id}/waits"),
    ("GET", "/v1/calls/{id}/operations/{operationContext}"),
    ("GET", "/v1/calls/{id}/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/numbers"),
    ("GET", "/v1/numbers/history"),
    ("POST", "/v1/numbers:rollback"),
    ("GET", "/v1/numbers/{key}"),
    ("PUT", "/v1/numbers/{key}"),
    ("DELETE", "/v1/numbers/{key}"),
    ("POST", "/v1/routes:explain"),
    ("GET", "/admin/calls"),
    ("GET", "/admin/calls/{anyId}"),
    ("POST", "/admin/calls/{id}:hangup"),
    ("GET", "/admin/actors"),
    ("GET", "/admin/config"),
    ("GET", "/admin/incoming"),
    ("GET", "/admin/dead-letters"),
    ("POST", "/admin/dead-letters/{id}:redeliver"),
    ("GET", "/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
];

/// Declares the routes of the private listener.
pub fn routes(private: Private) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        read_problems(config);
        config
            .app_data(private.desk)
            .app_data(private.routing)
            .app_data(private.guard)
            .app_data(private.probes)
            .app_data(private.admin)
            .app_data(private.gateway)
            .app_data(private.forwards)
            .service(resource("/livez").route(web::get().to(probes::alive)))
            .service(resource("/readyz").route(web::get().to(probes::ready)))
            .service(
                // It proves its callers in its own way.
                web::scope("/calling")
                    .wrap(from_fn(probes::count))
                    .default_service(web::to(gateway::pass)),
            )
            .service(
                web::scope("")
                    .wrap(from_fn(auth::check))
                    .wrap(from_fn(probes::count))
                    .service(resource("/v1/calls/{id}/waits").route(web::post().to(waits::wait)))
                    .service(
                        resource("/v1/calls/{id}/operations/{operationContext}")
                            .route(web::get().to(operations::outcome)),
                    )
                    .service(
                        resource("/v1/calls/{id}/events").route(web::get().to(events::of_call)),
                    )
                    .service(resource("/v1/events").route(web::get().to(events::of_all)))
                    .service(resource("/v1/numbers").route(web::get().to(numbers::list)))
                    .service(
                        // Before the keys: none is called so.
                        resource("/v1/numbers/history").route(web::get().to(numbers::history)),
                    )
                    .service(
                        resource("/v1/numbers:rollback").route(web::post().to(numbers::roll_back)),
                    )
                    .service(
                        resource("/v1/numbers/{key}")
                            .route(web::get().to(numbers::get))
                            .route(web::put().to(numbers::put))
                            .route(web::delete().to(numbers::delete)),
                    )
                    .service(resource("/v1/routes:explain").route(web::post().to(numbers::explain)))
                    .service(resource("/admin/calls").route(web::get().to(admin::calls)))
                    .service(
                        // An id may end in the same words; only a POST is meant as an action.
                        resource("/admin/calls/{id}:hangup")
                            .guard(guard::Post())
                            .route(web::post().to(admin::hang_up)),
                    )
                    .service(resource("/admin/calls/{anyId}").route(web::get().to(admin::call)))
                    .service(resource("/admin/actors").route(web::get().to(admin::actors)))
                    .service(resource("/admin/config").route(web::get().to(admin::config)))
                    .service(resource("/admin/incoming").route(web::get().to(admin::incoming)))
                    .service(resource("/admin/dead-letters").route(web::get().to(forwards::dead)))
                    .service(
                        resource("/admin/dead-letters/{id}:redeliver")
                            .route(web::post().to(forwards::redeliver)),
                    )
                    .service(resource("/openapi.json").route(web::get().to(openapi::openapi)))
                    .service(resource("/metrics").route(web::get().to(probes::metrics)))
                    .default_service(web::to(no_such_route)),
            );
    }
}

/// A route that answers other methods with the ones that it takes.
fn resource(path: &'static str) -> Resource {
    let methods = ROUTES.iter().filter(|(_, pattern)| *pattern == path);
    let allowed = methods.map(|(method, _)| *method).collect::<Vec<_>>().join(", ");
    web::resource(path).default_service(web::to(move || std::future::ready(wrong_method(&allowed))))
}
