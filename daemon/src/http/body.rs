//! The body of a request: at most 64 KiB of JSON, within 10 seconds.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::error::{Code, Problem};

/// Longest body, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Longest file of users, in bytes.
pub const FILE_LIMIT: usize = 1 << 20;

/// From the header to the last byte of the body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The body as a JSON value.
#[derive(Debug)]
pub struct Json(pub Value);

/// The body as a JSON value; an empty body is an empty object.
#[derive(Debug)]
pub struct JsonOrNothing(pub Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(Problem::new(Code::MalformedJson).detail("The body is empty."));
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonOrNothing {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(Map::new())));
        }
        parse(&bytes).map(Self)
    }
}

/// A file of comma-separated values: at most 1 MiB.
#[derive(Debug)]
pub struct CsvFile(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for CsvFile {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|text| !text.starts_with("text/csv")) {
            return Err(Problem::new(Code::UnsupportedMediaType).detail("text/csv is meant."));
        }
        bounded(&parts.headers, body, FILE_LIMIT).await.map(Self)
    }
}

async fn bounded(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    if declared_length(headers).is_some_and(|length| length > limit as u64) {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    match tokio::time::timeout(BODY_DEADLINE, collect(body, limit)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Problem::new(Code::RequestTimeout)),
    }
}

async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bounded(&parts.headers, body, BODY_LIMIT).await?;
    if !bytes.is_empty() && !is_json(&parts.headers) {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    Ok(bytes)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(Code::BodyTooLarge)),
        Err(_broken) => Err(Problem::new(Code::BodyIncomplete)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json")
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Code::MalformedJson).detail(format!("The body stops being JSON at {place}."))
    })
}

/// The value with the names of every object in order, so that two spellings of one body are
/// the same text.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_unstable();
            text.push('{');
            for name in names {
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write_canonical(&fields[name], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_with(content_type: &str, body: &[u8]) -> Result<Value, Code> {
        let request = Request::post("/").header(CONTENT_TYPE, content_type);
        let request = request.body(Body::from(body.to_vec())).unwrap();
        Json::from_request(request, &()).await.map(|json| json.0).map_err(|error| error.code())
    }

    #[tokio::test]
    async fn what_is_not_json_is_malformed_json() {
        let bodies: [&[u8]; 8] = [
            b"",
            b"{",
            b"{'to': 1}",
            b"{\"to\": \"\\ud800\"}",
            b"{\"to\": \"\xff\"}",
            b"\xef\xbb\xbf{}",
            b"{} {}",
            &[b'['; 4096],
        ];
        for body in bodies {
            assert_eq!(read_with("application/json", body).await, Err(Code::MalformedJson));
        }
    }

    #[tokio::test]
    async fn a_body_above_64_kib_is_refused_before_it_is_parsed() {
        let body = vec![b' '; BODY_LIMIT + 1];
        assert_eq!(read_with("application/json", &body).await, Err(Code::BodyTooLarge));
        let mut exact = vec![b' '; BODY_LIMIT - 2];
        exact.extend(b"{}");
        assert!(read_with("application/json", &exact).await.is_ok());
    }

    #[tokio::test]
    async fn a_form_is_not_taken_for_json() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(read_with(form, b"{}").await, Err(Code::UnsupportedMediaType));
        assert!(read_with("application/json; charset=utf-8", b"{}").await.is_ok());
        assert!(read_with("application/merge-patch+json", b"{}").await.is_ok());
    }

    #[test]
    fn two_spellings_of_one_body_have_one_canonical_form() {
        let one = parse(br#"{"a": [1, {"y": "\u0041", "x": null}], "b": 2}"#).unwrap();
        let two = parse(br#" {"b":2,"a":[1,{"x":null,"y":"A"}]} "#).unwrap();
        assert_eq!(canonical(&one), canonical(&two));
        let other = parse(br#"{"a": [1, {"y": "B", "x": null}], "b": 2}"#).unwrap();
        assert_ne!(canonical(&one), canonical(&other));
    }
}
