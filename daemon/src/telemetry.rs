//! Logs and metrics: spans and metric names are made here and nowhere else.
//!
//! A span's fields come from a closed set (`request_id`, `verification_id`, `call_id`,
//! `trunk`, `account`), none of which is personal data or a code. A metric's labels come from
//! the file or from an enum, never from a request.

#[cfg(test)]
pub(crate) mod canary;

use dialplans::TrunkName;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use sip::{CallOutcome, RegistrationState};
use tracing::{Span, info, info_span, warn};
use tracing_subscriber::EnvFilter;

use crate::ids::{CallId, VerificationId};
use crate::media::TalkCounts;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Starts logging to standard error. `filter` as `RUST_LOG` writes it.
pub fn init(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("another subscriber was there first");
    }
}

/// One HTTP request.
pub fn request_span(request_id: &str) -> Span {
    info_span!("request", request_id)
}

/// The work for one verification, which outlives its request.
pub fn verification_span(verification_id: VerificationId) -> Span {
    info_span!("verification", %verification_id)
}

/// One call over one trunk.
pub fn call_span(call_id: CallId, trunk: &TrunkName) -> Span {
    info_span!("call", %call_id, %trunk)
}

/// One trunk's binding.
pub fn trunk_span(trunk: &TrunkName) -> Span {
    info_span!("trunk", %trunk)
}

/// A trunk's binding changed: a line and a gauge.
pub(crate) fn registration(trunk: &TrunkName, state: &RegistrationState) {
    let _entered = trunk_span(trunk).entered();
    let up = matches!(state, RegistrationState::Static | RegistrationState::Registered { .. });
    gauge!("dozvon_trunk_registered", "trunk" => trunk.to_string()).set(if up { 1.0 } else { 0.0 });
    match state {
        RegistrationState::Static => info!("no registration is needed"),
        RegistrationState::Registering => info!("registering"),
        RegistrationState::Registered { granted, refresh_in, target, round_trip, .. } => info!(
            %target,
            "registered for {granted:?}, refresh in {refresh_in:?}, answered in {round_trip:?}"
        ),
        RegistrationState::Failed { status: Some(status), retry_in } => {
            warn!(status, "registration failed, next try in {retry_in:?}");
        }
        RegistrationState::Failed { status: None, retry_in } => {
            warn!("the registrar does not answer, next try in {retry_in:?}");
        }
        RegistrationState::Rejected { retry_in } => {
            warn!("the registrar does not want us (403), next try in {retry_in:?}");
        }
        RegistrationState::AuthFailed { retry_in } => {
            warn!("the registrar refused our credentials, next try in {retry_in:?}");
        }
        RegistrationState::Unregistered => info!("binding removed"),
    }
}

/// A trunk's metrics under its name. Handles are looked up once: a label made for each call would
/// cost more than the call's own bookkeeping.
#[derive(Debug)]
pub(crate) struct TrunkMetrics {
    trunk: TrunkName,
    calls_up: Gauge,
    post_dial_delay: Histogram,
    /// Outcomes that occurred.
    ended: Vec<(CallOutcome, Counter)>,
}

impl TrunkMetrics {
    /// Made once the recorder is installed; what is made before counts nowhere.
    pub(crate) fn new(trunk: &TrunkName) -> Self {
        Self {
            trunk: trunk.clone(),
            calls_up: gauge!("dozvon_calls_up", "trunk" => trunk.to_string()),
            post_dial_delay: histogram!(
                "dozvon_post_dial_delay_seconds",
                "trunk" => trunk.to_string()
            ),
            ended: Vec::new(),
        }
    }

    /// How many calls the trunk carries.
    pub(crate) fn calls_up(&self, count: u32) {
        self.calls_up.set(f64::from(count));
    }

    /// A call ended: counted by trunk and outcome.
    pub(crate) fn call_ended(&mut self, outcome: CallOutcome) {
        let known = self.ended.iter().position(|(known, _)| *known == outcome);
        let at = known.unwrap_or_else(|| {
            let counter = counter!(
                "dozvon_calls_ended_total",
                "trunk" => self.trunk.to_string(),
                "outcome" => outcome.as_str()
            );
            self.ended.push((outcome, counter));
            self.ended.len() - 1
        });
        self.ended[at].1.increment(1);
    }

