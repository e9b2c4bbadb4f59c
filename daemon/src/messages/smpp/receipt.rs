//! What a delivery receipt says (SMPP 3.4 appendix B), and under which ids its text may be known.

use rusmpp::CommandStatus;

/// How far a message centre came with one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is still under way.
    Underway,
    /// The phone has it.
    Delivered,
    /// Its time ran out.
    Expired,
    /// It will not arrive.
    Failed,
    /// The centre refuses it.
    Rejected,
    /// The centre does not know.
    Unknown,
}

impl Fate {
    /// By the `stat` of a receipt's text. Words of other centres mean that nothing is known.
    fn of_word(word: &str) -> Self {
        match word.to_ascii_uppercase().as_str() {
            "DELIVRD" | "DELIVERED" => Self::Delivered,
            "EXPIRED" => Self::Expired,
            "DELETED" | "UNDELIV" | "UNDELIVERABLE" | "FAILED" => Self::Failed,
            "REJECTD" | "REJECTED" => Self::Rejected,
            "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "SCHEDULED" | "BUFFRED" => Self::Underway,
            _ => Self::Unknown,
        }
    }

    /// By `message_state` (section 5.2.28).
    pub(super) fn of_state(state: u8) -> Self {
        match state {
            0 | 1 | 6 => Self::Underway,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 | 5 => Self::Failed,
            8 => Self::Rejected,
            _ => Self::Unknown,
        }
    }
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The centre's id of the part.
    pub(super) remote_id: String,
    /// How far it came.
    pub(super) fate: Fate,
    /// The centre's own error, such as `001`; `None`: none was told.
    pub(super) error: Option<String>,
}

/// Longest id (section 4.4.2) and longest error that is kept.
const ID_LIMIT: usize = 64;
const ERROR_LIMIT: usize = 12;

/// Reads a receipt: the optional parameters, where they are there, count more than the text.
/// `None`: it names no part or no state.
pub(super) fn read(text: &[u8], remote_id: Option<&str>, state: Option<u8>) -> Option<Receipt> {
    let text = String::from_utf8_lossy(text);
    let id = remote_id.or_else(|| field(&text, "id"))?;
    let id_fits =
        !id.is_empty() && id.len() <= ID_LIMIT && id.bytes().all(|byte| byte.is_ascii_graphic());
    let fate = match state {
        Some(state) => Fate::of_state(state),
        None => Fate::of_word(field(&text, "stat")?),
    };
    let error = field(&text, "err").filter(|error| {
        error.len() <= ERROR_LIMIT
            && error.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && error.bytes().any(|byte| byte != b'0')
    });
    id_fits.then(|| Receipt { remote_id: id.to_owned(), fate, error: error.map(str::to_owned) })
}

/// `id:0123 sub:001 … stat:DELIVRD err:000 text:…`: a word behind its name and a colon. What
/// stands behind `text:` is the user's, and no field.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(" text:").unwrap_or(lower.len());
    let mut from = 0;
    loop {
        let at = from + lower[from..end].find(name)?;
        let before = lower[..at].chars().next_back();
        let rest = &text[at + name.len()..end];
        match rest.strip_prefix(':') {
            Some(rest) if before.is_none_or(char::is_whitespace) => {
                return rest.split_whitespace().next();
            }
            _ => from = at + name.len(),
        }
    }
}

/// An id as it is kept: without leading zeros, letters small. Message centres write the same id
/// in both ways.
pub(super) fn plain_id(id: &str) -> String {
    let plain = id.trim_start_matches('0').to_ascii_lowercase();
    if plain.is_empty() { "0".to_owned() } else { plain }
}

/// Whether an id can only be a hexadecimal number.
pub(super) fn is_hexadecimal(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| !byte.is_ascii_digit())
}

/// The digits of an id in a receipt (appendix B): it is decimal, with zeros in front.
const RECEIPT_DIGITS: usize = 10;

