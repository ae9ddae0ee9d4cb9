//! What a selective forwarding unit forwards to whom: a layer of each picture for each viewer, the
//! last speakers, everything to other servers.
//!
//! A switch waits for a key frame of the layer that is wanted, which is asked for; until it comes the
//! old layer goes on. Sequence and frame numbers go on across switches, so that a viewer sees one
//! stream (RFC 7667 §3.7).

use std::time::Duration;

use pinhole::Time;

use super::capacity;
use super::leg::Numbering;
use super::packet::{Kind, Media};
use crate::conference::media::{Allocator, Offer, Speech};
use crate::conference::plan::{Content, Place, Plan, SourceId, SourceKind};

/// A layer that nothing came of for so long isn't sent.
const SILENT: Duration = Duration::from_secs(2);
/// How often a key frame is asked for that doesn't come.
const KEY_PATIENCE: Duration = Duration::from_millis(500);
/// How often rates are measured.
const MEASURE: Duration = Duration::from_secs(1);

/// What one viewer gets of one source, or another server of one layer.
#[derive(Clone, Copy, Debug, Default)]
struct Forward {
    track: u32,
    current: Option<u8>,
    wanted: Option<u8>,
    /// Whether it may begin with any packet.
    eager: bool,
    /// Whether the source is among those that are forwarded to this one.
    offered: bool,
    /// What is added to numbers of the current layer.
    sequence_offset: u16,
    frame_offset: u32,
    /// The first packet of the current layer that was forwarded.
    begin: u16,
    next_sequence: u16,
    next_frame: u32,
}

/// One layer of a source.
#[derive(Debug, Default)]
struct Layer {
    /// Who gets it or waits for it: leg and stream.
    watching: Vec<(u32, u32)>,
    heard: Option<Time>,
    active: bool,
    bytes: u64,
    /// On the wire.
    kbps: u32,
    asked: Option<Time>,
}

#[derive(Debug)]
struct SourceState {
    /// The leg it comes from, and its track there.
    origin: Option<(u32, u32)>,
    layers: Vec<Layer>,
    /// Who can get it: leg, track.
    subscribers: Vec<(u32, u32)>,
    owner: usize,
    kind: SourceKind,
}

/// One leg's choice of pictures.
struct Viewer {
    /// `None`: another server.
    participant: Option<usize>,
    forwards: Vec<Forward>,
    /// The video tracks that a choice is made of.
    pictures: Vec<u32>,
    /// The highest layer that is wanted, by picture.
    highest: Vec<u8>,
    /// Where what the leg bears is known.
    allocator: Option<Allocator>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A packet goes to this leg.
    Send(usize, Media),
    /// A key frame is to be asked for, from this leg: its track and layer.
    AskKey(usize, u32, u8),
    /// A viewer no longer gets a source as before.
    Paused(usize, SourceId),
}

/// A server's forwarding.
pub(super) struct Forwarding {
    sources: Vec<SourceState>,
    viewers: Vec<Viewer>,
    /// By leg: the source of each incoming track.
    into: Vec<Vec<u32>>,
    /// By leg: the source of each outgoing track, and their streams.
    out: Vec<Vec<u32>>,
    numberings: Vec<Numbering>,
    speech: Speech,
    publishers: Vec<usize>,
    /// Who is forwarded: pictures, sound.
    latest: [Vec<usize>; 2],
    most: [Option<usize>; 2],
    measured: Time,
    audio_kbps: f64,
    /// Scratch.
    costs: Vec<u32>,
}

