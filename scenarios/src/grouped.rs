//! Numbers as people read them: thousands apart.

use std::fmt::Display;

/// A number's text with commas between its thousands: `1234567.5` as `1,234,567.5`. How many places
/// it has is its format's choice: `grouped(format_args!("{price:.2}"))`.
pub(crate) fn grouped(number: impl Display) -> String {
    let text = number.to_string();
    let is_digit = |c: char| c.is_ascii_digit();
    let start = text.find(is_digit).unwrap_or(text.len());
    let end = text[start..].find(|c| !is_digit(c));
    let end = end.map_or(text.len(), |length| start + length);
    let mut out = text[..start].to_owned();
    for (place, digit) in text[start..end].chars().enumerate() {
        if place > 0 && (end - start - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &text[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1_234, "-1,234"),
            (-123, "-123"),
        ] {
            assert_eq!(grouped(number), shown);
        }
        // What comes after the point stays together, and so does what is no number.
        assert_eq!(grouped(format_args!("{:.4}", 1_234.567_89)), "1,234.5679");
        assert_eq!(grouped(0.00001), "0.00001");
        assert_eq!(grouped(f64::INFINITY), "inf");
    }
}
