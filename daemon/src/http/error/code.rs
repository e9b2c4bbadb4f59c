//! The table of error codes: what a problem can be, in one place.

use axum::http::StatusCode;

macro_rules! codes {
    ($($variant:ident $status:ident $name:literal $title:literal $meaning:literal;)*) => {
        /// What went wrong, in the words of the API. The OpenAPI document shows this table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(
                #[doc = $meaning]
                $variant,
            )*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the body's `code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// The same short sentence for every problem with this code.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What a client's developer should know about it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    MalformedJson BAD_REQUEST "malformed-json" "The body is not JSON"
        "The body could not be read as one JSON value in UTF-8.";
    BadHeader BAD_REQUEST "bad-header" "A header field is wrong"
        "A header field of the request cannot be read, such as an Idempotency-Key that is no string of 1 to 255 visible characters.";
    BodyIncomplete BAD_REQUEST "body-incomplete" "The body ended early"
        "The connection broke, or the body's framing was wrong, before the body was complete.";
    Unauthorized UNAUTHORIZED "unauthorized" "A valid API key is needed"
        "The Authorization header field is missing, or its key is unknown, expired or revoked.";
    AddressNotAllowed FORBIDDEN "address-not-allowed" "This key does not work from this address"
        "The key has a list of networks, and the request came from outside of them.";
    ScopeMissing FORBIDDEN "scope-missing" "The key lacks a scope"
        "The key is valid but was not given the scope that this call needs.";
    DestinationNotAllowed FORBIDDEN "destination-not-allowed" "This destination is not allowed"
        "No route of the operator names this number.";
    PurposeNotAllowed FORBIDDEN "purpose-not-allowed" "This purpose is not allowed"
        "The account may not use this purpose.";
    NotFound NOT_FOUND "not-found" "Not found"
        "There is no such thing, or it belongs to another account.";
    UserNotRegistered NOT_FOUND "user-not-registered" "This user is not registered"
        "Nobody in the account's directory has this identifier.";
    UserDisabled FORBIDDEN "user-disabled" "This user is disabled"
        "The user stands in the directory and may not sign in.";
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed" "The method is not allowed here"
        "The resource exists but does not take this method; Allow names those it takes.";
    RequestTimeout REQUEST_TIMEOUT "request-timeout" "The body came too slowly"
        "The body was not complete 10 s after the header.";
    IdempotencyKeyInUse CONFLICT "idempotency-key-in-use" "The same request is still running"
        "A request with this Idempotency-Key is being worked on; repeat it later.";
    PoolTooSmall CONFLICT "pool-too-small" "Too few caller IDs are left"
        "Fewer endings could be shown to this number than the purpose needs, so a guess would be too easy.";
    NotResendable CONFLICT "not-resendable" "Nothing can be sent again"
        "A call is still up, the present step shows no code, or no send is left.";
    VerificationEnded CONFLICT "verification-ended" "The verification has ended"
        "It was approved, failed, expired, canceled, locked or superseded; its status says which.";
    SignInEnded CONFLICT "sign-in-ended" "The sign-in has ended"
        "It was completed, failed or expired; its status says which.";
    ProofSpent CONFLICT "proof-spent" "The proof was spent before"
        "A proof says once what was proved.";
    TooManyPasswords TOO_MANY_REQUESTS "too-many-passwords" "Too many wrong passwords"
        "This user, account, address or device was tried with too many wrong passwords.";
    UserConflict CONFLICT "user-conflict" "The user clashes with another"
        "Another user has this number, mailbox or login, or the user was changed in the meantime.";
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large" "The body is too large"
        "A body may have 65,536 bytes, a file of users 1,048,576.";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body must be JSON"
        "Content-Type must be application/json, or left out.";
    InvalidRequest UNPROCESSABLE_ENTITY "invalid-request" "The request has faults"
        "Fields or parameters are missing, unknown, of a wrong type or out of range; errors lists them all.";
    NotAPhoneNumber UNPROCESSABLE_ENTITY "not-a-phone-number" "This is not a phone number"
        "The text does not have the form of a phone number: letters, an extension, a short code, or a national form without a region.";
    NotAnEmailAddress UNPROCESSABLE_ENTITY "not-an-email-address" "This is not an e-mail address"
        "The text does not have the form local@domain, in ASCII.";
    NumberInvalid UNPROCESSABLE_ENTITY "number-invalid" "This number does not exist"
        "The text has the form of a phone number, but its numbering plan has no such number.";
    ChannelNotAvailable UNPROCESSABLE_ENTITY "channel-not-available" "This channel is not available"
        "The channel is not offered by this gateway, this purpose or for this kind of destination.";
    PurposeUnknown UNPROCESSABLE_ENTITY "purpose-unknown" "This purpose is not known"
        "The operator's file has no such purpose.";
    MailboxNotOfUser UNPROCESSABLE_ENTITY "mailbox-not-of-user" "The mailbox is not that of the user"
        "Texts are redirected to the mailbox of the user's card; to another one only with override and a reason.";
    SenderNotAllowed UNPROCESSABLE_ENTITY "sender-not-allowed" "This sender is not allowed"
        "The sender is not in the account's list.";
    TextTooLong UNPROCESSABLE_ENTITY "text-too-long" "The text is too long"
        "The text does not fit into one message of the trunk.";
    TailNotInPools UNPROCESSABLE_ENTITY "tail-not-in-pools" "No caller ID has this tail"
        "No number of the account's pools that may be shown to this destination ends with these digits.";
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused" "The Idempotency-Key was used for another request"
        "A request with this key and another body, path or method was answered in the last 24 hours.";
    ResendTooSoon TOO_MANY_REQUESTS "resend-too-soon" "The next send is allowed later"
        "Between two sends to one number there are 15 seconds; Retry-After says how long to wait.";
    NumberLimit TOO_MANY_REQUESTS "number-limit" "Too many sends to this number"
        "One number gets at most 4 sends a minute, 10 flash calls a day and 30 sends a day.";
    FlashCallClosed TOO_MANY_REQUESTS "flash-call-closed" "Flash calls to this number are closed"
        "Too many wrong short codes were presented for this number in 24 hours.";
    CodesClosed TOO_MANY_REQUESTS "codes-closed" "Codes to this number or mailbox are closed"
        "Too many wrong codes were presented for it in 24 hours; a device that proved it before is let through.";
    TailShownRecently TOO_MANY_REQUESTS "tail-shown-recently" "This number saw that tail recently"
        "The same tail is not shown twice to one number within 24 hours.";
    TooManyOpen TOO_MANY_REQUESTS "too-many-open" "Too many verifications are open"
        "One target and purpose can have 3 open verifications of different sessions.";
    TooManyFailedChecks TOO_MANY_REQUESTS "too-many-failed-checks" "Too many wrong codes"
        "This account, address or device presented too many wrong codes in the last 24 hours.";
    TooManyRequests TOO_MANY_REQUESTS "too-many-requests" "This key asks too often"
        "One API key may make so many requests in a second as RateLimit-Policy says.";
    Internal INTERNAL_SERVER_ERROR "internal" "Something failed here"
        "The fault is ours; the log has its cause under the request_id.";
    NoTrunkUp SERVICE_UNAVAILABLE "no-trunk-up" "No trunk takes calls now"
        "Every trunk that could carry this is down, paused, resting or full.";
    Overloaded SERVICE_UNAVAILABLE "overloaded" "Too much to do at the moment"
        "Nothing was begun; repeat the request after Retry-After.";
    StoreUnavailable SERVICE_UNAVAILABLE "store-unavailable" "The database does not answer"
        "Repeat the request after Retry-After, with the same Idempotency-Key.";
    ShuttingDown SERVICE_UNAVAILABLE "shutting-down" "The gateway is stopping"
        "Nothing was begun; repeat the request in a moment.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_a_lower_case_word_of_its_own_with_an_error_status() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
            assert!(code.status().as_u16() >= 400);
            assert!(code.meaning().ends_with('.'));
        }
        assert!(seen.len() > 30);
    }
}
