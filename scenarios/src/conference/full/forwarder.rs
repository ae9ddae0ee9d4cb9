//! A selective forwarding unit (RFC 7667 §3.7): it forwards packets as they are, in the layer that each
//! receiver's connection bears, and nobody's picture is decoded.
//!
//! Whom it forwards, where that is limited, follows from the audio levels in the packets (RFC 6464).
//! Which layer, the [`Allocator`] says. A switch happens at a key frame, for which the source is asked.
//! Packets keep their times; their numbers are counted anew for each receiver, so that only what was
//! lost leaves a gap.

mod slot;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pinhole::{Io, Time};
use rustc_hash::FxHashMap;
use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::rtp::{RtpPacket, Vp8Descriptor};
use str0m::{Event, RtcConfig};

use self::slot::Slot;
use super::attendee::{self, Briefing, MEDIA_SHARE, START_KBPS};
use super::lines::{self, Planned, Sends};
use super::party::{Hub, Role};
use crate::conference::media::allocator::HEADROOM;
use crate::conference::media::{Allocator, Offer};
use crate::conference::plan::{Place, Plan, SourceId};
use crate::ice::EPOCH;
use crate::overhead::{AUDIO_PACKET, IP_UDP, RTP_HEADER, SRTP_TAG, VIDEO_EXTENSIONS};

/// What a packet takes: one is forwarded after the other. Each connection's stack sends one packet in
/// a microsecond, and which of two that wait for it goes first would depend on the order of a map.
const WORK: Duration = Duration::from_micros(2);

/// How often it looks at its layers.
const TICK: Duration = Duration::from_millis(100);

/// Over how many ticks the rate of a layer is taken.
const WINDOW: usize = 20;

/// How long the estimator is given to find out what a new connection bears: then the receiver gets the best
/// that fits, and from there on goes step by step.
const FIRST_PROBES: Duration = Duration::from_secs(2);

/// The shortest time between two requests for a key frame of one layer.
const REQUEST_SPACING: Duration = Duration::from_millis(300);

/// A forwarding server.
pub(super) struct Forwarder {
    briefing: Briefing,
    legs: BTreeMap<u32, Leg>,
    inputs: FxHashMap<SourceId, Input>,
    /// Which stream comes on which connection with which SSRC.
    by_ssrc: FxHashMap<(u32, u32), (SourceId, usize)>,
    /// Everybody who sends, those who spoke last first.
    speakers: Vec<usize>,
    ticks: usize,
    next: Time,
    /// Packets that came while it was at work on another, with their connections.
    waiting: VecDeque<(u32, RtpPacket)>,
    free_at: Time,
}

/// A source, where it comes in.
struct Input {
    layers: Vec<Incoming>,
    /// The connections that it is forwarded to, and the line there.
    to: Vec<(u32, usize)>,
}

/// A layer of a source, or a sound, where it comes in.
#[derive(Default)]
struct Incoming {
    from: Option<(u32, Mid, Option<Rid>)>,
    /// Bytes in each of the last ticks, and of all.
    bytes: [u32; WINDOW],
    since: Option<Time>,
    requested: Option<Time>,
}

impl Incoming {
    fn kbps(&self, now: Time) -> u32 {
        let Some(since) = self.since else { return 0 };
        let span = now.saturating_since(since).min(TICK * WINDOW as u32);
        let bytes: u32 = self.bytes.iter().sum();
        (f64::from(bytes) * 8.0 / 1_000.0 / span.max(TICK).as_secs_f64()) as u32
    }
}

/// A connection.
struct Leg {
    end: usize,
    lines: Vec<Planned>,
    /// Since when it stands.
    connected: Option<Time>,
    /// Whether the estimate was taken as it is, to begin with.
    has_begun: bool,
    /// What it sends, line by line; `None` for those that only receive.
    slots: Vec<Option<Slot>>,
    /// The pictures it may get, and which layer it gets of each.
    pictures: Vec<SourceId>,
    allocator: Allocator,
    estimate_kbps: u32,
    /// What was last asked of the estimator.
    asked_kbps: (u32, u32),
}

