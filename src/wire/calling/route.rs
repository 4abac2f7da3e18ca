//! Which operation a request is: the API's own table, matched on the raw path.
//!
//! Ids are taken out of the path percent-decoded; an id never holds a raw colon, so an action suffix
//! (`:play`) is always told apart from it.

use percent_encoding::percent_decode_str;

use super::{Operation, Place};
use crate::wire::identifiers::CallConnectionId;

/// What a method and a path lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// An operation, on what.
    To(Operation, Place),
    /// The path exists for another method.
    WrongMethod,
    /// No such path.
    Nowhere,
}

/// Finds the operation. `path` is as sent, without the query.
pub fn route(method: &str, path: &str) -> Route {
    let mut other_method = false;
    for operation in Operation::ALL {
        let Some(ids) = matched(operation.path_template(), path) else { continue };
        if operation.method().as_str() == method {
            return Route::To(*operation, place(operation.path_template(), ids));
        }
        other_method = true;
    }
    if other_method { Route::WrongMethod } else { Route::Nowhere }
}

/// The ids of a path that fits a template.
fn matched(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut ids = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{') {
                None if wanted == given => {}
                None => return None,
                Some(rest) => {
                    let (_, action) = rest.split_once('}')?;
                    ids.push(id(given.strip_suffix(action)?)?);
                }
            },
            _ => return None,
        }
    }
}

fn id(segment: &str) -> Option<String> {
    if segment.is_empty() || segment.contains(':') {
        return None;
    }
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

fn place(template: &str, ids: Vec<String>) -> Place {
    let mut ids = ids.into_iter();
    match (ids.next(), ids.next()) {
        (None, _) => Place::Nowhere,
        (Some(recording), None) if template.contains("{recording}") => Place::Recording(recording),
        (Some(call), None) => Place::Call(CallConnectionId::new(call)),
        (Some(call), Some(who)) => Place::Participant(CallConnectionId::new(call), who.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_finds_itself() {
        for operation in Operation::ALL {
            let call = CallConnectionId::new("a/b:c%");
            let template = operation.path_template();
            let place = match () {
                () if template.contains("{participant}") => {
                    Place::Participant(call, "4:+1425".into())
                }
                () if template.contains("{recording}") => Place::Recording("x=/".into()),
                () if template.contains("{call}") => Place::Call(call),
                () => Place::Nowhere,
            };
            let found = route(operation.method().as_str(), &operation.path(&place));
            assert_eq!(found, Route::To(*operation, place));
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        assert_eq!(route("POST", "/calling/callConnections/a:dance"), Route::Nowhere);
        assert_eq!(route("GET", "/calling/callConnections/"), Route::Nowhere);
        assert_eq!(route("PATCH", "/calling/callConnections/a"), Route::WrongMethod);
        assert_eq!(route("GET", "/calling/callConnections/a:play"), Route::WrongMethod);
        assert_eq!(route("GET", "/calling/callConnections/%FF"), Route::Nowhere);
    }
}