impl Forwarding {
    /// The forwarding of a server with these legs: connection and end.
    pub(super) fn new(plan: &Plan, legs: &[(usize, usize)], controlled: &[bool]) -> Self {
        let publishers: Vec<usize> = plan.publishers().collect();
        let mut sources: Vec<SourceState> = plan
            .sources
            .iter()
            .map(|source| SourceState {
                origin: None,
                layers: (0..source.layers.len().max(1))
                    .map(|_| Layer::default())
                    .collect(),
                subscribers: Vec::new(),
                owner: match source.owner {
                    Place::Participant(number) => number,
                    Place::Server(_) => usize::MAX,
                },
                kind: source.kind,
            })
            .collect();
        let mut viewers = Vec::with_capacity(legs.len());
        let (mut into, mut out, mut numberings) = (Vec::new(), Vec::new(), Vec::new());
        for (leg, (connection, end)) in legs.iter().enumerate() {
            let connection = &plan.connections[*connection];
            let incoming = connection.tracks[1 - end].iter();
            into.push(
                incoming
                    .map(|track| track.source.0 as u32)
                    .collect::<Vec<u32>>(),
            );
            for (track, source) in into[leg].iter().enumerate() {
                sources[*source as usize].origin = Some((leg as u32, track as u32));
            }
            let tracks = &connection.tracks[*end];
            let numbering = Numbering::of(plan, tracks);
            let mut forwards = vec![Forward::default(); numbering.count()];
            let (mut pictures, mut highest) = (Vec::new(), Vec::new());
            let wanted = capacity::pictures(plan, tracks);
            for (place, track) in tracks.iter().enumerate() {
                let source = plan.source(track.source);
                sources[track.source.0]
                    .subscribers
                    .push((leg as u32, place as u32));
                let first = numbering.stream(place as u32, 0);
                let last = numbering.stream(place as u32, u8::MAX);
                let streams = first.expect("a track of this leg")..=last.expect("likewise");
                for forward in &mut forwards[streams.clone()] {
                    forward.track = place as u32;
                }
                let selected = track.content == Content::Selected;
                if selected && source.kind.is_video() {
                    pictures.push(place as u32);
                    highest.push(plan.config.view.highest(wanted, &source.layers) as u8);
                } else {
                    for forward in &mut forwards[streams] {
                        forward.eager = true;
                    }
                }
            }
            let participant = match connection.ends[1 - end] {
                Place::Participant(number) => Some(number),
                Place::Server(_) => None,
            };
            viewers.push(Viewer {
                participant,
                forwards,
                allocator: controlled[leg].then(|| Allocator::new(pictures.len())),
                pictures,
                highest,
            });
            out.push(tracks.iter().map(|track| track.source.0 as u32).collect());
            numberings.push(numbering);
        }
        Forwarding {
            sources,
            viewers,
            into,
            out,
            numberings,
            speech: Speech::new(publishers.len(), plan.config.until(), plan.config.seed),
            publishers,
            latest: [Vec::new(), Vec::new()],
            most: [SourceKind::Audio, SourceKind::Camera].map(|kind| plan.latest(kind)),
            measured: Time::ZERO,
            audio_kbps: capacity::audio_kbps(plan),
            costs: Vec::new(),
        }
    }

    /// Decides whom it forwards at the beginning.
    pub(super) fn begin(&mut self, now: Time, orders: &mut Vec<Order>) {
        for source in 0..self.sources.len() {
            for place in 0..self.sources[source].subscribers.len() {
                let (leg, track) = self.sources[source].subscribers[place];
                if self.most[usize::from(self.sources[source].kind.is_video())].is_none() {
                    self.offer(now, leg, track, true, orders);
                }
            }
        }
        self.choose(now, orders);
    }

    /// When somebody else begins to speak.
    pub(super) fn poll_timeout(&self, now: Time) -> Option<Time> {
        self.most.iter().flatten().next()?;
        self.speech.next_turn(now)
    }

