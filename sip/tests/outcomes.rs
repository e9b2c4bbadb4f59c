//! The table of outcomes: what came, what it means, what follows.

use dozvon_sip::outcome::{CallEnd, CallFacts, CallOutcome, Follow, Stop, usual_cause};

/// Statuses, the causes of their Reason, what they mean, what follows.
type Row = (&'static [u16], &'static [Option<u8>], CallOutcome, Follow);

/// A final response, nothing else.
fn facts(rang: bool, status: u16, cause: Option<u8>) -> CallFacts {
    let end = CallEnd::Final { status, cause };
    CallFacts { rang, diverted: false, stop: None, end }
}

#[test]
fn every_row_of_the_table_of_final_responses_has_its_outcome_and_what_follows() {
    use CallOutcome::*;
    use Follow::*;
    let rows: &[Row] = &[
        (&[200, 202, 299], &[None], Answered, End),
        (&[486, 600], &[None, Some(17)], Busy, NextChannel),
        (&[480, 500, 502, 503], &[Some(17)], Busy, NextChannel),
        (&[404], &[None], Unallocated, NextTrunkOnce),
        (&[404], &[Some(1)], Unallocated, NextChannel),
        (&[604], &[None, Some(1)], Unallocated, NextChannel),
        (&[480, 503], &[Some(1)], Unallocated, NextChannel),
        (&[404], &[Some(2), Some(3)], NoRoute, NextTrunk),
        (&[410], &[None, Some(22)], Changed, End),
        (&[484], &[None, Some(28)], BadNumber, End),
        (
            &[480],
            &[Some(18), Some(19), Some(20), Some(27), Some(31), None, Some(127)],
            Unreachable,
            NextChannel,
        ),
        (&[502], &[Some(27)], Unreachable, NextChannel),
        (&[480], &[Some(34), Some(38), Some(41), Some(42), Some(47)], Congestion, NextTrunk),
        (&[408, 504], &[None, Some(102)], TrunkTimeout, NextTarget),
        (&[603, 607, 608], &[None, Some(21)], Blocked, End),
        (&[403], &[Some(21)], Blocked, End),
        (&[403], &[None, Some(1), Some(57)], TrunkForbids, NextTrunk),
        (&[402], &[None], NoFunds, NextTrunk),
        (&[401, 407], &[None], AuthFailed, NextTrunk),
        (&[428, 436, 437, 438], &[None], Identity, NextTrunk),
        (&[500, 502], &[None, Some(127)], TrunkError, NextTrunk),
        (&[505, 555, 580, 599], &[None], TrunkError, NextTrunk),
        (&[503], &[None, Some(34), Some(127)], Congestion, NextTarget),
        (&[488, 606, 415, 420, 421, 422, 413, 513], &[None], Format, NextTrunk),
        (&[300, 301, 302, 380, 399], &[None], TrunkProtocol, NextTrunk),
        (&[482, 483, 400, 416, 481, 405, 501], &[None], TrunkProtocol, NextTrunk),
        (&[418, 430, 487, 491, 499], &[None], TrunkProtocol, NextTrunk),
        (&[601, 605, 699], &[None], Busy, NextChannel),
    ];
    let mut seen = 0;
    for (statuses, causes, outcome, follow) in rows {
        for &status in *statuses {
            for &cause in *causes {
                let got = facts(false, status, cause).outcome();
                assert_eq!(got, *outcome, "{status} with cause {cause:?}");
                assert_eq!(got.follow(Some(status), cause), *follow, "{status} with {cause:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 96);
}

#[test]
fn every_way_without_a_final_response_has_its_outcome() {
    use CallOutcome::*;
    let silence = |rang, stop| CallFacts { rang, diverted: false, stop, end: CallEnd::Silence };
    let rows = [
        (silence(false, None), TrunkTimeout),
        (silence(false, Some(Stop::NoAnswer)), TrunkTimeout),
        (silence(false, Some(Stop::NoRingLimit)), NoRing),
        (silence(false, Some(Stop::CallLimit)), NoRing),
        (silence(false, Some(Stop::HungUp)), Canceled),
        (silence(true, Some(Stop::LateRing)), LateRing),
        (silence(true, Some(Stop::RingLimit)), Rang),
        (silence(true, Some(Stop::HungUp)), Rang),
        (silence(true, None), Rang),
        (CallFacts { end: CallEnd::TransportError, ..silence(false, None) }, TrunkDown),
        (CallFacts { end: CallEnd::TransportError, ..silence(true, None) }, Rang),
        (CallFacts { diverted: true, ..silence(false, None) }, Diverted),
        (CallFacts { diverted: true, ..silence(true, Some(Stop::RingLimit)) }, Diverted),
    ];
    for (facts, outcome) in rows {
        assert_eq!(facts.outcome(), outcome, "{facts:?}");
    }
}

#[test]
fn a_call_that_rang_is_rang_whatever_ends_it_but_an_answer() {
    for status in 300..700 {
        for stop in [None, Some(Stop::RingLimit), Some(Stop::CallLimit), Some(Stop::HungUp)] {
            let facts = CallFacts { stop, ..facts(true, status, None) };
            assert_eq!(facts.outcome(), CallOutcome::Rang, "{facts:?}");
        }
    }
    assert_eq!(facts(true, 200, None).outcome(), CallOutcome::Answered);
}

#[test]
fn a_diverted_call_stays_diverted_when_a_200_crosses_the_cancel() {
    let facts = CallFacts { diverted: true, ..facts(false, 200, None) };
    assert_eq!(facts.outcome(), CallOutcome::Diverted);
}

#[test]
fn the_end_that_crosses_a_cancel_says_more_than_the_cancel() {
    let stop = Some(Stop::NoRingLimit);
    let crossed = |status| CallFacts { stop, ..facts(false, status, None) }.outcome();
    assert_eq!(crossed(487), CallOutcome::NoRing);
    assert_eq!(crossed(408), CallOutcome::NoRing);
    assert_eq!(crossed(486), CallOutcome::Busy);
    assert_eq!(crossed(200), CallOutcome::Answered);
}

#[test]
fn nothing_follows_a_call_that_may_have_shown_the_code_to_its_callee() {
    assert_eq!(CallOutcome::Rang.follow(Some(487), None), Follow::End);
    assert_eq!(CallOutcome::Answered.follow(Some(200), None), Follow::End);
    for outcome in CallOutcome::ALL {
        // Every outcome has its advice, and none of it depends on a cause but for a 404.
        let advice = outcome.follow(None, None);
        assert_eq!(advice, outcome.follow(None, Some(1)), "{outcome:?}");
    }
}

#[test]
fn the_usual_causes_are_those_of_rfc_3398() {
    let known: Vec<_> =
        (400..700).filter_map(|status| Some((status, usual_cause(status)?))).collect();
    assert_eq!(known.len(), 36);
    for (status, cause) in [(404, 1), (480, 18), (486, 17), (503, 41), (408, 102), (603, 21)] {
        assert_eq!(usual_cause(status), Some(cause));
    }
    assert_eq!(usual_cause(487), None);
    assert_eq!(usual_cause(488), None);
}
