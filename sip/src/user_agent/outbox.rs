//! What waits to be sent: bytes in one buffer that is used again and again.

use std::collections::VecDeque;

use crate::message::WriteFault;
use crate::transport::Transmit;

/// Room that is kept for the next burst; what is above it is given back when the box is empty.
const KEPT_BYTES: usize = 256 * 1024;

/// Messages in the order in which they are to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// All messages that wait, one behind the other.
    bytes: Vec<u8>,
    /// Where the first one that waits starts in `bytes`.
    taken: usize,
    queue: VecDeque<(Transmit, usize)>,
    /// Requests that could not be built, because a value from the settings or from the far side
    /// could have left its place in them.
    unbuildable: u64,
}

impl Outbox {
    /// Adds the message that `write` appends to the buffer, and gives its bytes back for keeping.
    /// When it cannot be built nothing is sent and `None` comes back.
    pub(crate) fn write(
        &mut self,
        transmit: Transmit,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteFault>,
    ) -> Option<&[u8]> {
        let start = self.bytes.len();
        if write(&mut self.bytes).is_err() {
            self.bytes.truncate(start);
            self.unbuildable += 1;
            return None;
        }
        self.queue.push_back((transmit, self.bytes.len() - start));
        Some(&self.bytes[start..])
    }

    /// Takes the message that was added last out again.
    pub(crate) fn take_back(&mut self) {
        if let Some((_, length)) = self.queue.pop_back() {
            self.bytes.truncate(self.bytes.len() - length);
        }
    }

    /// Adds a message that was built before.
    pub(crate) fn send(&mut self, transmit: Transmit, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.queue.push_back((transmit, message.len()));
    }

    /// Moves the next message into `out`, in place of what was there.
    pub(crate) fn poll(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let (transmit, length) = self.queue.pop_front()?;
        out.clear();
        out.extend_from_slice(&self.bytes[self.taken..self.taken + length]);
        self.taken += length;
        if self.queue.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.taken = 0;
        }
        Some(transmit)
    }

    /// How many messages could not be built.
    pub(crate) fn unbuildable(&self) -> u64 {
        self.unbuildable
    }
}
