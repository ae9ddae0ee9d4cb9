//! How bars look that show how far calls are.

use std::fmt::Write;

use indicatif::{HumanCount, ProgressState, ProgressStyle};

/// Calls made, of how many, the rate in whole calls, and the time left. Written a few times a
/// second by the bar, never for a call.
pub(super) fn calls() -> ProgressStyle {
    let written = |state: &ProgressState, out: &mut dyn Write| {
        // A bar that can't be drawn is no reason to stop.
        let _ = write!(out, "{}", rate(state.per_sec()));
    };
    ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} calls, {rate}/s, {eta} left")
        .expect("a template of ours is one")
        .with_key("rate", written)
}

/// A rate of calls, as people read it.
fn rate(per_second: f64) -> HumanCount {
    HumanCount(per_second.round() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rate_is_a_whole_number() {
        for (rate, written) in [(1_641.812, "1,642"), (0.2, "0"), (f64::NAN, "0")] {
            assert_eq!(super::rate(rate).to_string(), written);
        }
    }
}
