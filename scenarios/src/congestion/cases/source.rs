//! The media source of the cases: a video encoder that follows a rate (RFC 8867 §4.3, RFC 8593 §6).
//!
//! Frames come at a fixed rate; their sizes scatter around what the rate gives, as those of a camera
//! do. A new rate holds a tenth of a second after it was asked for. No key frames but the first:
//! none of the cases loses its decoder.

use std::time::Duration;

use pinhole::{Stream, Time};

use super::case::{MAX_BPS, MIN_BPS, START_BPS};

/// Frames per second.
const FRAMES: u32 = 30;
/// How long the encoder takes to follow.
const REACTION: Duration = Duration::from_millis(100);
/// The scale of the scatter (RFC 8593 §6: a Laplace distribution, a tenth of the frame's size), and
/// where it is cut off.
const SCATTER: f64 = 0.1;
const MOST: f64 = 0.3;

/// A video encoder.
#[derive(Clone, Debug)]
pub struct Source {
    bps: u64,
    /// The rate that holds from a time on.
    asked: Option<(Time, u64)>,
    next: Time,
    random: Stream,
}

impl Source {
    /// An encoder whose first frame comes at `start`.
    pub fn new(start: Time, seed: u64) -> Self {
        Source {
            bps: START_BPS,
            asked: None,
            next: start,
            random: Stream::new(seed, "source"),
        }
    }

    /// Asks for another rate of media, without any header.
    pub fn set_rate(&mut self, now: Time, bps: u64) {
        let bps = bps.clamp(MIN_BPS, MAX_BPS);
        self.take_over(now);
        match self.asked {
            // On its way already: what was asked last holds when it gets there.
            Some((at, _)) => self.asked = Some((at, bps)),
            None if bps != self.bps => self.asked = Some((now + REACTION, bps)),
            None => {}
        }
    }

    /// The rate at which it encodes now.
    pub fn bps(&self) -> u64 {
        self.bps
    }

    /// When the next frame comes.
    pub fn poll_timeout(&self) -> Time {
        self.next
    }

    /// The bytes of the frame that comes now, if one does.
    pub fn poll(&mut self, now: Time) -> Option<usize> {
        if now < self.next {
            return None;
        }
        self.next = now + Duration::from_secs(1) / FRAMES;
        self.take_over(now);
        // Two exponentials' difference is Laplace's.
        let mut exponential = || -(1.0 - self.random.unit()).ln();
        let scatter = (SCATTER * (exponential() - exponential())).clamp(-MOST, MOST);
        let mean = self.bps as f64 / 8.0 / f64::from(FRAMES);
        Some((mean * (1.0 + scatter)).round().max(1.0) as usize)
    }

    /// After a pause: the next frame comes at `start`.
    pub fn resume(&mut self, start: Time) {
        self.next = start;
    }

    fn take_over(&mut self, now: Time) {
        if let Some((at, bps)) = self.asked
            && at <= now
        {
            self.bps = bps;
            self.asked = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_makes_the_rate_it_was_asked_for_a_tenth_of_a_second_later() {
        let mut source = Source::new(Time::ZERO, 7);
        source.set_rate(Time::ZERO, 1_000_000);
        source.set_rate(Time::from_millis(50), 9_000_000);
        let mut bytes = [0; 2];
        while source.poll_timeout() < Time::from_millis(60_000) {
            let now = source.poll_timeout();
            let early = now < Time::from_millis(100);
            bytes[usize::from(!early)] += source.poll(now).unwrap();
        }
        assert!(bytes[0] < 5_000, "{bytes:?}");
        let rate = bytes[1] as f64 * 8.0 / 59.9;
        assert!((rate / MAX_BPS as f64 - 1.0).abs() < 0.01, "{rate}");
    }
}
