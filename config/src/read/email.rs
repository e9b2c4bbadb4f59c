//! Reading `[email]`.

use std::net::IpAddr;
use std::time::Duration;

use crate::address;
use crate::config::email::{Email, MailTls, Mailbox};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::read::secret;
use crate::section::Section;
use crate::section::scalar::Zero;
use crate::source::Spanned;

/// Submission over TLS (RFC 8314 section 3.3).
const SUBMISSIONS_PORT: u16 = 465;
/// Submission (RFC 6409 section 3.1).
const SUBMISSION_PORT: u16 = 587;

/// `None`: the file has no such section, or it has faults.
pub(crate) fn read(section: Option<&Section<'_>>, faults: &mut Faults) -> Option<Email> {
    let section = section?;
    let password = secret::at(section, "password", faults);
    let user = section.text(faults, "user").map(|user| user.value.to_owned());
    if user.is_some() != section.get("password").is_some() {
        let (there, lacking) =
            if user.is_some() { ("user", "password") } else { ("password", "user") };
        let message = format!("[email] has a {there} and no {lacking}");
        faults
            .add(Code::EmailLogin, section.place_of(there), message)
            .help("a server that asks for no password needs neither");
    }
    let is_off = section.choice(faults, "tls", &[("required", Some(false)), ("off", Some(true))]);
    let ca = section.path(faults, "ca");
    let connections = section.whole(faults, "connections", 4, 1..=64);
    let reply_limit = section.seconds(faults, "reply_limit", 1..=60, Zero::IsRefused);
    let from = section.parsed(faults, "from", Code::BadMailbox, Mailbox::parse);
    for (key, example) in [
        ("smtp", "smtp = \"smtps://mail.example.ru\""),
        ("from", "from = \"Dozvon <noreply@example.ru>\""),
    ] {
        if section.get(key).is_none() {
            section.missing(faults, key, example);
        }
    }
    let smtp = section.text(faults, "smtp")?;
    let (host, port, tls) = server(smtp, is_off.unwrap_or(false), section, faults)?;
    Some(Email {
        host,
        port,
        tls,
        from: from?,
        user,
        password,
        ca,
        connections,
        reply_limit: reply_limit.unwrap_or(Duration::from_secs(10)),
    })
}

fn server(
    smtp: Spanned<&str>,
    is_off: bool,
    section: &Section<'_>,
    faults: &mut Faults,
) -> Option<(String, u16, MailTls)> {
    let (scheme, rest) = smtp.value.split_once("://").unwrap_or(("", smtp.value));
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (tls, port) = match (scheme, is_off) {
        ("smtps", _) => (MailTls::Wrapped, SUBMISSIONS_PORT),
        ("smtp", false) => (MailTls::StartTls, SUBMISSION_PORT),
        ("smtp", true) => (MailTls::Off, SUBMISSION_PORT),
        _ => return bad_url(smtp, faults),
    };
    if rest.contains(['@', '/', '?', '#']) {
        return bad_url(smtp, faults);
    }
    let Ok(found) = address::host_port(rest) else { return bad_url(smtp, faults) };
    if is_off && tls == MailTls::Wrapped {
        let message = "\"smtp\" begins with smtps:, and \"tls\" is off";
        faults.add(Code::EmailInClear, section.place_of("tls"), message);
    } else if is_off && !is_here(&found.host) {
        let message =
            format!("letters to {:?} would leave in clear, and codes with them", found.host);
        faults
            .add(Code::EmailInClear, section.place_of("tls"), message)
            .help("only a server on this machine may be spoken with so; leave \"tls\" out");
    }
    let host = found.host.trim_matches(['[', ']']).to_owned();
    Some((host, found.port.unwrap_or(port), tls))
}

fn bad_url<T>(smtp: Spanned<&str>, faults: &mut Faults) -> Option<T> {
    faults
        .add(Code::BadUrl, smtp.span, "\"smtp\" is no address of a mail server")
        .help("\"smtps://mail.example.ru\", or \"smtp://mail.example.ru:587\" for STARTTLS; user and password have keys of their own");
    None
}

fn is_here(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
