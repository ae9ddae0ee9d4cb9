//! Transport-wide feedback: which packets of a connection arrived, and when, to a quarter of a
//! millisecond (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Packets of all streams of a connection share one sequence number of 16 bits. The receiver notes
//! arrivals in a [`Recorder`] and sends what it [writes](Recorder::write): a genuine RTCP packet, so
//! that its size and its rounding are what they are in the field. What it doesn't do: send times in
//! the feedback (none are needed: the sender remembers), and run lengths longer than one chunk each.

use std::collections::VecDeque;
use std::time::Duration;

use pinhole::Time;

/// How often feedback goes, unless that costs too much.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// How seldom at the most.
pub const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// The share of what comes in that feedback may cost.
pub const SHARE: f64 = 0.05;
/// Arrivals older than this are not told again.
const MEMORY: Duration = Duration::from_millis(500);

/// RTCP's header, the two SSRCs, and the fixed part of the feedback.
const FIXED: usize = 20;
/// Payload type 205 (RFC 4585 §6.2), format 15.
const PAYLOAD_TYPE: u8 = 205;
const FORMAT: u8 = 15;
/// A quarter of a millisecond, in nanoseconds.
const TICK: u64 = 250_000;
/// What the reference time counts in: 64 ms, in ticks.
const REFERENCE: u64 = 256;
/// The most packets that one feedback packet tells of: it fits an MTU even if every delta is large.
const MOST_PACKETS: usize = 400;

/// Notes what arrives on one connection.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Arrivals from `first` on; `None` where nothing came.
    arrivals: VecDeque<Option<Time>>,
    first: u64,
    /// The next sequence number to be told of.
    next: u64,
    begun: bool,
    count: u8,
    /// What came in since the last feedback, and what that cost, for the interval.
    bytes_since: usize,
    since: Time,
    interval: Option<Duration>,
    due: Option<Time>,
    /// When feedback was due last, so that it comes at regular times.
    last: Time,
    told: bool,
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new() -> Self {
        Recorder::default()
    }

    /// A packet of so many bytes on the wire arrived, with that sequence number.
    pub fn arrived(&mut self, now: Time, sequence: u16, bytes: usize) {
        if !self.begun {
            self.begun = true;
            // High enough for what is late.
            self.first = u64::from(sequence) + (1 << 16);
            self.next = self.first;
            self.since = now;
        }
        self.bytes_since += bytes;
        let regular = (self.last + self.interval()).max(now);
        let first = now + INTERVAL;
        self.due
            .get_or_insert(if self.told { regular } else { first });
        let sequence = unwrap(self.first + self.arrivals.len() as u64, sequence);
        if sequence < self.first {
            // Too late to be told of, unless little is missing.
            let missing = (self.first - sequence) as usize;
            if missing > MOST_PACKETS {
                return;
            }
            for _ in 0..missing {
                self.arrivals.push_front(None);
            }
            self.first = sequence;
        }
        let place = (sequence - self.first) as usize;
        if place >= self.arrivals.len() {
            if place - self.arrivals.len() > 1 << 14 {
                // A gap that no feedback spans: begin anew after it.
                self.arrivals.clear();
                self.first = sequence;
                self.next = sequence;
            }
            let place = (sequence - self.first) as usize;
            self.arrivals.resize(place + 1, None);
        }
        let place = (sequence - self.first) as usize;
        self.arrivals[place].get_or_insert(now);
        // What was told as missing is told anew.
        self.next = self.next.min(sequence);
    }

    /// When the next feedback is to be written.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Writes the next feedback packet into `out`, if one is due and there is something to tell.
    /// Returns whether it did; there may be another.
    pub fn write(&mut self, now: Time, sender: u32, source: u32, out: &mut Vec<u8>) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        if let Some(due) = self.due {
            (self.last, self.told) = (due, true);
        }
        let from = (self.next - self.first) as usize;
        let reference = self.arrivals.iter().skip(from).flatten().next();
        let Some(reference) = reference.copied() else {
            self.due = None;
            self.adapt(now, 0);
            return false;
        };
        let start = out.len();
        let count = (self.arrivals.len() - from).min(MOST_PACKETS);
        let count = encode(
            self.arrivals.range(from..from + count).copied(),
            self.first + from as u64,
            reference,
            self.count,
            [sender, source],
            out,
        );
        self.count = self.count.wrapping_add(1);
        self.next += count as u64;
        self.forget(now);
        if self.next >= self.first + self.arrivals.len() as u64 {
            self.due = None;
            self.adapt(now, out.len() - start);
        }
        true
    }

    /// Chooses the interval to the next feedback, so that feedback of this size costs its share.
    fn adapt(&mut self, now: Time, size: usize) {
        let span = now.saturating_since(self.since).as_secs_f64();
        if span > 0.0 && self.bytes_since > 0 {
            let rate = self.bytes_since as f64 / span;
            // With the headers of UDP and IP.
            let wanted = (size + 28) as f64 / (SHARE * rate);
            let wanted = Duration::from_secs_f64(wanted.min(1.0));
            self.interval = Some(wanted.clamp(INTERVAL, LONGEST_INTERVAL));
        }
        self.bytes_since = 0;
        self.since = now;
    }

    fn interval(&self) -> Duration {
        self.interval.unwrap_or(INTERVAL)
    }

    fn forget(&mut self, now: Time) {
        let old = |arrival: &Option<Time>| match arrival {
            Some(time) => *time + MEMORY < now,
            None => true,
        };
        while self.first < self.next && self.arrivals.front().is_some_and(old) {
            self.arrivals.pop_front();
            self.first += 1;
        }
    }
}

