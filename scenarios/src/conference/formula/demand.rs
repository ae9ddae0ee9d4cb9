//! What every connection carries, each way.

use rustc_hash::FxHashMap;

use crate::conference::media::source::VARIATION;
use crate::conference::media::{Allocator, Layer, Offer, profile};
use crate::conference::outcome::{Rates, Received};
use crate::conference::plan::{Content, Place, Plan, Source, SourceId, SourceKind, Track};
use crate::overhead;

/// What one end of a connection sends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Media packets in a second.
    pub(super) packets: f64,
    /// Whole IP packets of media, in kbit/s.
    wire_kbps: f64,
    /// Streams: a layer is one.
    pub(super) streams: usize,
}

/// Checks for consent and answers to them that one end sends in a second.
pub(super) fn consent() -> f64 {
    2.0 / overhead::CONSENT_INTERVAL.as_secs_f64()
}

const fn kbps(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1_000.0
}

impl Sent {
    /// What this end puts on the wire for what it sends.
    pub(super) fn rates(&self) -> Rates {
        let reports = 1.0 / overhead::REPORT_INTERVAL.as_secs_f64();
        let report = overhead::sender_report() * self.streams;
        Rates {
            media: self.wire_kbps,
            rtcp: kbps(report as f64 * reports),
            stun: kbps(overhead::CONSENT_CHECK as f64 * consent()),
            ..Rates::default()
        }
    }

    /// What the other end answers.
    pub(super) fn feedback(&self) -> Rates {
        if self.streams == 0 {
            return Rates::default();
        }
        let rounds = 1.0 / overhead::FEEDBACK_INTERVAL.as_secs_f64();
        let packets = (self.packets / rounds).round() as usize;
        let reports = 1.0 / overhead::REPORT_INTERVAL.as_secs_f64();
        let feedback = overhead::feedback(packets) as f64 * rounds;
        let report = overhead::receiver_report(self.streams) as f64 * reports;
        Rates {
            rtcp: kbps(feedback + report),
            ..Rates::default()
        }
    }

    /// Packets of both kinds in a second, reports of this end included.
    pub(super) fn feedback_packets(&self) -> f64 {
        if self.streams == 0 {
            return 0.0;
        }
        let reports = 1.0 / overhead::REPORT_INTERVAL.as_secs_f64();
        1.0 / overhead::FEEDBACK_INTERVAL.as_secs_f64() + reports
    }

    fn add(&mut self, packets: f64, payload_kbps: f64, around: usize) {
        self.packets += packets;
        self.wire_kbps += payload_kbps + kbps(packets * around as f64);
        self.streams += 1;
    }

    fn add_layer(&mut self, layer: &Layer, payload_kbps: u32) {
        if payload_kbps > 0 {
            let packets = video_packets(layer, f64::from(payload_kbps));
            self.add(packets, f64::from(payload_kbps), overhead::VIDEO_PACKET);
        }
    }
}

/// Packets in a second of a layer at that rate: frames vary around their mean, each is cut into as
/// few packets as hold it.
fn video_packets(layer: &Layer, payload_kbps: f64) -> f64 {
    let frames = f64::from(layer.frames_per_second);
    let mean = payload_kbps * 1_000.0 / 8.0 / frames;
    let (least, most) = (mean * (1.0 - VARIATION), mean * (1.0 + VARIATION));
    let full = overhead::MAX_PAYLOAD as f64;
    // The mean of ceil(x / full) for x evenly between the two.
    let area = |to: f64| {
        let whole = (to / full).floor();
        full * whole * (whole + 1.0) / 2.0 + (to - whole * full) * (whole + 1.0)
    };
    frames * (area(most) - area(least)) / (most - least)
}

/// What one layer costs on the wire, in kbit/s.
fn wire_kbps(layer: &Layer, payload_kbps: u32) -> f64 {
    let mut sent = Sent::default();
    sent.add_layer(layer, payload_kbps);
    sent.wire_kbps
}

