//! `/docs`: the OpenAPI document for people, from files in the binary. Nothing is fetched from
//! anywhere but this gateway.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::get;

use crate::app::App;

/// Only our own files and our own document; no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, type and content.
const FILES: [(&str, &str, &str); 3] = [
    ("/docs", "text/html; charset=utf-8", include_str!("docs/index.html")),
    ("/docs/docs.css", "text/css; charset=utf-8", include_str!("docs/docs.css")),
    ("/docs/docs.js", "text/javascript; charset=utf-8", include_str!("docs/docs.js")),
];

/// The pages; no key is needed, as for the document itself.
pub(super) fn routes() -> Router<App> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { (headers(kind), content) }))
    })
}

fn headers(kind: &'static str) -> [(HeaderName, HeaderValue); 4] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_names_another_place() {
        assert_eq!(FILES.len(), 3);
        for (path, _, content) in FILES {
            for outside in ["http:", "https:", "//cdn", "src=\"//", "href=\"//", "innerHTML"] {
                assert!(!content.contains(outside), "{path} holds {outside}");
            }
        }
    }
}
