//! Spans of time as people say them: `65 s`, `5 min`, `2 h 4 min`.

use std::time::Duration;

/// A span in the units that people would choose. Nothing is rounded.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 120 || span.subsec_nanos() > 0 {
        return format!("{} s", span.as_secs_f64());
    }
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let said = parts.iter().filter(|(count, _)| *count > 0);
    let said: Vec<String> = said
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_say_them() {
        for (milliseconds, said) in [
            (0, "0 s"),
            (500, "0.5 s"),
            (65_000, "65 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (150_000, "2 min 30 s"),
            (300_000, "5 min"),
            (300_500, "300.5 s"),
            (3_600_000, "1 h"),
            (7_440_000, "2 h 4 min"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)), said);
        }
    }
}
