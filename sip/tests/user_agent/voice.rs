//! A call that stays up once it is answered.

use dozvon_sip as sip;
use sip::{CallHandle, CallOutcome, CallSummary, Codec, Event, RemoteMedia, VoiceCallRequest};

use crate::bench::{Bench, Sent, address, call_request, ms, parameter, secs, trunk_settings};

const CONTACT: &str = "Contact: <sip:phone@192.0.2.10:5080>\r\nContent-Type: application/sdp\r\n";
const MEDIA: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n";

fn place(bench: &mut Bench) -> (CallHandle, Sent) {
    let request = VoiceCallRequest { call: call_request(1), talk_limit: secs(60) };
    let call = bench.ua.place_voice_call(bench.now, bench.trunk, request).unwrap();
    bench.drain();
    (call, bench.take("INVITE"))
}

/// An answered call with its ACK.
fn up() -> (Bench, CallHandle, Sent, Sent) {
    let mut bench = Bench::new();
    let (call, invite) = place(&mut bench);
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(secs(2));
    bench.receive(&invite.answer_with_body(200, "a", CONTACT, MEDIA));
    let ack = bench.take("ACK");
    (bench, call, invite, ack)
}

fn answered(bench: &Bench) -> Vec<RemoteMedia> {
    let media = |event: &Event| match event {
        Event::Answered { media, .. } => Some(*media),
        _ => None,
    };
    bench.events.iter().filter_map(media).collect()
}

fn changed(bench: &Bench) -> Vec<RemoteMedia> {
    let media = |event: &Event| match event {
        Event::MediaChanged { media, .. } => Some(*media),
        _ => None,
    };
    bench.events.iter().filter_map(media).collect()
}

/// A request of the far side within the call.
fn request(invite: &Sent, method: &str, cseq: u32, body: &str) -> String {
    let (from, to) = (invite.header("To"), invite.header("From"));
    format!(
        "{method} sip:x@198.51.100.7:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;rport;\
         branch=z9hG4bK{method}{cseq}\r\nFrom: {from};tag=a\r\nTo: {to}\r\nCall-ID: {}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:phone@192.0.2.10:5090>\r\nContent-Type: \
         application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        invite.header("Call-ID"),
        body.len()
    )
}

fn assert_ended(bench: &Bench, call: CallHandle) -> &CallSummary {
    let end = bench.end();
    assert_eq!((end.call, end.outcome, end.status), (call, CallOutcome::Answered, Some(200)));
    end
}

