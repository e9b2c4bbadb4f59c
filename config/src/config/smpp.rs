//! `[smpp.NAME]`: a message centre that takes texts over SMPP 3.4.

use std::path::PathBuf;
use std::time::Duration;

use dialplans::TrunkName;
use sip::HostPort;

use crate::config::secret::SecretRef;

/// A message centre, to which we are bound as a transceiver. It shares the names of trunks, so
/// that a text's route is one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Smpp {
    /// Its name.
    pub name: TrunkName,
    /// Where it listens.
    pub host: HostPort,
    /// Whether the connection is under TLS, with the host's name in the certificate.
    pub tls: bool,
    /// The authorities that may vouch for it, a PEM file; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Who we are, at most 15 octets.
    pub system_id: String,
    /// At most 8 octets; `None`: none is sent.
    pub password: Option<SecretRef>,
    /// What kind of system we are, at most 12 octets.
    pub system_type: String,
    /// Submits without an answer at one time.
    pub window: u16,
    /// Submits in a second.
    pub throughput: u32,
    /// After so long without a word from the far side it is asked for one.
    pub enquire_link: Duration,
    /// The sender of a text that names none; empty: the centre puts its own.
    pub sender: String,
    /// Type and plan of senders; `None`: as the sender looks.
    pub source: AddressKind,
    /// Type and plan of called numbers.
    pub dest: AddressKind,
    /// Whether a receipt is asked for each part.
    pub registered_delivery: bool,
    /// Which alphabets the centre takes.
    pub data_coding: DataCoding,
    /// How the parts of a long text are joined.
    pub concatenation: Concatenation,
}

/// Type of number and numbering plan (SMPP 3.4 sections 5.2.5 and 5.2.6); `None`: from the
/// address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressKind {
    /// Type of number.
    pub ton: Option<u8>,
    /// Numbering plan indicator.
    pub npi: Option<u8>,
}

/// Which alphabets a message centre takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataCoding {
    /// The GSM default alphabet as data coding 0 where it will do, else UCS-2 as 8.
    Gsm,
    /// UCS-2 as 8 for every text.
    Ucs2,
}

/// How the parts of a long text are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concatenation {
    /// We cut it and mark each part in its user data header.
    Udh,
    /// It goes whole in `message_payload`; the centre cuts it.
    Payload,
}
