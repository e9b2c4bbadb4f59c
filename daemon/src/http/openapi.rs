//! `/v1/openapi.json`, made from the handlers.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi};

use super::error::Code;
use super::reply;
use crate::store::StoredResponse;

/// The document, rendered once.
#[derive(Clone, Debug)]
pub(super) struct Document(Arc<StoredResponse>);

impl Document {
    /// Completes what the handlers say: title, key, table of codes.
    pub(super) fn new(mut openapi: OpenApi) -> Self {
        openapi.info = InfoBuilder::new()
            .title("Dozvon")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(description()))
            .build();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("key", scheme);
        openapi.security = Some(vec![SecurityRequirement::new("key", [""; 0])]);
        Self(Arc::new(reply::rendered(StatusCode::OK, &openapi)))
    }
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", security(()), responses((status = 200, description = "This document.")))]
pub(super) async fn openapi(Extension(document): Extension<Document>) -> Response {
    reply::stored(StoredResponse::clone(&document.0))
}

fn description() -> String {
    let mut text = String::from(
        "Proves phone numbers by flash call: the code is the tail of the number that calls.\n\n\
         Enums are open: a client must bear words that it does not know. Times are RFC 3339 in \
         UTC with milliseconds, numbers E.164 with a plus sign. `live` is false on everything \
         made with a test key (`dz_test_…`): nothing leaves the machine then, the code is \
         `0000`, and `+70000000001` rings, `…2` is busy, `…3` unreachable, `…4` diverted, `…5` \
         answered, `…6` does not get its text.\n\n\
         A POST that places, sends or checks takes an `Idempotency-Key`: for 24 hours a repeat \
         gets the very bytes of the first answer and `Idempotent-Replayed: true`. Refusals are \
         not kept.\n\n\
         Everything that is no success is a problem (RFC 9457). `code` is one of these; more \
         may come:\n\n| code | status | meaning |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let (word, status) = (code.as_str(), code.status().as_u16());
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| `{word}` | {status} | {} |", code.meaning());
    }
    text
}
