//! Threat 9: TLS to the wrong host. One certificate authority, certificates of every kind, and
//! what a trunk that wants `sip.example.ru` says to each.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tokio::net::TcpListener;

use super::*;

const DOMAIN: &str = "sip.example.ru";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("one")
    }

    /// Two authorities of one name would be taken for each other until the signature is looked at.
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn signs(&self, params: &CertificateParams) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        identity(&certificate.pem(), &key)
    }
}

fn identity(certificate: &str, key: &KeyPair) -> TlsIdentity {
    TlsIdentity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

fn named(names: &[SanType]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names.to_vec();
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

/// What comes of a handshake with a server that shows `identity`.
async fn handshake(client: &TlsClient, identity: TlsIdentity) -> Result<Option<String>, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = TlsServer::new(identity).unwrap();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = server.accept(stream).await.ok()?;
        stream.get_ref().1.server_name().map(str::to_owned)
    };
    let connecting = async {
        let stream = TcpStream::connect(address).await.unwrap();
        client.connect(stream).await.map(drop)
    };
    let (name, connected) = tokio::join!(serving, connecting);
    match connected {
        Ok(()) => Ok(name),
        Err(TlsError::Handshake(error)) => {
            Err(error.into_inner().unwrap().downcast_ref::<Error>().unwrap().clone())
        }
        Err(other) => panic!("{other}"),
    }
}

fn refused(error: CertificateError) -> Result<Option<String>, Error> {
    Err(Error::InvalidCertificate(error))
}

#[tokio::test]
async fn only_a_certificate_of_the_very_domain_is_believed() {
    let authority = Authority::new();
    let client = TlsClient::new(DOMAIN, authority.roots(), None).unwrap();
    let believed = Ok(Some(DOMAIN.to_owned()));
    let foreign = refused(CertificateError::NotValidForName);
    let wanted = [
        (vec![dns(DOMAIN)], &believed),
        (vec![dns("SIP.Example.RU")], &believed),
        (vec![dns("other.example.ru"), dns(DOMAIN)], &believed),
        (vec![uri("sip:sip.example.ru")], &believed),
        (vec![uri("sip:sip.example.ru"), dns("other.example.ru")], &believed),
        (vec![dns("other.example.ru")], &foreign),
        (vec![dns("example.ru")], &foreign),
        (vec![dns("*.example.ru")], &foreign),
        (vec![uri("sip:*.example.ru")], &foreign),
        (vec![uri("sips:sip.example.ru")], &foreign),
        (vec![uri("sip:user@sip.example.ru")], &foreign),
        // Where SIP URIs name domains, DNS names do not count.
        (vec![uri("sip:other.example.ru"), dns(DOMAIN)], &foreign),
    ];
    assert_eq!(wanted.len(), 12);
    for (names, expected) in wanted {
        let outcome = handshake(&client, authority.signs(&named(&names))).await;
        assert_eq!(outcome, *expected, "{names:?}");
    }
}

#[tokio::test]
async fn a_common_name_alone_proves_nothing() {
    let authority = Authority::new();
    let client = TlsClient::new(DOMAIN, authority.roots(), None).unwrap();
    let mut params = named(&[]);
    params.distinguished_name.push(DnType::CommonName, DOMAIN);
    let outcome = handshake(&client, authority.signs(&params)).await;
    assert_eq!(outcome, refused(CertificateError::NotValidForName));
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_time() {
    let authority = Authority::new();
    let client = TlsClient::new(DOMAIN, authority.roots(), None).unwrap();
    let mut params = named(&[dns(DOMAIN)]);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let outcome = handshake(&client, authority.signs(&params)).await;
    let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) =
        outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(not_after.as_secs(), 1_609_459_200);
}

#[tokio::test]
async fn a_self_signed_certificate_and_one_of_another_authority_are_refused() {
    let (ours, others) = (Authority::new(), Authority::named("another"));
    let client = TlsClient::new(DOMAIN, ours.roots(), None).unwrap();
    let params = named(&[dns(DOMAIN)]);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let unknown = refused(CertificateError::UnknownIssuer);
    assert_eq!(handshake(&client, identity(&certificate.pem(), &key)).await, unknown);
    assert_eq!(handshake(&client, others.signs(&params)).await, unknown);
}

#[tokio::test]
async fn an_address_is_proved_by_an_address_and_a_client_shows_its_certificate() {
    let authority = Authority::new();
    let ip = "127.0.0.1".parse().unwrap();
    let own = authority.signs(&named(&[dns("gateway.example.org")]));
    let client = TlsClient::new("127.0.0.1", authority.roots(), Some(own)).unwrap();
    let right = authority.signs(&named(&[SanType::IpAddress(ip)]));
    assert_eq!(handshake(&client, right).await, Ok(None));
    let wrong = handshake(&client, authority.signs(&named(&[dns(DOMAIN)]))).await;
    assert_eq!(wrong, refused(CertificateError::NotValidForName));
}

#[test]
fn what_is_no_certificate_is_said_so() {
    assert!(matches!(Roots::from_pem(b"nothing"), Err(TlsError::Pem(_))));
    assert!(matches!(TlsIdentity::from_pem(b"", b""), Err(TlsError::Pem(_))));
    let roots = Authority::new().roots();
    assert!(matches!(TlsClient::new("a b", roots, None), Err(TlsError::BadName(_))));
}
