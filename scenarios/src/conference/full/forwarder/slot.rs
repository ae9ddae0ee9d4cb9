//! A line to a receiver: what it carries, in which layer, and how its packets are numbered.

use std::time::Instant;

use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, SeqNo};

use crate::conference::plan::SourceId;

/// A line that packets are forwarded on.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    mid: Mid,
    is_video: bool,
    source: Option<SourceId>,
    /// The layer that it is to carry.
    wanted: Option<usize>,
    /// The layer that it carries.
    carried: Option<Carried>,
    /// The highest number that was given.
    last: u64,
    /// Whether it carries one layer always, from the first packet on.
    is_fixed: bool,
}

/// A layer that is being forwarded.
#[derive(Clone, Copy, Debug)]
struct Carried {
    layer: usize,
    /// The number of its first packet, as it came and as it went.
    first: (u64, u64),
}

/// What is forwarded begins with a number that leaves room for nothing to have gone before it.
const FIRST: u64 = 1_000;

/// A packet to send on a line of pictures before any picture: the middle of a frame that nobody has seen
/// the beginning of (RFC 7741 §4.2), which receivers drop.
pub(super) fn opening(payload_type: Pt, wallclock: Instant) -> RtpWrite {
    RtpWrite::new(payload_type, FIRST.into(), 0, wallclock, [0; 2])
}

impl Slot {
    pub(super) fn new(mid: Mid, is_video: bool) -> Self {
        Slot {
            mid,
            is_video,
            source: None,
            wanted: None,
            carried: None,
            last: FIRST,
            is_fixed: false,
        }
    }

    pub(super) fn mid(&self) -> Mid {
        self.mid
    }

    pub(super) fn is_video(&self) -> bool {
        self.is_video
    }

    pub(super) fn source(&self) -> Option<SourceId> {
        self.source
    }

    /// Carries another source, or none; returns which it was.
    pub(super) fn assign(&mut self, source: Option<SourceId>) -> Option<SourceId> {
        self.carried = None;
        self.wanted = if self.is_video { None } else { Some(0) };
        std::mem::replace(&mut self.source, source)
    }

    /// Carries that layer, whatever happens.
    pub(super) fn fix(&mut self, layer: usize) {
        self.is_fixed = true;
        self.wanted = Some(layer);
    }

    /// Is to carry another layer, or none. The one it carries goes on until the other has a key frame.
    pub(super) fn want(&mut self, layer: Option<usize>) {
        self.wanted = layer;
        if layer.is_none() {
            self.carried = None;
        }
    }

    /// What a key frame is needed of, before it carries what it is to.
    pub(super) fn waits_for(&self) -> Option<(SourceId, usize)> {
        let wanted = self.wanted.filter(|_| self.is_video && !self.is_fixed)?;
        let is_there = self.carried.is_some_and(|it| it.layer == wanted);
        (!is_there).then_some((self.source?, wanted))
    }

    /// What its receiver sees.
    pub(super) fn shows(&self) -> Option<(SourceId, usize)> {
        let carried = self.carried.map(|it| it.layer);
        Some((self.source?, carried.or(self.wanted)?))
    }

    /// A packet of its source came: what goes to the receiver for it, if anything does.
    pub(super) fn take(
        &mut self,
        layer: usize,
        packet: &RtpPacket,
        starts_key: bool,
    ) -> Option<RtpWrite> {
        let number = *packet.seq_no;
        let carries = self.carried.is_some_and(|it| it.layer == layer);
        let may_begin = starts_key || !self.is_video || self.is_fixed;
        if !carries && self.wanted == Some(layer) && may_begin {
            self.carried = Some(Carried {
                layer,
                first: (number, self.last + 1),
            });
        }
        let carried = self.carried.filter(|it| it.layer == layer)?;
        let (came, went) = carried.first;
        // What is older than the switch the receiver never missed.
        let number = went + number.checked_sub(came)?;
        self.last = self.last.max(number);
        let seq: SeqNo = number.into();
        let header = &packet.header;
        // Of the extensions only what is said about the sound goes on; the rest is each connection's own.
        let extensions = ExtensionValues {
            audio_level: header.ext_vals.audio_level,
            voice_activity: header.ext_vals.voice_activity,
            ..ExtensionValues::default()
        };
        let write = RtpWrite::new(
            header.payload_type,
            seq,
            header.timestamp,
            packet.timestamp,
            packet.payload.clone(),
        );
        Some(
            write
                .marker(header.marker)
                .ext_vals(extensions)
                .nackable(self.is_video),
        )
    }
}
