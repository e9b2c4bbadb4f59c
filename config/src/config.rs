//! The valid configuration: what a file says once nothing in it is wrong.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod database;
pub(crate) mod email;
pub(crate) mod limits;
pub(crate) mod purpose;
pub(crate) mod secret;
pub(crate) mod sip_section;
pub(crate) mod smpp;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod trunk;
pub(crate) mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dialplans::{CodeLength, NumberRange, PoolName, Route, TrunkName};

use crate::name::{AccountName, PurposeName, TemplateName, WebhookName};

use account::Account;
use api::Api;
use database::Database;
use email::Email;
use limits::Limits;
use purpose::Purpose;
use secret::Secrets;
use sip_section::Sip;
use smpp::Smpp;
use template::Template;
use trunk::Trunk;
use webhook::Webhook;

/// Everything the file says, checked, with each default filled in.
///
/// Every name that one part gives is the name of a part that is there, so a look-up by such a
/// name cannot miss.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses of the HTTP interface.
    pub api: Api,
    /// Where records are kept, and for how long.
    pub database: Database,
    /// The key from which all others are derived.
    pub secrets: Secrets,
    /// Our side of SIP.
    pub sip: Sip,
    /// The trunks.
    pub trunks: BTreeMap<TrunkName, Trunk>,
    /// The numbers that trunks may show.
    pub pools: BTreeMap<PoolName, Pool>,
    /// Which trunks take which numbers, in the order of the file; no prefix comes twice, and
    /// each has at least one trunk.
    pub routes: Vec<Route>,
    /// Rules of verifications; always holds [`PurposeName::sign_in`].
    pub purposes: BTreeMap<PurposeName, Purpose>,
    /// Who may use what; always holds [`AccountName::default_account`].
    pub accounts: BTreeMap<AccountName, Account>,
    /// How texts leave.
    pub sms: Sms,
    /// The message centres; none has the name of a trunk.
    pub smpp: BTreeMap<TrunkName, Smpp>,
    /// How calls speak.
    pub voice: Voice,
    /// How letters leave; `None`: none can be sent.
    pub email: Option<Email>,
    /// Where events are sent.
    pub webhooks: BTreeMap<WebhookName, Webhook>,
    /// Texts with places for variables.
    pub templates: BTreeMap<TemplateName, BTreeMap<String, Template>>,
    /// Limits on sending and on connections.
    pub limits: Limits,
}

/// Numbers that some trunks may show. Its parts are what `dialplans::CallerIdPool::new` takes,
/// and that call succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// At least one range; each has more digits than the code.
    pub numbers: Vec<NumberRange>,
    /// The trunks that may show them; at least one.
    pub trunks: Vec<TrunkName>,
    /// How many last digits are the code.
    pub code_length: CodeLength,
}

/// How texts leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sms {
    /// A message centre, or a trunk that has `sms` on; `None`: no text can be sent.
    pub default: Option<TrunkName>,
}

/// How calls speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// The folder of the operator's own prompts, absolute; `None`: those in the binary.
    pub prompts: Option<PathBuf>,
}
