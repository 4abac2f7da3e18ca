//! Reading the service's JSON for people: what is missing is shown as a dash, never an error, so that
//! an older command line can look at a newer service.

use std::time::Duration;

use serde_json::Value;

/// What stands at a JSON pointer, as a cell.
pub(super) fn cell(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A text at a JSON pointer; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of an array; none when there is no array.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Milliseconds at a JSON pointer, as people say them.
pub(super) fn span(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_u64) {
        None => "-".to_owned(),
        Some(ms @ 0..1000) => format!("{ms} ms"),
        Some(ms @ 1000..60_000) => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        Some(ms @ 60_000..3_600_000) => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        Some(ms) => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// `code/subCode`, or a dash.
pub(super) fn codes(value: &Value, pointer: &str) -> String {
    let number = |name: &str| value.pointer(&format!("{pointer}/{name}")).and_then(Value::as_i64);
    match (number("code"), number("subCode")) {
        (None, None) => "-".to_owned(),
        (code, sub_code) => {
            let shown = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            format!("{}/{}", shown(code), shown(sub_code))
        }
    }
}

/// An event type without the vendor's long beginning.
pub(super) fn short_type(kind: &str) -> &str {
    kind.strip_prefix(crate::wire::events::TYPE_PREFIX).unwrap_or(kind)
}

/// Reads a time that people give: `500ms`, `30s`, `4m`.
///
/// # Errors
/// A sentence that shows how to write one.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let read = text.parse::<jiff::SignedDuration>().ok();
    let read = read.and_then(|time| Duration::try_from(time).ok());
    read.ok_or_else(|| "write a time like 500ms, 30s or 4m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_told_as_people_say_them() {
        let told = |ms: u64| span(&json!({ "ageMs": ms }), "/ageMs");
        assert_eq!(told(999), "999 ms");
        assert_eq!(told(61_999), "1 min 1 s");
        assert_eq!(told(5_250), "5.2 s");
        assert_eq!(told(7_260_000), "2 h 1 min");
        assert_eq!(span(&json!({}), "/ageMs"), "-");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("4m"), Ok(Duration::from_secs(240)));
        assert!(duration("-4m").is_err() && duration("soon").is_err() && duration("").is_err());
    }

    #[test]
    fn missing_codes_are_a_dash() {
        let event = json!({"r": {"code": 400, "subCode": 8510}, "half": {"code": 200}});
        assert_eq!(codes(&event, "/r"), "400/8510");
        assert_eq!(codes(&event, "/half"), "200/-");
        assert_eq!(codes(&event, "/none"), "-");
    }
}
