//! One stream as it comes in: what is missing and asked for again, and which frames are whole.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use pinhole::Time;

use super::packet::{Kind, Media};
use crate::conference::media::{ASSUMED_ROUND_TRIP, Arrival, RoundTrip};
use crate::congestion::feedback::unwrap;

/// How long a gap may stand before its packets are asked for: a little disorder is no loss.
const TOLERANCE: Duration = Duration::from_millis(10);
/// How often it is asked.
const TRIES: u8 = 10;
/// The shortest time between two requests for a key frame.
const KEY_PATIENCE: Duration = Duration::from_millis(300);
/// A larger gap isn't asked for: it is a pause, or hopeless.
const LARGEST_GAP: u64 = 300;
/// Frames that may be begun and not shown.
const MOST_FRAMES: usize = 120;

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    next: Time,
    tries: u8,
    /// When it was asked for first, and last.
    asked: [Time; 2],
}

#[derive(Clone, Copy, Debug)]
struct Partial {
    media: Media,
    first_sequence: u64,
    got: u16,
    bytes: usize,
    /// When its last packet came.
    whole: Time,
    repaired: bool,
}

/// A packet that hadn't come before.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    sequence: u64,
    at: Time,
    /// It had been asked for.
    repairs: bool,
}

/// A frame that can be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Whole {
    pub(super) layer: u8,
    pub(super) is_key: bool,
    pub(super) arrival: Arrival,
}

/// A stream of video, at its receiver.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    highest: Option<u64>,
    missing: Vec<Missing>,
    partial: VecDeque<Partial>,
    shown: Option<u32>,
    needs_key: bool,
    asked_key: Option<Time>,
    round_trip: RoundTrip,
}

impl Incoming {
    /// A packet arrived. Returns what is known of it, if it is new.
    pub(super) fn arrived(&mut self, now: Time, media: &Media) -> Option<New> {
        let in_order = |sequence| New {
            sequence,
            at: now,
            repairs: false,
        };
        let Some(highest) = self.highest else {
            let sequence = u64::from(media.sequence) + (1 << 16);
            self.highest = Some(sequence);
            // The beginning of the first frame may be missing too.
            let begin = sequence - u64::from(media.place);
            self.miss(now, begin..sequence);
            return Some(in_order(sequence));
        };
        let sequence = unwrap(highest, media.sequence);
        if sequence > highest {
            let gap = sequence - highest - 1;
            self.highest = Some(sequence);
            if gap > LARGEST_GAP {
                self.missing.clear();
                self.needs_key = true;
            } else {
                self.miss(now, highest + 1..sequence);
            }
            return Some(in_order(sequence));
        }
        let place = self.missing.iter().position(|it| it.sequence == sequence)?;
        let missing = self.missing.remove(place);
        let repairs = missing.tries > 0;
        // Else it was only late: by itself, or because whoever forwards it had to ask for it.
        if repairs && media.kind == Kind::Rtx {
            self.learn_round_trip(now, &missing);
        }
        Some(New {
            repairs,
            ..in_order(sequence)
        })
    }

    /// Where it was asked for several times, which request is this the answer to? The last, if it
    /// comes no sooner than answers do; else that can't be told. As long as nothing is known, the first.
    fn learn_round_trip(&mut self, now: Time, missing: &Missing) {
        let [first, last] = missing.asked.map(|asked| now.saturating_since(asked));
        match self.round_trip.get(now) {
            None => self.round_trip.took(now, first),
            Some(known) if missing.tries == 1 || last >= known.mul_f64(0.95) => {
                self.round_trip.took(now, last);
            }
            Some(_) => {}
        }
    }

    fn miss(&mut self, now: Time, sequences: Range<u64>) {
        self.missing.extend(sequences.map(|sequence| Missing {
            sequence,
            next: now + TOLERANCE,
            tries: 0,
            asked: [Time::ZERO; 2],
        }));
    }

