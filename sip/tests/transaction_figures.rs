//! The four machines of RFC 3261 section 17 as tables that can be laid beside figures 5 to 8 and
//! beside RFC 6026, and their timing in virtual time.

use std::time::{Duration, Instant};

use dozvon_sip as sip;
use sip::timer::{Timer, Timings};
use sip::transaction::{
    ClientInput, ClientSend, ClientStep, ClientTell, InviteClient, InviteServer, NonInviteClient,
    NonInviteServer, ServerInput, ServerStep, Terms,
};

const TIMERS: [Timer; 12] = [
    Timer::A,
    Timer::B,
    Timer::D,
    Timer::E,
    Timer::F,
    Timer::G,
    Timer::H,
    Timer::I,
    Timer::J,
    Timer::K,
    Timer::L,
    Timer::M,
];

fn epoch() -> Instant {
    // The only instant a test can name without reading a clock is one it reads once; nothing
    // depends on which it is.
    #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
    Instant::now()
}

fn udp() -> Terms {
    Terms { timings: Timings::default(), reliable: false }
}

fn tcp() -> Terms {
    Terms { timings: Timings::default(), reliable: true }
}

fn client_inputs() -> Vec<ClientInput> {
    let mut inputs = vec![
        ClientInput::Provisional,
        ClientInput::Success,
        ClientInput::Failure,
        ClientInput::TransportError,
    ];
    inputs.extend(TIMERS.map(ClientInput::Fired));
    inputs
}

fn server_inputs() -> Vec<ServerInput> {
    let mut inputs = vec![
        ServerInput::Request,
        ServerInput::Ack,
        ServerInput::Provisional,
        ServerInput::Success,
        ServerInput::Failure,
        ServerInput::TransportError,
    ];
    inputs.extend(TIMERS.map(ServerInput::Fired));
    inputs
}

