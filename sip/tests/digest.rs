//! Which challenges are answered, how often, and what is written.

use std::net::{Ipv4Addr, SocketAddr};

use dozvon_sip::auth::{
    AnswerError, AuthRequest, Authenticator, ChallengeKind, Credentials, Presented,
};
use dozvon_sip::{DigestAlgorithm, Secret, TrunkSettings, UserPart};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const REGISTER: AuthRequest<'_> =
    AuthRequest { method: "REGISTER", uri: "sip:carrier.example", in_dialog: false };
const INVITE: AuthRequest<'_> =
    AuthRequest { method: "INVITE", uri: "sip:79161234567@carrier.example", in_dialog: false };
const BYE: AuthRequest<'_> =
    AuthRequest { method: "BYE", uri: "sip:gateway@192.0.2.1", in_dialog: true };

fn settings() -> TrunkSettings {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let user = UserPart::new("74951230000").expect("digits");
    let mut settings = TrunkSettings::new("north", "carrier.example", user, local);
    settings.password = Some(Secret::new("opensesame"));
    settings
}

/// A trunk and one request of it.
struct Client {
    rng: ChaCha20Rng,
    auth: Authenticator,
    credentials: Credentials,
}

impl Client {
    fn new() -> Self {
        Self::with(&settings())
    }

    fn with(settings: &TrunkSettings) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed([7; 32]),
            auth: Authenticator::new(settings),
            credentials: Credentials::default(),
        }
    }

    fn challenged(
        &mut self,
        request: AuthRequest<'_>,
        challenges: &[(ChallengeKind, &str)],
    ) -> Result<(), AnswerError> {
        let challenges = challenges.iter().map(|(kind, value)| (*kind, value.as_bytes()));
        self.auth.answer(&mut self.rng, challenges, request, &mut self.credentials)
    }

    fn server(&mut self, request: AuthRequest<'_>, challenge: &str) -> Result<(), AnswerError> {
        self.challenged(request, &[(ChallengeKind::Server, challenge)])
    }

    fn settled(&mut self, request: AuthRequest<'_>, status: u16) {
        self.auth.settled(request.method, &self.credentials, status);
    }

    fn next_request(&mut self) {
        self.credentials = Credentials::default();
    }

    fn foresee(&mut self, request: AuthRequest<'_>) {
        self.next_request();
        self.auth.foresee(&mut self.rng, request, &mut self.credentials);
    }

    fn values(&self) -> Vec<(ChallengeKind, &str)> {
        let text = |value| std::str::from_utf8(value).expect("written by us");
        self.credentials.values().map(|(kind, value)| (kind, text(value))).collect()
    }

    /// The one answer, checked as a server would.
    fn right(&self, request: AuthRequest<'_>) -> Presented<'_> {
        let values: Vec<_> = self.credentials.values().collect();
        assert_eq!(values.len(), 1);
        let presented = Presented::parse(values[0].1).expect("a Digest");
        assert!(presented.is_right(request.method.as_bytes(), b"opensesame"));
        assert_eq!(presented.uri, request.uri.as_bytes());
        assert_eq!(presented.user, b"74951230000");
        presented
    }
}

fn digest(realm: &str, nonce: &str, rest: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{rest}")
}

