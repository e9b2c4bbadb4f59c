//! The policy: what a request that can be served is told.

use std::net::SocketAddr;

use super::check::{ACCEPT, ALLOW, Rejection, check_request, refuse};
use crate::message::{HeaderName, Message, Method, Status, WriteFault, Writer};

/// What to do with a request that belongs to no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Refuse it for what it is.
    Refuse(Rejection),
    /// Answer with this status.
    Answer(Status),
    /// An ACK: nothing is ever answered to it.
    Ignore,
}

/// Judges a request. `cancels` tells whether a CANCEL found the INVITE that it is meant for; that
/// one has its final answer already, and so the CANCEL changes nothing (RFC 3261 section 9.2).
pub(crate) fn judge(request: &Message<'_>, method: Method<'_>, cancels: bool) -> Verdict {
    if method == Method::Ack {
        return Verdict::Ignore;
    }
    if let Err(rejection) = check_request(request) {
        return Verdict::Refuse(rejection);
    }
    match method {
        Method::Options => Verdict::Answer(Status::OK),
        Method::Invite => Verdict::Answer(Status::DECLINE),
        Method::Cancel if cancels => Verdict::Answer(Status::OK),
        // No dialog outlives our BYE, and none is opened from outside.
        Method::Cancel | Method::Bye => Verdict::Answer(Status::NO_TRANSACTION),
        _ => Verdict::Refuse(Rejection::MethodNotAllowed),
    }
}

/// Writes the answer that was decided; `None` when there is none.
pub(crate) fn write(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    verdict: Verdict,
    (to_tag, product): (&[u8], &str),
    source: SocketAddr,
) -> Option<Result<(), WriteFault>> {
    let headers = &request.headers;
    match verdict {
        Verdict::Ignore => None,
        Verdict::Refuse(rejection) => Some(refuse(out, headers, rejection, to_tag, source)),
        Verdict::Answer(status) => {
            let mut writer = Writer::reply(out, headers, status, status.phrase(), to_tag, source);
            if request.request_method() == Some(Method::Options) {
                writer.header(HeaderName::Allow, ALLOW);
                writer.header(HeaderName::Accept, ACCEPT);
            }
            if !product.is_empty() {
                writer.header(HeaderName::Server, product);
            }
            Some(writer.finish())
        }
    }
}