    /// Looks who spoke last, and forwards them.
    pub(super) fn choose(&mut self, now: Time, orders: &mut Vec<Order>) {
        for is_video in [false, true] {
            let Some(most) = self.most[usize::from(is_video)] else {
                continue;
            };
            // One more than anybody gets: nobody gets himself.
            let latest = self.speech.latest(now, most + 1);
            let latest: Vec<usize> = latest.into_iter().map(|it| self.publishers[it]).collect();
            let before = std::mem::replace(&mut self.latest[usize::from(is_video)], latest);
            let latest = self.latest[usize::from(is_video)].clone();
            let mut changed: Vec<usize> = before.iter().chain(&latest).copied().collect();
            changed.sort_unstable();
            changed.dedup();
            for source in 0..self.sources.len() {
                let state = &self.sources[source];
                if state.kind.is_video() != is_video || changed.binary_search(&state.owner).is_err()
                {
                    continue;
                }
                let owner = state.owner;
                for place in 0..self.sources[source].subscribers.len() {
                    let (leg, track) = self.sources[source].subscribers[place];
                    let offered = match self.viewers[leg as usize].participant {
                        Some(viewer) => {
                            let others = latest.iter().filter(|it| **it != viewer);
                            others.take(most).any(|it| *it == owner)
                        }
                        None => latest.contains(&owner),
                    };
                    self.offer(now, leg, track, offered, orders);
                }
            }
        }
    }

    /// From now on a source is, or isn't, among those forwarded to a leg.
    fn offer(&mut self, now: Time, leg: u32, track: u32, offered: bool, orders: &mut Vec<Order>) {
        let source = self.out[leg as usize][track as usize] as usize;
        let layers = self.sources[source].layers.len() as u8;
        let numbering = &self.numberings[leg as usize];
        let first = numbering.stream(track, 0).expect("a track of this leg");
        let last = numbering
            .stream(track, layers - 1)
            .expect("a track of this leg");
        for stream in first..=last {
            let forward = &mut self.viewers[leg as usize].forwards[stream];
            if forward.offered == offered {
                continue;
            }
            forward.offered = offered;
            let eager = forward.eager;
            if !offered {
                self.want(now, leg, stream, None, orders);
            } else if eager {
                self.want(now, leg, stream, Some((stream - first) as u8), orders);
            } else {
                self.aim(now, leg, track, orders);
            }
        }
    }

    /// On a leg that bears everything: the best there is.
    fn aim(&mut self, now: Time, leg: u32, track: u32, orders: &mut Vec<Order>) {
        let viewer = &self.viewers[leg as usize];
        let stream = self.numberings[leg as usize].stream(track, 0);
        let stream = stream.expect("a track of this leg");
        if viewer.allocator.is_some() || !viewer.forwards[stream].offered {
            return;
        }
        let Ok(picture) = viewer.pictures.binary_search(&track) else {
            return;
        };
        let highest = usize::from(viewer.highest[picture]);
        let source = self.out[leg as usize][track as usize] as usize;
        let layers = &self.sources[source].layers;
        let best = (0..=highest.min(layers.len() - 1))
            .rev()
            .find(|it| layers[*it].active);
        self.want(now, leg, stream, best.map(|it| it as u8), orders);
    }

    /// From now on this one is to get that layer.
    fn want(
        &mut self,
        now: Time,
        leg: u32,
        stream: usize,
        to: Option<u8>,
        orders: &mut Vec<Order>,
    ) {
        let viewer = &mut self.viewers[leg as usize];
        let forward = &mut viewer.forwards[stream];
        let source = self.out[leg as usize][forward.track as usize] as usize;
        if forward.wanted == to {
            return;
        }
        let layers = &mut self.sources[source].layers;
        let watcher = (leg, stream as u32);
        let mut leave = |layer: u8| {
            let watching = &mut layers[usize::from(layer)].watching;
            if let Some(place) = watching.iter().position(|it| *it == watcher) {
                // In order: the order of sending is part of the run.
                watching.remove(place);
            }
        };
        if let Some(wanted) = forward.wanted.filter(|it| forward.current != Some(*it)) {
            leave(wanted);
        }
        forward.wanted = to;
        let Some(to) = to else {
            if let Some(current) = forward.current.take() {
                leave(current);
                if let Some(participant) = viewer.participant {
                    orders.push(Order::Paused(participant, SourceId(source)));
                }
            }
            return;
        };
        if forward.current != Some(to) {
            let eager = forward.eager;
            layers[usize::from(to)].watching.push(watcher);
            if !eager {
                self.ask_key(now, source, to, orders);
            }
        }
    }

