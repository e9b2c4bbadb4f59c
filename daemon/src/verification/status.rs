//! The words for where things stand, as the API, the store and the metrics spell them.

/// An enum whose variants each have one word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The one that this word means.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a verification proved.
    Proved {
        /// That the user has the phone.
        Phone = "phone",
        /// That the user has the mailbox.
        Email = "email",
    }
}

words! {
    /// How a code travels to its user.
    Channel {
        /// A call that is never answered; the tail of its caller ID is the code.
        FlashCall = "flash_call",
        /// The user calls us.
        IncomingCall = "incoming_call",
        /// A text.
        Sms = "sms",
        /// A spoken code.
        Voice = "voice",
        /// A mail.
        Email = "email",
    }
}

words! {
    /// Where a verification stands. Only `Pending` moves.
    VerificationStatus {
        /// A right code would approve it.
        Pending = "pending",
        /// A right code came in time.
        Approved = "approved",
        /// No step is left and no code can be checked.
        Failed = "failed",
        /// Its time ran out.
        Expired = "expired",
        /// The client cancelled it.
        Canceled = "canceled",
        /// Its checks are used up.
        Locked = "locked",
        /// A newer one of the same session took its place.
        Superseded = "superseded",
    }
}

words! {
    /// Where a step stands; the exact word is in the step's `detail`.
    StepStatus {
        /// Written down, nothing sent.
        Queued = "queued",
        /// The user is to call us.
        Waiting = "waiting",
        /// The user called, which proved the number.
        Called = "called",
        /// An INVITE is out.
        Dialing = "dialing",
        /// A text or mail is being handed on.
        Sending = "sending",
        /// The phone rang; the code was shown.
        Rang = "rang",
        /// Somebody, or a voicemail, answered.
        Answered = "answered",
        /// The phone was busy.
        Busy = "busy",
        /// The network or the callee blocked it.
        Declined = "declined",
        /// The phone cannot be reached.
        Unreachable = "unreachable",
        /// No such number, or nobody carries it.
        NoRoute = "no_route",
        /// Every trunk refused us.
        Rejected = "rejected",
        /// It was forwarded; the code is withdrawn.
        Diverted = "diverted",
        /// A text or mail was handed on.
        Sent = "sent",
        /// A text arrived.
        Delivered = "delivered",
        /// Trunks failed.
        Failed = "failed",
        /// The process died while the call was up, or the answer to a text or mail was lost; the
        /// code stays checkable.
        Interrupted = "interrupted",
        /// Ended by us before anything was shown: by the client's wish, by a right code, or
        /// because the process stopped.
        Canceled = "canceled",
    }
}

words! {
    /// What a call of a user to one of our numbers came to.
    CallVerdict {
        /// It proved who called.
        Approved = "approved",
        /// Nobody waits for a call of this number.
        WrongCaller = "wrong_caller",
        /// The caller's call is awaited, at another of our numbers.
        WrongNumber = "wrong_number",
        /// What waited for it had ended.
        Late = "late",
        /// Several verifications wait for this very call: it could be meant for any of them.
        Ambiguous = "ambiguous",
        /// The number was withheld.
        HiddenNumber = "hidden_number",
        /// The trunk does not vouch for the number, or its word does not count.
        UntrustedNumber = "untrusted_number",
        /// The number that was called is no account's.
        UnknownNumber = "unknown_number",
    }
}

words! {
    /// What became of a text or mail that carries a code.
    DispatchOutcome {
        /// It was handed on; whether it arrives is not known.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It did not arrive, or could not be handed on.
        Failed = "failed",
        /// Nobody wanted to carry it.
        Rejected = "rejected",
        /// The answer was lost: it may have arrived, and is not sent again.
        Unknown = "unknown",
        /// It was not handed on, because nobody waited for it any more.
        Canceled = "canceled",
    }
}
