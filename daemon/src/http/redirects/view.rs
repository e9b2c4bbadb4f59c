//! How a redirect looks to a client.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::store::Redirect;

/// A redirect.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Redirect)]
pub struct RedirectView {
    /// Its id.
    #[schema(example = "rdr_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// Rises with each stored change.
    pub version: u32,
    /// Whose texts, in E.164 form.
    #[schema(example = "+79161234567")]
    pub phone: String,
    /// Where they go.
    #[schema(example = "ivan@corp.example.ru")]
    pub email: String,
    /// `instead` or `also`; more may come.
    #[schema(example = "instead")]
    pub mode: &'static str,
    /// Whether its time has not run out. One without `override` holds only while the user's card
    /// has this mailbox.
    pub active: bool,
    /// Whether the mailbox is another than that of the user's card.
    pub r#override: bool,
    /// Why.
    pub reason: Option<String>,
    /// When it ends.
    pub until: String,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

impl RedirectView {
    /// Shows one as it is at `now`.
    pub fn new(redirect: &Redirect, now: Timestamp) -> Self {
        Self {
            id: redirect.redirect_id.to_string(),
            live: redirect.live,
            version: redirect.version,
            phone: redirect.phone.reveal().as_str().to_owned(),
            email: redirect.email.reveal().to_owned(),
            mode: redirect.mode.as_str(),
            active: redirect.is_active(now),
            r#override: redirect.is_override,
            reason: redirect.reason.clone(),
            until: redirect.until.to_string(),
            created_at: redirect.created_at.to_string(),
            updated_at: redirect.updated_at.to_string(),
        }
    }
}