/// The ids under which a receipt's part may be kept, the likeliest first: as it is, and read as
/// decimal where the answer to the submit was hexadecimal, or the other way round.
///
/// `taken_in_hexadecimal`: how the centre answers submits. Its receipts may still be decimal, as
/// appendix B wants them, and then the same digits are the id of another part.
pub(super) fn candidates(id: &str, taken_in_hexadecimal: bool) -> [String; 3] {
    let plain = plain_id(id);
    let as_hex = plain.parse::<u128>().map(|number| format!("{number:x}"));
    let as_decimal = u128::from_str_radix(&plain, 16).map(|number| number.to_string());
    let hex = as_hex.unwrap_or_else(|_| plain.clone());
    let decimal = as_decimal.unwrap_or_else(|_| plain.clone());
    let is_standard = id.len() == RECEIPT_DIGITS && id.bytes().all(|byte| byte.is_ascii_digit());
    if taken_in_hexadecimal && is_standard { [hex, plain, decimal] } else { [plain, hex, decimal] }
}

/// What an answer to a submit means for the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Taken,
    /// Too much at once: not taken, and everything goes slower.
    Throttled,
    /// Not taken at the moment.
    Later,
    /// Never.
    Refused,
}

impl Verdict {
    /// By the status of the answer (section 5.1.3).
    pub(super) fn of(status: CommandStatus) -> Self {
        match u32::from(status) {
            0x00 => Self::Taken,
            // ESME_RMSGQFUL and ESME_RTHROTTLED.
            0x14 | 0x58 => Self::Throttled,
            // ESME_RINVBNDSTS, ESME_RSYSERR and ESME_RX_T_APPN pass.
            0x04 | 0x08 | 0x64 => Self::Later,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &[u8] = b"id:0000003e8 sub:001 dlvrd:001 submit date:2611212200 \
        done date:2611212201 stat:DELIVRD err:000 text:id:99 stat:UNDELIV";

    #[test]
    fn a_receipt_in_its_text_is_read_and_the_users_words_are_no_fields() {
        let receipt = read(USUAL, None, None).unwrap();
        let expected =
            Receipt { remote_id: "0000003e8".to_owned(), fate: Fate::Delivered, error: None };
        assert_eq!(receipt, expected);
        let failed = read(b"id:7 stat:UNDELIV err:0A1 Text:hello", None, None).unwrap();
        assert_eq!((failed.fate, failed.error.as_deref()), (Fate::Failed, Some("0A1")));
    }

    #[test]
    fn the_optional_parameters_count_more_than_the_text() {
        let receipt = read(USUAL, Some("abc"), Some(5)).unwrap();
        assert_eq!((receipt.remote_id.as_str(), receipt.fate), ("abc", Fate::Failed));
        assert_eq!(read(b"", Some("abc"), Some(2)).unwrap().fate, Fate::Delivered);
    }

    #[test]
    fn what_names_no_part_or_no_state_is_no_receipt() {
        for text in [&b""[..], b"stat:DELIVRD", b"id:7", b"id: stat:", b"grid:7 stat:DELIVRD"] {
            assert_eq!(read(text, None, None), None, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(read(b"stat:DELIVRD", Some("\u{7}"), None), None);
        assert_eq!(read(b"id:7 stat:WHAT", None, None).unwrap().fate, Fate::Unknown);
    }

    #[test]
    fn an_id_is_found_in_decimal_and_in_hexadecimal() {
        for taken_in_hexadecimal in [false, true] {
            let candidates = |id| candidates(id, taken_in_hexadecimal);
            assert!(candidates("1000").contains(&plain_id("3E8")));
            assert!(candidates("000003E8").contains(&plain_id("1000")));
            assert_eq!(candidates("0")[0], plain_id("000"));
            assert_eq!(candidates("dead-beef"), ["dead-beef", "dead-beef", "dead-beef"]);
        }
    }

    #[test]
    fn ten_digits_are_decimal_where_submits_are_answered_in_hexadecimal() {
        assert_eq!(candidates("0000000018", true), ["12", "18", "24"]);
        assert_eq!(candidates("0000000018", false), ["18", "12", "24"]);
        assert_eq!(candidates("18", true), ["18", "12", "24"]);
        assert!(is_hexadecimal("3E8") && !is_hexadecimal("308") && !is_hexadecimal("x3e"));
    }

    #[test]
    fn a_throttled_submit_is_told_from_a_refused_one() {
        for (status, verdict) in [
            (0x00, Verdict::Taken),
            (0x14, Verdict::Throttled),
            (0x58, Verdict::Throttled),
            (0x08, Verdict::Later),
            (0x0b, Verdict::Refused),
            (0x0a, Verdict::Refused),
        ] {
            assert_eq!(Verdict::of(CommandStatus::from(status)), verdict, "{status:#x}");
        }
    }
}
