//! `[trunks.NAME]`: a carrier's side of the wire, as its operator describes it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dialplans::{DialError, DialFormat, E164, Translation, TrunkDialling, TrunkName};
use sip::{
    CallerId, CallerIdHeader, Codec, DigestAlgorithm, External, HostPort, InboundSettings, Network,
    Privacy, Rel100, RingSignal, Secret, Target, Transport, TrunkSettings, UserPart,
};

use crate::config::secret::SecretRef;
use crate::config::tls::TrunkTls;

/// Who chooses a trunk's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportChoice {
    /// The file.
    Fixed(Transport),
    /// The name service, by the NAPTR and SRV records of the domain (RFC 3263 section 4.1).
    Auto,
}

impl TransportChoice {
    /// What is written into messages before anybody has chosen.
    pub fn at_first(self) -> Transport {
        match self {
            Self::Fixed(transport) => transport,
            Self::Auto => Transport::Udp,
        }
    }

    /// Whether this transport may be used.
    pub fn allows(self, transport: Transport) -> bool {
        match self {
            Self::Fixed(fixed) => fixed == transport,
            Self::Auto => true,
        }
    }
}

/// A trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Its name.
    pub name: TrunkName,
    /// Where REGISTER goes; `None`: a static trunk.
    pub registrar: Option<HostPort>,
    /// Host of request lines, From, To and digest URIs.
    pub domain: String,
    /// Where every request goes first.
    pub outbound_proxy: Option<HostPort>,
    /// Fixed addresses; empty: the names above are resolved.
    pub targets: Vec<Target>,
    /// How messages travel.
    pub transport: TransportChoice,
    /// How its far side is known under TLS.
    pub tls: TrunkTls,
    /// The address of record's user.
    pub user: UserPart,
    /// User name of the digest.
    pub auth_user: String,
    /// Password of the digest; `None`: challenges are not answered.
    pub password: Option<SecretRef>,
    /// Realms that may challenge; empty: pinned at first success.
    pub realms: Vec<String>,
    /// Digest algorithms that may be answered; at least one.
    pub digest: Vec<DigestAlgorithm>,
    /// Whether the file names them: only then MD5 is answered by a trunk that has offered better
    /// (RFC 8760 section 2.6).
    pub digest_is_written: bool,
    /// User part of our Contact.
    pub contact_user: UserPart,
    /// Whether the Contact carries a `line` token.
    pub line: bool,
    /// Wished lifetime of the binding.
    pub expires: Duration,
    /// Our public address; `[sip] external` where the trunk says nothing.
    pub external: External,
    /// Time between OPTIONS; `None`: none are sent.
    pub options_ping: Option<Duration>,
    /// Time between keep-alive CRLFs; `None`: none are sent.
    pub keep_alive: Option<Duration>,
    /// Header fields that carry the caller ID; at least one.
    pub caller_id_in: Vec<CallerIdHeader>,
    /// The form of the caller ID on the wire.
    pub caller_id_format: DialFormat,
    /// User part of From; `None`: the caller ID.
    pub from_user: Option<UserPart>,
    /// Whether `;user=phone` is written.
    pub user_phone: bool,
    /// Header fields added to INVITE, none of them one that we write ourselves.
    pub headers: Vec<(String, String)>,
    /// What its INVITEs offer.
    pub offer: Offer,
    /// The form of the called number before translation.
    pub dial_format: DialFormat,
    /// What is stripped from it and put in front.
    pub translation: Translation,
    /// What counts as ringing.
    pub ring_signal: RingSignal,
    /// From the INVITE without any answer; then the call is abandoned.
    pub no_answer_timeout: Duration,
    /// How long a phone rings where neither purpose nor route says.
    pub ring_limit: Duration,
    /// From the INVITE without ringing; then CANCEL. Longer than `no_answer_timeout`.
    pub no_ring_limit: Duration,
    /// Calls at once.
    pub max_calls: u32,
    /// New calls in a second.
    pub cps: u32,
    /// Lower is tried first on routes that name no trunks.
    pub priority: u16,
    /// Its share of the calls among trunks of its priority, on such routes; 0 has hardly any.
    pub weight: u16,
    /// The group by which routes may name it.
    pub group: Option<String>,
    /// Whether texts may leave by MESSAGE.
    pub sms: bool,
    /// User part of From in a text whose sender is not given.
    pub sms_from: UserPart,
    /// How its calls and texts are known and read.
    pub inbound: InboundSettings,
    /// Whether a calling number that it asserts proves who calls.
    pub cli_trusted: bool,
}

