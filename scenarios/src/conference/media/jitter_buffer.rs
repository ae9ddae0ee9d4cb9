//! When a picture is shown: a receiver holds frames back so far that most of those that come late
//! come in time.
//!
//! The rules are libwebrtc's, in outline. A frame is due at its capture, plus what frames take on
//! the way in the mean, plus a delay. What the delay aims at is the wait that a large frame's size
//! alone explains, and some deviations of what size doesn't explain; once three frames of late had
//! to wait for packets that were sent again, nine tenths of a round trip come on top, 200 ms at the
//! most. The delay follows its aim by no more than 100 ms in a second, so that nobody notices, but
//! a frame that is late already lengthens it at once. A frame that comes later than it is due is
//! shown when it comes.
//!
//! What it leaves out: the time that decoding and drawing take, the same for every frame; playing
//! in step with the sound; shorter delays below ten frames a second.

use std::time::Duration;

use pinhole::Time;

/// What timers of operating systems are late by.
const TIMERS: f64 = 10.0;
/// How many deviations are waited for: one frame in a hundred is later.
const DEVIATIONS: f64 = 2.33;
/// What of that isn't worth a wait, in milliseconds: nobody sees it.
const UNSEEN: f64 = 30.0;
/// No frame counts for more than so many deviations: one that is very late is no rule.
const MOST_DEVIATIONS: f64 = 3.5;
/// Over so many frames deviations are averaged.
const MEMORY: f64 = 400.0;
/// Over so many frames the time on the way is averaged.
const WAY: f64 = 30.0;
/// The share of the largest size that is left of it after each frame.
const FORGETS: f64 = 0.9999;
/// So many frames that waited for packets make a round trip worth waiting for.
const REPAIRS: u8 = 3;
/// After so long without one it isn't any more.
const REPAIRS_LAST: Duration = Duration::from_secs(60);
/// The share of the round trip that is waited for then, and the most, in milliseconds.
const ROUND_TRIPS: f64 = 0.9;
const MOST_ROUND_TRIP: f64 = 200.0;
/// What a round trip is taken for as long as nobody knows, as libwebrtc and str0m have it.
pub const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
/// How much the delay changes in a second.
const CHANGE: f64 = 100.0;

/// How something came that can be played now: a frame, all those before it being decoded; sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When it was captured.
    pub captured: Time,
    /// When the last of its packets came: before those before it were whole, perhaps.
    pub whole: Time,
    /// Bytes of media.
    pub bytes: usize,
    /// Whether packets of it were missing and came later.
    pub repaired: bool,
    /// What packets that were asked for took to come, if any did of late.
    pub round_trip: Option<Duration>,
}

/// What holds back the frames of one stream of pictures.
#[derive(Clone, Debug, Default)]
pub struct JitterBuffer {
    last: Option<Arrival>,
    /// When the last frame was shown.
    shown: Time,
    /// The time on the way, in milliseconds: capture and arrival may be on different clocks.
    way: f64,
    /// What a byte more takes, in milliseconds.
    per_byte: f64,
    mean_bytes: f64,
    largest: f64,
    /// What sizes don't explain: its mean and its variance, in milliseconds.
    noise: f64,
    variance: f64,
    frames: f64,
    repairs: u8,
    repaired: Time,
    /// How long frames are held back now, in milliseconds.
    delay: f64,
}

impl Arrival {
    /// Something that was captured then comes now, as it is.
    pub fn whole(now: Time, captured: Time, bytes: usize) -> Self {
        Arrival {
            captured,
            whole: now,
            bytes,
            repaired: false,
            round_trip: None,
        }
    }
}

impl JitterBuffer {
    /// A frame can be decoded now. Returns when it is shown: not before now, nor before those
    /// before it.
    pub fn play(&mut self, now: Time, frame: Arrival) -> Time {
        if frame.repaired {
            if now > self.repaired + REPAIRS_LAST {
                self.repairs = 0;
            }
            self.repairs = self.repairs.saturating_add(1);
            self.repaired = now;
        } else {
            self.learn(frame);
        }
        let aim = self.aim(now, frame.round_trip);
        match self.last {
            None => {
                self.way = millis(frame.whole, frame.captured);
                self.delay = aim;
            }
            Some(last) => {
                let most = millis(frame.captured, last.captured).max(0.0) * CHANGE / 1_000.0;
                self.delay += (aim - self.delay).clamp(-most, most);
            }
        }
        let taken = millis(now, frame.captured);
        let late = taken - self.way - self.delay;
        if late > 0.0 {
            self.delay = (self.delay + late).min(aim).max(self.delay);
        }
        let held = Duration::from_secs_f64((-late).max(0.0) / 1_000.0);
        self.shown = self.shown.max(now + held);
        if self.last.is_none_or(|last| last.captured < frame.captured) {
            self.last = Some(frame);
        }
        self.shown
    }