#[test]
fn an_answered_call_tells_its_media_and_stays_up_until_we_hang_up() {
    let (mut bench, call, invite, ack) = up();
    assert!(ack.header("To").ends_with(";tag=a"));
    assert_eq!(ack.request_uri(), "sip:phone@192.0.2.10:5080");
    let media = answered(&bench);
    assert_eq!(media.len(), 1);
    assert_eq!(media[0].address, address("192.0.2.10:40000"));
    assert_eq!((media[0].codec, media[0].telephone_event), (Codec::Pcmu, Some(96)));
    bench.wait(secs(40));
    bench.assert_silent();
    assert!(bench.ends().is_empty());
    // Even long after its transaction is gone a repeat of the 200 is acknowledged.
    bench.receive(&invite.answer_with_body(200, "a", CONTACT, MEDIA));
    assert_eq!(bench.take("ACK").text, ack.text);
    bench.hang_up(call);
    let bye = bench.take("BYE");
    assert_eq!((bye.cseq(), bye.header("Call-ID")), (2, invite.header("Call-ID")));
    assert!(assert_ended(&bench, call).rang);
    bench.receive(&bye.answer(200, "", ""));
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn an_answered_call_ends_at_its_limit() {
    let (mut bench, call, ..) = up();
    bench.wait(ms(59_999));
    bench.assert_silent();
    bench.wait(ms(1));
    let bye = bench.take("BYE");
    assert_ended(&bench, call);
    bench.receive(&bye.answer(200, "", ""));
    bench.assert_clean();
}

#[test]
fn the_far_side_hangs_up() {
    let (mut bench, call, invite, _) = up();
    let bye = request(&invite, "BYE", 9, "");
    bench.receive(&bye);
    bench.take("200");
    assert_ended(&bench, call);
    bench.receive(&bye);
    bench.take("200");
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_bye_with_another_tag_or_from_elsewhere_does_not_end_the_call() {
    let (mut bench, _, invite, _) = up();
    let bye = request(&invite, "BYE", 9, "");
    bench.receive(&bye.replace(";tag=a", ";tag=b"));
    bench.take_all();
    let own_tag = parameter(invite.header("From"), "tag").unwrap();
    bench.receive(&bye.replace(own_tag, "0123456789abcdef").replace("BYE9", "BYE8"));
    bench.take_all();
    bench.receive_from("192.0.2.66:5060", bye.as_bytes());
    bench.assert_silent();
    assert!(bench.ends().is_empty());
}

#[test]
fn hold_is_told_and_answered_and_so_is_its_end() {
    let (mut bench, _, invite, _) = up();
    let held = MEDIA.replace("RTP/AVP 0", "RTP/AVP 8 0") + "a=sendonly\r\nm=video 5 RTP/AVP 31\r\n";
    bench.receive(&request(&invite, "INVITE", 5, &held));
    let ok = bench.take("200");
    assert!(ok.body().contains("m=audio 20000 RTP/AVP 0 96\r\n"), "{}", ok.body());
    assert!(ok.body().contains("a=recvonly\r\n") && ok.body().contains("m=video 0 RTP/AVP 31\r\n"));
    assert!(ok.header("Contact").contains("198.51.100.7:5060"));
    assert!(changed(&bench)[0].is_hold());
    bench.receive(&request(&invite, "ACK", 5, ""));
    bench.wait(secs(5));
    bench.assert_silent();
    bench.receive(&request(&invite, "INVITE", 6, MEDIA));
    let ok = bench.take("200");
    assert!(ok.body().contains("m=audio 20000 RTP/AVP 0 96\r\n"), "{}", ok.body());
    assert!(ok.body().contains("a=sendrecv\r\n"));
    assert_eq!((changed(&bench).len(), changed(&bench)[1].is_hold()), (2, false));
    bench.receive(&request(&invite, "ACK", 6, ""));
    // The next request goes to the Contact that the far side has by now.
    bench.wait(secs(55));
    assert_eq!(bench.take("BYE").request_uri(), "sip:phone@192.0.2.10:5090");
}

#[test]
fn our_200_is_repeated_until_its_ack_and_a_call_without_it_is_hung_up() {
    let (mut bench, call, invite, _) = up();
    bench.receive(&request(&invite, "INVITE", 5, MEDIA));
    let ok = bench.take("200");
    bench.wait(ms(500));
    assert_eq!(bench.take("200").text, ok.text);
    bench.wait(ms(31_499));
    assert_eq!(bench.take_all().iter().filter(|sent| sent.kind() == "200").count(), 9);
    bench.wait(ms(1));
    let bye = bench.take("BYE");
    assert_ended(&bench, call);
    bench.receive(&bye.answer(200, "", ""));
    bench.assert_clean();
}

#[test]
fn an_offer_that_cannot_be_spoken_or_points_elsewhere_is_refused_and_the_call_goes_on() {
    let (mut bench, _, invite, _) = up();
    for (cseq, body) in [
        (5, MEDIA.replace("RTP/AVP 0 96", "RTP/AVP 18")),
        (6, MEDIA.replace("c=IN IP4 192.0.2.10", "c=IN IP4 203.0.113.77")),
    ] {
        bench.receive(&request(&invite, "INVITE", cseq, &body));
        bench.take("488");
        bench.receive(&request(&invite, "ACK", cseq, ""));
    }
    bench.receive(&request(&invite, "INVITE", 6, MEDIA).replace("INVITE6", "again"));
    bench.take("500");
    assert!(bench.ends().is_empty() && changed(&bench).is_empty());
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_its_ack_brings_the_answer() {
    let (mut bench, _, invite, _) = up();
    bench.receive(&request(&invite, "INVITE", 5, ""));
    let ok = bench.take("200");
    assert!(ok.body().contains("m=audio 20000 RTP/AVP 8 0 101\r\n"));
    bench.receive(&request(&invite, "ACK", 5, &MEDIA.replace("40000", "40002")));
    assert_eq!(changed(&bench)[0].address, address("192.0.2.10:40002"));
}

#[test]
fn an_answer_that_points_outside_the_trunk_is_released_at_once() {
    for media in [MEDIA.replace("c=IN IP4 192.0.2.10", "c=IN IP4 203.0.113.77"), String::new()] {
        let mut bench = Bench::new();
        let (call, invite) = place(&mut bench);
        bench.receive(&invite.answer_with_body(200, "a", CONTACT, &media));
        let sent = bench.take_all();
        assert_eq!((sent.len(), sent[1].kind()), (2, "BYE"));
        assert!(answered(&bench).is_empty());
        assert_ended(&bench, call);
        bench.receive(&sent[1].answer(200, "", ""));
        bench.assert_clean();
    }
}

#[test]
fn audio_may_go_to_a_network_that_the_operator_names() {
    let mut settings = trunk_settings();
    settings.media_networks = vec![sip::Network::parse("203.0.113.64/26").unwrap()];
    for (media, is_up) in [("203.0.113.77", true), ("203.0.113.7", false)] {
        let mut bench = Bench::with(settings.clone());
        let (_, invite) = place(&mut bench);
        let media = MEDIA.replace("c=IN IP4 192.0.2.10", &format!("c=IN IP4 {media}"));
        bench.receive(&invite.answer_with_body(200, "a", CONTACT, &media));
        assert_eq!(!answered(&bench).is_empty(), is_up);
    }
}

#[test]
fn the_description_of_a_183_serves_a_200_without_one() {
    let mut bench = Bench::new();
    let (_, invite) = place(&mut bench);
    bench.receive(&invite.answer_with_body(183, "a", CONTACT, MEDIA));
    bench.receive(&invite.answer(200, "a", CONTACT));
    bench.take("ACK");
    assert_eq!(answered(&bench)[0].address, address("192.0.2.10:40000"));
}

#[test]
fn a_second_phone_that_answers_is_released_and_the_first_stays() {
    let (mut bench, call, invite, _) = up();
    bench.receive(&invite.answer_with_body(200, "b", CONTACT, MEDIA));
    let sent = bench.take_all();
    assert_eq!((sent[0].kind(), sent[1].kind()), ("ACK", "BYE"));
    assert!(sent[1].header("To").ends_with(";tag=b"));
    bench.receive(&sent[1].answer(200, "", ""));
    assert!(bench.ends().is_empty());
    bench.hang_up(call);
    assert!(bench.take("BYE").header("To").ends_with(";tag=a"));
}

#[test]
fn a_200_across_our_cancel_is_released() {
    let mut bench = Bench::new();
    let (call, invite) = place(&mut bench);
    bench.receive(&invite.answer(180, "a", ""));
    bench.hang_up(call);
    let cancel = bench.take("CANCEL");
    bench.receive(&invite.answer_with_body(200, "a", CONTACT, MEDIA));
    let sent = bench.take_all();
    assert_eq!((sent[0].kind(), sent[1].kind()), ("ACK", "BYE"));
    assert!(answered(&bench).is_empty());
    assert_eq!(bench.end().outcome, CallOutcome::Answered);
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&sent[1].answer(200, "", ""));
    bench.assert_clean();
}

#[test]
fn a_shutdown_hangs_up_what_is_up() {
    let (mut bench, call, ..) = up();
    bench.ua.shut_down(bench.now);
    bench.drain();
    let bye = bench.take("BYE");
    assert_ended(&bench, call);
    bench.receive(&bye.answer(200, "", ""));
    assert_eq!(bench.count(|event| *event == Event::ShutDown), 1);
}