/// What the INVITEs of a trunk offer beside the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Reliable provisional responses (RFC 3262).
    pub rel100: Rel100,
    /// Codecs, best first; at least one.
    pub codecs: Vec<Codec>,
    /// What is said about hiding the caller ID.
    pub privacy: Privacy,
    /// Our address in session descriptions; `None`: that of the Contact.
    pub media_external: Option<IpAddr>,
    /// Where audio may go beside the trunk's own addresses.
    pub media_networks: Vec<Network>,
}

impl Trunk {
    /// What the user agent wants to know: `local` is the socket's address as the far side may
    /// see it, `password` is what [`Trunk::password`] names, and `line` the token of the Contact
    /// (16 to 32 token characters), written only when [`Trunk::line`] says so.
    pub fn settings(
        &self,
        local: SocketAddr,
        password: Option<Secret>,
        line: Option<String>,
    ) -> TrunkSettings {
        TrunkSettings {
            registrar: self.registrar.clone(),
            outbound_proxy: self.outbound_proxy.clone(),
            targets: self.targets.clone(),
            transport: self.transport.at_first(),
            auth_user: self.auth_user.clone(),
            password,
            realms: self.realms.clone(),
            digest: self.digest.clone(),
            md5_is_named: self.digest_is_written && self.digest.contains(&DigestAlgorithm::Md5),
            contact_user: self.contact_user.clone(),
            line: line.filter(|_| self.line),
            expires: self.expires,
            external: self.external.clone(),
            options_ping: self.options_ping,
            keep_alive: self.keep_alive,
            caller_id_in: self.caller_id_in.clone(),
            from_user: self.from_user.clone(),
            user_phone: self.user_phone,
            headers: self.headers.clone(),
            ring_signal: self.ring_signal,
            rel100: self.offer.rel100,
            codecs: self.offer.codecs.clone(),
            privacy: self.offer.privacy,
            media_external: self.offer.media_external,
            media_networks: self.offer.media_networks.clone(),
            max_calls: self.max_calls,
            sms: self.sms,
            inbound: self.inbound.clone(),
            ..TrunkSettings::new(self.name.as_str(), &self.domain, self.user.clone(), local)
        }
    }

    /// The name that its far side must prove under TLS: what the file says, else the host that is
    /// asked for, which an SRV record's target never replaces (RFC 5922 section 4), without
    /// brackets.
    pub fn tls_name(&self) -> &str {
        let asked = self.outbound_proxy.as_ref().or(self.registrar.as_ref());
        let asked = asked.map(|found| found.host.as_str()).filter(|_| self.targets.is_empty());
        let name = self.tls.name.as_deref().or(asked);
        name.unwrap_or(&self.domain).trim_matches(['[', ']'])
    }

    /// How it wants numbers dialled, for the dialplan.
    pub fn dialling(&self) -> TrunkDialling {
        TrunkDialling {
            trunk: self.name.clone(),
            priority: self.priority,
            weight: self.weight,
            format: self.dial_format,
            translation: self.translation.clone(),
        }
    }

    /// A caller ID in this trunk's form, for the wire. Fails only for a national form and a
    /// number of another country, which no pool of this trunk holds.
    pub fn caller_id(&self, shown: &dialplans::CallerId) -> Result<CallerId, DialError> {
        let number = E164::parse(&shown.reveal()).expect("a caller ID is a number in E.164 form");
        let form = TrunkDialling {
            format: self.caller_id_format,
            ..TrunkDialling::plain(self.name.clone())
        };
        let digits = form.dial(&number)?;
        let user = UserPart::new(digits.reveal()).expect("digits and a plus sign are a user part");
        Ok(CallerId::new(user))
    }
}