    /// Puts a new packet into its frame. Tells every frame that can be shown by now, in order.
    pub(super) fn assemble(&mut self, new: New, media: &Media, mut show: impl FnMut(Whole)) {
        if self.shown.is_some_and(|shown| media.frame <= shown) {
            return;
        }
        let place = self
            .partial
            .iter()
            .rposition(|it| it.media.frame <= media.frame);
        let place = match place {
            Some(place) if self.partial[place].media.frame == media.frame => place,
            before => {
                let place = before.map_or(0, |before| before + 1);
                self.partial.insert(
                    place,
                    Partial {
                        media: *media,
                        first_sequence: new.sequence - u64::from(media.place),
                        got: 0,
                        bytes: 0,
                        whole: new.at,
                        repaired: false,
                    },
                );
                place
            }
        };
        let partial = &mut self.partial[place];
        partial.got += 1;
        partial.whole = new.at;
        partial.repaired |= new.repairs;
        partial.bytes += usize::from(media.payload);
        if partial.got == media.packets {
            self.show(&mut show);
        }
        if self.partial.len() > MOST_FRAMES {
            self.partial.pop_front();
            self.needs_key = true;
        }
    }

    fn show(&mut self, show: &mut impl FnMut(Whole)) {
        let whole = |it: &Partial| it.got == it.media.packets;
        while let Some(first) = self.partial.front() {
            let follows = self.shown.map(|shown| shown + 1) == Some(first.media.frame);
            if !(whole(first) && (follows || first.media.is_key)) {
                // Past what can't be shown, a whole key frame begins anew.
                let key = |it: &Partial| whole(it) && it.media.is_key;
                let Some(place) = self.partial.iter().position(key) else {
                    return;
                };
                self.partial.drain(..place);
                let first = self.partial[0].first_sequence;
                self.missing.retain(|it| it.sequence >= first);
            }
            let frame = self.partial.pop_front().expect("there is one");
            if frame.media.is_key {
                (self.needs_key, self.asked_key) = (false, None);
            }
            self.shown = Some(frame.media.frame);
            show(Whole {
                layer: frame.media.layer,
                is_key: frame.media.is_key,
                arrival: Arrival {
                    captured: frame.media.captured,
                    whole: frame.whole,
                    bytes: frame.bytes,
                    repaired: frame.repaired,
                    round_trip: self.round_trip.get(frame.whole),
                },
            });
        }
    }

