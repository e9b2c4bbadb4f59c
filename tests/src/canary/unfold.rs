//! What a line of a log may hold in another spelling.

/// A shorter run cannot hold a number or a code.
const SHORTEST_HEX: usize = 16;
const SHORTEST_BASE64: usize = 12;
const SHORTEST_LIST: usize = 8;

/// The bytes that stand in `line` as hex, as base64 (from each place where a group may begin), as
/// the list in which Debug prints bytes, and as UTF-16 whose empty halves were printed or escaped.
pub(super) fn unfolded(line: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for run in runs(line, |byte| byte.is_ascii_hexdigit(), SHORTEST_HEX) {
        all.extend((0..2).map(|skip| ("hex", from_hex(&run[skip..]))));
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in runs(line, is_base64, SHORTEST_BASE64) {
        all.extend((0..4).map(|skip| ("base64", from_base64(&run[skip..]))));
    }
    let is_list = |byte: &u8| byte.is_ascii_digit() || b", ".contains(byte);
    for run in runs(line, is_list, 2 * SHORTEST_LIST) {
        let numbers = run.split(|byte| b", ".contains(byte)).filter(|number| !number.is_empty());
        let bytes: Vec<u8> = numbers.filter_map(|n| str::from_utf8(n).ok()?.parse().ok()).collect();
        if bytes.len() >= SHORTEST_LIST {
            all.push(("list of bytes", bytes));
        }
    }
    if let Some(narrow) = without_zeros(line) {
        all.push(("UTF-16", narrow));
    }
    all
}

fn runs(line: &[u8], is_inside: impl Fn(&u8) -> bool, shortest: usize) -> Vec<&[u8]> {
    let runs = line.split(|byte| !is_inside(byte));
    runs.filter(|run| run.len() >= shortest).collect()
}

fn from_hex(run: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    run.as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

fn from_base64(run: &[u8]) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in run {
        bits = bits << 6 | u32::from(sextet(*byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

fn without_zeros(line: &[u8]) -> Option<Vec<u8>> {
    let mut narrow = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (0, _) => after,
            (b'\\', [b'0', after @ ..]) => after,
            _ => {
                narrow.push(*first);
                after
            }
        };
    }
    (narrow.len() < line.len()).then_some(narrow)
}
