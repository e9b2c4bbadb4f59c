//! `POST /v1/messages/preview`: what a text would be cut into.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::input;
use crate::accounts::Scope;
use crate::app::App;
use crate::http::body::Json;
use crate::http::caller::Caller;
use crate::http::error::{Problem, ProblemBody};
use crate::http::reply;
use crate::messages::preview;

/// The body of `POST /v1/messages/preview`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = NewPreview)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct NewPreviewSchema<'a> {
    /// The text; either this or `template`.
    text: Option<&'a str>,
    /// A template of the operator's file.
    template: Option<&'a str>,
    /// The template's language.
    locale: Option<&'a str>,
    /// What stands in the template's places.
    #[schema(value_type = Option<Object>)]
    variables: Option<Value>,
}

/// A text as short messages would carry it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    /// `gsm7` or `ucs2`.
    #[schema(example = "ucs2")]
    pub encoding: &'static str,
    /// How many parts it is sent in by SMPP; a trunk's SIP MESSAGE carries it whole.
    pub segments: usize,
    /// How many septets (`gsm7`; `€` and a few others count two) or 16-bit words (`ucs2`).
    pub units: usize,
    /// How many of them each part holds.
    pub units_per_segment: usize,
    /// How many more the last part would hold.
    pub units_left: usize,
    /// The characters that force `ucs2`, each once, in order of appearance.
    #[schema(value_type = Vec<String>)]
    pub forcing_characters: Vec<char>,
    /// The wording, with the places of the template filled in.
    pub text: String,
}

/// See what a text would be cut into. Nothing is sent.
#[utoipa::path(
    post, path = "/v1/messages/preview", tag = "messages",
    request_body = NewPreviewSchema,
    responses(
        (status = 200, body = PreviewView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Messages)?;
    let content = input::read_content(&body)?;
    let preview = preview::preview(&app, &content)?;
    let view = PreviewView {
        encoding: preview.alphabet.as_str(),
        segments: preview.segments,
        units: preview.units,
        units_per_segment: preview.units_per_segment,
        units_left: preview.units_left,
        forcing_characters: preview.forcing,
        text: preview.text,
    };
    Ok(reply::json(StatusCode::OK, &view))
}
