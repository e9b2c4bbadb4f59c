//! Telephone events that come in (RFC 4733): which keys were pressed.

/// What is remembered of the events of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    last: Option<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    /// The RTP timestamp, which all packets of an event share.
    timestamp: u32,
    code: u8,
    duration: u16,
    has_ended: bool,
}

/// The longest duration of one segment; a longer press goes on in another (RFC 4733 section
/// 2.5.1.3).
const SEGMENT: u16 = u16::MAX;

impl Events {
    /// Takes one packet. Answers the key at the first packet of its event, whichever that is: the
    /// first ones may be lost, and the last comes three times.
    pub(super) fn take(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let &[code, flags, high, low, ..] = payload else { return None };
        let event = Event {
            timestamp,
            code,
            duration: u16::from_be_bytes([high, low]),
            has_ended: flags & 0x80 != 0,
        };
        if let Some(last) = &mut self.last {
            let since = timestamp.wrapping_sub(last.timestamp);
            if since == 0 {
                last.duration = last.duration.max(event.duration);
                last.has_ended |= event.has_ended;
                return None;
            }
            // A packet that was overtaken.
            if since > u32::MAX / 2 {
                return None;
            }
            if last.is_continued_by(&event) {
                self.last = Some(event);
                return None;
            }
        }
        self.last = Some(event);
        key(code)
    }
}

impl Event {
    fn is_continued_by(&self, next: &Self) -> bool {
        self.code == next.code
            && !self.has_ended
            && self.duration == SEGMENT
            && next.timestamp.wrapping_sub(self.timestamp) == u32::from(SEGMENT)
    }
}

/// The key of an event code (RFC 4733 section 3.2); `None`: a flash, or another signal.
fn key(code: u8) -> Option<char> {
    match code {
        0..=9 => Some(char::from(b'0' + code)),
        10 => Some('*'),
        11 => Some('#'),
        12..=15 => Some(char::from(b'A' + code - 12)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Event, end bit, duration; as on the wire.
    fn packet(code: u8, end: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [code, (u8::from(end) << 7) | 10, high, low]
    }

    #[test]
    fn a_key_is_told_once_however_many_packets_its_event_has() {
        let mut events = Events::default();
        assert_eq!(events.take(1000, &packet(1, false, 160)), Some('1'));
        assert_eq!(events.take(1000, &packet(1, false, 320)), None);
        for _ in 0..3 {
            assert_eq!(events.take(1000, &packet(1, true, 400)), None);
        }
        assert_eq!(events.take(1800, &packet(1, false, 160)), Some('1'));
        assert_eq!(events.take(1000, &packet(1, true, 400)), None, "overtaken");
        assert_eq!(events.take(1800, &packet(1, true, 480)), None);
    }

    #[test]
    fn an_event_of_which_only_the_end_arrives_is_told() {
        let mut events = Events::default();
        assert_eq!(events.take(u32::MAX - 100, &packet(11, true, 800)), Some('#'));
        assert_eq!(events.take(700, &packet(15, true, 800)), Some('D'), "the clock turned over");
        assert_eq!(events.take(1600, &packet(10, true, 800)), Some('*'));
    }

    #[test]
    fn a_press_of_many_seconds_is_one_key() {
        let mut events = Events::default();
        assert_eq!(events.take(0, &packet(5, false, 160)), Some('5'));
        assert_eq!(events.take(0, &packet(5, false, SEGMENT)), None);
        assert_eq!(events.take(u32::from(SEGMENT), &packet(5, false, 160)), None);
        assert_eq!(events.take(u32::from(SEGMENT), &packet(5, true, 480)), None);
        assert_eq!(events.take(90_000, &packet(5, false, 160)), Some('5'));
    }

    #[test]
    fn what_is_no_key_and_what_is_too_short_tells_nothing() {
        let mut events = Events::default();
        assert_eq!(events.take(1, &packet(16, true, 160)), None, "a flash of the hook");
        assert_eq!(events.take(2, &[1, 2, 3]), None);
        assert_eq!(events.take(3, &[]), None);
    }
}
