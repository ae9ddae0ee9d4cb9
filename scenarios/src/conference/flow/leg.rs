//! One end of a connection: what it needs to send and to receive, whoever has it.

use std::collections::VecDeque;
use std::time::Duration;

use pinhole::packet::Train;
use pinhole::{ProgramId, Time};

use super::incoming::Incoming;
use super::packet::Media;
use crate::conference::plan::{Content, Plan, SourceId, Track};
use crate::congestion::feedback::Recorder;
use crate::congestion::{Controller, Pacer};

/// Packets that can be sent again.
const HISTORY: usize = 1_024;

/// The time over which retransmissions are counted: libwebrtc's.
const RESENT_WINDOW: Duration = Duration::from_millis(500);

/// Streams of a connection's end, numbered: those of a track follow each other.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// By track: its first stream, and how many layers are streams of their own.
    tracks: Vec<(u32, u8)>,
    streams: u32,
    /// By track.
    sources: Vec<u32>,
}

impl Numbering {
    pub(super) fn of(plan: &Plan, tracks: &[Track]) -> Self {
        let mut numbering = Numbering::default();
        for track in tracks {
            let layers = match track.content {
                Content::Selected => 1,
                Content::Everything => plan.source(track.source).layers.len().max(1),
            };
            numbering.tracks.push((numbering.streams, layers as u8));
            numbering.sources.push(track.source.0 as u32);
            numbering.streams += layers as u32;
        }
        numbering
    }

    /// How many streams there are.
    pub(super) fn count(&self) -> usize {
        self.streams as usize
    }

    /// The stream of a packet, if there is such a track.
    pub(super) fn stream(&self, track: u32, layer: u8) -> Option<usize> {
        // Spares a look at memory where each track is one stream: with hundreds of them, on hundreds
        // of connections, that is what a packet costs.
        if self.streams as usize == self.tracks.len() {
            return (track < self.streams).then_some(track as usize);
        }
        let (first, layers) = self.tracks.get(track as usize)?;
        Some(*first as usize + usize::from(layer.min(layers - 1)))
    }

    /// What a track is of.
    pub(super) fn source(&self, track: u32) -> SourceId {
        SourceId(self.sources[track as usize] as usize)
    }

    /// The track and the layer (of those that are streams of their own) of a stream.
    pub(super) fn track(&self, stream: usize) -> (u32, u8) {
        let after = self
            .tracks
            .partition_point(|(first, _)| *first as usize <= stream);
        let (first, _) = self.tracks[after - 1];
        (after as u32 - 1, (stream - first as usize) as u8)
    }
}

/// Which streams had packets since the last report.
#[derive(Debug, Default)]
pub(super) struct Active {
    marked: Vec<bool>,
    count: usize,
}

impl Active {
    fn new(streams: usize) -> Self {
        Active {
            marked: vec![false; streams],
            count: 0,
        }
    }

    pub(super) fn mark(&mut self, stream: usize) {
        let was_marked = std::mem::replace(&mut self.marked[stream], true);
        self.count += usize::from(!was_marked);
    }

    /// How many there were; from now on it counts anew.
    pub(super) fn take(&mut self) -> usize {
        self.marked.fill(false);
        std::mem::take(&mut self.count)
    }
}

/// Congestion control of what a leg sends.
pub(super) struct Control {
    pub(super) controller: Controller,
    pub(super) pacer: Pacer<Media>,
}

/// One end of a connection.
pub(super) struct Leg {
    pub(super) connection: usize,
    /// 0 or 1.
    pub(super) end: usize,
    pub(super) peer: Option<ProgramId>,
    pub(super) connected: bool,
    /// Whether its packets go over a TURN server.
    pub(super) over_relay: bool,
    /// What it may have to send at the most, in kbit/s, where that must be controlled.
    pub(super) to_control: Option<f64>,
    pub(super) control: Option<Control>,
    /// The next transport-wide sequence number.
    pub(super) sequence: u16,
    /// What is about to leave: see [`station::trains`](super::station).
    pub(super) train: Train,
    pub(super) history: VecDeque<Media>,
    /// What was sent again of late: when, and bits on the wire.
    resent: VecDeque<(Time, u32)>,
    resent_bits: u64,
    pub(super) out: Numbering,
    pub(super) sent: Active,
    pub(super) recorder: Recorder,
    pub(super) into: Numbering,
    pub(super) received: Active,
    pub(super) incoming: Vec<Option<Box<Incoming>>>,
    /// Incoming streams that have something to ask for.
    pub(super) asking: Vec<u32>,
    pub(super) asks_at: Option<Time>,
}