    fn ask_key(&mut self, now: Time, source: usize, layer: u8, orders: &mut Vec<Order>) {
        let state = &mut self.sources[source];
        let Some((leg, track)) = state.origin else {
            return;
        };
        let layer_state = &mut state.layers[usize::from(layer)];
        let just_now = |asked: Time| now < asked + KEY_PATIENCE / 5;
        if state.kind.is_video() && !layer_state.asked.is_some_and(just_now) {
            layer_state.asked = Some(now);
            orders.push(Order::AskKey(leg as usize, track, layer));
        }
    }

    /// A viewer can't decode what it gets.
    pub(super) fn key_wanted(
        &mut self,
        now: Time,
        leg: usize,
        track: u32,
        layer: u8,
        orders: &mut Vec<Order>,
    ) {
        let Some(stream) = self.numberings[leg].stream(track, layer) else {
            return;
        };
        let forward = self.viewers[leg].forwards[stream];
        let source = self.out[leg][track as usize] as usize;
        if let Some(layer) = forward.current {
            self.ask_key(now, source, layer, orders);
        }
    }

    /// A packet came in on a leg: whoever is to get it gets it.
    pub(super) fn forward(
        &mut self,
        now: Time,
        leg: usize,
        media: &Media,
        orders: &mut Vec<Order>,
    ) {
        let Some(source) = self.into[leg].get(media.track as usize) else {
            return;
        };
        let source = *source as usize;
        let Some(layer) = self.sources[source]
            .layers
            .get_mut(usize::from(media.layer))
        else {
            return;
        };
        layer.heard = Some(now);
        layer.bytes += media.wire_length() as u64;
        if !std::mem::replace(&mut layer.active, true) {
            self.activity_changed(now, source, orders);
        }
        let layers = &mut self.sources[source].layers;
        let watching = std::mem::take(&mut layers[usize::from(media.layer)].watching);
        for (leg, stream) in &watching {
            let viewer = &mut self.viewers[*leg as usize];
            let forward = &mut viewer.forwards[*stream as usize];
            if forward.current != Some(media.layer) {
                if !(forward.eager || media.is_key) {
                    continue;
                }
                // The layer begins here; what it was before ends.
                if let Some(old) = forward.current.replace(media.layer) {
                    let old = &mut layers[usize::from(old)].watching;
                    old.retain(|it| it != &(*leg, *stream));
                }
                forward.begin = media.sequence.wrapping_sub(media.place);
                forward.sequence_offset = forward.next_sequence.wrapping_sub(forward.begin);
                forward.frame_offset = forward.next_frame.wrapping_sub(media.frame);
                if let Some(participant) = viewer.participant.filter(|_| !forward.eager) {
                    orders.push(Order::Paused(participant, SourceId(source)));
                }
            }
            // Of before the switch: of no use to this one.
            let ahead = media.sequence.wrapping_sub(forward.begin) as i16;
            if ahead < 0 {
                continue;
            }
            // Numbers begin anew after 65,535: the switch is long past, and must not seem to lie ahead.
            if ahead > i16::MAX / 2 {
                forward.begin = forward.begin.wrapping_add(i16::MAX as u16 / 4);
            }
            let out = Media {
                track: forward.track,
                sequence: media.sequence.wrapping_add(forward.sequence_offset),
                frame: media.frame.wrapping_add(forward.frame_offset),
                kind: match media.kind {
                    Kind::Rtx => Kind::Video,
                    kind => kind,
                },
                ..*media
            };
            let next = out.sequence.wrapping_add(1);
            if (next.wrapping_sub(forward.next_sequence) as i16) > 0 {
                forward.next_sequence = next;
            }
            forward.next_frame = forward.next_frame.max(out.frame + 1);
            orders.push(Order::Send(*leg as usize, out));
        }
        layers[usize::from(media.layer)].watching = watching;
    }

    /// A layer of a source came or went.
    fn activity_changed(&mut self, now: Time, source: usize, orders: &mut Vec<Order>) {
        for place in 0..self.sources[source].subscribers.len() {
            let (leg, track) = self.sources[source].subscribers[place];
            self.aim(now, leg, track, orders);
        }
    }

