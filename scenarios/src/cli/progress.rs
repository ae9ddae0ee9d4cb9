//! Bars that show how far a command is.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Runs shorter than this need no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a bar is drawn, in a second.
const DRAWN: u8 = 5;

/// A bar on standard error, if that is a terminal and the run takes long enough to wonder.
pub(super) struct Bar {
    bar: ProgressBar,
    /// When it was made; `None` where nobody would see it.
    begun: Option<Instant>,
}

impl Bar {
    /// A bar of that many steps, of which so many were made before: time left is told by the others.
    pub(super) fn new(steps: u64, made: u64, style: ProgressStyle) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden());
        bar.set_style(style);
        bar.set_position(made);
        bar.reset_eta();
        let begun = std::io::stderr().is_terminal().then(Instant::now);
        Bar { bar, begun }
    }

    /// There are more steps than was known.
    pub(super) fn lengthen(&self, steps: u64) {
        self.bar.inc_length(steps);
    }

    /// So many more steps were made.
    pub(super) fn step(&self, steps: u64) {
        self.bar.inc(steps);
        self.show();
    }

    /// It is at that step, which is called so.
    pub(super) fn at(&self, step: u64, called: impl FnOnce() -> String) {
        self.bar.set_position(step);
        self.show();
        if !self.bar.is_hidden() {
            self.bar.set_message(called());
        }
    }

    fn show(&self) {
        let is_due = |begun: Instant| begun.elapsed() >= PATIENCE;
        if self.begun.is_some_and(is_due) && self.bar.is_hidden() {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWN);
            self.bar.set_draw_target(target);
        }
    }

    /// Takes it off the screen.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A style of ours.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of ours is one")
}

/// Calls made, of how many, the rate in whole calls, and the time left. Written a few times a
/// second by the bar, never for a call.
pub(super) fn calls() -> ProgressStyle {
    let written = |state: &ProgressState, out: &mut dyn Write| {
        // A bar that can't be drawn is no reason to stop.
        let _ = write!(out, "{}", rate(state.per_sec()));
    };
    style("{bar:40} {human_pos} of {human_len} calls, {rate}/s, {eta} left")
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