impl Forwarder {
    pub(super) fn new(briefing: Briefing) -> Self {
        let speakers = briefing.plan.publishers().collect();
        Forwarder {
            briefing,
            legs: BTreeMap::new(),
            inputs: FxHashMap::default(),
            by_ssrc: FxHashMap::default(),
            speakers,
            ticks: 0,
            next: Time::ZERO + TICK,
            waiting: VecDeque::new(),
            free_at: Time::ZERO,
        }
    }

    fn config() -> RtcConfig {
        attendee::config().set_rtp_mode(true)
    }

    fn leg(&mut self, number: u32) -> &mut Leg {
        let briefing = &self.briefing;
        self.legs.entry(number).or_insert_with(|| {
            let plan = &briefing.plan;
            let connection = &plan.connections[number as usize];
            let end = usize::from(connection.ends[0] != briefing.place);
            let is_picture = |id: &SourceId| plan.source(*id).kind.is_video();
            let sent = connection.tracks[end].iter().map(|track| track.source);
            let pictures: Vec<SourceId> = sent.filter(is_picture).collect();
            Leg {
                end,
                lines: lines::of(plan, number as usize),
                connected: None,
                has_begun: false,
                slots: Vec::new(),
                allocator: Allocator::new(pictures.len()),
                pictures,
                estimate_kbps: START_KBPS,
                asked_kbps: (0, 0),
            }
        })
    }