/// What every connection carries.
pub(super) struct Demand {
    /// By connection and end.
    sent: Vec<[Sent; 2]>,
    /// By connection, end and track: the rates of the layers that travel, the smallest first.
    rates: Vec<[Vec<Carried>; 2]>,
}

/// How much of a track travels.
#[derive(Clone, Copy, Debug)]
enum Carried {
    /// Nothing.
    Nothing,
    /// Sound.
    Audio,
    /// One layer, at so many kbit/s.
    Layer(usize, u32),
    /// The whole ladder, of so many kbit/s together.
    Ladder(u32),
}

/// More than any ladder has.
const EVERYTHING: u32 = u32::MAX;

impl Demand {
    /// Every stream in full quality, whether links bear it or not.
    pub(super) fn full(plan: &Plan) -> Self {
        Demand::of(plan, false)
    }

    /// What links bear.
    pub(super) fn granted(plan: &Plan) -> Self {
        Demand::of(plan, true)
    }

    fn of(plan: &Plan, is_bounded: bool) -> Self {
        let mut demand = Demand {
            sent: Vec::with_capacity(plan.connections.len()),
            rates: Vec::with_capacity(plan.connections.len()),
        };
        // What owners send comes first: what servers forward is made of it.
        let mut ladders = vec![0; plan.sources.len()];
        let mut own: Vec<[Vec<Carried>; 2]> = Vec::with_capacity(plan.connections.len());
        for (number, connection) in plan.connections.iter().enumerate() {
            own.push([0, 1].map(|end| {
                let tracks = &connection.tracks[end];
                let budget = is_bounded.then(|| budget(plan, number, end)).flatten();
                let carried = everything(plan, tracks, budget);
                for (track, carried) in tracks.iter().zip(&carried) {
                    if let Carried::Ladder(kbps) = carried
                        && plan.source(track.source).owner == connection.ends[end]
                    {
                        ladders[track.source.0] = *kbps;
                    }
                }
                carried
            }));
        }
        let mut choices = Choices::default();
        for (number, mut rates) in own.into_iter().enumerate() {
            let connection = &plan.connections[number];
            for (end, carried) in rates.iter_mut().enumerate() {
                let tracks = &connection.tracks[end];
                let forwards = tracks
                    .iter()
                    .any(|track| plan.source(track.source).owner != connection.ends[end]);
                if forwards {
                    let budget = is_bounded.then(|| budget(plan, number, end)).flatten();
                    let viewer = connection.ends[1 - end];
                    *carried = forwarded(plan, tracks, viewer, &ladders, budget, &mut choices);
                }
            }
            let sent = [0, 1].map(|end| sent(plan, &connection.tracks[end], &rates[end]));
            demand.sent.push(sent);
            demand.rates.push(rates);
        }
        demand
    }

    /// What one end of a connection sends.
    pub(super) fn on(&self, connection: usize, end: usize) -> Sent {
        self.sent[connection][end]
    }

    /// What of it reaches a viewer, source by source.
    pub(super) fn received<'a>(
        &'a self,
        plan: &'a Plan,
        connection: usize,
        end: usize,
    ) -> impl Iterator<Item = Received> + 'a {
        let tracks = &plan.connections[connection].tracks[end];
        let carried = tracks.iter().zip(&self.rates[connection][end]);
        carried.map(|(track, carried)| {
            let source = plan.source(track.source);
            received(plan, track.source, source, *carried)
        })
    }
}

fn received(plan: &Plan, id: SourceId, source: &Source, carried: Carried) -> Received {
    let audio = || plan.config.audio.as_ref().map_or(0, |it| it.kbps);
    let (kbps, layer) = match carried {
        Carried::Nothing => (0, None),
        Carried::Audio => (audio(), None),
        Carried::Layer(layer, kbps) => (kbps, Some(layer)),
        Carried::Ladder(kbps) => {
            let rates: Vec<u32> = profile::share(&source.layers, kbps).collect();
            let highest = rates.iter().rposition(|kbps| *kbps > 0);
            (rates.iter().sum(), highest)
        }
    };
    let places = 0..source.layers.len();
    Received {
        source: id,
        kbps: f64::from(kbps),
        layers: places
            .map(|place| f64::from(layer == Some(place)))
            .collect(),
        frames_per_second: layer.map_or(0.0, |it| f64::from(source.layers[it].frames_per_second)),
        freezes: 0,
        frozen: std::time::Duration::ZERO,
        key_frames: 0,
        jitter: std::time::Duration::ZERO,
        playout: None,
    }
}