/// The name of a state, which is what a figure shows of it.
fn name(state: &impl std::fmt::Debug) -> String {
    let text = format!("{state:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

const NOTHING: ClientStep = ClientStep { send: None, tell: None };
const TELL: ClientStep = ClientStep { send: None, tell: Some(ClientTell::Response) };
const TIMEOUT: ClientStep = ClientStep { send: None, tell: Some(ClientTell::Timeout) };
const BROKEN: ClientStep = ClientStep { send: None, tell: Some(ClientTell::TransportError) };
const REPEAT: ClientStep = ClientStep { send: Some(ClientSend::Request), tell: None };
const ACK: ClientStep = ClientStep { send: Some(ClientSend::Ack), tell: None };
const ACK_AND_TELL: ClientStep =
    ClientStep { send: Some(ClientSend::Ack), tell: Some(ClientTell::Response) };

#[test]
fn figure_5_the_invite_client_with_rfc_6026() {
    use ClientInput::{Failure, Fired, Provisional, Success, TransportError};
    let table = [
        ("Calling", Fired(Timer::A), "Calling", REPEAT),
        ("Calling", Fired(Timer::B), "Terminated", TIMEOUT),
        ("Calling", TransportError, "Terminated", BROKEN),
        ("Calling", Provisional, "Proceeding", TELL),
        ("Calling", Success, "Accepted", TELL),
        ("Calling", Failure, "Completed", ACK_AND_TELL),
        ("Proceeding", Provisional, "Proceeding", TELL),
        ("Proceeding", Success, "Accepted", TELL),
        ("Proceeding", Failure, "Completed", ACK_AND_TELL),
        ("Completed", Failure, "Completed", ACK),
        ("Completed", TransportError, "Terminated", BROKEN),
        ("Completed", Fired(Timer::D), "Terminated", NOTHING),
        ("Accepted", Success, "Accepted", TELL),
        ("Accepted", Fired(Timer::M), "Terminated", NOTHING),
    ];
    let now = epoch();
    let reach = |state: &str| {
        let mut machine = InviteClient::start(now, &udp());
        let inputs: &[ClientInput] = match state {
            "Calling" => &[],
            "Proceeding" => &[Provisional],
            "Completed" => &[Failure],
            "Accepted" => &[Success],
            _ => &[TransportError],
        };
        for input in inputs {
            let _: ClientStep = machine.step(now, &udp(), *input);
        }
        machine
    };
    let mut pairs = 0;
    for state in ["Calling", "Proceeding", "Completed", "Accepted", "Terminated"] {
        for input in client_inputs() {
            let mut machine = reach(state);
            assert_eq!(name(&machine), state);
            let step = machine.step(now, &udp(), input);
            let row = table.iter().find(|row| row.0 == state && row.1 == input);
            let (to, expected) = row.map_or((state, NOTHING), |row| (row.2, row.3));
            assert_eq!((name(&machine).as_str(), step), (to, expected), "{state} on {input:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 5 * 16);
}

#[test]
fn figure_6_the_non_invite_client() {
    use ClientInput::{Failure, Fired, Provisional, Success, TransportError};
    let table = [
        ("Trying", Fired(Timer::E), "Trying", REPEAT),
        ("Trying", Fired(Timer::F), "Terminated", TIMEOUT),
        ("Trying", TransportError, "Terminated", BROKEN),
        ("Trying", Provisional, "Proceeding", TELL),
        ("Trying", Success, "Completed", TELL),
        ("Trying", Failure, "Completed", TELL),
        ("Proceeding", Fired(Timer::E), "Proceeding", REPEAT),
        ("Proceeding", Fired(Timer::F), "Terminated", TIMEOUT),
        ("Proceeding", TransportError, "Terminated", BROKEN),
        ("Proceeding", Provisional, "Proceeding", TELL),
        ("Proceeding", Success, "Completed", TELL),
        ("Proceeding", Failure, "Completed", TELL),
        ("Completed", Fired(Timer::K), "Terminated", NOTHING),
    ];
    let now = epoch();
    let reach = |state: &str| {
        let mut machine = NonInviteClient::start(now, &udp());
        let inputs: &[ClientInput] = match state {
            "Trying" => &[],
            "Proceeding" => &[Provisional],
            "Completed" => &[Success],
            _ => &[TransportError],
        };
        for input in inputs {
            let _: ClientStep = machine.step(now, &udp(), *input);
        }
        machine
    };
    let mut pairs = 0;
    for state in ["Trying", "Proceeding", "Completed", "Terminated"] {
        for input in client_inputs() {
            let mut machine = reach(state);
            assert_eq!(name(&machine), state);
            let step = machine.step(now, &udp(), input);
            let row = table.iter().find(|row| row.0 == state && row.1 == input);
            let (to, expected) = row.map_or((state, NOTHING), |row| (row.2, row.3));
            assert_eq!((name(&machine).as_str(), step), (to, expected), "{state} on {input:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 4 * 16);
}

#[test]
fn figure_7_the_invite_server_with_rfc_6026() {
    use ServerInput::{Ack, Failure, Fired, Provisional, Request, Success, TransportError};
    use ServerStep::{Nothing, Respond, TellAck, TellTimeout, TellTransportError};
    let table = [
        ("Proceeding", Request, "Proceeding", Respond),
        ("Proceeding", Provisional, "Proceeding", Respond),
        ("Proceeding", Success, "Accepted", Respond),
        ("Proceeding", Failure, "Completed", Respond),
        ("Proceeding", TransportError, "Terminated", TellTransportError),
        ("Completed", Request, "Completed", Respond),
        ("Completed", Fired(Timer::G), "Completed", Respond),
        ("Completed", Fired(Timer::H), "Terminated", TellTimeout),
        ("Completed", TransportError, "Terminated", TellTransportError),
        ("Completed", Ack, "Confirmed", Nothing),
        ("Confirmed", Fired(Timer::I), "Terminated", Nothing),
        ("Accepted", Success, "Accepted", Respond),
        ("Accepted", Ack, "Accepted", TellAck),
        ("Accepted", TransportError, "Accepted", TellTransportError),
        ("Accepted", Fired(Timer::L), "Terminated", Nothing),
    ];
    let now = epoch();
    let reach = |state: &str| {
        let mut machine = InviteServer::start();
        let _: ServerStep = machine.step(now, &udp(), Provisional);
        let inputs: &[ServerInput] = match state {
            "Proceeding" => &[],
            "Completed" => &[Failure],
            "Confirmed" => &[Failure, Ack],
            "Accepted" => &[Success],
            _ => &[TransportError],
        };
        for input in inputs {
            let _: ServerStep = machine.step(now, &udp(), *input);
        }
        machine
    };
    let mut pairs = 0;
    for state in ["Proceeding", "Completed", "Confirmed", "Accepted", "Terminated"] {
        for input in server_inputs() {
            let mut machine = reach(state);
            assert_eq!(name(&machine), state);
            let step = machine.step(now, &udp(), input);
            let row = table.iter().find(|row| row.0 == state && row.1 == input);
            let (to, expected) = row.map_or((state, Nothing), |row| (row.2, row.3));
            assert_eq!((name(&machine).as_str(), step), (to, expected), "{state} on {input:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 5 * 18);
}

#[test]
fn figure_8_the_non_invite_server() {
    use ServerInput::{Failure, Fired, Provisional, Request, Success, TransportError};
    use ServerStep::{Nothing, Respond, TellTransportError};
    let table = [
        ("Trying", Provisional, "Proceeding", Respond),
        ("Trying", Success, "Completed", Respond),
        ("Trying", Failure, "Completed", Respond),
        ("Proceeding", Provisional, "Proceeding", Respond),
        ("Proceeding", Request, "Proceeding", Respond),
        ("Proceeding", Success, "Completed", Respond),
        ("Proceeding", Failure, "Completed", Respond),
        ("Proceeding", TransportError, "Terminated", TellTransportError),
        ("Completed", Request, "Completed", Respond),
        ("Completed", TransportError, "Terminated", TellTransportError),
        ("Completed", Fired(Timer::J), "Terminated", Nothing),
    ];
    let now = epoch();
    let reach = |state: &str| {
        let mut machine = NonInviteServer::start();
        let inputs: &[ServerInput] = match state {
            "Trying" => &[],
            "Proceeding" => &[Provisional],
            "Completed" => &[Success],
            _ => &[Success, TransportError],
        };
        for input in inputs {
            let _: ServerStep = machine.step(now, &udp(), *input);
        }
        machine
    };
    let mut pairs = 0;
    for state in ["Trying", "Proceeding", "Completed", "Terminated"] {
        for input in server_inputs() {
            let mut machine = reach(state);
            assert_eq!(name(&machine), state);
            let step = machine.step(now, &udp(), input);
            let row = table.iter().find(|row| row.0 == state && row.1 == input);
            let (to, expected) = row.map_or((state, Nothing), |row| (row.2, row.3));
            assert_eq!((name(&machine).as_str(), step), (to, expected), "{state} on {input:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 4 * 18);
}

/// Runs an INVITE client until it ends and lists what it sent, in milliseconds since the start.
fn run_invite_client(
    machine: &mut InviteClient,
    from: Instant,
    terms: &Terms,
) -> (Vec<u128>, u128) {
    let mut sent = Vec::new();
    let mut now = from;
    while let Some(at) = machine.deadline() {
        now = at;
        let timer = machine.due(now).expect("a deadline belongs to a timer");
        if machine.step(now, terms, ClientInput::Fired(timer)).send.is_some() {
            sent.push((now - from).as_millis());
        }
    }
    (sent, (now - from).as_millis())
}

#[test]
fn a_silent_invite_is_repeated_at_doubling_intervals_until_timer_b() {
    let now = epoch();
    let mut machine = InviteClient::start(now, &udp());
    let (sent, end) = run_invite_client(&mut machine, now, &udp());
    assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(end, 32_000);
}

#[test]
fn a_silenced_invite_is_not_repeated_but_timer_b_stays() {
    let now = epoch();
    let mut machine = InviteClient::start(now, &udp());
    machine.silence();
    assert_eq!(run_invite_client(&mut machine, now, &udp()), (vec![], 32_000));
}

#[test]
fn nothing_is_repeated_over_a_reliable_transport() {
    let now = epoch();
    let mut machine = InviteClient::start(now, &tcp());
    assert_eq!(run_invite_client(&mut machine, now, &tcp()), (vec![], 32_000));
    let mut machine = InviteClient::start(now, &tcp());
    machine.step(now, &tcp(), ClientInput::Failure);
    assert_eq!(machine.due(now), Some(Timer::D));
}

#[test]
fn a_silent_request_is_repeated_up_to_every_t2_until_timer_f() {
    let from = epoch();
    let mut machine = NonInviteClient::start(from, &udp());
    let mut sent = Vec::new();
    let mut now = from;
    while let Some(at) = machine.deadline() {
        now = at;
        let timer = machine.due(now).expect("a deadline belongs to a timer");
        if machine.step(now, &udp(), ClientInput::Fired(timer)).send.is_some() {
            sent.push((now - from).as_millis());
        }
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!((now - from).as_millis(), 32_000);
}

#[test]
fn a_failure_is_repeated_until_its_ack_or_timer_h() {
    let from = epoch();
    let mut machine = InviteServer::start();
    assert_eq!(machine.step(from, &udp(), ServerInput::Failure), ServerStep::Respond);
    let mut sent = Vec::new();
    let mut now = from;
    while let Some(at) = machine.deadline() {
        now = at;
        let timer = machine.due(now).expect("a deadline belongs to a timer");
        match machine.step(now, &udp(), ServerInput::Fired(timer)) {
            ServerStep::Respond => sent.push((now - from).as_millis()),
            other => assert_eq!(other, ServerStep::TellTimeout),
        }
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!((now - from).as_millis(), 32_000);
}

#[test]
fn a_driver_that_woke_late_repeats_once_and_not_in_a_burst() {
    let from = epoch();
    let mut machine = InviteClient::start(from, &udp());
    let late = from + Duration::from_secs(10);
    let mut sent = 0;
    while let Some(timer) = machine.due(late) {
        sent += usize::from(machine.step(late, &udp(), ClientInput::Fired(timer)).send.is_some());
    }
    assert_eq!(sent, 1);
}
