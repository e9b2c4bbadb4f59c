//! Identifiers: a prefix and 26 characters of Crockford base32 over a UUIDv7, so they sort by
//! time.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u128);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;
        }
    };
}

id!(
    /// A verification.
    VerificationId, "vrf_"
);
id!(
    /// One call over one trunk.
    CallId, "cal_"
);
id!(
    /// A text, in or out.
    MessageId, "msg_"
);
