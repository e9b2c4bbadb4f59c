//! What an operator says about a trunk, as the user agent needs it.

pub(crate) mod list;
pub(crate) mod pings;
pub(crate) mod registrar;
mod run;
pub(crate) mod state;
pub(crate) mod wire;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::inbound::InboundSettings;
use crate::media::Codec;
use crate::network::Network;
use crate::number::{Secret, UserPart};
use crate::transport::{Target, Transport};

/// Our name for a trunk inside one `UserAgent`; `shard` names that user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkHandle {
    /// Which user agent owns the trunk.
    pub shard: u16,
    /// Its place there; never used again after the trunk is removed.
    pub index: u32,
}

/// A host with the port when one was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A domain name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// `None`: SRV records, or 5060 (5061 over TLS), decide (RFC 3263 section 4.2).
    pub port: Option<u16>,
}

/// A header field that shows the calling number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerIdHeader {
    /// The user part of From.
    From,
    /// P-Asserted-Identity (RFC 3325 section 9.1).
    PAssertedIdentity,
    /// P-Preferred-Identity (RFC 3325 section 9.2).
    PPreferredIdentity,
    /// Remote-Party-ID (draft-ietf-sip-privacy-04).
    RemotePartyId,
}

/// Digest algorithms (RFC 7616 section 3, RFC 8760), strongest last. Each also answers its
/// `-sess` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512Trunc256,
}

/// Which provisional responses count as ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingSignal {
    /// 180 only.
    Ringing,
    /// 180, and 183 with a session description.
    RingingOrSessionProgress,
    /// Every 101–199 but 181, 182 and 199.
    Any,
}

/// Whether provisional responses may be acknowledged by PRACK (RFC 3262).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rel100 {
    /// Not offered. A 421 that requires it mends that once for each call.
    Off,
    /// Offered by Supported.
    Supported,
    /// Asked for by Require. A 420 mends that once for each call.
    Required,
}

/// What an INVITE says about hiding the caller ID (RFC 3323). A flash call never asks to hide it:
/// it is the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing.
    Off,
    /// `Privacy: none`: whatever the trunk does by default, it shows the caller ID.
    None,
}

/// Which address of ours the far side should write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum External {
    /// The local one until `received` and `rport` of a response show another.
    Learn,
    /// This one.
    Fixed {
        /// The address written into Via, Contact and SDP.
        address: IpAddr,
        /// The port; `None`: the local one.
        port: Option<u16>,
    },
}

/// Everything the user agent needs to know about a trunk. Defaults are those of the operator's
/// guide; [`TrunkSettings::new`] fills them in.
#[derive(Clone, Debug, PartialEq)]
pub struct TrunkSettings {
    /// The operator's name for it; seeds the `line` token, so a restart keeps its binding.
    pub name: String,
    /// Host of request lines, From, To and digest URIs; never a resolved address.
    pub domain: String,
    /// Where REGISTER goes; `None`: a static trunk.
    pub registrar: Option<HostPort>,
    /// Where every request goes first, when it is not the registrar or domain.
    pub outbound_proxy: Option<HostPort>,
    /// Fixed targets; empty: the user agent asks by `Event::ResolveTargets`.
    pub targets: Vec<Target>,
    /// The transport, and the default for the names above.
    pub transport: Transport,
    /// The local address that the trunk's socket is bound to, as the far side may see it.
    pub local: SocketAddr,
    /// The address of record's user.
    pub user: UserPart,
    /// User name of the digest.
    pub auth_user: String,
    /// Password of the digest; `None`: challenges are not answered.
    pub password: Option<Secret>,
    /// Realms whose challenges are answered; empty: one is pinned at the first success for 401
    /// and one for 407.
    pub realms: Vec<String>,
    /// Algorithms that may be answered.
    pub digest: Vec<DigestAlgorithm>,
    /// Whether the operator wants MD5 by name, also where the trunk has offered better.
    pub md5_is_named: bool,
    /// User part of our Contact.
    pub contact_user: UserPart,
    /// Token of the Contact's `line` parameter, 16–32 token characters; `None`: left out.
    pub line: Option<String>,
    /// Wished lifetime of the binding.
    pub expires: Duration,
    /// Our public address.
    pub external: External,
    /// Time between OPTIONS to each target; `None`: none are sent.
    pub options_ping: Option<Duration>,
    /// Time between keep-alive CRLFs behind NAT over UDP; `None`: none. Whoever holds a stream
    /// connection keeps it alive itself (RFC 5626 section 4.4.1).
    pub keep_alive: Option<Duration>,
    /// Header fields that carry the caller ID.
    pub caller_id_in: Vec<CallerIdHeader>,
    /// User part of From; `None`: the caller ID.
    pub from_user: Option<UserPart>,
    /// Whether `;user=phone` is written on number URIs.
    pub user_phone: bool,
    /// Header fields added to INVITE as they are.
    pub headers: Vec<(String, String)>,
    /// What counts as ringing.
    pub ring_signal: RingSignal,
    /// Reliable provisional responses.
    pub rel100: Rel100,
    /// What is said about hiding the caller ID.
    pub privacy: Privacy,
    /// Codecs that are offered, best first; at least one.
    pub codecs: Vec<Codec>,
    /// The address written into session descriptions; `None`: that of our Contact.
    pub media_external: Option<IpAddr>,
    /// Where audio may go beside the trunk's own addresses.
    pub media_networks: Vec<Network>,
    /// Calls at once; places beyond it are refused with `ChannelsBusy`.
    pub max_calls: u32,
    /// Whether texts may leave by MESSAGE.
    pub sms: bool,
    /// How its calls and texts are known and read.
    pub inbound: InboundSettings,
}

impl TrunkSettings {
    /// A trunk with every option at its default: digest with all three algorithms, 600 s
    /// binding, caller ID in From and P-Asserted-Identity, 180 as ringing.
    pub fn new(name: &str, domain: &str, user: UserPart, local: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            registrar: None,
            outbound_proxy: None,
            targets: Vec::new(),
            transport: Transport::Udp,
            local,
            auth_user: user.reveal().to_owned(),
            contact_user: user.clone(),
            user,
            password: None,
            realms: Vec::new(),
            digest: vec![
                DigestAlgorithm::Sha512Trunc256,
                DigestAlgorithm::Sha256,
                DigestAlgorithm::Md5,
            ],
            md5_is_named: false,
            line: None,
            expires: Duration::from_secs(600),
            external: External::Learn,
            options_ping: None,
            keep_alive: None,
            caller_id_in: vec![CallerIdHeader::From, CallerIdHeader::PAssertedIdentity],
            from_user: None,
            user_phone: false,
            headers: Vec::new(),
            ring_signal: RingSignal::Ringing,
            rel100: Rel100::Off,
            privacy: Privacy::Off,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            media_external: None,
            media_networks: Vec::new(),
            max_calls: u32::MAX,
            sms: false,
            inbound: InboundSettings::default(),
        }
    }

    /// The name whose records lead to its targets (RFC 3263): the proxy's, else the registrar's,
    /// else the domain. `None`: its targets are fixed.
    pub fn followed_name(&self) -> Option<HostPort> {
        if !self.targets.is_empty() {
            return None;
        }
        let domain = || HostPort { host: self.domain.clone(), port: None };
        let name = self.outbound_proxy.as_ref().or(self.registrar.as_ref());
        Some(name.cloned().unwrap_or_else(domain))
    }
}