/// The full number that lies nearest to `near`.
pub(crate) fn unwrap(near: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(near as u16) as i16;
    near.saturating_add_signed(i64::from(step))
}

/// Writes feedback about consecutive packets, and says about how many it could.
fn encode(
    arrivals: impl Iterator<Item = Option<Time>>,
    base: u64,
    reference: Time,
    feedback_count: u8,
    ssrcs: [u32; 2],
    out: &mut Vec<u8>,
) -> usize {
    let start = out.len();
    out.extend([0x80 | FORMAT, PAYLOAD_TYPE, 0, 0]);
    for ssrc in ssrcs {
        out.extend(ssrc.to_be_bytes());
    }
    out.extend((base as u16).to_be_bytes());
    out.extend([0, 0]);
    let reference = reference.as_nanos() / TICK / REFERENCE;
    out.extend(&(reference as u32).to_be_bytes()[1..]);
    out.push(feedback_count);
    debug_assert_eq!(out.len() - start, FIXED);

    let mut last = (reference * REFERENCE) as i64;
    let mut symbols = [0u8; MOST_PACKETS];
    let mut deltas = [0i16; MOST_PACKETS];
    let mut count = 0;
    for arrival in arrivals {
        if let Some(time) = arrival {
            let ticks = (time.as_nanos() / TICK) as i64;
            // Further apart than a delta can say: the next feedback tells of it.
            let Ok(delta) = i16::try_from(ticks - last) else {
                break;
            };
            last = ticks;
            deltas[count] = delta;
            symbols[count] = if (0..=255).contains(&delta) { 1 } else { 2 };
        }
        count += 1;
    }
    let mut place = 0;
    while place < count {
        let rest = &symbols[place..count];
        let run = rest.iter().take_while(|it| **it == rest[0]).count();
        let chunk = if run >= 7 {
            place += run.min(8_191);
            u16::from(rest[0]) << 13 | run.min(8_191) as u16
        } else {
            // Seven symbols of two bits.
            let mut chunk = 0xc000;
            for (index, symbol) in rest.iter().take(7).enumerate() {
                chunk |= u16::from(*symbol) << (12 - 2 * index);
            }
            place += rest.len().min(7);
            chunk
        };
        out.extend(chunk.to_be_bytes());
    }
    for (symbol, delta) in symbols[..count].iter().zip(&deltas) {
        match symbol {
            1 => out.push(*delta as u8),
            2 => out.extend(delta.to_be_bytes()),
            _ => {}
        }
    }
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    out[start + 14..start + 16].copy_from_slice(&(count as u16).to_be_bytes());
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    count
}