    /// When to [ask](Incoming::ask); `None` while nothing is missing.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let missing = self.missing.iter().map(|it| it.next).min();
        let key = self.key_due();
        [missing, key].into_iter().flatten().min()
    }

    /// When a key frame is to be asked for.
    fn key_due(&self) -> Option<Time> {
        let asked = self
            .asked_key
            .map_or(Time::ZERO, |asked| asked + KEY_PATIENCE);
        (self.needs_key || self.is_stuck()).then_some(asked)
    }

    /// Whether what came can't be shown, and nothing is under way that would change that.
    fn is_stuck(&self) -> bool {
        let Some(first) = self.partial.front() else {
            return false;
        };
        let follows = self.shown.map(|shown| shown + 1) == Some(first.media.frame);
        let is_begun = follows || first.media.is_key;
        !is_begun && self.missing.is_empty()
    }

    /// Puts the numbers of packets to be asked for into `again`, ascending. Returns whether to ask
    /// for a key frame.
    pub(super) fn ask(&mut self, now: Time, again: &mut Vec<u16>) -> bool {
        // A little longer than an answer takes.
        let patience = match self.round_trip.get(now) {
            Some(round_trip) => round_trip + TOLERANCE,
            None => ASSUMED_ROUND_TRIP,
        };
        let mut lost = false;
        self.missing.retain_mut(|it| {
            if it.next > now {
                return true;
            }
            if it.tries == TRIES {
                lost = true;
                return false;
            }
            if it.tries == 0 {
                it.asked[0] = now;
            }
            it.asked[1] = now;
            it.tries += 1;
            it.next = now + patience;
            again.push(it.sequence as u16);
            true
        });
        self.needs_key |= lost;
        let asks = self.key_due().is_some_and(|due| due <= now);
        if asks {
            self.asked_key = Some(now);
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(frame: u32, place: u16, packets: u16, is_key: bool) -> Media {
        Media {
            captured: Time::from_millis(u64::from(frame) * 33),
            track: 0,
            frame,
            sequence: 0,
            place,
            packets,
            payload: 1_000,
            layer: 0,
            kind: Kind::Video,
            is_key,
        }
    }

    /// Frames of two packets, the first a key frame. Returns the frames shown.
    fn feed(incoming: &mut Incoming, now: Time, sequences: &[u16]) -> Vec<u64> {
        let mut shown = Vec::new();
        for sequence in sequences {
            let frame = u32::from(sequence / 2);
            let media = Media {
                sequence: *sequence,
                ..media(frame, sequence % 2, 2, frame == 0)
            };
            if let Some(sequence) = incoming.arrived(now, &media) {
                let shows = |whole: Whole| {
                    shown.push((whole.arrival.captured - Time::ZERO).as_millis() as u64 / 33);
                    assert_eq!(whole.arrival.bytes, 2_000);
                };
                incoming.assemble(sequence, &media, shows);
            }
        }
        shown
    }

    #[test]
    fn frames_come_in_order_and_wait_for_what_is_missing() {
        let mut incoming = Incoming::default();
        let now = Time::from_millis(1_000);
        assert_eq!(feed(&mut incoming, now, &[0, 1, 2]), [0]);
        assert!(feed(&mut incoming, now, &[4, 5, 5, 6, 7]).is_empty());
        let mut again = Vec::new();
        assert_eq!(incoming.poll_timeout(), Some(now + TOLERANCE));
        assert!(!incoming.ask(now + TOLERANCE, &mut again));
        assert_eq!(again, [3]);
        assert_eq!(feed(&mut incoming, now, &[3]), [1, 2, 3]);
        assert_eq!(incoming.poll_timeout(), None);
        assert!(feed(&mut incoming, now, &[3, 1]).is_empty());
    }

    #[test]
    fn it_is_asked_again_when_an_answer_should_have_come() {
        let mut incoming = Incoming::default();
        let ms = Duration::from_millis;
        let mut now = Time::from_millis(1_000);
        feed(&mut incoming, now, &[0, 1, 3, 5]);
        let mut again = Vec::new();
        for tries in [vec![2, 4], vec![2, 4, 2, 4]] {
            now = incoming.poll_timeout().unwrap();
            incoming.ask(now, &mut again);
            assert_eq!(again, tries);
        }
        // The first answer is for the first request.
        let first = Time::from_millis(1_010);
        assert_eq!(now, first + ASSUMED_ROUND_TRIP);
        let mut came = |sequence: u16, at| {
            let media = Media {
                sequence,
                kind: Kind::Rtx,
                ..media(u32::from(sequence / 2), sequence % 2, 2, false)
            };
            let new = incoming.arrived(at, &media).unwrap();
            let mut shown = Vec::new();
            incoming.assemble(new, &media, |whole| shown.push(whole.arrival));
            shown
        };
        let [frame] = came(2, first + ms(160))[..] else {
            panic!("one frame is whole by that");
        };
        assert!(frame.repaired);
        assert_eq!(frame.whole, first + ms(160));
        assert_eq!(frame.round_trip, Some(ms(160)));
        // This one can be an answer to neither: too late for the first, too soon for the second.
        came(4, first + ms(180));
        feed(&mut incoming, first + ms(200), &[7]);
        now = incoming.poll_timeout().unwrap();
        incoming.ask(now, &mut again);
        assert_eq!(incoming.poll_timeout(), Some(now + ms(160) + TOLERANCE));
    }

    #[test]
    fn what_never_comes_is_given_up_for_a_key_frame() {
        let mut incoming = Incoming::default();
        let mut now = Time::from_millis(1_000);
        feed(&mut incoming, now, &[0, 1, 3, 4, 5]);
        let mut again = Vec::new();
        let mut asked_key = 0;
        for _ in 0..TRIES + 1 {
            now = incoming.poll_timeout().unwrap();
            asked_key += u8::from(incoming.ask(now, &mut again));
        }
        assert_eq!(again, [2; TRIES as usize]);
        assert_eq!(asked_key, 1);
        assert_eq!(incoming.poll_timeout(), Some(now + KEY_PATIENCE));
        let key = |place| Media {
            sequence: 18 + place,
            ..media(9, place, 2, true)
        };
        let mut shown = 0;
        for place in 0..2u16 {
            let sequence = incoming.arrived(now, &key(place)).unwrap();
            incoming.assemble(sequence, &key(place), |whole| {
                assert!(whole.is_key);
                shown += 1;
            });
        }
        assert_eq!(shown, 1);
        assert_eq!(incoming.poll_timeout(), None);
    }

    #[test]
    fn who_comes_in_the_middle_asks_for_a_key_frame() {
        let mut incoming = Incoming::default();
        let now = Time::from_millis(1_000);
        assert!(feed(&mut incoming, now, &[10, 11]).is_empty());
        assert!(incoming.ask(now, &mut Vec::new()));
    }
}
