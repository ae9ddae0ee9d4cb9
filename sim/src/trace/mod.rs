//! What happened to every packet: counts and a digest always, an observer or a full recording on
//! demand.

mod digest;
mod fate;
pub mod pcapng;
mod recording;
mod wire;
mod words;

pub use digest::Digest;
use digest::Digester;
pub use fate::{DropReason, Fate, Place};
pub use recording::{Cause, Event, PacketRecord, Record, Recording};
pub use words::Names;

use crate::packet::Packet;
use crate::time::Time;

/// How many packets there were, and what became of them. At any moment
/// `sent + duplicated = delivered + dropped + in_flight`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Packets that hosts sent, ICMP errors included, and fragments that were made of them: a
    /// packet that is cut in three ends as [`Fragmented`](Fate::Fragmented), and three are sent.
    pub sent: u64,
    /// Copies that links made.
    pub duplicated: u64,
    /// Packets that a host took, and packets that went on as fragments.
    pub delivered: u64,
    /// Packets that went no further.
    pub dropped: u64,
    /// Packets still under way.
    pub in_flight: u64,
}

/// How often packets were dropped for one reason at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DropCount {
    /// The first such drop, as an example.
    pub example: DropReason,
    /// How many.
    pub count: u64,
}

/// Watches a run as it happens, for those who want to read the wire without keeping all of it.
pub trait Observer {
    /// `packet` was sent.
    fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        let _ = (time, packet, cause);
    }

    /// `packet` met its fate.
    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate);
}

/// A run's trace.
#[derive(Default)]
pub struct Trace {
    sent: u64,
    duplicated: u64,
    delivered: u64,
    dropped: u64,
    drops: Vec<DropCount>,
    digest: Digester,
    recording: Option<Recording>,
    observer: Option<Box<dyn Observer>>,
}

impl Trace {
    /// Counts of all packets so far.
    pub fn counts(&self) -> Counts {
        let ended = self.delivered + self.dropped;
        Counts {
            sent: self.sent,
            duplicated: self.duplicated,
            delivered: self.delivered,
            dropped: self.dropped,
            in_flight: self.sent + self.duplicated - ended,
        }
    }

    /// Drops by reason and place, in the order of their first occurrence.
    pub fn drops(&self) -> &[DropCount] {
        &self.drops
    }

    /// The digest of what happened so far.
    pub fn digest(&self) -> Digest {
        self.digest.digest()
    }

    /// The recording, if the run is recorded.
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// Packets sent and duplicated so far, which is also the next packet's number.
    pub(crate) fn packets(&self) -> u64 {
        self.sent + self.duplicated
    }

    pub(crate) fn record_all(&mut self) {
        self.recording = Some(Recording::default());
    }

    pub(crate) fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    pub(crate) fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        match cause {
            Cause::DuplicateOf(_) => self.duplicated += packet.count() as u64,
            Cause::Sent | Cause::ErrorAbout(_) | Cause::FragmentOf(_) => {
                self.sent += packet.count() as u64;
            }
        }
        if let Some(recording) = &mut self.recording {
            recording.sent(time, packet, cause);
        }
        if let Some(observer) = &mut self.observer {
            observer.sent(time, packet, cause);
        }
    }

    #[inline]
    pub(crate) fn event(&mut self, time: Time, packet: &Packet, event: Event) {
        if let Some(recording) = &mut self.recording {
            recording.push(time, packet, event);
        }
    }

    pub(crate) fn ended(&mut self, time: Time, packet: &Packet, fate: Fate) {
        self.digest.record(time, packet, &fate);
        let count = packet.count() as u64;
        match fate {
            // Taken off the wire in good order, by a host or by who cut it.
            Fate::Delivered { .. } | Fate::Fragmented { .. } => self.delivered += count,
            Fate::Dropped(drop) => self.count_drop(drop, count),
        }
        if let Some(recording) = &mut self.recording {
            recording.push(time, packet, Event::Ended(fate));
        }
        if let Some(observer) = &mut self.observer {
            observer.ended(time, packet, &fate);
        }
    }

    fn count_drop(&mut self, drop: DropReason, count: u64) {
        self.dropped += count;
        let same = |known: &&mut DropCount| {
            known.example.number() == drop.number() && known.example.place() == drop.place()
        };
        match self.drops.iter_mut().find(same) {
            Some(known) => known.count += count,
            None => self.drops.push(DropCount {
                example: drop,
                count,
            }),
        }
    }

    /// Forgets everything, keeps the memory; recording and observing end.
    pub(crate) fn clear(&mut self) {
        let mut drops = std::mem::take(&mut self.drops);
        drops.clear();
        *self = Trace {
            drops,
            ..Trace::default()
        };
    }
}
