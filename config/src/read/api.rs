//! Reading `[api]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::address;
use crate::config::api::Api;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::section::Section;
use crate::source::Spanned;

const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
const OPERATOR_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9090);
const SOCKET: &str = "/run/dozvon/dozvon.sock";

pub(crate) fn read(section: &Section<'_>, faults: &mut Faults) -> Api {
    let listen = addresses(section, "listen", faults);
    let operator_listen = addresses(section, "operator_listen", faults);
    let clear = listen.iter().flatten().find(|found| is_open(found.value));
    if let Some(found) = clear {
        faults
            .add(
                Code::ApiInClear,
                found.span,
                "API keys sent to this address may be read on the way",
            )
            .help("listen on 127.0.0.1 behind a proxy that ends TLS, or on a private address");
    }
    let open = operator_listen.iter().flatten().find(|found| is_open(found.value));
    if let Some(found) = open {
        faults
            .add(
                Code::OperatorOpen,
                found.span,
                "health and metrics have no key, and this address is open",
            )
            .help("listen on 127.0.0.1 or on a private address");
    }
    Api {
        listen: values_or(listen, LISTEN.into()),
        operator_listen: values_or(operator_listen, OPERATOR_LISTEN.into()),
        socket: section.path(faults, "socket").unwrap_or_else(|| PathBuf::from(SOCKET)),
    }
}

fn addresses(
    section: &Section<'_>,
    key: &str,
    faults: &mut Faults,
) -> Option<Vec<Spanned<SocketAddr>>> {
    section.parsed_texts(faults, key, Code::BadAddress, address::socket)
}

/// Whether strangers may reach it: every address of the machine counts as such.
fn is_open(address: SocketAddr) -> bool {
    address.ip().is_unspecified() || address::is_public(address.ip())
}

fn values_or(found: Option<Vec<Spanned<SocketAddr>>>, default: SocketAddr) -> Vec<SocketAddr> {
    match found {
        Some(found) => found.into_iter().map(|each| each.value).collect(),
        None => vec![default],
    }
}