impl Leg {
    pub(super) fn new(plan: &Plan, connection: usize, end: usize, to_control: Option<f64>) -> Self {
        let tracks = &plan.connections[connection].tracks;
        let out = Numbering::of(plan, &tracks[end]);
        let into = Numbering::of(plan, &tracks[1 - end]);
        Leg {
            connection,
            end,
            peer: None,
            connected: false,
            over_relay: false,
            to_control,
            control: None,
            sequence: 0,
            train: Train::default(),
            history: VecDeque::new(),
            resent: VecDeque::new(),
            resent_bits: 0,
            sent: Active::new(out.count()),
            out,
            recorder: Recorder::new(),
            received: Active::new(into.count()),
            incoming: (0..into.count()).map(|_| None).collect(),
            into,
            asking: Vec::new(),
            asks_at: None,
        }
    }

    /// Keeps a packet for the case that it is asked for again.
    pub(super) fn remember(&mut self, media: Media) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(media);
    }

    /// Whether a packet of so many bytes may be sent again: as libwebrtc has it, retransmissions
    /// alone never exceed the estimate. Counts it if so.
    pub(super) fn may_resend(&mut self, now: Time, bytes: usize) -> bool {
        let Some(control) = &self.control else {
            return true;
        };
        let target_bps = control.controller.target_bps() as f64;
        if self.resent_kbps(now) * 1_000.0 >= target_bps {
            return false;
        }
        let bits = bytes as u32 * 8;
        self.resent.push_back((now, bits));
        self.resent_bits += u64::from(bits);
        true
    }

    /// What retransmissions took of late, in kbit/s: the encoders have so much less.
    pub(super) fn resent_kbps(&mut self, now: Time) -> f64 {
        while let Some((at, bits)) = self.resent.front().copied()
            && at + RESENT_WINDOW <= now
        {
            self.resent.pop_front();
            self.resent_bits -= u64::from(bits);
        }
        self.resent_bits as f64 / 1_000.0 / RESENT_WINDOW.as_secs_f64()
    }

    /// A packet that was sent before.
    pub(super) fn again(&self, track: u32, layer: u8, sequence: u16) -> Option<Media> {
        let stream = self.out.stream(track, layer)?;
        let same = |it: &&Media| {
            it.sequence == sequence && self.out.stream(it.track, it.layer) == Some(stream)
        };
        self.history.iter().rev().find(same).copied()
    }

    /// The incoming stream of that number.
    pub(super) fn incoming(&mut self, stream: usize) -> &mut Incoming {
        self.incoming[stream].get_or_insert_default()
    }

    /// An incoming stream may have something to ask for.
    pub(super) fn mind(&mut self, stream: usize) {
        let Some(due) = self.incoming(stream).poll_timeout() else {
            return;
        };
        if !self.asking.contains(&(stream as u32)) {
            self.asking.push(stream as u32);
        }
        self.asks_at = Some(self.asks_at.map_or(due, |before| before.min(due)));
    }

    /// When this leg has something to do.
    pub(super) fn poll_timeout(&self, now: Time) -> Option<Time> {
        let control = self.control.as_ref();
        let times = [
            // Nothing can be told or asked before there is a way back; it is told then.
            self.recorder.poll_timeout().filter(|_| self.connected),
            self.asks_at.filter(|_| self.connected),
            control.and_then(|it| it.controller.poll_timeout()),
            control.and_then(|it| it.pacer.poll_timeout(now)),
        ];
        times.into_iter().flatten().min()
    }
}