/// Feedback as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// The sequence number of the first packet it tells of.
    pub base: u16,
    /// How many packets it tells of.
    pub count: u16,
    reference: u32,
    body: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// Reads an RTCP packet, if it is transport-wide feedback and whole.
    pub fn read(packet: &'a [u8]) -> Option<Feedback<'a>> {
        if packet.len() < FIXED || packet[0] != 0x80 | FORMAT || packet[1] != PAYLOAD_TYPE {
            return None;
        }
        let words = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let packet = packet.get(..(words + 1) * 4)?;
        let body = packet.get(FIXED..)?;
        Some(Feedback {
            base: u16::from_be_bytes([packet[12], packet[13]]),
            count: u16::from_be_bytes([packet[14], packet[15]]),
            reference: u32::from_be_bytes([0, packet[16], packet[17], packet[18]]),
            body,
        })
    }

    /// What became of each packet: when it arrived, in ticks of 250 µs on the receiver's clock, or
    /// `None` if it hadn't. Ends early where the packet does.
    pub fn arrivals(&self) -> impl Iterator<Item = Option<u64>> + 'a {
        let count = usize::from(self.count);
        let (mut chunks, mut deltas) = (Symbols::new(self.body), Symbols::new(self.body));
        // Deltas follow the chunks.
        for _ in 0..count {
            deltas.next();
        }
        let mut at = deltas.at;
        let body = self.body;
        let mut ticks = i64::from(self.reference) * REFERENCE as i64;
        let mut left = count;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            left -= 1;
            let delta = match chunks.next()? {
                1 => {
                    at += 1;
                    i64::from(*body.get(at - 1)?)
                }
                2 => {
                    at += 2;
                    let bytes = body.get(at - 2..at)?;
                    i64::from(i16::from_be_bytes([bytes[0], bytes[1]]))
                }
                _ => return Some(None),
            };
            ticks += delta;
            Some(Some(ticks.max(0) as u64))
        })
    }
}

/// The status symbols in a feedback's chunks.
struct Symbols<'a> {
    body: &'a [u8],
    at: usize,
    chunk: u16,
    left: u16,
}

impl<'a> Symbols<'a> {
    fn new(body: &'a [u8]) -> Self {
        Symbols {
            body,
            at: 0,
            chunk: 0,
            left: 0,
        }
    }

