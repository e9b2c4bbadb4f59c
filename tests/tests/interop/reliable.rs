//! SIPp as a carrier whose provisional answers are reliable (RFC 3262).

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Setup};
use dozvon_tests::sipp::Scenario;

use crate::run::Run;

async fn run(scenario: &str, rel100: &str) -> Option<Run> {
    let keys = format!("rel100 = \"{rel100}\"\n");
    let offering = |carrier| Setup::new(Engine::Sqlite).static_trunk_with("north", carrier, &keys);
    Run::over(Scenario::named(scenario), offering).await
}

/// What a PRACK acknowledges, and its own number.
fn acknowledges(prack: &Captured) -> (String, u32) {
    let (cseq, method) = prack.cseq().expect("CSeq");
    assert_eq!(method, "PRACK");
    assert!(prack.start_line().starts_with("PRACK sip:handset@"), "{}", prack.start_line());
    (prack.header("RAck").expect("RAck"), cseq)
}

#[tokio::test]
async fn each_reliable_answer_is_acknowledged_in_order_and_the_call_rings() {
    for (word, header) in [("supported", "Supported"), ("required", "Require")] {
        let Some(run) = run("reliable_ring", word).await else { return };
        run.shows("rang", "rang");
        assert_eq!(run.timeline(), ["invite", "100", "183", "180", "cancel", "487"]);
        let methods = ["INVITE", "PRACK", "PRACK", "CANCEL", "ACK"];
        let messages = run.carrier_saw(&methods).await;
        let invite = requests(&messages, "INVITE")[0];
        assert_eq!(invite.header(header).as_deref(), Some("100rel"));
        let pracks: Vec<_> = requests(&messages, "PRACK").into_iter().map(acknowledges).collect();
        assert_eq!(pracks, [("7 1 INVITE".to_owned(), 2), ("8 1 INVITE".to_owned(), 3)]);
        // The CANCEL belongs to the INVITE, whatever was counted in the early dialog.
        let cancel = requests(&messages, "CANCEL")[0];
        assert_eq!(cancel.cseq(), Some((1, "CANCEL".to_owned())));
        run.code_is_checkable(&messages, true).await;
    }
}

#[tokio::test]
async fn a_421_is_mended_once_by_an_invite_that_takes_reliable_answers() {
    let Some(run) = run("reliable_is_required", "off").await else { return };
    run.shows("rang", "rang");
    let methods = ["INVITE", "ACK", "INVITE", "PRACK", "CANCEL", "ACK"];
    let messages = run.carrier_saw(&methods).await;
    let invites = requests(&messages, "INVITE");
    assert_eq!(invites[0].header("Supported"), None);
    assert_eq!(invites[1].header("Supported").as_deref(), Some("100rel"));
    let prack = requests(&messages, "PRACK")[0];
    assert_eq!(acknowledges(prack), ("1 2 INVITE".to_owned(), 3));
}
