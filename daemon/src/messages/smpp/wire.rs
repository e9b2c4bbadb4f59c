//! Commands over a byte stream. A command that cannot be read costs only itself.

use std::io;
use std::time::Duration;

use rusmpp::Command;
use rusmpp::tokio_codec::CommandCodec;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

/// The header of a command (SMPP 3.4 section 3.2).
const HEADER: usize = 16;
/// Longest command: `message_payload` has 64 KiB.
const COMMAND_LIMIT: usize = 70_000;
/// How long the far side may take to read what we write.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// What arrived.
pub(super) enum Frame {
    /// A command.
    Command(Box<Command>),
    /// One that is not as the protocol has it.
    Unreadable {
        /// Its number, for the answer.
        sequence: u32,
        /// Whether it was an answer itself, to which there is none.
        is_response: bool,
    },
}

/// A stream of commands.
pub(super) struct Wire<S> {
    stream: S,
    arrived: BytesMut,
    leaving: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, arrived: BytesMut::new(), leaving: BytesMut::new() }
    }

    /// The next command. Cancel-safe. An error: the stream is of no use any more.
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.arrived).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some((header, _)) = self.arrived.split_first_chunk::<HEADER>() else { return Ok(None) };
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|place| header[at + place]));
        let (length, id, sequence) = (word(0) as usize, word(4), word(12));
        if !(HEADER..=COMMAND_LIMIT).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a command of no length"));
        }
        if self.arrived.len() < length {
            return Ok(None);
        }
        let mut command = self.arrived.split_to(length);
        let read = CommandCodec::new().without_max_length().decode(&mut command);
        Ok(Some(match read {
            Ok(Some(command)) => Frame::Command(Box::new(command)),
            Ok(None) | Err(_) => Frame::Unreadable { sequence, is_response: id >> 31 == 1 },
        }))
    }

    /// Writes a command. An error: it may have left in part.
    pub(super) async fn send(&mut self, command: &Command) -> io::Result<()> {
        self.leaving.clear();
        CommandCodec::new().encode(command, &mut self.leaving).map_err(io::Error::other)?;
        let write = async {
            self.stream.write_all(&self.leaving).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(WRITE_DEADLINE, write).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusmpp::{CommandStatus, Pdu};

    #[tokio::test]
    async fn a_command_that_cannot_be_read_costs_only_itself() {
        let (mut far, near) = tokio::io::duplex(4096);
        let mut wire = Wire::new(near);
        // A deliver_sm whose body ends in its first field, then an enquire_link, in two pieces.
        let broken = [0, 0, 0, 18, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1];
        let asked = [0, 0, 0, 16, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 10];
        far.write_all(&broken).await.unwrap();
        far.write_all(&asked[..7]).await.unwrap();
        let first = wire.next().await.unwrap();
        assert!(matches!(first, Frame::Unreadable { sequence: 9, is_response: false }));
        far.write_all(&asked[7..]).await.unwrap();
        let Frame::Command(second) = wire.next().await.unwrap() else { panic!("it is whole") };
        assert_eq!((second.sequence_number(), second.pdu()), (10, Some(&Pdu::EnquireLink)));
        wire.send(&Command::new(CommandStatus::EsmeRok, 10, Pdu::EnquireLinkResp)).await.unwrap();
        let mut answer = [0; 16];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[4..8], [0x80, 0, 0, 21]);
    }

    #[tokio::test]
    async fn a_length_that_cannot_be_ends_the_stream() {
        for length in [0_u32, 15, 70_001, u32::MAX] {
            let (mut far, near) = tokio::io::duplex(64);
            far.write_all(&length.to_be_bytes()).await.unwrap();
            far.write_all(&[0; 12]).await.unwrap();
            assert!(Wire::new(near).next().await.is_err(), "{length}");
        }
    }
}
