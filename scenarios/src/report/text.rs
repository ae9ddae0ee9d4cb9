//! Words and shares as every table writes them.

use crate::survey::Interval;

/// A share in percent: 12.3 %.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// An interval in percent: 11.6 to 13.0 %.
pub(super) fn range(interval: &Interval) -> String {
    let (low, high) = (interval.low * 100.0, interval.high * 100.0);
    format!("{low:.1} to {high:.1} %")
}

/// A text broken at spaces into lines of at most so many characters. A longer word gets a line of
/// its own, and sticks out.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    hang("", "", text, width)
}

/// The same, with something before the first line and something before all others.
pub(super) fn hang(first: &str, rest: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        let length = line.chars().count() + usize::from(!is_empty) + word.chars().count();
        if !is_empty && length > width {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrap("an incomprehensibility", 5),
            ["an", "incomprehensibility"]
        );
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(
            hang("1 ms  ", "      ", "one two three", 13),
            ["1 ms  one two", "      three"]
        );
    }
}
