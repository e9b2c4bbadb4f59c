//! A message read by rsip and by our own parser, and where the two disagree.
//!
//! Our parser reading what our writer wrote proves little: a shared misunderstanding of the grammar
//! stays hidden. rsip was written by others.

use std::collections::BTreeMap;

use rsip::prelude::{HasHeaders, HeadersExt, ToTypedHeader, UntypedHeader};
use sip::message::{Address, Framing, HeaderName, Host, Message, Parser, Start, Uri};

/// What a reader found: a path such as `from.uri.host` and its value. What is absent has no entry.
type Facts = BTreeMap<String, String>;

/// Where rsip and our parser differ in what `bytes` say; empty when they agree in every typed
/// header that rsip has.
///
/// # Errors
/// When one of the two cannot read the message, with its reason.
pub fn disagreements(bytes: &[u8]) -> Result<Vec<String>, String> {
    let ours = our_facts(bytes)?;
    let theirs = rsip_facts(bytes)?;
    let mut names: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    let differ = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    Ok(differ
        .map(|name| format!("{name}: ours {:?}, rsip {:?}", ours.get(name), theirs.get(name)))
        .collect())
}

fn our_facts(bytes: &[u8]) -> Result<Facts, String> {
    let mut parser = Parser::new();
    let message = parser
        .parse(bytes, Framing::Datagram)
        .map_err(|unread| format!("our parser: {:?}", unread.fault))?;
    let mut facts = Facts::new();
    match message.start {
        Start::Request { method, uri, .. } => {
            put(&mut facts, "method", Some(method.as_str()));
            our_uri(&mut facts, "request", &uri);
        }
        Start::Response { status, .. } => put(&mut facts, "status", Some(status.code())),
    }
    our_via(&mut facts, &message);
    our_address(&mut facts, "from", &message.from)?;
    our_address(&mut facts, "to", &message.to)?;
    put(&mut facts, "call_id", Some(text(message.call_id)));
    put(&mut facts, "cseq.number", Some(message.cseq.number));
    put(&mut facts, "cseq.method", Some(message.cseq.method.as_str()));
    for (name, header) in [
        ("contact", HeaderName::Contact),
        ("route", HeaderName::Route),
        ("record_route", HeaderName::RecordRoute),
    ] {
        if let Some(address) = message.headers.addresses(header).next() {
            let address = address.map_err(|fault| format!("our {name}: {fault:?}"))?;
            our_address(&mut facts, name, &address)?;
        }
    }
    put(&mut facts, "max_forwards", message.headers.max_forwards());
    put(&mut facts, "expires", message.headers.expires_s());
    let content_type = message.headers.content_type();
    put(
        &mut facts,
        "content_type",
        content_type.map(|t| format!("{}/{}", text(t.main), text(t.sub))),
    );
    put(&mut facts, "body", Some(text(message.body)));
    for (name, header) in [
        ("authorization", HeaderName::Authorization),
        ("proxy_authorization", HeaderName::ProxyAuthorization),
    ] {
        if let Some(value) = message.headers.get(header) {
            our_credentials(&mut facts, name, &text(&value.to_vec()));
        }
    }
    Ok(facts)
}

fn our_via(facts: &mut Facts, message: &Message<'_>) {
    let via = &message.via;
    put(facts, "via.transport", Some(text(via.transport)));
    put(facts, "via.host", Some(our_host(&via.host)));
    put(facts, "via.port", via.port);
    put(facts, "via.branch", via.branch.map(text));
    put(facts, "via.rport", via.params.get("rport").map(|param| text(&param.text())));
    put(facts, "via.received", via.received);
}

fn our_address(facts: &mut Facts, name: &str, address: &Address<'_>) -> Result<(), String> {
    let uri = address.uri().map_err(|fault| format!("our {name}: {fault}"))?;
    our_uri(facts, &format!("{name}.uri"), &uri);
    put(facts, &format!("{name}.display"), address.display_text().map(|display| text(&display)));
    for param in address.params {
        let value = Some(text(&param.text()));
        put(facts, &format!("{name}.{}", text(param.name).to_lowercase()), value);
    }
    Ok(())
}

fn our_uri(facts: &mut Facts, name: &str, uri: &Uri<'_>) {
    put(facts, &format!("{name}.user"), uri.user.map(text));
    put(facts, &format!("{name}.host"), uri.host.as_ref().map(our_host));
    put(facts, &format!("{name}.port"), uri.port);
    for param in uri.params {
        let value = Some(text(&param.text()));
        put(facts, &format!("{name};{}", text(param.name).to_lowercase()), value);
    }
}

