//! What a viewer sees of what is shown: freezes; and how evenly it arrived: jitter.

use std::time::Duration;

use pinhole::Time;

/// How many frames' intervals the mean is taken over.
const REMEMBERED: usize = 30;

/// Counts freezes as the statistics of WebRTC define them (W3C webrtc-stats, `freezeCount`): the
/// interval between two frames is one if it is longer than three times the mean of the last 30
/// intervals, and longer than that mean and 150 ms.
#[derive(Clone, Debug, Default)]
pub struct Freezes {
    last: Option<Time>,
    /// In nanoseconds, and their sum.
    intervals: Vec<u64>,
    next: usize,
    sum: u64,
    /// How many there were.
    pub count: u32,
    /// How long they were together.
    pub total: Duration,
    /// Frames shown.
    pub frames: u64,
}

impl Freezes {
    /// A frame is shown then. Returns how long the picture stood still, if it froze.
    pub fn shown(&mut self, now: Time) -> Option<Duration> {
        self.frames += 1;
        let interval = now.saturating_since(self.last.replace(now)?);
        let freeze = self.is_freeze(interval).then_some(interval);
        if let Some(freeze) = freeze {
            self.count += 1;
            self.total += freeze;
        }
        let nanos = interval.as_nanos() as u64;
        if self.intervals.len() < REMEMBERED {
            self.intervals.push(nanos);
        } else {
            self.sum -= std::mem::replace(&mut self.intervals[self.next], nanos);
            self.next = (self.next + 1) % REMEMBERED;
        }
        self.sum += nanos;
        freeze
    }

    /// Nobody wants this source any more, or its rhythm changes: what comes next is no interval.
    pub fn pause(&mut self) {
        self.last = None;
        self.intervals.clear();
        self.next = 0;
        self.sum = 0;
    }

    /// The time since the last frame, if that is a freeze by now: one that has not ended.
    pub fn standing(&self, now: Time) -> Option<Duration> {
        let interval = now.saturating_since(self.last?);
        self.is_freeze(interval).then_some(interval)
    }

    fn is_freeze(&self, interval: Duration) -> bool {
        let Some(mean) = self.sum.checked_div(self.intervals.len() as u64) else {
            return false;
        };
        let mean = Duration::from_nanos(mean);
        interval > (mean * 3).max(mean + Duration::from_millis(150))
    }
}

/// Interarrival jitter (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Jitter {
    transit: Option<i64>,
    nanos: f64,
}

impl Jitter {
    /// A packet that was captured then arrives now.
    pub fn arrived(&mut self, captured: Time, now: Time) {
        let transit = now.as_nanos() as i64 - captured.as_nanos() as i64;
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).abs() as f64;
            self.nanos += (difference - self.nanos) / 16.0;
        }
    }

    /// The estimate.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_is_a_freeze_only_if_it_is_very_late() {
        let mut freezes = Freezes::default();
        let mut now = Time::ZERO;
        for _ in 0..60 {
            freezes.shown(now);
            now += Duration::from_millis(33);
        }
        // 33 and 150 ms are the bound here.
        let late = now + Duration::from_millis(182 - 33);
        assert_eq!(freezes.clone().shown(late), None);
        let very_late = now + Duration::from_millis(185 - 33);
        let freeze = freezes.shown(very_late).unwrap();
        assert_eq!(freeze, Duration::from_millis(185));
        assert_eq!((freezes.count, freezes.total), (1, freeze));
    }

    #[test]
    fn slow_frames_have_more_time() {
        let mut freezes = Freezes::default();
        for frame in 0..20 {
            assert_eq!(freezes.shown(Time::from_millis(frame * 200)), None);
        }
        assert_eq!(freezes.standing(Time::from_millis(19 * 200 + 600)), None);
        assert!(
            freezes
                .standing(Time::from_millis(19 * 200 + 601))
                .is_some()
        );
    }

    #[test]
    fn a_pause_is_no_freeze() {
        let mut freezes = Freezes::default();
        for frame in 0..40 {
            freezes.shown(Time::from_millis(frame * 33));
        }
        freezes.pause();
        assert_eq!(freezes.shown(Time::from_secs(60)), None);
        assert_eq!(freezes.count, 0);
    }

    #[test]
    fn a_steady_stream_has_no_jitter_and_a_varying_one_has() {
        let mut jitter = Jitter::default();
        for packet in 0..200 {
            let captured = Time::from_millis(packet * 20);
            jitter.arrived(captured, captured + Duration::from_millis(30));
        }
        assert_eq!(jitter.get(), Duration::ZERO);
        for packet in 0..200 {
            let captured = Time::from_secs(10) + Duration::from_millis(packet * 20);
            let delay = Duration::from_millis(30 + 10 * (packet % 2));
            jitter.arrived(captured, captured + delay);
        }
        // Every difference is 10 ms.
        let jitter = jitter.get().as_secs_f64();
        assert!((jitter - 0.010).abs() < 0.0001, "{jitter}");
    }
}
