//! The HTTP API: one file for each resource; `error` is the only type that becomes a response
//! that is no success.

pub mod audit;
pub mod body;
pub mod call_view;
pub mod caller;
pub mod calls;
pub mod dialplan;
pub mod directory;
mod docs;
mod envelope;
pub mod error;
pub mod health;
pub mod idempotency;
pub mod input;
pub mod list;
pub mod messages;
mod openapi;
pub mod own_codes;
pub mod proofs;
pub mod query;
mod rate;
pub mod redirects;
pub mod reply;
pub mod serve;
pub mod sign_ins;
pub mod trunks;
pub mod verifications;

use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The whole API, for backends, for operators and for the local socket.
pub fn router(app: &App) -> Router {
    let (router, document) = OpenApiRouter::new()
        .routes(routes!(verifications::create, verifications::list))
        .routes(routes!(verifications::get))
        .routes(routes!(verifications::events::events))
        .routes(routes!(verifications::check))
        .routes(routes!(verifications::resend))
        .routes(routes!(verifications::switch))
        .routes(routes!(verifications::cancel))
        .routes(routes!(directory::create, directory::list))
        .routes(routes!(directory::get, directory::change, directory::delete))
        .routes(routes!(directory::csv::export, directory::csv::import))
        .routes(routes!(sign_ins::create))
        .routes(routes!(sign_ins::get))
        .routes(routes!(sign_ins::entry::password))
        .routes(routes!(sign_ins::entry::new_password))
        .routes(routes!(proofs::redeem))
        .routes(routes!(messages::create, messages::list))
        .routes(routes!(messages::get))
        .routes(routes!(messages::preview::create))
        .routes(routes!(redirects::list))
        .routes(routes!(redirects::put, redirects::get, redirects::delete))
        .routes(routes!(audit::list))
        .routes(routes!(calls::list, own_codes::create))
        .routes(routes!(calls::get))
        .routes(routes!(trunks::list))
        .routes(routes!(trunks::get))
        .routes(routes!(trunks::register))
        .routes(routes!(trunks::pause))
        .routes(routes!(trunks::resume))
        .routes(routes!(dialplan::explain))
        .routes(routes!(openapi::openapi))
        .merge(health_routes())
        .split_for_parts();
    let router = router.merge(docs::routes());
    finished(router.layer(Extension(openapi::Document::new(document))), app)
}

/// Health and metrics alone, for an address of their own; nothing here needs a key.
pub fn operator_router(app: &App) -> Router {
    let (router, _document) = health_routes().split_for_parts();
    finished(router, app)
}

fn health_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

fn finished(router: Router<App>, app: &App) -> Router {
    router
        .fallback(envelope::no_route)
        .method_not_allowed_fallback(envelope::no_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), envelope::envelope))
        .with_state(app.clone())
}

#[cfg(test)]
mod tests;