/// What a connection's end may send in kbit/s on the wire, where a link bounds it: its owner's uplink
/// divided by its connections, or the other's downlink by its.
fn budget(plan: &Plan, connection: usize, end: usize) -> Option<f64> {
    let ends = plan.connections[connection].ends;
    let part = |place: Place, is_up: bool| {
        let Place::Participant(number) = place else {
            return None;
        };
        let access = plan.participants()[number].access?;
        let connections = plan.connections_of(place).count().max(1);
        let capacity = if is_up {
            access.up_kbps
        } else {
            access.down_kbps
        };
        Some(f64::from(capacity) / connections as f64)
    };
    let bounds = [part(ends[end], true), part(ends[1 - end], false)];
    let bound = bounds.into_iter().flatten().min_by(f64::total_cmp)?;
    // What goes first: feedback about what comes the other way, reports, consent.
    let streams = |end: usize| {
        let sources = plan.connections[connection].tracks[end].iter();
        let layers = sources.map(|track| plan.source(track.source).layers.len().max(1));
        layers.sum::<usize>()
    };
    let rounds = 1.0 / overhead::FEEDBACK_INTERVAL.as_secs_f64();
    let control = overhead::feedback(PACKETS_A_ROUND) as f64 * rounds
        + overhead::receiver_report(streams(1 - end)) as f64
        + (overhead::sender_report() * streams(end)) as f64
        + overhead::CONSENT_CHECK as f64 * consent();
    Some((bound - kbps(control)).max(0.0))
}

/// Packets that a feedback packet is about, about, where a link is full.
const PACKETS_A_ROUND: usize = 40;

/// Owners send all they have: sound, then the screen, then the camera with what is left.
fn everything(plan: &Plan, tracks: &[Track], budget: Option<f64>) -> Vec<Carried> {
    let mut left = budget.unwrap_or(f64::INFINITY);
    let mut carried = vec![Carried::Nothing; tracks.len()];
    let mut order: Vec<usize> = (0..tracks.len()).collect();
    order.sort_by_key(|place| match plan.source(tracks[*place].source).kind {
        SourceKind::Audio => 0,
        SourceKind::Screen => 1,
        SourceKind::Camera => 2,
    });
    for place in order {
        if tracks[place].content != Content::Everything {
            continue;
        }
        let source = plan.source(tracks[place].source);
        carried[place] = if source.kind.is_video() {
            Carried::Ladder(fitting(&source.layers, left))
        } else {
            Carried::Audio
        };
        left -= sent(plan, &tracks[place..=place], &carried[place..=place]).wire_kbps;
    }
    carried
}

/// The most that a ladder can be given, for so many kbit/s on the wire.
fn fitting(layers: &[Layer], wire: f64) -> u32 {
    let cost = |total: u32| -> f64 {
        let rates = profile::share(layers, total);
        layers
            .iter()
            .zip(rates)
            .map(|(layer, kbps)| wire_kbps(layer, kbps))
            .sum()
    };
    let full: u32 = profile::share(layers, EVERYTHING).sum();
    let (mut fits, mut too_much) = (0, full + 1);
    while fits + 1 < too_much {
        let middle = fits.midpoint(too_much);
        if cost(middle) <= wire {
            fits = middle;
        } else {
            too_much = middle;
        }
    }
    fits
}

/// What viewers were given who had so much for these costs, each up to its highest layer: most have
/// the same as the one before.
type Choices = FxHashMap<(u32, Vec<(Vec<u32>, usize)>), Vec<Option<usize>>>;

