//! A file becomes valid data, or diagnostics.
//!
//! The daemon reads files and hands their names and texts to [`parse`]. What comes back is a
//! [`Config`] in which nothing has to be checked again, or a [`Report`] of everything that is
//! wrong, with the line and with help. This crate opens no file and reads no environment; a
//! secret is named by a [`SecretRef`], and the daemon fetches it.

mod address;
mod config;
mod diagnostic;
mod dump;
mod name;
mod numbers;
mod raw;
mod read;
mod schema;
mod section;
mod source;
mod suggest;
mod syntax;

use diagnostic::fault::Faults;

pub use config::account::{Account, UnknownUser};
pub use config::api::Api;
pub use config::database::{Database, OnOutage, PostgresUrl, Retention, Store};
pub use config::email::{Email, MailTls, Mailbox, MailboxError};
pub use config::limits::Limits;
pub use config::purpose::{Channel, PASSWORD_RESET, Purpose, WorkflowStep};
pub use config::secret::{SecretRef, Secrets};
pub use config::sip_section::{Sip, SipListen};
pub use config::smpp::{AddressKind, Concatenation, DataCoding, Smpp};
pub use config::template::{MissingVariable, Template, TemplateError};
pub use config::tls::{Certificate, TrunkTls};
pub use config::trunk::{TransportChoice, Trunk};
pub use config::webhook::{EVENT_TYPES, Webhook, WebhookUrl};
pub use config::{Config, Pool, Sms, Voice};
pub use diagnostic::{Code, Diagnostic, Place, Report, Severity};
pub use name::{AccountName, PurposeName, TemplateName, WebhookName};
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
    let mut faults = Faults::default();
    read::includes(&raw::read(&[*source], &mut faults).root)
}

/// Reads the main file and those it includes, in this order, and reports every fault at once.
///
/// A table may be spread over files; a key may not be given twice.
pub fn parse(sources: &[Source<'_>]) -> Result<Checked, Report> {
    let mut faults = Faults::default();
    let raw = raw::read(sources, &mut faults);
    if raw.is_broken {
        // What the broken file defines would be missed everywhere.
        return Err(faults.into_report(sources, &raw.secrets));
    }
    let config = read::config(&raw.root, &mut faults);
    read::cross::check(&raw.root, &config, &mut faults);
    let is_wrong = faults.has_errors();
    let report = faults.into_report(sources, &raw.secrets);
    if is_wrong { Err(report) } else { Ok(Checked { config, warnings: report }) }
}

/// The configuration as TOML with every default filled in and every inline secret as `***`;
/// it reads back to the same [`Config`] but for those.
pub fn dump(config: &Config) -> String {
    dump::dump(config)
}
