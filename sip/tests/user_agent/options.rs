//! What each of a trunk's options does to the bytes of an INVITE.

use dozvon_sip as sip;
use sip::{CallOutcome, CallerIdHeader, Codec, External, Privacy, Rel100, TrunkSettings, UserPart};

use crate::bench::{Bench, Sent, call_request, trunk_settings};

/// The INVITE of a trunk with changed settings.
fn invite(change: impl FnOnce(&mut TrunkSettings)) -> Sent {
    let mut settings = trunk_settings();
    change(&mut settings);
    Bench::with(settings).invite().1
}

fn user(text: &str) -> UserPart {
    UserPart::new(text).unwrap()
}

#[test]
fn the_caller_id_stands_in_the_fields_that_are_named_and_in_no_other() {
    let uri = "<sip:+74951230042@sip.example.ru>";
    let plain = invite(|_| {});
    assert!(plain.header("From").starts_with(uri));
    assert_eq!(plain.all("P-Asserted-Identity"), [uri]);
    let fields = [CallerIdHeader::PPreferredIdentity, CallerIdHeader::RemotePartyId];
    let other = invite(|settings| settings.caller_id_in = fields.to_vec());
    assert_eq!(other.header("P-Preferred-Identity"), uri);
    assert_eq!(
        other.header("Remote-Party-ID"),
        format!("{uri};party=calling;screen=yes;privacy=off")
    );
    assert_eq!(other.find("P-Asserted-Identity"), None);
    assert!(other.header("From").starts_with("<sip:74951230000@sip.example.ru>"));
}

#[test]
fn from_user_and_user_phone_and_contact_user() {
    let fixed = invite(|settings| settings.from_user = Some(user("7495")));
    assert!(fixed.header("From").starts_with("<sip:7495@sip.example.ru>;tag="));
    let phone = invite(|settings| settings.user_phone = true);
    assert_eq!(phone.request_uri(), "sip:+79161234567@sip.example.ru;user=phone");
    assert!(phone.header("From").starts_with("<sip:+74951230042@sip.example.ru;user=phone>"));
    let contact = invite(|settings| settings.contact_user = user("gw-1"));
    assert_eq!(contact.header("Contact"), "<sip:gw-1@198.51.100.7:5060>");
}

#[test]
fn privacy_none_is_said_and_nothing_by_default() {
    assert_eq!(invite(|_| {}).find("Privacy"), None);
    assert_eq!(invite(|settings| settings.privacy = Privacy::None).header("Privacy"), "none");
}

#[test]
fn codecs_are_offered_in_their_order() {
    let both = invite(|_| {});
    assert!(both.body().contains("m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"));
    let one = invite(|settings| settings.codecs = vec![Codec::Pcmu]);
    assert!(one.body().contains("m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"));
    assert!(!one.body().contains("PCMA"));
    let turned = invite(|settings| settings.codecs = vec![Codec::Pcmu, Codec::Pcma]);
    assert!(turned.body().contains("RTP/AVP 0 8 101\r\n"));
}

#[test]
fn external_is_the_address_of_via_and_contact_and_media_external_that_of_the_description() {
    let fixed = invite(|settings| {
        let address = "203.0.113.5".parse().unwrap();
        settings.external = External::Fixed { address, port: Some(5070) };
    });
    assert!(fixed.header("Via").contains(" 203.0.113.5:5070;"));
    assert!(fixed.header("Contact").contains("@203.0.113.5:5070"));
    assert!(fixed.body().contains("c=IN IP4 203.0.113.5\r\n"));
    let media = invite(|settings| settings.media_external = "2001:db8::9".parse().ok());
    assert!(media.header("Contact").contains("@198.51.100.7:5060"));
    assert!(media.body().contains("c=IN IP6 2001:db8::9\r\n"));
    assert!(media.body().contains(" 1 IN IP6 2001:db8::9\r\n"));
}

#[test]
fn rel100_is_offered_as_the_trunk_wants() {
    let off = invite(|_| {});
    assert_eq!((off.find("Supported"), off.find("Require")), (None, None));
    let supported = invite(|settings| settings.rel100 = Rel100::Supported);
    assert_eq!((supported.find("Supported"), supported.find("Require")), (Some("100rel"), None));
    let required = invite(|settings| settings.rel100 = Rel100::Required);
    assert_eq!((required.find("Supported"), required.find("Require")), (None, Some("100rel")));
}

#[test]
fn a_line_of_the_operators_and_a_token_are_written() {
    let other = invite(|settings| {
        settings.headers = vec![("X-Account".into(), "17".into()), ("X".into(), "a\r\nb".into())];
        settings.line = Some("0123456789abcdef".into());
    });
    assert_eq!((other.header("X-Account"), other.find("X")), ("17", None));
    assert_eq!(
        other.header("Contact"),
        "<sip:74951230000@198.51.100.7:5060;line=0123456789abcdef>"
    );
}

#[test]
fn max_calls_is_kept() {
    let mut settings = trunk_settings();
    settings.max_calls = 1;
    let mut bench = Bench::with(settings);
    let (_, invite) = bench.invite();
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(2));
    assert_eq!(refused, Err(sip::PlaceCallError::ChannelsBusy));
    bench.receive(&invite.answer(486, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Busy);
    bench.place(call_request(2));
    bench.take("INVITE");
}
