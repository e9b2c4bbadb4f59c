//! The policy: what a request that can be served is told.

use std::net::SocketAddr;

use super::check::{ACCEPT, ALLOW, Rejection, check_request, refuse};
use super::text::{self, TextFault};
use crate::message::{HeaderName, Message, Method, Status, WriteFault, Writer};

/// What to do with a request that belongs to no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// Refuse it for what it is.
    Refuse(Rejection),
    /// Refuse what a MESSAGE carries.
    RefuseText(TextFault),
    /// Answer with this status.
    Answer(Status),
    /// A new call: refuse it as its trunk says, and tell it.
    Call,
    /// A new text: tell it, and answer when it is stored.
    Text(&'a str),
    /// An ACK: nothing is ever answered to it.
    Ignore,
}

/// What the judge knows besides the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// Whether a CANCEL found the INVITE that it is meant for. That one has its final answer
    /// already, and so the CANCEL changes nothing (RFC 3261 section 9.2).
    pub(crate) cancels: bool,
    /// Whether the Call-ID is one that we made.
    pub(crate) is_of_our_call: bool,
}

/// Judges a request.
pub(crate) fn judge<'a>(
    request: &Message<'a>,
    method: Method<'_>,
    surroundings: Surroundings,
) -> Verdict<'a> {
    if method == Method::Ack {
        return Verdict::Ignore;
    }
    if let Err(rejection) = check_request(request) {
        return Verdict::Refuse(rejection);
    }
    match method {
        Method::Options => Verdict::Answer(Status::OK),
        // A tag in To means a dialog, and none lasts here: no call begins by this.
        Method::Invite if request.to.tag().is_some() => Verdict::Answer(Status::DECLINE),
        Method::Invite => Verdict::Call,
        Method::Message if request.to.tag().is_some() => Verdict::Answer(Status::NO_TRANSACTION),
        Method::Message => match text::read(request) {
            Ok(text) => Verdict::Text(text),
            Err(fault) => Verdict::RefuseText(fault),
        },
        Method::Cancel if surroundings.cancels => Verdict::Answer(Status::OK),
        // The far side hangs up a call that we are hanging up, or hung up (RFC 3261 section
        // 15.1.2); its own end was told when it was answered.
        Method::Bye if surroundings.is_of_our_call => Verdict::Answer(Status::OK),
        Method::Cancel | Method::Bye => Verdict::Answer(Status::NO_TRANSACTION),
        _ => Verdict::Refuse(Rejection::MethodNotAllowed),
    }
}

/// The answer to one request, whatever it is.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'r, 'a> {
    pub(crate) request: &'r Message<'a>,
    /// The tag of To.
    pub(crate) to_tag: &'r [u8],
    /// Value of Server; empty: none.
    pub(crate) product: &'r str,
    /// Where the request came from.
    pub(crate) source: SocketAddr,
}

impl Reply<'_, '_> {
    /// Writes a refusal.
    pub(crate) fn refuse(&self, out: &mut Vec<u8>, rejection: Rejection) -> Result<(), WriteFault> {
        refuse(out, &self.request.headers, rejection, self.to_tag, self.source)
    }

    /// Writes an answer of this status.
    pub(crate) fn answer(&self, out: &mut Vec<u8>, status: Status) -> Result<(), WriteFault> {
        let mut writer = self.start(out, status);
        if self.request.request_method() == Some(Method::Options) {
            writer.header(HeaderName::Allow, ALLOW);
            writer.header(HeaderName::Accept, ACCEPT);
        }
        writer.finish()
    }

    /// Writes the refusal of what a MESSAGE carries.
    pub(crate) fn refuse_text(
        &self,
        out: &mut Vec<u8>,
        fault: TextFault,
    ) -> Result<(), WriteFault> {
        let status = match fault {
            TextFault::TooLarge => Status::MESSAGE_TOO_LARGE,
            TextFault::Empty | TextFault::Charset | TextFault::Encoding | TextFault::Nul => {
                Status::NOT_ACCEPTABLE_HERE
            }
        };
        let mut writer = self.start(out, status);
        writer.header(HeaderName::Warning, fault.warning());
        writer.finish()
    }

    fn start<'b>(&self, out: &'b mut Vec<u8>, status: Status) -> Writer<'b> {
        let headers = &self.request.headers;
        let phrase = status.phrase();
        let mut writer = Writer::reply(out, headers, status, phrase, self.to_tag, self.source);
        if !self.product.is_empty() {
            writer.header(HeaderName::Server, self.product);
        }
        writer
    }
}