    /// What is to be looked at now and then: silent layers, rates, key frames that don't come.
    pub(super) fn tick(&mut self, now: Time, orders: &mut Vec<Order>) {
        let measures = now >= self.measured + MEASURE;
        let span = now.saturating_since(self.measured).as_secs_f64();
        for source in 0..self.sources.len() {
            let mut changed = false;
            for number in 0..self.sources[source].layers.len() {
                let layer = &mut self.sources[source].layers[number];
                if measures && span > 0.0 {
                    let kbps = (layer.bytes as f64 * 8.0 / 1_000.0 / span) as u32;
                    layer.kbps = match layer.kbps {
                        0 => kbps,
                        before => (before + kbps) / 2,
                    };
                    layer.bytes = 0;
                }
                let silent = layer.heard.is_none_or(|heard| heard + SILENT < now);
                if layer.active && silent {
                    (layer.active, layer.kbps) = (false, 0);
                    changed = true;
                }
                let asked = layer.asked;
                let waits = layer.watching.iter().any(|(leg, stream)| {
                    let forward = &self.viewers[*leg as usize].forwards[*stream as usize];
                    !forward.eager && forward.current != Some(number as u8)
                });
                if waits && asked.is_none_or(|asked| asked + KEY_PATIENCE <= now) {
                    self.ask_key(now, source, number as u8, orders);
                }
            }
            if changed {
                self.activity_changed(now, source, orders);
            }
        }
        if measures {
            self.measured = now;
        }
    }

    /// What a leg bears is known anew: so many kbit/s on the wire. Returns whether that is too little
    /// for any picture: then nothing is sent that would show that more fits.
    pub(super) fn allocate(
        &mut self,
        now: Time,
        leg: usize,
        kbps: f64,
        orders: &mut Vec<Order>,
    ) -> bool {
        let Some(mut allocator) = self.viewers[leg].allocator.take() else {
            return false;
        };
        let viewer = &self.viewers[leg];
        let mut costs = std::mem::take(&mut self.costs);
        costs.clear();
        let mut ends = Vec::with_capacity(viewer.pictures.len());
        for track in &viewer.pictures {
            let stream = self.numberings[leg].stream(*track, 0);
            let forward = &viewer.forwards[stream.expect("a track of this leg")];
            if forward.offered {
                let source = self.out[leg][*track as usize] as usize;
                let state = &self.sources[source];
                costs.extend(state.layers.iter().map(|layer| match layer.active {
                    // Before it was measured: a guess that is never free.
                    true => layer.kbps.max(1),
                    false => 0,
                }));
            }
            ends.push(costs.len());
        }
        let sounds = viewer
            .forwards
            .iter()
            .filter(|it| it.eager && it.current.is_some());
        let sound = sounds.count() as f64 * self.audio_kbps;
        let begins = |place: usize| if place == 0 { 0 } else { ends[place - 1] };
        let offers: Vec<Offer<'_>> = (0..ends.len())
            .map(|place| Offer {
                layers: &costs[begins(place)..ends[place]],
                highest: viewer.highest[place].into(),
            })
            .collect();
        let bears = (kbps - sound).max(0.0) as u32;
        let mut switches = Vec::new();
        // Down as often as needed, up once; each moves something, so this ends.
        for _ in 0..offers.len() * 8 + 8 {
            let Some(switch) = allocator.step(now, bears, &offers) else {
                break;
            };
            switches.push((switch.source, switch.to));
        }
        let starves = allocator.starves(&offers);
        for (picture, to) in switches {
            let track = self.viewers[leg].pictures[picture];
            let stream = self.numberings[leg].stream(track, 0);
            let stream = stream.expect("a track of this leg");
            self.want(now, leg as u32, stream, to.map(|it| it as u8), orders);
        }
        self.viewers[leg].allocator = Some(allocator);
        self.costs = costs;
        starves
    }
}
