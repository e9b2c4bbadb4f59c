//! What a 2xx to a REGISTER says.

use crate::message::{Address, HeaderName, Message, Uri};

/// Longest Service-Route that is taken over, in values and in bytes: it goes into every INVITE.
const MAX_ROUTES: usize = 8;
const MAX_ROUTE_BYTES: usize = 512;

/// What the registrar granted.
#[derive(Debug)]
pub(super) struct Grant {
    /// Lifetime of our binding; `None`: the response does not say.
    pub(super) seconds: Option<u32>,
    /// The values of Service-Route (RFC 3608), in order.
    pub(super) service_route: Vec<Box<[u8]>>,
}

impl Grant {
    /// Reads the response; `contact` is the URI that our REGISTER carried.
    pub(super) fn read(response: &Message<'_>, contact: &str) -> Self {
        let own = own_binding(response, contact).and_then(|binding| binding.expires_s());
        let seconds = own.or_else(|| response.headers.expires_s());
        Self { seconds, service_route: service_route(response) }
    }
}

/// Our binding among all of the address of record. The exact URI first; then our `line` token,
/// since some registrars show the address that they saw instead of the one that we wrote; then
/// an equivalent URI.
fn own_binding<'a>(response: &Message<'a>, contact: &str) -> Option<Address<'a>> {
    let bindings = || response.headers.contacts().filter_map(Result::ok);
    let ours = Uri::parse(contact.as_bytes()).ok()?;
    bindings()
        .find(|binding| binding.uri_raw == contact.as_bytes())
        .or_else(|| {
            let line = ours.params.value("line")?;
            bindings().find(|binding| {
                binding.uri().is_ok_and(|uri| uri.params.value("line") == Some(line))
            })
        })
        .or_else(|| {
            bindings().find(|binding| binding.uri().is_ok_and(|uri| uri.is_equivalent(&ours)))
        })
}

fn service_route(response: &Message<'_>) -> Vec<Box<[u8]>> {
    let mut routes = Vec::new();
    let mut room = MAX_ROUTE_BYTES;
    for route in response.headers.addresses(HeaderName::ServiceRoute).filter_map(Result::ok) {
        let value = route.raw.to_vec();
        // A Route that cannot be kept whole is worse than none.
        if route.uri().is_err() || routes.len() == MAX_ROUTES || value.len() > room {
            return Vec::new();
        }
        room -= value.len();
        routes.push(value.into_boxed_slice());
    }
    routes
}
