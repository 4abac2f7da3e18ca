//! The emulator's page: three files without outside assets, and what the page has to know to begin.

use actix_web::HttpResponse;
use serde_json::json;

use super::http::{Door, Request};
use super::world::{Refusal, Reply};

/// No other origin may run in the page, frame it, or be asked by it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One of the page's files, if the path is that of one.
pub fn file(path: &str) -> Option<HttpResponse> {
    let (kind, text) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("page/page.html")),
        "/emulator/page/page.css" => ("text/css; charset=utf-8", include_str!("page/page.css")),
        "/emulator/page/page.js" => {
            ("text/javascript; charset=utf-8", include_str!("page/page.js"))
        }
        _ => return None,
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(kind)
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-cache"));
    Some(response.body(text))
}

/// `GET /emulator/about`: what the page and scripts need to begin.
pub fn about(door: &Door, request: &Request) -> Reply {
    let (key, held) = door.shell.with(|world, _| {
        let config = world.config();
        (config.access_key.clone(), config.manual_clock.is_some())
    });
    let base_url = door.base_url(request);
    Reply::json(
        200,
        &json!({
            "emulator": base_url,
            "connectionString": format!("endpoint={base_url}/;accesskey={key}"),
            "manualClock": held,
            "version": env!("CARGO_PKG_VERSION"),
        }),
    )
}

/// Whether a page of another origin sent this. The emulator's own routes need no signature, and every web
/// page that somebody visits can send requests to this machine.
///
/// # Errors
/// [`Refusal`] when it did.
pub fn from_here(request: &Request) -> Result<(), Refusal> {
    let Some(origin) = request.header("origin") else { return Ok(()) };
    let host = request.host();
    let own = origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(&host));
    if own {
        return Ok(());
    }
    Err(Refusal::new(
        403,
        "ForeignOrigin",
        "A web page of another origin asked; use the emulator's own page, or a program.",
    ))
}