    fn next(&mut self) -> Option<u8> {
        if self.left == 0 {
            let bytes = self.body.get(self.at..self.at + 2)?;
            self.at += 2;
            self.chunk = u16::from_be_bytes([bytes[0], bytes[1]]);
            self.left = match self.chunk >> 14 {
                0b10 => 14,
                0b11 => 7,
                _ => self.chunk & 0x1fff,
            };
            if self.left == 0 {
                return None;
            }
        }
        self.left -= 1;
        Some(match self.chunk >> 14 {
            0b10 => (self.chunk >> self.left & 1) as u8,
            0b11 => (self.chunk >> (2 * self.left) & 3) as u8,
            _ => (self.chunk >> 13 & 3) as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(recorder: &mut Recorder, now: Time) -> Vec<(u16, Option<u64>)> {
        let mut all = Vec::new();
        let mut packet = Vec::new();
        while recorder.write(now, 1, 2, &mut packet) {
            let feedback = Feedback::read(&packet).unwrap();
            assert_eq!(packet.len() % 4, 0);
            let from = feedback.base;
            let arrivals = feedback.arrivals().enumerate();
            all.extend(arrivals.map(|(step, at)| (from.wrapping_add(step as u16), at)));
            packet.clear();
        }
        all
    }

    #[test]
    fn what_arrived_is_told_to_a_quarter_of_a_millisecond_and_what_did_not_too() {
        let mut recorder = Recorder::new();
        let start = Time::from_millis(1_000);
        recorder.arrived(start, 65_534, 1_200);
        recorder.arrived(start + Duration::from_micros(5_300), 65_535, 1_200);
        recorder.arrived(start + Duration::from_millis(90), 1, 1_200);
        assert_eq!(recorder.poll_timeout(), Some(start + INTERVAL));
        assert_eq!(told(&mut recorder, start), []);
        let expected = [
            (65_534, Some(4_000)),
            (65_535, Some(4_021)),
            (0, None),
            (1, Some(4_360)),
        ];
        assert_eq!(told(&mut recorder, start + INTERVAL), expected);
        assert_eq!(recorder.poll_timeout(), None);
        // What comes late is told again, with what followed it.
        recorder.arrived(start + Duration::from_millis(110), 0, 1_200);
        let again = told(&mut recorder, start + 3 * INTERVAL);
        assert_eq!(again[0], (0, Some(4_440)));
    }

    #[test]
    fn a_slow_stream_is_told_of_less_often() {
        let mut recorder = Recorder::new();
        let mut now = Time::from_millis(1_000);
        let mut feedbacks = 0;
        let mut packet = Vec::new();
        // 16 kbit/s.
        for sequence in 0..500 {
            recorder.arrived(now, sequence, 40);
            now += Duration::from_millis(20);
            packet.clear();
            feedbacks += usize::from(recorder.write(now, 1, 2, &mut packet));
        }
        assert!((38..=44).contains(&feedbacks), "{feedbacks} in ten seconds");
    }

    #[test]
    fn a_full_feedback_fits_a_datagram() {
        let mut recorder = Recorder::new();
        let mut now = Time::from_millis(1_000);
        for sequence in 0..2_000 {
            now += Duration::from_millis(64);
            recorder.arrived(now, sequence, 1_200);
        }
        let mut packet = Vec::new();
        while recorder.write(now + INTERVAL, 1, 2, &mut packet) {
            assert!(packet.len() <= 1_000, "{}", packet.len());
            packet.clear();
        }
    }

    proptest! {
        /// Whatever arrives, in whatever order: every arrival that is told was one, and all are
        /// told that came after the first.
        #[test]
        fn nothing_is_invented_and_nothing_forgotten(
            start in any::<u16>(),
            steps in proptest::collection::vec((0u16..6, 0u64..40_000), 1..200),
        ) {
            let mut recorder = Recorder::new();
            let mut now = Time::from_millis(5_000);
            let mut sequence = start;
            let mut arrived = std::collections::BTreeMap::new();
            let mut seen = std::collections::BTreeMap::new();
            for (skip, micros) in steps {
                sequence = sequence.wrapping_add(skip + 1);
                now += Duration::from_micros(micros);
                recorder.arrived(now, sequence, 1_000);
                arrived.insert(sequence, now.as_nanos() / TICK);
                for (sequence, at) in told(&mut recorder, now) {
                    if let Some(at) = at {
                        seen.insert(sequence, at);
                    }
                }
            }
            for (sequence, at) in told(&mut recorder, now + LONGEST_INTERVAL) {
                if let Some(at) = at {
                    seen.insert(sequence, at);
                }
            }
            prop_assert_eq!(seen, arrived);
        }

        /// Garbage is refused or read, and neither panics nor runs on.
        #[test]
        fn garbage_is_harmless(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if bytes.len() > 3 {
                bytes[0] = 0x8f;
                bytes[1] = PAYLOAD_TYPE;
                bytes[2] = 0;
                bytes[3] %= 60;
            }
            if let Some(feedback) = Feedback::read(&bytes) {
                prop_assert!(feedback.arrivals().count() <= usize::from(feedback.count));
            }
        }
    }
}
