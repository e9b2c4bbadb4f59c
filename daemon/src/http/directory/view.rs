//! How a user looks to a client.

use serde::Serialize;

use crate::directory::Saved;
use crate::store::User;

/// A user of the directory.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// Its id.
    #[schema(example = "usr_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// Rises with each stored change.
    pub version: u32,
    /// What people call it.
    pub name: String,
    /// Its number, in E.164 form.
    pub phone: Option<String>,
    /// Its mailbox.
    pub email: Option<String>,
    /// Its login.
    pub login: Option<String>,
    /// Its extension in the client's exchange.
    pub extension: Option<String>,
    /// The client's own word for what it may do.
    pub role: Option<String>,
    /// Whether it may sign in.
    pub enabled: bool,
    /// Whether a password is set.
    pub has_password: bool,
    /// The password that was drawn; shown once, never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

impl UserView {
    /// Shows one.
    pub fn new(user: &User) -> Self {
        Self {
            id: user.user_id.to_string(),
            live: user.live,
            version: user.version,
            name: user.name.clone(),
            phone: user.phone.map(|phone| phone.reveal().as_str().to_owned()),
            email: user.email.as_ref().map(|email| email.reveal().to_owned()),
            login: user.login.clone(),
            extension: user.extension.clone(),
            role: user.role.clone(),
            enabled: user.enabled,
            has_password: user.password_hash.is_some(),
            password: None,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }

    /// Shows one that was stored, with the password that was drawn for it.
    pub fn saved(saved: &Saved) -> Self {
        Self { password: saved.password.clone(), ..Self::new(&saved.user) }
    }
}