    /// How long frames are held back at present, beyond the mean of their ways.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay / 1_000.0)
    }

    /// What a frame tells whose way was the usual one.
    fn learn(&mut self, frame: Arrival) {
        let bytes = frame.bytes as f64;
        let Some(last) = self.last.filter(|_| self.largest > 0.0) else {
            (self.mean_bytes, self.largest, self.variance) = (bytes, bytes, 4.0);
            return;
        };
        self.frames = (self.frames + 1.0).min(MEMORY);
        let way = millis(frame.whole, frame.captured);
        let later = way - millis(last.whole, last.captured);
        self.way += (way - self.way) / self.frames.min(WAY);
        self.largest = (self.largest * FORGETS).max(bytes);
        let larger = bytes - last.bytes as f64;
        // A key frame is no mean frame.
        let usual = bytes.min(2.0 * self.mean_bytes);
        self.mean_bytes += (usual - self.mean_bytes) / self.frames.min(WAY);
        // The one before waited for packets: what it took says nothing.
        if last.repaired {
            return;
        }
        let deviation = self.variance.sqrt();
        let unexplained = later - self.per_byte * larger;
        let counted = unexplained.clamp(-MOST_DEVIATIONS * deviation, MOST_DEVIATIONS * deviation);
        let weight = 1.0 / self.frames;
        let from_mean = counted - self.noise;
        self.noise += weight * from_mean;
        self.variance += weight * (from_mean * from_mean - self.variance);
        // Never nothing, or every frame would lie outside.
        self.variance = self.variance.max(1.0);
        // Frames behind a large one come together with it: they tell less.
        if larger > -0.25 * self.largest {
            let scale = larger * larger + self.mean_bytes * self.mean_bytes;
            self.per_byte += 0.5 * unexplained * larger / scale.max(1.0);
            self.per_byte = self.per_byte.max(0.0);
        }
    }

    /// How long frames should be held back, in milliseconds.
    fn aim(&self, now: Time, round_trip: Option<Duration>) -> f64 {
        let of_size = self.per_byte * (self.largest - self.mean_bytes).max(0.0);
        let of_noise = (DEVIATIONS * self.variance.sqrt() - UNSEEN).max(1.0);
        let repairs = self.repairs >= REPAIRS && now <= self.repaired + REPAIRS_LAST;
        let of_repairs = if repairs {
            let round_trip = round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
            (ROUND_TRIPS * round_trip.as_secs_f64() * 1_000.0).min(MOST_ROUND_TRIP)
        } else {
            0.0
        };
        TIMERS + of_size + of_noise + of_repairs
    }
}

/// From one time to a later one, in milliseconds.
fn millis(to: Time, from: Time) -> f64 {
    (to.as_nanos() as i64 - from.as_nanos() as i64) as f64 / 1e6
}

/// How long packets that were asked for took to come: the shortest of the last few times.
///
/// The shortest, because a request or its answer may be lost and be made again. Of the last few,
/// and of late, because queues come and go. (Stacks in the field learn it from reports, RFC 3611
/// §4.4, and have it without any loss.)
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip {
    /// When it ended and how long it was, in microseconds.
    last: [(Time, u32); 8],
    seen: usize,
}

/// How long a round trip counts.
const OF_LATE: Duration = Duration::from_secs(20);

impl RoundTrip {
    /// A packet comes so long after it was asked for.
    pub fn took(&mut self, now: Time, took: Duration) {
        let place = self.seen % self.last.len();
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.last[place] = (now, micros);
        self.seen += 1;
    }