    fn input<'a>(
        inputs: &'a mut FxHashMap<SourceId, Input>,
        plan: &Plan,
        id: SourceId,
    ) -> &'a mut Input {
        inputs.entry(id).or_insert_with(|| {
            let layers = plan.source(id).layers.len().max(1);
            Input {
                layers: (0..layers).map(|_| Incoming::default()).collect(),
                to: Vec::new(),
            }
        })
    }

    fn connected(&mut self, now: Time, number: u32, hub: &mut Hub) {
        let connection = hub.connection(number);
        let mids: Vec<Mid> = connection.map_or_else(Vec::new, |it| it.mids().to_vec());
        let plan = self.briefing.plan.clone();
        let leg = self.leg(number);
        if leg.connected.replace(now).is_some() {
            return;
        }
        let (end, lines) = (leg.end, leg.lines.clone());
        for (place, (line, mid)) in lines.iter().zip(&mids).enumerate() {
            let from = |rid| Some((number, *mid, rid));
            match line.sends[1 - end] {
                Sends::Source(id) => {
                    let input = Self::input(&mut self.inputs, &plan, id);
                    let is_only = input.layers.len() == 1;
                    for (layer, incoming) in input.layers.iter_mut().enumerate() {
                        let rid = (!is_only).then(|| Rid::from(lines::rid(layer).as_str()));
                        incoming.from = from(rid);
                    }
                }
                Sends::Layer(id, layer) => {
                    let input = Self::input(&mut self.inputs, &plan, id);
                    input.layers[layer].from = from(None);
                }
                Sends::Nothing | Sends::Latest => {}
            }
            let sent = line.sends[end];
            let slot = (sent != Sends::Nothing).then(|| {
                hub.act(now, number, |rtc| {
                    // What is paced waits in one of many queues, and which goes first would depend on the
                    // order of a map; forwarded packets were paced by their senders.
                    if let Some(stream) = rtc.direct_api().stream_tx_by_mid(*mid, None) {
                        stream.set_unpaced(true);
                    }
                });
                Slot::new(*mid, line.is_video)
            });
            let leg = self.leg(number);
            leg.slots.push(slot);
            match sent {
                Sends::Source(id) => self.assign(number, place, id),
                Sends::Layer(id, layer) => {
                    self.assign(number, place, id);
                    let leg = self.leg(number);
                    if let Some(Some(slot)) = leg.slots.get_mut(place) {
                        slot.fix(layer);
                    }
                }
                Sends::Nothing | Sends::Latest => {}
            }
        }
        self.open(now, number, hub);
        self.choose(now);
    }

    /// Sends a first packet on one of the lines that carry pictures. Padding goes on the stream that
    /// sent last, and before the first it would go on whichever a map has in front.
    fn open(&mut self, now: Time, number: u32, hub: &mut Hub) {
        let mut slots = self.leg(number).slots.iter().flatten();
        let Some(mid) = slots.find(|slot| slot.is_video()).map(Slot::mid) else {
            return;
        };
        hub.act(now, number, |rtc| {
            let mut codecs = rtc.codec_config().params().iter();
            let pt = codecs.find(|it| it.spec().codec.is_video())?.pt();
            let mut direct = rtc.direct_api();
            let stream = direct.stream_tx_by_mid(mid, None)?;
            stream.write_rtp(slot::opening(pt, now.to_instant(*EPOCH)));
            Some(())
        });
    }

    /// From now on that line carries that source.
    fn assign(&mut self, number: u32, place: usize, id: SourceId) {
        let plan = self.briefing.plan.clone();
        if let Some(Some(slot)) = self.leg(number).slots.get_mut(place) {
            slot.assign(Some(id));
        }
        let input = Self::input(&mut self.inputs, &plan, id);
        input.to.push((number, place));
    }

    fn unassign(&mut self, number: u32, place: usize) {
        let Some(Some(slot)) = self.leg(number).slots.get_mut(place) else {
            return;
        };
        if let Some(id) = slot.assign(None)
            && let Some(input) = self.inputs.get_mut(&id)
        {
            input.to.retain(|to| *to != (number, place));
        }
    }

    /// Gives the lines that carry the latest speakers to them.
    fn choose(&mut self, now: Time) {
        let plan = self.briefing.plan.clone();
        if plan.config.last_n.is_none() {
            return;
        }
        let numbers: Vec<u32> = self.legs.keys().copied().collect();
        for number in numbers {
            for is_video in [false, true] {
                let leg = &self.legs[&number];
                let places: Vec<usize> = (0..leg.slots.len())
                    .filter(|place| {
                        let line = leg.lines[*place];
                        line.is_video == is_video && line.sends[leg.end] == Sends::Latest
                    })
                    .collect();
                let other = plan.connections[number as usize].ends[1 - leg.end];
                let latest = self.speakers.iter().flat_map(|who| {
                    let own = Place::Participant(*who);
                    let sources = plan.sources.iter().enumerate();
                    sources.filter_map(move |(id, source)| {
                        let fits = source.owner == own && source.kind.is_video() == is_video;
                        (fits && own != other).then_some(SourceId(id))
                    })
                });
                let latest: Vec<SourceId> = latest.take(places.len()).collect();
                let carried = |leg: &Leg, place: usize| leg.slots[place].as_ref()?.source();
                for place in &places {
                    if let Some(id) = carried(&self.legs[&number], *place)
                        && !latest.contains(&id)
                    {
                        self.unassign(number, *place);
                        if let Place::Participant(viewer) = other {
                            self.briefing.meter.screens_mut().paused(viewer, id);
                        }
                    }
                }
                for id in latest {
                    let leg = &self.legs[&number];
                    let mut of_these = places.iter().copied();
                    if of_these.clone().any(|it| carried(leg, it) == Some(id)) {
                        continue;
                    }
                    let free = of_these.find(|place| carried(leg, *place).is_none());
                    if let Some(free) = free {
                        self.assign(number, free, id);
                    }
                }
            }
        }
        self.next = now;
    }

    /// Forwards what came first, if nothing else is being forwarded.
    fn work(&mut self, now: Time, hub: &mut Hub) {
        if self.free_at <= now
            && let Some((number, packet)) = self.waiting.pop_front()
        {
            self.free_at = now + WORK;
            self.forward(now, number, &packet, hub);
        }
    }

    fn forward(&mut self, now: Time, number: u32, packet: &RtpPacket, hub: &mut Hub) {
        let ssrc = *packet.header.ssrc;
        let known = self.by_ssrc.get(&(number, ssrc)).copied();
        let Some((id, layer)) = known.or_else(|| self.learn(now, number, ssrc, hub)) else {
            return;
        };
        let Some(input) = self.inputs.get_mut(&id) else {
            return;
        };
        let incoming = &mut input.layers[layer];
        let around = RTP_HEADER + VIDEO_EXTENSIONS + SRTP_TAG;
        incoming.since.get_or_insert(now);
        incoming.bytes[self.ticks % WINDOW] += (packet.payload.len() + around) as u32;
        let is_video = self.briefing.plan.source(id).kind.is_video();
        let starts_key = is_video
            && Vp8Descriptor::parse(&packet.payload)
                .is_ok_and(|descriptor| descriptor.starts_keyframe(&packet.payload));
        for (leg_number, place) in &input.to {
            let leg = self.legs.get_mut(leg_number);
            let slot = leg.and_then(|leg| leg.slots.get_mut(*place)?.as_mut());
            let Some(slot) = slot else { continue };
            if let Some(write) = slot.take(layer, packet, starts_key) {
                let mid = slot.mid();
                hub.write(now, *leg_number, |rtc| {
                    if let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, None) {
                        stream.write_rtp(write);
                    }
                });
            }
        }
        if packet.header.ext_vals.voice_activity == Some(true)
            && let Place::Participant(who) = self.briefing.plan.source(id).owner
            && self.speakers.first() != Some(&who)
        {
            self.speakers.retain(|it| *it != who);
            self.speakers.insert(0, who);
            self.choose(now);
        }
    }

    /// Finds out what comes with this SSRC.
    fn learn(
        &mut self,
        now: Time,
        number: u32,
        ssrc: u32,
        hub: &mut Hub,
    ) -> Option<(SourceId, usize)> {
        let (mid, rid) = hub.act(now, number, |rtc| {
            let mut direct = rtc.direct_api();
            let stream = direct.stream_rx(&ssrc.into())?;
            Some((stream.mid(), stream.rid()))
        })??;
        let from = Some((number, mid, rid));
        let found = self.inputs.iter().find_map(|(id, input)| {
            let layer = input.layers.iter().position(|it| it.from == from)?;
            Some((*id, layer))
        })?;
        self.by_ssrc.insert((number, ssrc), found);
        Some(found)
    }

    /// Asks for a key frame of a layer, if that wasn't done just now.
    fn request_key(&mut self, now: Time, id: SourceId, layer: usize, hub: &mut Hub) {
        let Some(input) = self.inputs.get_mut(&id) else {
            return;
        };
        let incoming = &mut input.layers[layer];
        let is_recent = incoming
            .requested
            .is_some_and(|at| now < at + REQUEST_SPACING);
        let Some((number, mid, rid)) = incoming.from.filter(|_| !is_recent) else {
            return;
        };
        incoming.requested = Some(now);
        hub.act(now, number, |rtc| {
            if let Some(stream) = rtc.direct_api().stream_rx_by_mid(mid, rid) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        });
    }

    /// Looks what each connection bears.
    fn allocate(&mut self, now: Time, hub: &mut Hub) {
        let plan = self.briefing.plan.clone();
        let rates: FxHashMap<SourceId, Vec<u32>> = self
            .inputs
            .iter()
            .map(|(id, input)| (*id, input.layers.iter().map(|it| it.kbps(now)).collect()))
            .collect();
        let mut wanted = Vec::new();
        for (number, leg) in &mut self.legs {
            let other = plan.connections[*number as usize].ends[1 - leg.end];
            let Place::Participant(viewer) = other else {
                // Between servers every layer goes.
                for slot in leg.slots.iter().flatten() {
                    wanted.extend(slot.waits_for());
                }
                continue;
            };
            let Some(connected) = leg.connected else {
                continue;
            };
            let most = plan.pictures(viewer);
            let carried: Vec<SourceId> = leg
                .slots
                .iter()
                .flatten()
                .filter_map(Slot::source)
                .collect();
            let offers: Vec<Offer<'_>> = leg
                .pictures
                .iter()
                .map(|id| {
                    let is_carried = carried.contains(id);
                    let layers = rates.get(id).filter(|_| is_carried);
                    Offer {
                        layers: layers.map_or(&[], Vec::as_slice),
                        highest: plan.config.view.highest(most, &plan.source(*id).layers),
                    }
                })
                .collect();
            let sounds = leg.slots.iter().flatten().filter(|it| !it.is_video());
            let audio = plan.config.audio.as_ref().map_or(0, |audio| {
                let bytes = audio.payload() + AUDIO_PACKET - IP_UDP;
                bytes as u32 * 8 / audio.packet_ms
            });
            let audio = audio * sounds.count() as u32;
            let budget = leg.estimate_kbps.saturating_sub(audio);
            if !leg.has_begun && now >= connected + FIRST_PROBES {
                leg.has_begun = true;
                leg.allocator.begin(now, budget, &offers);
            }
            while leg.allocator.step(now, budget, &offers).is_some() {}
            for (place, id) in leg.pictures.iter().enumerate() {
                let layer = leg.allocator.layer(place);
                let mut slots = leg.slots.iter_mut().flatten();
                if let Some(slot) = slots.find(|slot| slot.source() == Some(*id)) {
                    slot.want(layer);
                    wanted.extend(slot.waits_for());
                }
            }
            let asked = ask(&plan, leg, &offers, audio);
            if std::mem::replace(&mut leg.asked_kbps, asked) != asked {
                let (least, desired) = asked;
                hub.act(now, *number, |rtc| {
                    let [least, desired] = [least, desired].map(|kbps| Bitrate::kbps(kbps.into()));
                    rtc.bwe().set_bitrate(least, desired);
                });
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for (id, layer) in wanted {
            self.request_key(now, id, layer, hub);
        }
    }
}

/// What the estimator is to sustain, with padding if need be, and what it is to look for: the next step
/// up, and everything at its best.
fn ask(plan: &Plan, leg: &Leg, offers: &[Offer<'_>], audio: u32) -> (u32, u32) {
    let mut desired = 0.0;
    let mut step: Option<u32> = None;
    for (place, (id, offer)) in leg.pictures.iter().zip(offers).enumerate() {
        if offer.layers.is_empty() {
            continue;
        }
        let layers = &plan.source(*id).layers;
        let highest = offer.highest.min(layers.len() - 1);
        desired += f64::from(layers[highest].max_kbps);
        let next = leg.allocator.layer(place).map_or(0, |layer| layer + 1);
        let has = leg.allocator.layer(place).map_or(0, |at| offer.layers[at]);
        if next <= highest && offer.layers[next] > has {
            let more = offer.layers[next] - has;
            step = Some(step.map_or(more, |least| least.min(more)));
        }
    }
    let cost = leg.allocator.cost(offers);
    let least = step.map_or(0, |step| {
        (f64::from(audio + cost + step) * (1.0 + HEADROOM)) as u32
    });
    // What is known to fit needs no padding to prove it.
    let least = if leg.estimate_kbps > least { 0 } else { least };
    let desired = audio + (desired / MEDIA_SHARE * 1.25) as u32;
    (least.min(desired), desired)
}

impl Role for Forwarder {
    fn begin(&mut self, now: Time, hub: &mut Hub, io: &mut Io<'_>) {
        self.briefing.offer_all(now, hub, io, Self::config);
    }

    fn accept(&mut self, _: Time, _: u32) -> RtcConfig {
        Self::config()
    }

    fn handle_event(&mut self, now: Time, number: u32, event: Event, hub: &mut Hub) {
        match event {
            Event::Connected => self.connected(now, number, hub),
            Event::RtpPacket(packet) => {
                self.waiting.push_back((number, packet));
                self.work(now, hub);
            }
            Event::KeyframeRequest(request) => {
                let leg = self.leg(number);
                let mut slots = leg.slots.iter().flatten();
                let slot = slots.find(|slot| slot.mid() == request.mid);
                if let Some((id, layer)) = slot.and_then(Slot::shows) {
                    self.request_key(now, id, layer, hub);
                }
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.leg(number).estimate_kbps = (estimate.as_u64() / 1_000) as u32;
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Time, hub: &mut Hub) {
        self.work(now, hub);
        if now < self.next {
            return;
        }
        self.ticks += 1;
        for input in self.inputs.values_mut() {
            for incoming in &mut input.layers {
                incoming.bytes[self.ticks % WINDOW] = 0;
                if incoming.bytes == [0; WINDOW] {
                    incoming.since = None;
                }
            }
        }
        self.allocate(now, hub);
        self.next = now + TICK;
    }

    fn poll_timeout(&self) -> Option<Time> {
        let work = (!self.waiting.is_empty()).then_some(self.free_at);
        Some(work.map_or(self.next, |work| work.min(self.next)))
    }
}