/// Servers forward the sound of all, or of the last who spoke, and of pictures the layers that fit.
fn forwarded(
    plan: &Plan,
    tracks: &[Track],
    viewer: Place,
    ladders: &[u32],
    budget: Option<f64>,
    choices: &mut Choices,
) -> Vec<Carried> {
    let between_servers = matches!(viewer, Place::Server(_));
    let mut carried = vec![Carried::Nothing; tracks.len()];
    let mut taken = [0_usize; 2];
    let mut forwards = |kind: SourceKind| {
        let taken = &mut taken[usize::from(kind.is_video())];
        *taken += 1;
        let one_more = usize::from(between_servers);
        plan.latest(kind)
            .is_none_or(|most| *taken <= most + one_more)
    };
    let mut pictures = Vec::new();
    for (place, track) in tracks.iter().enumerate() {
        let source = plan.source(track.source);
        if !forwards(source.kind) {
            continue;
        }
        if !source.kind.is_video() {
            carried[place] = Carried::Audio;
        } else if between_servers {
            carried[place] = Carried::Ladder(ladders[track.source.0]);
        } else {
            pictures.push(place);
        }
    }
    if pictures.is_empty() {
        return carried;
    }
    let sound = sent(plan, tracks, &carried).wire_kbps;
    let rates: Vec<Vec<u32>> = pictures
        .iter()
        .map(|place| {
            let source = tracks[*place].source;
            profile::share(&plan.source(source).layers, ladders[source.0]).collect()
        })
        .collect();
    let costs: Vec<Vec<u32>> = pictures
        .iter()
        .zip(&rates)
        .map(|(place, rates)| {
            let layers = &plan.source(tracks[*place].source).layers;
            let costs = layers.iter().zip(rates);
            costs
                .map(|(layer, kbps)| wire_kbps(layer, *kbps).ceil() as u32)
                .collect()
        })
        .collect();
    let wanted: Vec<(Vec<u32>, usize)> = pictures
        .iter()
        .zip(costs)
        .map(|(place, costs)| {
            let layers = &plan.source(tracks[*place].source).layers;
            (costs, plan.config.view.highest(pictures.len(), layers))
        })
        .collect();
    let bears = budget.map_or(u32::MAX, |budget| (budget - sound).max(0.0) as u32);
    let given = choices
        .entry((bears, wanted))
        .or_insert_with_key(|(bears, wanted)| choose(*bears, wanted));
    for (number, place) in pictures.into_iter().enumerate() {
        if let Some(layer) = given[number] {
            carried[place] = Carried::Layer(layer, rates[number][layer]);
        }
    }
    carried
}

/// The layer of each picture that a viewer is given.
fn choose(bears: u32, wanted: &[(Vec<u32>, usize)]) -> Vec<Option<usize>> {
    let offers: Vec<Offer<'_>> = wanted
        .iter()
        .map(|(layers, highest)| Offer {
            layers,
            highest: *highest,
        })
        .collect();
    let mut allocator = Allocator::new(offers.len());
    allocator.begin(pinhole::Time::ZERO, bears, &offers);
    (0..offers.len())
        .map(|place| allocator.layer(place))
        .collect()
}

fn sent(plan: &Plan, tracks: &[Track], carried: &[Carried]) -> Sent {
    let mut sent = Sent::default();
    for (track, carried) in tracks.iter().zip(carried) {
        let layers = &plan.source(track.source).layers;
        match *carried {
            Carried::Nothing => {}
            Carried::Audio => {
                if let Some(audio) = &plan.config.audio {
                    let packets = 1_000.0 / f64::from(audio.packet_ms);
                    sent.add(packets, f64::from(audio.kbps), overhead::AUDIO_PACKET);
                }
            }
            Carried::Layer(layer, kbps) => sent.add_layer(&layers[layer], kbps),
            Carried::Ladder(kbps) => {
                for (layer, kbps) in layers.iter().zip(profile::share(layers, kbps)) {
                    sent.add_layer(layer, kbps);
                }
            }
        }
    }
    sent
}
