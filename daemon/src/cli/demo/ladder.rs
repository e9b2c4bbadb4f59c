//! The SIP ladder, drawn as messages cross the wire.

use crate::carrier::{Direction, Report};
use crate::cli::output;

/// Columns between the two lifelines.
const WIDTH: usize = 46;

/// The top of the ladder.
pub(super) fn head(carrier: &str) {
    output::line(format_args!("            dozvon{carrier:>WIDTH$}"));
}

/// One rung, for a message; other reports draw nothing.
pub(super) fn rung(report: &Report) {
    let (t_ms, direction, label) = match report {
        Report::Message { t_ms, direction, line, method, repeated, .. } => {
            // A response bears its request's method where its status alone would not tell.
            let mut label = match line.bytes().next() {
                Some(first) if first.is_ascii_digit() => format!("{line} ({method})"),
                _ => line.clone(),
            };
            if *repeated {
                label.push_str(" again");
            }
            (t_ms, direction, label)
        }
        Report::Smtp { t_ms, direction, line, .. } => (t_ms, direction, line.clone()),
        _ => return,
    };
    let label: String = label.chars().take(WIDTH - 4).collect();
    let dashes = WIDTH - 4 - label.chars().count();
    let (left, right) = (dashes / 2, dashes - dashes / 2);
    let (left, right) = ("-".repeat(left), "-".repeat(right));
    let arrow = match direction {
        Direction::In => format!("{left} {label} {right}>"),
        Direction::Out => format!("<{left} {label} {right}"),
    };
    output::line(format_args!("{t_ms:>8} ms |{arrow}|"));
}
