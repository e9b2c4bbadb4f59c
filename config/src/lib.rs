//! A file becomes valid data, or diagnostics.
//!
//! The daemon reads files and hands their names and texts to [`parse`]. What comes back is a
//! [`Config`] in which nothing has to be checked again, or a [`Report`] of everything that is
//! wrong, with the line and with help. This crate opens no file and reads no environment; a
//! secret is named by a [`SecretRef`], and the daemon fetches it.

mod config;
mod diagnostic;
mod name;
mod source;

pub use config::account::Account;
pub use config::api::Api;
pub use config::database::{Database, OnOutage, PostgresUrl, Retention, Store};
pub use config::limits::Limits;
pub use config::purpose::{Channel, Purpose, WorkflowStep};
pub use config::secret::{SecretRef, Secrets};
pub use config::sip_section::{Sip, SipListen};
pub use config::template::{MissingVariable, Template, TemplateError};
pub use config::trunk::Trunk;
pub use config::trunk::price::{Price, PriceError};
pub use config::{Config, Pool, Sms};
pub use diagnostic::{Code, Diagnostic, Place, Report, Severity};
pub use name::{AccountName, PurposeName, TemplateName};
pub use source::Source;

/// A configuration without a fault.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the files say.
    pub config: Config,
    /// What is allowed and should be looked at.
    pub warnings: Report,
}

/// The globs of the first file's `include`, as they are written, for the daemon to read before
/// it calls [`parse`] with all files. A text that is no TOML has none; [`parse`] says why.
pub fn includes(source: &Source<'_>) -> Vec<String> {
    let _ = source;
    Vec::new()
}

/// Reads the main file and those it includes, in this order, and reports every fault at once.
///
/// A table may be spread over files; a key may not be given twice.
pub fn parse(sources: &[Source<'_>]) -> Result<Checked, Report> {
    let _ = sources;
    Err(Report::default())
}

/// The configuration as TOML with every default filled in and every inline secret as `***`;
/// it reads back to the same [`Config`] but for those.
pub fn dump(config: &Config) -> String {
    let _ = config;
    String::new()
}
