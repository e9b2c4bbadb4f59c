//! The one way by which a text leaves, whoever it is for: a place is reserved, the caller writes
//! down that it leaves, then it is sent once.

use std::fmt;

use dialplans::{DialError, E164, TrunkName};
use sip::{MessageSummary, OutboundMessage, SendMessageError, UserPart, UserPartError};

use crate::app::{App, Settings};
use crate::ids::{MessageId, VerificationId};
use crate::messages::smpp;
use crate::ua_driver::{MessageEnd, Reservation};

/// A text that wants to leave. Never prints.
#[derive(Clone)]
pub struct OutgoingText {
    /// Its id; the wire's identifiers derive from it.
    pub message_id: MessageId,
    /// To whom.
    pub to: E164,
    /// The sender's name or number; `None`: the trunk's own.
    pub sender: Option<String>,
    /// What.
    pub text: String,
    /// The verification whose code it carries: a receipt is its news. `None`: nobody waits for
    /// receipts.
    pub proves: Option<VerificationId>,
}

/// What became of one try to send a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextEnd {
    /// It was taken.
    Sent(String),
    /// Nobody will take it.
    Rejected(String),
    /// It was refused for now, or could not be tried: it did not leave.
    Later(String),
    /// The answer was lost: it may have arrived.
    Lost,
}

/// Why no way leads a text to a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No trunk sends texts.
    #[error("no trunk sends texts")]
    NotOffered,
    /// No route names the number.
    #[error("no route names the number")]
    NoRoute,
    /// The trunk cannot dial it.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Its digits are no part of a SIP URI.
    #[error(transparent)]
    Digits(#[from] UserPartError),
}

/// A text with its place in the call loop or in the window of a message centre.
pub struct ReadyText {
    trunk: TrunkName,
    way: Way,
}

/// How it leaves.
enum Way {
    Sip(Box<OutboundMessage>, Reservation),
    Smpp(smpp::once::Ready),
}

impl fmt::Debug for ReadyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadyText(***)")
    }
}

/// The trunk or message centre that takes a text to this number.
pub fn route(settings: &Settings, to: &E164) -> Result<TrunkName, RouteError> {
    let name = settings.config.sms.default.clone().ok_or(RouteError::NotOffered)?;
    if settings.config.smpp.contains_key(&name) {
        let is_routed = super::is_routed(settings, to);
        return if is_routed { Ok(name) } else { Err(RouteError::NoRoute) };
    }
    let trunk = settings.config.trunks.get(&name).ok_or(RouteError::NotOffered)?;
    if !super::is_routed(settings, to) {
        return Err(RouteError::NoRoute);
    }
    UserPart::new(trunk.dialling().dial(to)?.reveal())?;
    Ok(name)
}

/// What the way of texts says when it took one, for a text that only looks as if it had left.
pub fn taken_word(settings: &Settings) -> &'static str {
    let route = settings.config.sms.default.as_ref();
    match route.is_some_and(|route| settings.config.smpp.contains_key(route)) {
        true => "smpp_0",
        false => "sip_202",
    }
}

/// Reserves a place; an error is the end of this try.
pub fn reserve(app: &App, text: &OutgoingText) -> Result<ReadyText, TextEnd> {
    let settings = app.settings();
    let route = settings.config.sms.default.as_ref();
    if let Some(centre) = route.and_then(|route| settings.config.smpp.get(route)) {
        let way = Way::Smpp(smpp::once::reserve(app, centre, text)?);
        return Ok(ReadyText { trunk: centre.name.clone(), way });
    }
    let not_sendable = || TextEnd::Rejected("not_sendable".to_owned());
    let (trunk, message) = outbound(app, text).ok_or_else(not_sendable)?;
    match app.driver().reserve() {
        Ok(reservation) => Ok(ReadyText { trunk, way: Way::Sip(Box::new(message), reservation) }),
        Err(_busy) => Err(TextEnd::Later("overloaded".to_owned())),
    }
}

impl ReadyText {
    /// The trunk or message centre that takes it.
    pub fn trunk(&self) -> &TrunkName {
        &self.trunk
    }

    /// Sends it, once.
    pub async fn send(self) -> TextEnd {
        match self.way {
            Way::Sip(message, reservation) => {
                match reservation.send_message(self.trunk, *message).await {
                    Ok(MessageEnd::Ended(summary)) => of_summary(&summary),
                    Ok(MessageEnd::Refused(refused)) => of_refusal(refused),
                    Err(_the_call_loop_died) => TextEnd::Lost,
                }
            }
            Way::Smpp(ready) => ready.send().await,
        }
    }
}

fn outbound(app: &App, text: &OutgoingText) -> Option<(TrunkName, OutboundMessage)> {
    let settings = app.settings();
    let name = settings.config.sms.default.clone()?;
    let trunk = settings.config.trunks.get(&name)?;
    let dialled = trunk.dialling().dial(&text.to).ok()?;
    let sender = text.sender.as_deref().map(UserPart::new).transpose().ok()?;
    let message = OutboundMessage {
        identity: app.keys().message_identity(text.message_id),
        called: UserPart::new(dialled.reveal()).ok()?,
        sender: Some(sender.unwrap_or_else(|| trunk.sms_from.clone())),
        text: text.text.clone(),
    };
    Some((name, message))
}

fn of_summary(summary: &MessageSummary) -> TextEnd {
    let Some(status) = summary.status else { return TextEnd::Lost };
    let word = format!("sip_{status}");
    match status {
        200..=299 => TextEnd::Sent(word),
        // The trunk cannot or will not at the moment.
        401 | 403 | 407 | 408 | 429 | 480 | 486 | 491 | 500..=599 => TextEnd::Later(word),
        _ => TextEnd::Rejected(word),
    }
}

fn of_refusal(refused: SendMessageError) -> TextEnd {
    match refused {
        SendMessageError::TooLong { .. } => TextEnd::Rejected("text_too_long".to_owned()),
        SendMessageError::NotOffered => TextEnd::Rejected("trunk_takes_no_texts".to_owned()),
        SendMessageError::UnknownTrunk | SendMessageError::TrunkDown | SendMessageError::Busy => {
            TextEnd::Later("trunk_down".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: Option<u16>) -> TextEnd {
        let message = sip::MessageHandle(1);
        of_summary(&MessageSummary { message, status, retry_after: None })
    }

    #[test]
    fn accepted_is_sent_and_never_called_delivered() {
        for status in [200, 202] {
            assert_eq!(answered(Some(status)), TextEnd::Sent(format!("sip_{status}")));
        }
    }

    #[test]
    fn a_lost_answer_is_told_apart_from_a_refusal() {
        assert_eq!(answered(None), TextEnd::Lost);
        assert_eq!(answered(Some(503)), TextEnd::Later("sip_503".to_owned()));
        assert_eq!(answered(Some(404)), TextEnd::Rejected("sip_404".to_owned()));
    }
}