fn our_host(host: &Host<'_>) -> String {
    match host {
        Host::Name(name) => text(name),
        Host::Address(address) => address.to_string(),
    }
}

/// Our core never reads credentials, it only writes them; so they are split by hand here.
fn our_credentials(facts: &mut Facts, name: &str, value: &str) {
    let Some((scheme, params)) = value.split_once(' ') else { return };
    put(facts, &format!("{name}.scheme"), Some(scheme));
    let mut rest = params;
    while let Some((param, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        put(facts, &format!("{name}.{}", param.trim()), Some(value.trim()));
        rest = after.trim_start_matches([',', ' ']);
    }
}

fn rsip_facts(bytes: &[u8]) -> Result<Facts, String> {
    let fail = |fault: rsip::Error| format!("rsip: {fault}");
    let message = rsip::SipMessage::try_from(spelled_for_rsip(bytes).as_bytes()).map_err(fail)?;
    let mut facts = Facts::new();
    match &message {
        rsip::SipMessage::Request(request) => {
            put(&mut facts, "method", Some(request.method()));
            rsip_uri(&mut facts, "request", request.uri());
        }
        rsip::SipMessage::Response(response) => {
            put(&mut facts, "status", Some(response.status_code().code()));
        }
    }
    rsip_via(&mut facts, &message).map_err(fail)?;
    let from = message.from_header().and_then(ToTypedHeader::typed).map_err(fail)?;
    rsip_address(&mut facts, "from", from.display_name.as_deref(), &from.uri, &from.params);
    let to = message.to_header().and_then(ToTypedHeader::typed).map_err(fail)?;
    rsip_address(&mut facts, "to", to.display_name.as_deref(), &to.uri, &to.params);
    put(&mut facts, "call_id", Some(message.call_id_header().map_err(fail)?.value()));
    let cseq = message.cseq_header().and_then(ToTypedHeader::typed).map_err(fail)?;
    put(&mut facts, "cseq.number", Some(cseq.seq));
    put(&mut facts, "cseq.method", Some(cseq.method));
    rsip_optional(&mut facts, &message).map_err(fail)?;
    put(&mut facts, "body", Some(text(message.body())));
    Ok(facts)
}

/// Two spellings are changed for it: SHA-256 has a name of its own there, and a nonce count, which
/// has eight hexadecimal digits (RFC 7616 section 3.4), is read as decimal and as one byte.
fn spelled_for_rsip(bytes: &[u8]) -> String {
    let text = text(bytes).replace("algorithm=SHA-256", "algorithm=SHA256");
    let count = text.split_once(", nc=").and_then(|(_, rest)| rest.get(..8));
    let value = count.and_then(|count| u8::from_str_radix(count, 16).ok());
    match (count, value) {
        (Some(count), Some(value)) => {
            text.replacen(&format!(", nc={count}"), &format!(", nc={value}"), 1)
        }
        _ => text,
    }
}

fn rsip_optional(facts: &mut Facts, message: &rsip::SipMessage) -> Result<(), rsip::Error> {
    if let Ok(contact) = message.contact_header() {
        let contact = contact.typed()?;
        let display = contact.display_name.as_deref();
        rsip_address(facts, "contact", display, &contact.uri, &contact.params);
    }
    if let Some(route) = message.route_header()
        && let Some(first) = route.typed()?.uris().first()
    {
        rsip_address(facts, "route", None, &first.uri, &first.params);
    }
    if let Some(route) = message.record_route_header()
        && let Some(first) = route.typed()?.uris().first()
    {
        rsip_address(facts, "record_route", None, &first.uri, &first.params);
    }
    if let Ok(max_forwards) = message.max_forwards_header() {
        put(facts, "max_forwards", Some(max_forwards.num()?));
    }
    if let Some(expires) = message.expires_header() {
        put(facts, "expires", Some(expires.seconds()?));
    }
    for header in message.headers().iter() {
        match header {
            rsip::Header::ContentType(value) => {
                let value = value.typed()?.0.to_string();
                put(facts, "content_type", value.split(';').next().map(str::trim));
            }
            rsip::Header::Authorization(value) => {
                rsip_credentials(facts, "authorization", value.typed()?);
            }
            rsip::Header::ProxyAuthorization(value) => {
                rsip_credentials(facts, "proxy_authorization", value.typed()?.0);
            }
            _ => {}
        }
    }
    Ok(())
}

fn rsip_via(facts: &mut Facts, message: &rsip::SipMessage) -> Result<(), rsip::Error> {
    let via = message.via_header()?.typed()?;
    put(facts, "via.transport", Some(&via.transport));
    put(facts, "via.host", Some(via.uri.host()));
    put(facts, "via.port", via.uri.port());
    put(facts, "via.branch", via.branch());
    for param in &via.params {
        let (name, value) = rsip_param(param);
        if name == "rport" || name == "received" {
            put(facts, &format!("via.{name}"), Some(value));
        }
    }
    Ok(())
}

fn rsip_address(
    facts: &mut Facts,
    name: &str,
    display: Option<&str>,
    uri: &rsip::Uri,
    params: &[rsip::Param],
) {
    rsip_uri(facts, &format!("{name}.uri"), uri);
    put(facts, &format!("{name}.display"), display.map(|display| display.trim_matches('"')));
    for param in params {
        let (param, value) = rsip_param(param);
        put(facts, &format!("{name}.{param}"), Some(value));
    }
}

fn rsip_uri(facts: &mut Facts, name: &str, uri: &rsip::Uri) {
    put(facts, &format!("{name}.user"), uri.user());
    put(facts, &format!("{name}.host"), Some(uri.host()));
    put(facts, &format!("{name}.port"), uri.port());
    for param in &uri.params {
        let (param, value) = rsip_param(param);
        put(facts, &format!("{name};{param}"), Some(value));
    }
}

/// Name and value as written, from `;name=value`.
fn rsip_param(param: &rsip::Param) -> (String, String) {
    let shown = param.to_string();
    let shown = shown.trim_start_matches(';');
    let (name, value) = shown.split_once('=').unwrap_or((shown, ""));
    (name.to_lowercase(), value.to_owned())
}

fn rsip_credentials(facts: &mut Facts, name: &str, credentials: rsip::typed::Authorization) {
    let mut add = |fact: &str, value: Option<String>| put(facts, &format!("{name}.{fact}"), value);
    add("scheme", Some(credentials.scheme.to_string()));
    add("username", Some(credentials.username));
    add("realm", Some(credentials.realm));
    add("nonce", Some(credentials.nonce));
    add("uri", Some(credentials.uri.to_string()));
    add("response", Some(credentials.response));
    let algorithm = credentials.algorithm.map(|algorithm| algorithm.to_string());
    add("algorithm", algorithm.map(|name| name.replace("SHA256", "SHA-256")));
    add("opaque", credentials.opaque);
    if let Some(rsip::headers::auth::AuthQop::Auth { cnonce, nc }) = credentials.qop {
        add("qop", Some("auth".to_owned()));
        add("cnonce", Some(cnonce));
        add("nc", Some(format!("{nc:08x}")));
    }
}

fn put(facts: &mut Facts, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        facts.insert(name.to_owned(), value.to_string());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+79161234567@carrier.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK1\r\n\
        Max-Forwards: 70\r\n\
        Route: <sip:edge.example;lr>\r\n\
        From: \"Shop\" <sip:+74951230042@carrier.example>;tag=a1\r\n\
        To: <sip:+79161234567@carrier.example;user=phone>\r\n\
        Call-ID: c1\r\n\
        CSeq: 3 INVITE\r\n\
        Contact: <sip:74951230042@127.0.0.1:5060;line=x>;expires=60\r\n\
        Proxy-Authorization: Digest username=\"u\", realm=\"carrier.example\", nonce=\"n=,1\", \
        uri=\"sip:+79161234567@carrier.example\", response=\"0f\", algorithm=MD5, qop=auth, \
        cnonce=\"c\", nc=00000002\r\n\
        Content-Type: application/sdp\r\n\
        Content-Length: 4\r\n\r\nv=0\n";

    #[test]
    fn the_readers_agree_on_an_invite_with_every_header() {
        assert_eq!(disagreements(INVITE.as_bytes()).unwrap(), Vec::<String>::new());
        let facts = our_facts(INVITE.as_bytes()).unwrap();
        for name in ["via.branch", "contact.uri;line", "proxy_authorization.nc", "route.uri;lr"] {
            assert!(facts.contains_key(name), "{name} was not compared: {facts:#?}");
        }
        assert_eq!(facts["proxy_authorization.nonce"], "n=,1");
        let sha_256 = INVITE.replace("=MD5", "=SHA-256").replace("nc=00000002", "nc=0000001f");
        assert_eq!(disagreements(sha_256.as_bytes()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_fact_that_only_one_reader_sees_is_named() {
        // A compact name is one of the forms that rsip does not know.
        let compact = INVITE.replace("Content-Type:", "c:");
        let found = disagreements(compact.as_bytes()).unwrap();
        assert_eq!(found, ["content_type: ours Some(\"application/sdp\"), rsip None"]);
    }
}
