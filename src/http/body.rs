//! Bodies: their content type, their size, their JSON.

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, Payload};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::{Code, Problem};

/// Reads a JSON body of at most `limit` bytes. The content type may be missing (Azure documents none
/// for callbacks), but must not be something else than JSON.
pub async fn read_json(
    headers: &HeaderMap,
    payload: Payload,
    limit: usize,
) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType)
            .detail("send application/json or one of the CloudEvents JSON types"));
    }
    read(headers, payload, limit).await
}

/// Reads and parses a JSON object. The content type must be given: that is what keeps a web page of
/// another origin from posting here.
pub async fn parse_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    payload: Payload,
    limit: usize,
) -> Result<T, Problem> {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return Err(
            Problem::new(Code::UnsupportedMediaType).detail("say content-type: application/json")
        );
    }
    let body = read_json(headers, payload, limit).await?;
    // serde would read a struct from an array as well.
    if matches!(body.trim_ascii_start().first(), Some(b'[')) {
        serde_json::from_slice::<IgnoredAny>(&body).map_err(unreadable)?;
        return Err(Problem::new(Code::InvalidRequest).detail("send a JSON object"));
    }
    serde_json::from_slice(&body).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => {
            Problem::new(Code::InvalidRequest).detail(without_values(&error.to_string()))
        }
        _ => Problem::new(Code::InvalidJson).detail(format!(
            "line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

async fn read(headers: &HeaderMap, payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Code::BodyTooLarge).detail(format!("at most {limit} bytes are taken"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Problem::new(Code::InvalidRequest).detail("the body was cut off")),
        Err(_) => Err(too_large()),
    }
}

/// What serde says, but for the value that it quotes: that may be a number or a name.
fn without_values(error: &str) -> String {
    match (error.rsplit_once(", expected "), error.split_once(':')) {
        (Some((_, expected)), Some((invalid @ ("invalid type" | "invalid value"), _))) => {
            format!("{invalid}, expected {expected}")
        }
        _ => error.to_owned(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return true };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "application/json" | "application/cloudevents+json" | "application/cloudevents-batch+json"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_what_was_expected_and_repeats_no_value() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[expect(dead_code)]
            ms: u64,
        }
        let told = |json: &str| {
            without_values(&serde_json::from_str::<Body>(json).expect_err("an error").to_string())
        };
        let wanted = "invalid type, expected u64 at line 1 column 30";
        assert_eq!(told(r#"{"ms":"+1425, expected x: 123"}"#), wanted);
        assert_eq!(told(r#"{"ms":-1}"#), "invalid value, expected u64 at line 1 column 8");
        assert!(told(r#"{"sm":1}"#).starts_with("unknown field `sm`, expected `ms`"));
        assert!(told("{}").starts_with("missing field `ms`"));
    }
}
