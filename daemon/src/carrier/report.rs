//! What the simulator tells, one JSON object a line.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which way a message went, seen from the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the carrier.
    In,
    /// From the carrier.
    Out,
}

/// One line of what was seen. Numbers stand in clear: this is the handset's own view, and the
/// simulator carries no real calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Report {
    /// The socket is bound.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A message crossed the wire.
    Message {
        /// Since the start of the simulator, in milliseconds.
        t_ms: u64,
        /// Which way.
        direction: Direction,
        /// Its first line in short: `INVITE`, or `180 Ringing`.
        line: String,
        /// Method of its CSeq.
        method: String,
        /// Its Call-ID.
        call: String,
        /// Whether its bytes had been seen before.
        repeated: bool,
    },
    /// A trunk registered, refreshed, or removed its binding (`expires_s` is 0).
    Registered {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Contact.
        contact: String,
        /// What was granted, in seconds.
        expires_s: u32,
    },
    /// A handset got an INVITE.
    Invited {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
        /// The dialled number.
        called: String,
        /// What the handset shows: P-Asserted-Identity, else From.
        caller_id: String,
        /// What From says.
        from: String,
    },
    /// A handset rings.
    Ringing {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
    },
    /// A handset stopped.
    Ended {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
        /// Final status of the INVITE, 0 when none was sent.
        status: u16,
        /// Whether a CANCEL ended it.
        cancelled: bool,
        /// Whether the final response was acknowledged.
        acknowledged: bool,
        /// Times that this INVITE was seen beyond the first.
        repeated_invites: u32,
        /// How long it rang, in milliseconds.
        rang_ms: u64,
    },
    /// A call of somebody on the network to the gateway is over.
    Called {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
        /// Who called.
        from: String,
        /// Whom.
        to: String,
        /// What the gateway answered; 0: nothing, or nobody is registered.
        status: u16,
    },
    /// A text of somebody on the network to the gateway was answered.
    Texted {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
        /// Who wrote.
        from: String,
        /// To whom.
        to: String,
        /// What the gateway answered; 0: nothing, or nobody is registered.
        status: u16,
    },
    /// A handset that was answered heard this, until the far side hung up.
    Heard {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// Its Call-ID.
        call: String,
        /// RTP packets that came.
        packets: u32,
        /// Those that are missing between the first and the last.
        lost: u32,
        /// How far a packet was off the pace of 20 ms at most, in milliseconds.
        jitter_ms: u64,
        /// The digits that were said, a text for each time.
        codes: Vec<String>,
    },
    /// A text arrived.
    Text {
        /// Since the start, in milliseconds.
        t_ms: u64,
        /// The number it was sent to.
        called: String,
        /// The user part of From.
        from: String,
        /// Its text.
        text: String,
    },
    /// People's mail server is bound.
    MailListening {
        /// Where.
        address: SocketAddr,
    },
    /// A command, an answer or a letter crossed to or from the mail server.
    Smtp {
        /// Since the start of the mail server, in milliseconds.
        t_ms: u64,
        /// Who speaks with it.
        client: SocketAddr,
        /// Which way.
        direction: Direction,
        /// The line; of a letter its size.
        line: String,
    },
    /// A letter arrived.
    Letter {
        /// Since the start of the mail server, in milliseconds.
        t_ms: u64,
        /// The envelope's sender.
        from: String,
        /// The mailbox.
        to: String,
        /// Its subject.
        subject: String,
        /// Its plain text.
        text: String,
    },
}
