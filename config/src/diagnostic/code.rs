//! The words by which diagnostics are known.

use std::fmt;

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($severity:ident $name:ident = $word:literal, $about:literal;)*) => {
        /// What is wrong, as a stable word such as `route-unknown-trunk`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $about] $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    Error Syntax = "syntax", "The file is no TOML.";
    Error UnknownKey = "unknown-key", "No version has this key.";
    Error NotBuiltYet = "not-built-yet", "A later version has this key or value.";
    Error WrongType = "wrong-type", "The value is of another type than the key wants.";
    Error MissingKey = "missing-key", "A key without a default is not there.";
    Error DuplicateKey = "duplicate-key", "Two files give the same key.";
    Error DuplicateValue = "duplicate-value", "A list holds a value twice.";
    Error EmptyList = "empty-list", "A list holds nothing.";
    Error IncludeNested = "include-nested", "An included file includes others.";
    Error OutOfRange = "out-of-range", "A number is outside what is allowed.";
    Error BadChoice = "bad-choice", "A word is none of those that are possible.";
    Error BadName = "bad-name", "The name of a table cannot be a name.";
    Error BadAddress = "bad-address", "A text is no address and port.";
    Error BadHost = "bad-host", "A text is no host with or without a port.";
    Error BadExternal = "bad-external", "A text is no public address.";
    Error BadPorts = "bad-ports", "A text is no range of ports.";
    Error BadPath = "bad-path", "A path is not absolute.";
    Error BadUrl = "bad-url", "A text is no address of a database or of a webhook.";
    Error BadSecret = "bad-secret", "A secret is not named in one of the four ways.";
    Error BadUser = "bad-user", "A text cannot be the user part of a SIP address.";
    Error BadText = "bad-text", "A text is empty, too long, or has control characters.";
    Error BadHeader = "bad-header", "A header field cannot be written.";
    Error HeaderReserved = "header-reserved", "A header field that we write ourselves.";
    Error BadDialling = "bad-dialling", "A dial prefix or country code cannot be.";
    Error BadNetwork = "bad-network", "A text is no network.";
    Error BadMailbox = "bad-mailbox", "A text is no mailbox.";
    Error EmailLogin = "email-login", "A user without a password, or the other way.";
    Error EmailInClear = "email-in-clear", "Letters would leave this machine in clear.";
    Error WorkflowWithoutEmail = "workflow-without-email", "A purpose sends letters and there is no server.";
    Error BadNumber = "bad-number", "A text is no number or range of numbers.";
    Error BadCodeLength = "bad-code-length", "Numbers have no more digits than their code.";
    Error BadPrefix = "bad-prefix", "A text is no prefix of numbers.";
    Error BadRegion = "bad-region", "A text is no region.";
    Error BadTemplate = "bad-template", "A text is no template.";
    Error BadLocale = "bad-locale", "A text is no language tag.";
    Error SecretKeyMissing = "secret-key-missing", "Postgres without a secret key.";
    Error PostgresKeyUnused = "postgres-key-unused", "A key that only Postgres reads, without it.";
    Error RetentionOrder = "retention-order", "Numbers are kept longer than their records.";
    Error PortsOverlap = "ports-overlap", "Media ports and SIP ports, or two ranges, overlap.";
    Error TlsWithoutCertificate = "tls-without-certificate", "A tls: address without a certificate.";
    Error TrunkWithoutSocket = "trunk-without-socket", "Datagrams to a trunk have no socket to leave by.";
    Error TrunkUnreachable = "trunk-unreachable", "Nothing says where a trunk is.";
    Error TrunkWithoutUser = "trunk-without-user", "A trunk registers without a user.";
    Error CallerIdHidden = "caller-id-hidden", "No header field shows the caller ID.";
    Error CliNeverProved = "cli-never-proved", "A trunk is trusted with what it does not assert.";
    Error InboundNumberTwice = "inbound-number-twice", "Two accounts have one number.";
    Error TimeoutsDisagree = "timeouts-disagree", "A limit that can never be reached.";
    Error LimitsDisagree = "limits-disagree", "A limit that another one makes void.";
    Error PoolUnknownTrunk = "pool-unknown-trunk", "A pool names a trunk that is not there.";
    Error PoolNotNational = "pool-not-national", "A trunk cannot write a pool's numbers.";
    Error PoolTooSmall = "pool-too-small", "Fewer endings than a purpose wants.";
    Error RouteUnknownTrunk = "route-unknown-trunk", "A route names a trunk that is not there.";
    Error RouteUnknownGroup = "route-unknown-group", "A route names a group without trunks.";
    Error RouteUnknownPool = "route-unknown-pool", "A route names a pool that is not there.";
    Error RouteDuplicatePrefix = "route-duplicate-prefix", "Two routes have one prefix.";
    Error RouteTrunkWithoutPool = "route-trunk-without-pool", "A trunk of a route has nothing to show.";
    Error PurposeUnknownPool = "purpose-unknown-pool", "A purpose names a pool that is not there.";
    Error PurposeWantsLongCodes = "purpose-wants-long-codes", "A purpose for which a flash call is too weak.";
    Error AccountUnknownPool = "account-unknown-pool", "An account names a pool that is not there.";
    Error AccountUnknownPurpose = "account-unknown-purpose", "An account names a purpose that is not there.";
    Error SmsUnknownTrunk = "sms-unknown-trunk", "The route of texts is not there.";
    Error SmppNamedAsTrunk = "smpp-named-as-trunk", "A message centre has the name of a trunk.";
    Error WorkflowWithoutCallers = "workflow-without-callers", "A purpose waits for calls that prove nobody.";
    Error WorkflowWithoutTexts = "workflow-without-texts", "A purpose sends texts and no trunk does.";
    Error WebhookUnknownAccount = "webhook-unknown-account", "A webhook names an account that is not there.";
    Error SmsTrunkWithoutTexts = "sms-trunk-without-texts", "The trunk for texts sends none.";
    Warning SecretInFile = "secret-in-file", "A secret stands in the file itself.";
    Warning CodeInClear = "code-in-clear", "Codes cross a public network in clear.";
    Warning CliForgeable = "cli-forgeable", "Calling numbers are trusted that anybody could forge.";
    Warning SmppInClear = "smpp-in-clear", "Texts cross a public network in clear.";
    Warning ApiInClear = "api-in-clear", "API keys may cross a network in clear.";
    Warning OperatorOpen = "operator-open", "Health and metrics are served to anybody.";
    Warning TrunkWithoutPassword = "trunk-without-password", "A trunk registers without a password.";
    Warning TlsUnused = "tls-unused", "A table for TLS where nothing uses TLS.";
    Warning TrunkUnused = "trunk-unused", "No route and no text uses a trunk.";
    Warning PoolUnused = "pool-unused", "No route shows a pool.";
    Warning PoolBarelyEnough = "pool-barely-enough", "A pool that one number can use up in a day.";
    Warning AccountWithoutPools = "account-without-pools", "An account can place no call.";
    Warning NoRoutes = "no-routes", "No number can be called.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_its_own_word() {
        let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
