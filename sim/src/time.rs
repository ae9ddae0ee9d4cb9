//! Virtual time: nanoseconds since the start of a run.
//!
//! Nothing in a simulation reads a clock. Time is a value that the engine hands out, so that thirty
//! virtual minutes cost as much as the events in them. Stacks that insist on [`std::time::Instant`]
//! get one at their edge, as an offset from an epoch that the caller picked once: see
//! [`Time::to_instant`].

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, Instant};

/// A moment of virtual time, in nanoseconds since the start of the run.
///
/// ```
/// use pinhole::Time;
/// use std::time::Duration;
///
/// let later = Time::ZERO + Duration::from_millis(20);
/// assert_eq!(later.as_nanos(), 20_000_000);
/// assert_eq!(later - Time::ZERO, Duration::from_millis(20));
/// assert_eq!(later.to_string(), "20.000 ms");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The start of every run.
    pub const ZERO: Time = Time(0);
    /// The end of time: 584 years after the start. Used where "never" must compare as later.
    pub const MAX: Time = Time(u64::MAX);

    /// The moment `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Time(nanos)
    }

    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Time(millis * 1_000_000)
    }

    /// The moment `seconds` seconds after the start.
    pub const fn from_secs(seconds: u64) -> Self {
        Time(seconds * 1_000_000_000)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start, with their fraction: the unit of every `*_ms` in results.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Time passed since `earlier`, or zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment as a [`std::time::Instant`], counted from `epoch`.
    ///
    /// Only differences of such instants mean anything. Pick `epoch` once for each stack.
    pub fn to_instant(self, epoch: Instant) -> Instant {
        epoch + Duration::from_nanos(self.0)
    }

    /// The moment at which a stack's `instant`, counted from `epoch`, lies; the start of the run
    /// for instants before `epoch`.
    pub fn from_instant(instant: Instant, epoch: Instant) -> Self {
        Time::ZERO + instant.saturating_duration_since(epoch)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::MAX`], so that "in a thousand years" is "never" and not an overflow.
    fn add(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    /// Saturates at zero, as [`Instant`]'s subtraction does.
    fn sub(self, earlier: Time) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ms", self.as_millis_f64())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::ZERO + Duration::MAX, Time::MAX);
        assert_eq!(Time::ZERO - Time::from_millis(1), Duration::ZERO);
    }

    #[test]
    fn instants_go_there_and_back() {
        let epoch = Instant::now();
        let time = Time::from_nanos(1_234_567_890);
        assert_eq!(Time::from_instant(time.to_instant(epoch), epoch), time);
    }
}