#[test]
fn every_kind_of_challenge_gets_the_answer_its_server_accepts() {
    let mut asked = 0;
    for token in
        ["", "MD5", "md5-SESS", "SHA-256", "sha-256-sess", "SHA-512-256", "SHA-512-256-sess"]
    {
        for qop in ["", ", qop=\"auth\"", ", qop=auth", ", qop=\"auth,auth-int\"", ", qop=\"\""] {
            for opaque in ["", ", opaque=\"5ccc\"", ", opaque=\"\""] {
                for quoted in [false, true] {
                    let algorithm = match (token, quoted) {
                        ("", _) => String::new(),
                        (token, false) => format!(", algorithm={token}"),
                        (token, true) => format!(", algorithm=\"{token}\""),
                    };
                    let value = digest("carrier", "n1", &format!("{algorithm}{qop}{opaque}"));
                    let mut client = Client::new();
                    client.server(REGISTER, &value).unwrap_or_else(|e| panic!("{value}: {e}"));
                    let written = client.values()[0].1.to_owned();
                    let presented = client.right(REGISTER);
                    assert_eq!(presented.nonce_count.is_some(), qop.contains("auth"), "{value}");
                    assert_eq!(presented.opaque.is_some(), !opaque.is_empty(), "{value}");
                    let spelled = format!("algorithm={token}");
                    assert_eq!(written.contains("algorithm"), !token.is_empty(), "{value}");
                    assert!(token.is_empty() || written.contains(&spelled), "{written}");
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 7 * 5 * 3 * 2);
}

#[test]
fn sha256_and_md5_offered_together() {
    let md5 = digest("carrier", "m", ", algorithm=MD5, qop=\"auth\"");
    let sha = digest("carrier", "s", ", algorithm=SHA-256, qop=\"auth\"");
    let both = format!("{md5}, {sha}");
    for challenges in [
        vec![(ChallengeKind::Server, md5.as_str()), (ChallengeKind::Server, sha.as_str())],
        vec![(ChallengeKind::Server, sha.as_str()), (ChallengeKind::Server, md5.as_str())],
        vec![(ChallengeKind::Server, both.as_str())],
    ] {
        let mut client = Client::new();
        client.challenged(REGISTER, &challenges).unwrap();
        assert_eq!(client.right(REGISTER).algorithm.hash, DigestAlgorithm::Sha256);
    }
}

#[test]
fn md5_alone_is_refused_after_a_stronger_algorithm_was_offered() {
    let md5 = digest("carrier", "m", ", qop=\"auth\"");
    let sha = digest("carrier", "s", ", algorithm=SHA-256, qop=\"auth\"");
    let mut client = Client::new();
    client.server(REGISTER, &md5).unwrap();
    client.next_request();
    client.server(REGISTER, &sha).unwrap();
    client.next_request();
    assert_eq!(client.server(REGISTER, &md5), Err(AnswerError::Downgrade));
    // A proxy of the same trunk is no way around it.
    assert_eq!(
        client.challenged(INVITE, &[(ChallengeKind::Proxy, &md5)]),
        Err(AnswerError::Downgrade)
    );
    assert!(client.credentials.is_empty());

    let mut by_name = settings();
    by_name.md5_is_named = true;
    let mut client = Client::with(&by_name);
    client.server(REGISTER, &format!("{sha}, {md5}")).unwrap();
    client.settled(REGISTER, 200);
    client.next_request();
    client.server(REGISTER, &md5).unwrap();
    assert_eq!(client.right(REGISTER).algorithm.hash, DigestAlgorithm::Md5);

    let mut named = settings();
    named.digest = vec![DigestAlgorithm::Md5];
    let mut client = Client::with(&named);
    assert_eq!(client.server(REGISTER, &sha), Err(AnswerError::NoUsableChallenge));
    client.server(REGISTER, &format!("{sha}, {md5}")).unwrap();
    assert_eq!(client.right(REGISTER).algorithm.hash, DigestAlgorithm::Md5);
}

#[test]
fn algorithms_that_the_settings_leave_out_are_not_answered() {
    let mut strong = settings();
    strong.digest = vec![DigestAlgorithm::Sha256];
    let mut client = Client::with(&strong);
    let md5 = digest("carrier", "m", "");
    assert_eq!(client.server(REGISTER, &md5), Err(AnswerError::NoUsableChallenge));
}

#[test]
fn nonce_count_restarts_with_a_new_nonce() {
    let mut client = Client::new();
    let count = |client: &Client| client.right(REGISTER).nonce_count;
    let first = digest("carrier", "n1", ", qop=\"auth\"");
    client.server(REGISTER, &first).unwrap();
    assert_eq!(count(&client), Some(1));
    client.settled(REGISTER, 200);
    for expected in 2..5 {
        client.foresee(REGISTER);
        assert_eq!(count(&client), Some(expected));
        client.settled(REGISTER, 200);
    }
    client.server(REGISTER, &digest("carrier", "n2", ", qop=\"auth\"")).unwrap();
    assert_eq!(count(&client), Some(1));
    // Another call still holds the older nonce: its count goes on where it stood.
    client.next_request();
    client.server(REGISTER, &first).unwrap();
    assert_eq!(count(&client), Some(5));
}

#[test]
fn each_answer_has_a_fresh_cnonce_and_a_session_keeps_its_own() {
    let mut seen = Vec::new();
    for (rest, kept) in [(", qop=\"auth\"", false), (", qop=\"auth\", algorithm=MD5-sess", true)] {
        let mut client = Client::new();
        client.server(REGISTER, &digest("carrier", "n1", rest)).unwrap();
        let first = client.right(REGISTER).cnonce.to_vec();
        assert_eq!(first.len(), 32);
        client.settled(REGISTER, 200);
        client.foresee(REGISTER);
        let second = client.right(REGISTER).cnonce.to_vec();
        assert_eq!(first == second, kept);
        seen.push(second);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn stale_without_the_flag_is_a_fresh_challenge() {
    let mut client = Client::new();
    client.server(REGISTER, &digest("carrier", "n1", ", qop=\"auth\"")).unwrap();
    client.settled(REGISTER, 200);
    client.foresee(REGISTER);
    assert_eq!(client.right(REGISTER).nonce, b"n1");
    client.server(REGISTER, &digest("carrier", "n2", ", qop=\"auth\"")).unwrap();
    assert_eq!(client.right(REGISTER).nonce, b"n2");
}

#[test]
fn a_wrong_password_is_told_by_the_same_nonce() {
    let mut client = Client::new();
    let challenge = digest("carrier", "n1", ", qop=\"auth\"");
    client.server(REGISTER, &challenge).unwrap();
    assert_eq!(client.server(REGISTER, &challenge), Err(AnswerError::Refused));
}

#[test]
fn endless_challenges_get_two_answers_for_a_realm() {
    for (rest, answers) in [("", 2), (", stale=true", 3)] {
        let mut client = Client::new();
        let mut given = 0;
        for round in 0..100 {
            let challenge = digest("carrier", &format!("n{round}"), rest);
            match client.server(REGISTER, &challenge) {
                Ok(()) => given += 1,
                Err(error) => assert_eq!(error, AnswerError::TooManyAnswers),
            }
        }
        assert_eq!(given, answers);
    }
}

#[test]
fn one_more_answer_when_a_nonce_that_worked_is_replaced() {
    let mut client = Client::new();
    client.server(REGISTER, &digest("carrier", "n1", "")).unwrap();
    client.settled(REGISTER, 200);
    client.foresee(REGISTER);
    let given = (2..10)
        .filter(|round| {
            client.server(REGISTER, &digest("carrier", &format!("n{round}"), "")).is_ok()
        })
        .count();
    assert_eq!(given, 2, "besides the unasked one");
}

#[test]
fn a_request_gets_three_answers_in_all_realms_together() {
    let mut named = settings();
    named.realms = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let mut client = Client::with(&named);
    for realm in ["a", "b", "c"] {
        client.server(INVITE, &digest(realm, "n", "")).unwrap();
    }
    assert_eq!(client.values().len(), 3);
    assert_eq!(client.server(INVITE, &digest("d", "n", "")), Err(AnswerError::TooManyAnswers));
    assert_eq!(client.values().len(), 3);
}

#[test]
fn answers_of_earlier_rounds_are_kept_with_their_next_count() {
    let mut client = Client::new();
    let proxy = digest("proxy", "p", ", qop=\"auth\"");
    client.challenged(INVITE, &[(ChallengeKind::Proxy, &proxy)]).unwrap();
    client.server(INVITE, &digest("callee", "c", ", qop=\"auth\"")).unwrap();
    let values = client.values();
    assert_eq!(values[0].0, ChallengeKind::Proxy);
    assert!(values[0].1.contains("nc=00000002"));
    assert_eq!(values[1].0, ChallengeKind::Server);
    assert!(values[1].1.contains("nc=00000001"));
}

#[test]
fn different_realms_challenging_at_once_are_each_answered_when_pinned() {
    let mut named = settings();
    named.realms = vec!["a".to_owned(), "b \"two\"".to_owned()];
    let mut client = Client::with(&named);
    let (a, b) = (digest("a", "1", ""), digest("b \\\"two\\\"", "2", ""));
    let foreign = digest("c", "3", "");
    client
        .challenged(
            INVITE,
            &[
                (ChallengeKind::Proxy, &a),
                (ChallengeKind::Proxy, &foreign),
                (ChallengeKind::Proxy, &b),
            ],
        )
        .unwrap();
    let values = client.values();
    assert_eq!(values.len(), 2);
    assert!(values[0].1.contains("realm=\"a\""));
    assert!(values[1].1.contains("realm=\"b \\\"two\\\"\""));
}

#[test]
fn the_first_accepted_realm_is_pinned_for_401_and_407_apart() {
    let mut client = Client::new();
    client.server(REGISTER, &digest("home", "1", "")).unwrap();
    client.settled(REGISTER, 200);
    client.next_request();
    assert_eq!(client.server(REGISTER, &digest("rogue", "1", "")), Err(AnswerError::ForeignRealm));
    assert_eq!(client.server(INVITE, &digest("rogue", "1", "")), Err(AnswerError::ForeignRealm));
    client.challenged(INVITE, &[(ChallengeKind::Proxy, &digest("proxy", "1", ""))]).unwrap();
    client.settled(INVITE, 180);
    client.next_request();
    let rogue = digest("home", "1", "");
    assert_eq!(
        client.challenged(INVITE, &[(ChallengeKind::Proxy, &rogue)]),
        Err(AnswerError::ForeignRealm)
    );
}

#[test]
fn a_refused_answer_pins_nothing() {
    for status in [100, 400, 401, 403, 407, 500, 503] {
        let mut client = Client::new();
        client.server(REGISTER, &digest("first", "1", "")).unwrap();
        client.settled(REGISTER, status);
        client.next_request();
        client.server(REGISTER, &digest("second", "1", "")).unwrap();
    }
}

#[test]
fn while_nothing_is_pinned_one_realm_of_a_response_is_tried() {
    let mut client = Client::new();
    let weak = digest("one", "1", "");
    let strong = digest("two", "2", ", algorithm=SHA-256");
    client
        .challenged(REGISTER, &[(ChallengeKind::Server, &weak), (ChallengeKind::Server, &strong)])
        .unwrap();
    assert_eq!(client.right(REGISTER).realm, b"two");
}

#[test]
fn a_bye_is_answered_only_for_a_pinned_realm() {
    let mut client = Client::new();
    let challenge = digest("home", "1", "");
    assert_eq!(client.server(BYE, &challenge), Err(AnswerError::ForeignRealm));
    client.server(REGISTER, &challenge).unwrap();
    client.settled(REGISTER, 200);
    client.next_request();
    client.server(BYE, &challenge).unwrap();
    client.next_request();
    assert_eq!(client.server(BYE, &digest("rogue", "1", "")), Err(AnswerError::ForeignRealm));
}

#[test]
fn nothing_is_written_for_a_trunk_without_a_usable_secret() {
    let mut none = settings();
    none.password = None;
    let mut broken = settings();
    broken.auth_user = "user\r\nX-Header: y".to_owned();
    for settings in [none, broken] {
        let mut client = Client::with(&settings);
        let challenge = digest("home", "1", "");
        assert_eq!(client.server(REGISTER, &challenge), Err(AnswerError::NoCredentials));
        client.foresee(REGISTER);
        assert!(client.credentials.is_empty());
    }
}

#[test]
fn a_challenge_cannot_start_a_header_of_ours() {
    let mut client = Client::new();
    for value in [
        digest("home\r\nX: y", "1", ""),
        digest("home", "1\r\nX: y", ""),
        digest("home", "1", ", opaque=\"\0\""),
        digest("home", "1", ", opaque=\"a\\\"") + "\n",
    ] {
        assert_eq!(client.server(REGISTER, &value), Err(AnswerError::NoUsableChallenge));
    }
}

#[test]
fn unasked_credentials_are_for_methods_that_were_challenged() {
    let mut client = Client::new();
    client.server(REGISTER, &digest("home", "1", "")).unwrap();
    client.foresee(REGISTER);
    assert!(client.credentials.is_empty(), "nothing has worked yet");
    client.server(REGISTER, &digest("home", "1", "")).unwrap();
    client.settled(REGISTER, 200);
    client.foresee(INVITE);
    assert!(client.credentials.is_empty());
    client.foresee(REGISTER);
    assert!(!client.credentials.is_empty());
    client.foresee(BYE);
    assert!(client.credentials.is_empty());
}

#[test]
fn unasked_credentials_pause_longer_each_time_they_are_refused() {
    let mut client = Client::new();
    let mut nonce = 0;
    let mut waits = Vec::new();
    let mut wait = 0;
    while waits.len() < 8 {
        client.foresee(REGISTER);
        let unasked = !client.credentials.is_empty();
        // Each request is challenged with a nonce of its own.
        nonce += 1;
        client.server(REGISTER, &digest("home", &nonce.to_string(), "")).unwrap();
        client.settled(REGISTER, 200);
        if unasked {
            waits.push(wait);
            wait = 0;
        } else {
            wait += 1;
        }
    }
    assert_eq!(waits, [1, 1, 3, 7, 15, 31, 63, 63]);
}

#[test]
fn changed_settings_forget_what_was_learnt_with_the_old_ones() {
    let mut client = Client::new();
    client.server(REGISTER, &digest("home", "1", "")).unwrap();
    client.settled(REGISTER, 200);
    client.next_request();
    client.auth.update(&settings());
    let rogue = digest("rogue", "1", "");
    assert_eq!(client.server(REGISTER, &rogue), Err(AnswerError::ForeignRealm));
    let mut changed = settings();
    changed.password = Some(Secret::new("another"));
    client.auth.update(&changed);
    client.server(REGISTER, &rogue).unwrap();
}

#[test]
fn many_realms_are_not_remembered_without_end() {
    let mut client = Client::new();
    for round in 0..10_000 {
        client.next_request();
        client.server(REGISTER, &digest(&format!("r{round}"), "1", "")).unwrap();
    }
    assert!(format!("{:?}", client.auth).contains("realms: 8"));
}
