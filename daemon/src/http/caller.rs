//! Who calls: the key of the request, or the operator at the local socket.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use config::AccountName;

use super::error::{Code, Problem};
use super::rate::Meter;
use super::serve::Peer;
use crate::accounts::{ActingAccount, AuthenticateError, Scope, Scopes, Token, TooFast};
use crate::app::App;
use crate::store::{StoreError, Who};

/// The caller of a request whose key is valid.
#[derive(Clone, Debug)]
pub struct Caller {
    account: Option<AccountName>,
    live: bool,
    rights: Rights,
    /// The id of its key; `None`: the operator at the local socket.
    key: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Rights {
    Key(Scopes),
    /// At the local socket: may do everything, for the account `default` where one is needed.
    Operator,
}

impl Caller {
    /// Refuses a caller without this scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        match self.rights {
            Rights::Operator => Ok(()),
            Rights::Key(scopes) if scopes.contains(scope) => Ok(()),
            Rights::Key(_) => Err(Problem::new(Code::ScopeMissing)
                .detail(format!("This call needs the scope {}.", scope.as_str()))),
        }
    }

    /// Refuses a caller that has none of these scopes.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), Problem> {
        let refusals = scopes.iter().map(|scope| self.require(*scope));
        refusals.reduce(|one, other| one.or(other)).unwrap_or(Ok(()))
    }

    /// What the caller may see.
    pub fn who(&self) -> Who {
        match &self.account {
            Some(account) => Who::Account { account: account.to_string(), live: self.live },
            None => Who::Gateway,
        }
    }

    /// As the audit names it.
    pub fn actor(&self) -> String {
        self.key.as_ref().map_or_else(|| "operator".to_owned(), |key| format!("key:{key}"))
    }

    /// False under a test key.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether full numbers of its own objects are shown to it: operators see them masked.
    pub fn sees_numbers(&self) -> bool {
        self.account.is_some()
    }

    /// The account in whose name the caller acts.
    pub fn account(&self, app: &App) -> Result<ActingAccount, Problem> {
        let name = match (&self.account, self.rights) {
            (Some(name), _) => name.clone(),
            (None, Rights::Operator) => AccountName::default_account(),
            (None, Rights::Key(_)) => {
                return Err(Problem::new(Code::ScopeMissing)
                    .detail("A gateway key has no account to act for."));
            }
        };
        // A key outlives its account's section in the file.
        let rules = app.settings().config.accounts.get(&name).cloned();
        let rules = rules.ok_or_else(|| Problem::new(Code::Unauthorized))?;
        Ok(ActingAccount { name, rules, live: self.live })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let from = match parts.extensions.get::<Peer>() {
            Some(Peer::Operator { .. }) => {
                let rights = Rights::Operator;
                return Ok(Self { account: None, live: true, rights, key: None });
            }
            Some(Peer::Network(address)) => address.ip(),
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let token = bearer(&parts.headers).ok_or_else(|| Problem::new(Code::Unauthorized))?;
        let key = app.authenticator().authenticate(&token, from).await?;
        let quota = app.settings().config.limits.requests_per_second;
        let taken = app.paces().take(key.id(), quota, app.now());
        if let Some(meter) = parts.extensions.get::<Meter>() {
            meter.show(taken.unwrap_or_else(|TooFast(allowance)| allowance));
        }
        if taken.is_err() {
            return Err(Problem::new(Code::TooManyRequests));
        }
        let account = match key.account().map(AccountName::parse) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Err(Problem::new(Code::Unauthorized)),
        };
        let id = key.id().as_str().to_owned();
        Ok(Self { account, live: key.live(), rights: Rights::Key(key.scopes()), key: Some(id) })
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let text = values.next()?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let only = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
    Token::parse(token.trim()).filter(|_| only)
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Invalid => Self::new(Code::Unauthorized),
            AuthenticateError::Address => Self::new(Code::AddressNotAllowed),
            AuthenticateError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable | StoreError::OutcomeUnknown => {
                Self::new(Code::StoreUnavailable).retry_after(Duration::from_secs(2))
            }
            StoreError::Busy => Self::new(Code::Overloaded),
            StoreError::Closed => Self::new(Code::ShuttingDown),
            StoreError::Damaged { .. } | StoreError::Rejected => Self::internal(&error),
        }
    }
}
