//! Digests against published vectors, and against ones made with another implementation
//! (Python's hashlib) where nothing is published.

use dozvon_sip::auth::{Algorithm, DigestInput};

struct Vector {
    algorithm: &'static str,
    input: DigestInput<'static>,
    response: &'static str,
}

fn algorithm(token: &str) -> Algorithm {
    Algorithm::from_token(token.as_bytes()).expect("known")
}

/// RFC 7616 section 3.9.1, with the algorithm and the use of a nonce count to be chosen.
fn mufasa(token: &str, nonce_count: Option<u32>) -> DigestInput<'static> {
    DigestInput {
        algorithm: algorithm(token),
        user: b"Mufasa",
        realm: b"http-auth@example.org",
        password: b"Circle of Life",
        nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nonce_count,
        method: b"GET",
        uri: b"/dir/index.html",
    }
}

fn vectors() -> Vec<Vector> {
    let of = |token, nonce_count, response| Vector {
        algorithm: token,
        input: mufasa(token, nonce_count),
        response,
    };
    vec![
        // RFC 7616 section 3.9.1.
        of("MD5", Some(1), "8ca523f5e9506fed4657c9700eebdbec"),
        of("SHA-256", Some(1), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        // The same question to the other algorithms.
        of(
            "SHA-512-256",
            Some(1),
            "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0",
        ),
        of("MD5-sess", Some(1), "e783283f46242139c486a698fec7211d"),
        of(
            "SHA-256-sess",
            Some(1),
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
        ),
        of(
            "SHA-512-256-sess",
            Some(1),
            "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e",
        ),
        // The form of RFC 2069.
        of("MD5", None, "7b2cc3b30e75b4777ea31027084363fd"),
        of("SHA-256", None, "a1306b0595a6c7fe96c448631fb5cfbd5107bd1fe1da729d978dd7446b812363"),
        of("SHA-512-256", None, "93e9122020ea0624d2ca801426d5bfbeb93d10ff4cc24cb410af3920fa4730e7"),
        // RFC 7616 section 3.9.2 as erratum 4897 mends it: the text's own value was computed
        // with a truncated SHA-512, which is not SHA-512/256.
        Vector {
            algorithm: "SHA-512-256",
            input: DigestInput {
                algorithm: algorithm("SHA-512-256"),
                user: "J\u{e4}s\u{f8}n Doe".as_bytes(),
                realm: b"api@example.org",
                password: b"Secret, or not?",
                nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
                cnonce: b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
                nonce_count: Some(1),
                method: b"GET",
                uri: b"/doe.json",
            },
            response: "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
        },
        // RFC 2617 section 3.5.
        Vector {
            algorithm: "MD5",
            input: DigestInput {
                algorithm: algorithm("MD5"),
                user: b"Mufasa",
                realm: b"testrealm@host.com",
                password: b"Circle Of Life",
                nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
                cnonce: b"0a4f113b",
                nonce_count: Some(1),
                method: b"GET",
                uri: b"/dir/index.html",
            },
            response: "6629fae49393a05397450978507c4ef1",
        },
    ]
}

#[test]
fn every_algorithm_and_form_gives_the_published_response() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let response = vector.input.response();
        assert_eq!(
            std::str::from_utf8(response.as_bytes()).unwrap(),
            vector.response,
            "{} of {:?}",
            vector.algorithm,
            std::str::from_utf8(vector.input.uri)
        );
    }
}

#[test]
fn algorithm_names_are_read_in_any_case() {
    for one in Algorithm::ALL {
        let lower = one.token().to_ascii_lowercase();
        assert_eq!(Algorithm::from_token(lower.as_bytes()), Some(one));
    }
    assert_eq!(Algorithm::from_token(b"SHA-1"), None);
    assert_eq!(Algorithm::from_token(b""), None);
}
