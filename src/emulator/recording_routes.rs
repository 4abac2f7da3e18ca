//! The files of recordings: where Azure keeps them on a host of its own, they are here on the emulator's.
//!
//! The official SDKs sign these requests in ways of their own: with the endpoint's host and not the
//! file's, one with the port and the other naming the host without it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::http::{Door, Request, refused};
use super::world::Refusal;
use crate::pure::proof::Signed;

const PREFIX: &str = "/v1/objects/";

/// Whether a path is that of a file.
pub fn is_one(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Hands out, describes or deletes a file.
pub fn answer(door: &Door, request: &Request) -> HttpResponse {
    match known(door, request).and_then(|()| perform(door, request)) {
        Ok(response) => response,
        Err(refusal) => refused(refusal),
    }
}

/// The host that was signed is that of the request, the emulator's own, or the one that is named beside it.
fn known(door: &Door, request: &Request) -> Result<(), Refusal> {
    let own = door.address.to_string();
    let hosts = [Some(request.host()), Some(own), request.header("x-ms-host")];
    let mut last = None;
    for host in hosts.into_iter().flatten() {
        let header = |name: &str| match name {
            "host" => Some(host.clone()),
            _ => request.header(name),
        };
        for target in [request.target.as_str(), request.path()] {
            let (method, body) = (request.method(), &request.body);
            let signed = Signed { method, target, body, header: &header };
            match door.guard.check(&signed, door.shell.callers_wall()) {
                Ok(()) => return Ok(()),
                Err(refusal) => last = last.or(Some(refusal)),
            }
        }
    }
    last.map_or(Ok(()), Err)
}

fn perform(door: &Door, request: &Request) -> Result<HttpResponse, Refusal> {
    let rest = request.path().strip_prefix(PREFIX).unwrap_or_default();
    match (request.method(), rest.split_once('/')) {
        ("DELETE", None) => {
            door.shell.with(|world, now| {
                world.pass_time(now);
                world.delete_recording_file(rest)
            })?;
            Ok(HttpResponse::Ok().finish())
        }
        ("GET", Some((document, "content/acsmetadata"))) => {
            let metadata = door.shell.with(|world, now| {
                world.pass_time(now);
                world.recording_metadata(document)
            })?;
            Ok(HttpResponse::Ok().json(metadata))
        }
        ("GET", Some((document, "content/audio" | "content/video"))) => {
            let content = door.shell.with(|world, now| {
                world.pass_time(now);
                world.recording_content(document)
            })?;
            ranged(request.header("range").as_deref(), content.kind, content.bytes)
        }
        _ => Err(Refusal::new(404, "NotFound", "There is no such file of a recording.")),
    }
}

/// All of it, or the range that was asked for (`bytes=FROM-` and `bytes=FROM-TO`, both ends included).
fn ranged(range: Option<&str>, kind: &str, bytes: Vec<u8>) -> Result<HttpResponse, Refusal> {
    let length = bytes.len();
    let mut response = HttpResponse::Ok();
    response.content_type(kind).insert_header(("accept-ranges", "bytes"));
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(response.body(bytes));
    };
    let Ok(from) = from.parse::<usize>() else { return Ok(response.body(bytes)) };
    let last = length.saturating_sub(1);
    let to = to.parse::<usize>().unwrap_or(last).min(last);
    let Some(part) = bytes.get(from..=to).filter(|part| !part.is_empty()) else {
        let message = format!("The range is outside of the file, which has {length} bytes.");
        return Err(Refusal::new(416, "InvalidRange", message));
    };
    response
        .status(StatusCode::PARTIAL_CONTENT)
        .insert_header(("content-range", format!("bytes {from}-{to}/{length}")));
    Ok(response.body(part.to_vec()))
}