    /// The phone rang: post-dial delay (PDD) by trunk.
    pub(crate) fn rang(&self, after: std::time::Duration) {
        self.post_dial_delay.record(after);
    }
}

/// A call or a text from outside found the application busy.
pub(crate) fn inbound_missed(trunk: &TrunkName, kind: &'static str) {
    counter!("dozvon_inbound_missed_total", "trunk" => trunk.to_string(), "kind" => kind)
        .increment(1);
}

/// A call for a voice ended: what passed in it.
pub(crate) fn talk_ended(counts: TalkCounts) {
    counter!("dozvon_rtp_packets_sent_total").increment(counts.sent);
    counter!("dozvon_rtp_packets_received_total").increment(counts.received);
    counter!("dozvon_rtp_packets_ignored_total").increment(counts.strangers + counts.malformed);
    counter!("dozvon_rtp_stalls_total").increment(counts.stalls);
    info!(
        sent = counts.sent,
        received = counts.received,
        strangers = counts.strangers,
        stalls = counts.stalls,
        repeats = counts.repeats,
        holds = counts.holds,
        "a call for a voice ended"
    );
}

/// A call or a text from outside: counted by trunk and by what became of it.
pub(crate) fn inbound(trunk: &TrunkName, kind: &'static str, outcome: &'static str) {
    counter!(
        "dozvon_inbound_total",
        "trunk" => trunk.to_string(),
        "kind" => kind,
        "outcome" => outcome
    )
    .increment(1);
}

/// One HTTP request was answered: counted and timed by route and status.
pub(crate) fn http_request(method: &str, route: &str, status: u16, took: std::time::Duration) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    counter!("dozvon_http_requests_total", &labels).increment(1);
    histogram!("dozvon_http_request_seconds", "route" => route.to_owned()).record(took);
}

/// A verification was made: the base of the conversion.
pub(crate) fn verification_created(purpose: &str) {
    counter!("dozvon_verifications_created_total", "purpose" => purpose.to_owned()).increment(1);
}

/// A verification ended: counted by purpose and status.
pub(crate) fn verification_ended(purpose: &str, status: &'static str) {
    let purpose = purpose.to_owned();
    counter!("dozvon_verifications_ended_total", "purpose" => purpose, "status" => status)
        .increment(1);
}

/// The database is asked something.
pub(crate) fn store_read() {
    counter!("dozvon_store_reads_total").increment(1);
}

/// The database's writer is asked to do something, in a batch with others.
pub(crate) fn store_request() {
    counter!("dozvon_store_requests_total").increment(1);
}

/// Says what each metric of this crate means; once, after the recorder is installed.
pub fn describe_metrics() {
    describe_gauge!("dozvon_trunk_registered", "1 while the trunk has a binding or needs none");
    describe_gauge!("dozvon_calls_up", "calls that have not ended, by trunk");
    describe_counter!("dozvon_calls_ended_total", "calls that ended, by trunk and outcome");
    describe_counter!("dozvon_sip_socket_errors_total", "errors that a SIP socket reported");
    describe_counter!(
        "dozvon_sip_strangers_turned_away_total",
        "connections from addresses that belong to no trunk"
    );
    describe_counter!(
        "dozvon_inbound_missed_total",
        "calls and texts from outside for which there was no room"
    );
    describe_counter!("dozvon_rtp_packets_sent_total", "RTP packets that left");
    describe_counter!("dozvon_rtp_packets_received_total", "RTP packets of called phones");
    describe_counter!(
        "dozvon_rtp_packets_ignored_total",
        "packets at media ports from elsewhere, or of another kind"
    );
    describe_counter!("dozvon_rtp_stalls_total", "times that 100 ms of the pace were lost");
    describe_counter!("dozvon_inbound_total", "calls and texts from outside, by what they came to");
    describe_counter!("dozvon_verifications_created_total", "verifications made, by purpose");
    describe_counter!("dozvon_verifications_ended_total", "verifications, by purpose and end");
    describe_counter!("dozvon_store_reads_total", "questions to the database");
    describe_counter!("dozvon_store_requests_total", "requests to the database's writer");
    describe_counter!("dozvon_http_requests_total", "answers, by method, route and status");
    describe_histogram!("dozvon_http_request_seconds", "from header to answer, by route");
    describe_histogram!("dozvon_post_dial_delay_seconds", "from INVITE to ringing, by trunk");
}