    /// The time it takes, if anything was asked for and came of late.
    pub fn get(&self, now: Time) -> Option<Duration> {
        let known = self.last[..self.seen.min(self.last.len())].iter();
        let of_late = known.filter(|(at, _)| *at + OF_LATE >= now);
        let least = of_late.map(|(_, micros)| *micros).min()?;
        Some(Duration::from_micros(u64::from(least)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Freezes;
    use super::*;

    /// Thirty frames a second that take 40 ms on the way; of each hundred one takes `late` longer,
    /// and those behind it wait for it. Returns the freezes and the delay at the end.
    fn freezes(seconds: u64, late: u64, round_trip: Option<u64>) -> (u32, Duration) {
        let mut buffer = JitterBuffer::default();
        let mut freezes = Freezes::default();
        let mut ready = Time::ZERO;
        for number in 0..seconds * 30 {
            let captured = Time::from_millis(number * 1_000 / 30);
            let repaired = late > 0 && number % 100 == 99;
            let took = 40 + if repaired { late } else { 0 };
            let whole = captured + Duration::from_millis(took);
            ready = ready.max(whole);
            let arrival = Arrival {
                captured,
                whole,
                bytes: 10_000 + (number as usize * 37) % 500,
                repaired,
                round_trip: round_trip.map(Duration::from_millis),
            };
            let shown = buffer.play(ready, arrival);
            assert!(shown >= ready);
            freezes.shown(shown);
        }
        (freezes.count, buffer.delay())
    }

    #[test]
    fn a_steady_stream_is_hardly_held_back() {
        let (count, delay) = freezes(60, 0, None);
        assert_eq!(count, 0);
        assert!(delay < Duration::from_millis(15), "{delay:?}");
    }

    #[test]
    fn what_is_sent_again_is_waited_for_after_the_third_time() {
        // 18 frames of 60 s are late; the first three freeze the picture.
        let (count, delay) = freezes(60, 185, Some(160));
        assert_eq!(count, 3);
        assert!((140..170).contains(&delay.as_millis()), "{delay:?}");
        // Who doesn't know how long takes 100 ms, and is late by less than a freeze.
        let (count, delay) = freezes(60, 185, None);
        assert_eq!(count, 3);
        assert!((90..115).contains(&delay.as_millis()), "{delay:?}");
        // Nor longer than 200 ms.
        let (count, delay) = freezes(60, 430, Some(400));
        assert_eq!(count, 18);
        assert!((200..230).contains(&delay.as_millis()), "{delay:?}");
    }

    #[test]
    fn the_delay_grows_slowly() {
        let mut buffer = JitterBuffer::default();
        let mut before: Option<Time> = None;
        for number in 0..300u64 {
            let captured = Time::from_millis(number * 33);
            let whole = captured + Duration::from_millis(40);
            let arrival = Arrival {
                captured,
                whole,
                bytes: 1_000,
                // They came by themselves in the end, and in time.
                repaired: (60..70).contains(&number),
                round_trip: Some(Duration::from_millis(150)),
            };
            let shown = buffer.play(whole, arrival);
            if let Some(before) = before {
                let interval = (shown - before).as_secs_f64() * 1_000.0;
                assert!((29.0..37.0).contains(&interval), "{number} {interval}");
            }
            before = Some(shown);
        }
        assert!(buffer.delay() > Duration::from_millis(135));
    }

    #[test]
    fn a_long_way_is_followed() {
        let mut buffer = JitterBuffer::default();
        let mut held = Duration::ZERO;
        for number in 0..600u64 {
            let captured = Time::from_millis(number * 33);
            // It roams: from then on the way is longer.
            let way = if number < 300 { 30 } else { 400 };
            let whole = captured + Duration::from_millis(way);
            let arrival = Arrival {
                captured,
                whole,
                bytes: 1_000,
                repaired: false,
                round_trip: None,
            };
            held = buffer.play(whole, arrival) - whole;
        }
        assert!(held < Duration::from_millis(40), "{held:?}");
    }

    #[test]
    fn the_shortest_round_trip_counts_and_old_ones_are_forgotten() {
        let mut round_trip = RoundTrip::default();
        let now = Time::from_secs(5);
        assert_eq!(round_trip.get(now), None);
        let ms = Duration::from_millis;
        round_trip.took(now, ms(250));
        round_trip.took(now, ms(150));
        assert_eq!(round_trip.get(now), Some(ms(150)));
        for _ in 0..8 {
            round_trip.took(now, ms(300));
        }
        assert_eq!(round_trip.get(now), Some(ms(300)));
        let later = now + Duration::from_secs(21);
        assert_eq!(round_trip.get(later), None);
        round_trip.took(later, ms(400));
        assert_eq!(round_trip.get(later), Some(ms(400)));
    }

    proptest! {
        /// Whatever comes is shown, in order, and never kept for long.
        #[test]
        fn frames_are_shown_in_order(
            frames in proptest::collection::vec(
                (0u64..2_000, 0u64..3_000, 1usize..200_000, any::<bool>(), 0u64..2_000),
                1..80,
            ),
        ) {
            let mut buffer = JitterBuffer::default();
            let (mut captured, mut ready, mut before) = (Time::ZERO, Time::ZERO, Time::ZERO);
            for (apart, way, bytes, repaired, round_trip) in frames {
                captured += Duration::from_millis(apart);
                let whole = captured + Duration::from_millis(way);
                ready = ready.max(whole);
                let arrival = Arrival {
                    captured,
                    whole,
                    bytes,
                    repaired,
                    round_trip: Some(Duration::from_millis(round_trip)),
                };
                let shown = buffer.play(ready, arrival);
                prop_assert!(shown >= ready && shown >= before);
                prop_assert!(shown < ready + Duration::from_secs(60));
                before = shown;
            }
        }
    }
}
