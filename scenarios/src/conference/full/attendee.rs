//! Somebody who sends sources of its own and watches those of others: a participant; and a mixer, which
//! is one to each of its participants.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use pinhole::{Io, Stream, Time};
use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{Frequency, KeyframeRequestKind, MediaData, MediaTime, Mid, Pt, Rid};
use str0m::{Event, Rtc, RtcConfig};

use super::connection::Connection;
use super::lines::{self, Planned, Sends};
use super::party::{Hub, Role};
use super::payload::Mark;
use crate::conference::media::{Arrival, Encoder, RoundTrip, Speech};
use crate::conference::meter::{Meter, Shown};
use crate::conference::plan::{Place, Plan, SourceId, SourceKind};
use crate::ice::EPOCH;
use crate::overhead::{AUDIO_PACKET, IP_UDP, MAX_PAYLOAD, VIDEO_PACKET};

/// What an estimate begins with (libwebrtc's `kDefaultStartBitrateBps`).
pub(super) const START_KBPS: u32 = 300;

/// How long a frame may wait in the pacer before the next is skipped.
const BACKLOG: Duration = Duration::from_millis(200);

/// The time between two requests for a key frame by one viewer.
const REQUEST_SPACING: Duration = Duration::from_millis(500);

/// Within what time people's cameras and microphones begin.
const PHASE: Duration = Duration::from_millis(33);

/// What lies between two streams of one connection that are due at once: an encoder makes one after
/// the other.
const APART: Duration = Duration::from_micros(10);

/// Levels of speech and of silence, in -dBov (RFC 6464 §3).
const SPEECH: i8 = -20;
const SILENCE: i8 = -127;

/// The share of a packet's bytes, above UDP, that is media.
pub(crate) const MEDIA_SHARE: f64 =
    MAX_PAYLOAD as f64 / (MAX_PAYLOAD + VIDEO_PACKET - IP_UDP) as f64;

/// What both kinds of party know.
#[derive(Clone)]
pub(super) struct Briefing {
    pub(super) plan: Rc<Plan>,
    pub(super) meter: Meter,
    pub(super) speech: Rc<Speech>,
    pub(super) place: Place,
}

impl Briefing {
    /// The number that others know a place by.
    pub(super) fn number(&self, place: Place) -> usize {
        match place {
            Place::Participant(number) => number,
            Place::Server(number) => self.plan.participants().len() + number,
        }
    }

    /// Offers all connections that begin here.
    pub(super) fn offer_all(
        &self,
        now: Time,
        hub: &mut Hub,
        io: &mut Io<'_>,
        config: impl Fn() -> RtcConfig,
    ) {
        for (number, end) in self.plan.connections_of(self.place) {
            if end == 0 {
                let other = self.number(self.plan.connections[number].ends[1]);
                let planned = lines::of(&self.plan, number);
                let offered = planned.iter().map(|line| lines::offered(&self.plan, line));
                let offered = offered.collect();
                hub.offer(now, number as u32, other, config(), offered, io);
            }
        }
    }
}

/// How every stack here is set up.
pub(super) fn config() -> RtcConfig {
    RtcConfig::new()
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(true)
        .enable_bwe(Some(Bitrate::kbps(START_KBPS.into())))
}

/// An attendee.
pub(super) struct Attendee {
    briefing: Briefing,
    legs: BTreeMap<u32, Leg>,
    next: Option<Time>,
}

/// One of its connections.
struct Leg {
    end: usize,
    lines: Vec<Planned>,
    senders: Vec<Sender>,
    watched: BTreeMap<Mid, Watched>,
    estimate_kbps: u32,
    /// What the estimator is to look for, once the first frames have left: padding goes on the stream
    /// that sent last, and before the first it would go on whichever a map has in front.
    desired: Option<(Time, u32)>,
    /// When the sound and the picture were captured that came last: a mixer passes them on.
    came: [Option<Time>; 2],
}

/// A source being sent.
struct Sender {
    mid: Mid,
    pt: Pt,
    source: SourceId,
    kind: SourceKind,
    making: Making,
    /// How long after its time its first layer is written.
    after: Duration,
}

impl Sender {
    /// When a layer is written next.
    fn due(&self, layer: usize, packet: Duration) -> Time {
        let next = match &self.making {
            Making::Sound { began, number } => *began + packet * *number,
            Making::Picture { encoder, .. } => encoder.sources()[layer].next_at(),
        };
        next + self.after + APART * layer as u32
    }

    fn next_due(&self, packet: Duration) -> Option<Time> {
        let layers = match &self.making {
            Making::Sound { .. } => 1,
            Making::Picture { rids, .. } => rids.len(),
        };
        (0..layers).map(|layer| self.due(layer, packet)).min()
    }
}

enum Making {
    Sound {
        began: Time,
        number: u32,
    },
    Picture {
        encoder: Encoder,
        rids: Vec<Option<Rid>>,
    },
}

/// A line that pictures come on.
#[derive(Default)]
struct Watched {
    /// Nothing can be decoded before the next key frame.
    is_broken: bool,
    source: Option<u32>,
    requested: Option<Time>,
    /// When a packet came last that had been missing, and a frame was whole by that.
    repaired: Option<Time>,
    round_trip: RoundTrip,
}

impl Attendee {
    pub(super) fn new(briefing: Briefing) -> Self {
        Attendee {
            briefing,
            legs: BTreeMap::new(),
            next: None,
        }
    }

    fn plan(&self) -> &Plan {
        &self.briefing.plan
    }

    fn leg(&mut self, number: u32) -> &mut Leg {
        let briefing = &self.briefing;
        self.legs.entry(number).or_insert_with(|| {
            let plan = &briefing.plan;
            let ends = plan.connections[number as usize].ends;
            Leg {
                end: usize::from(ends[0] != briefing.place),
                lines: lines::of(plan, number as usize),
                senders: Vec::new(),
                watched: BTreeMap::new(),
                estimate_kbps: START_KBPS,
                desired: None,
                came: [None; 2],
            }
        })
    }

    /// How much sound goes into a packet.
    fn packet(&self) -> Duration {
        let audio = self.plan().config.audio.as_ref();
        Duration::from_millis(audio.map_or(20, |audio| audio.packet_ms).into())
    }

    fn connected(&mut self, now: Time, number: u32, hub: &mut Hub) {
        let connection = hub.connection(number);
        let mids: Vec<Mid> = connection.map_or_else(Vec::new, |it| it.mids().to_vec());
        let leg = self.leg(number);
        if !leg.senders.is_empty() {
            return;
        }
        let sent: Vec<(Mid, SourceId)> = leg
            .lines
            .iter()
            .zip(mids)
            .filter_map(|(line, mid)| match line.sends[leg.end] {
                Sends::Source(source) => Some((mid, source)),
                _ => None,
            })
            .collect();
        // Nobody's camera and microphone keep the same time as anybody else's.
        let plan = &self.briefing.plan;
        let name = format!("{}/phase", plan.name(self.briefing.place));
        let phase = Stream::new(plan.config.seed, &name).below(PHASE.as_nanos() as u64);
        let phase = Duration::from_nanos(phase);
        let mut senders: Vec<Sender> = Vec::new();
        let mut streams = 0;
        let mut is_paced_taken = false;
        for (mid, id) in sent {
            let plan = self.briefing.plan.clone();
            let source = plan.source(id);
            let count = source.layers.len();
            let rids: Vec<Option<Rid>> = (0..count)
                .map(|layer| (count > 1).then(|| Rid::from(lines::rid(layer).as_str())))
                .collect();
            let began = now + phase;
            let making = if source.kind.is_video() {
                let name = format!("{}/{number}/{}", plan.name(self.briefing.place), id.0);
                let (seed, interval) = (plan.config.seed, plan.config.key_interval);
                Making::Picture {
                    encoder: Encoder::new(&source.layers, began, START_KBPS, interval, seed, &name),
                    rids: rids.clone(),
                }
            } else {
                Making::Sound { began, number: 0 }
            };
            let pt = hub.act(now, number, |rtc| {
                // One stream is paced: of two that wait for the pacer, which goes first would depend on
                // the order of a map. The others count for its budget all the same.
                let paced = (!is_paced_taken).then(|| rids.last().copied().flatten());
                for rid in rids {
                    if paced != Some(rid)
                        && let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, rid)
                    {
                        stream.set_unpaced(true);
                    }
                }
                let writer = rtc.writer(mid)?;
                writer.payload_params().next().map(|params| params.pt())
            });
            is_paced_taken |= source.kind.is_video();
            if let Some(Some(pt)) = pt {
                senders.push(Sender {
                    mid,
                    pt,
                    source: id,
                    kind: source.kind,
                    making,
                    after: APART * streams,
                });
                streams += count.max(1) as u32;
            }
        }
        let desired = desired_kbps(self.plan(), senders.iter().map(|sender| sender.source));
        let leg = self.leg(number);
        leg.senders = senders;
        leg.desired = Some((now + phase + APART * streams, desired));
        self.set_rates(now, number);
        self.plan_next();
    }

    fn plan_next(&mut self) {
        let packet = self.packet();
        let senders = self.legs.values().flat_map(|leg| &leg.senders);
        self.next = senders.filter_map(|sender| sender.next_due(packet)).min();
    }

    /// Gives the encoders what the estimate leaves for them.
    fn set_rates(&mut self, now: Time, number: u32) {
        let audio = self.plan().config.audio.as_ref().map_or(0, |audio| {
            let bytes = audio.payload() + AUDIO_PACKET - IP_UDP;
            bytes as u32 * 8 / audio.packet_ms
        });
        let plan = self.briefing.plan.clone();
        let Some(leg) = self.legs.get_mut(&number) else {
            return;
        };
        let sounds = leg.senders.iter().filter(|it| !it.kind.is_video()).count();
        let left = leg.estimate_kbps.saturating_sub(audio * sounds as u32);
        let video = f64::from(left) * MEDIA_SHARE;
        let most = |sender: &Sender| -> u32 {
            let layers = &plan.source(sender.source).layers;
            layers.iter().map(|layer| layer.max_kbps).sum()
        };
        let all: u32 = leg.senders.iter().map(most).sum();
        for sender in &mut leg.senders {
            let share = f64::from(most(sender)) / f64::from(all.max(1));
            if let Making::Picture { encoder, .. } = &mut sender.making {
                encoder.set_rate(now, (video * share) as u32);
            }
        }
    }

    fn estimated(&mut self, now: Time, number: u32, kbps: u32) {
        self.leg(number).estimate_kbps = kbps;
        self.set_rates(now, number);
        if let Place::Participant(who) = self.briefing.place {
            let all: u32 = self.legs.values().map(|leg| leg.estimate_kbps).sum();
            self.briefing.meter.estimated(now, who, all.into());
        }
    }

    /// Takes the frames and packets of one connection that are due, and sends them.
    fn send(&mut self, now: Time, number: u32, hub: &mut Hub) {
        let packet = self.packet();
        let payload = self
            .plan()
            .config
            .audio
            .as_ref()
            .map_or(0, |it| it.payload());
        let is_speaking = match self.briefing.place {
            Place::Participant(who) => {
                let speaker = self.briefing.speech.speaker(now);
                speaker.and_then(|it| self.plan().publishers().nth(it)) == Some(who)
            }
            Place::Server(_) => true,
        };
        // What a mixer makes is as old as what went into it.
        let mixes = matches!(self.briefing.place, Place::Server(_));
        let mixed = [false, true].map(|is_video| {
            let came = self
                .legs
                .values()
                .map(|leg| leg.came[usize::from(is_video)]);
            came.flatten().min().filter(|_| mixes)
        });
        let Some(leg) = self.legs.get_mut(&number) else {
            return;
        };
        if let Some((_, desired)) = leg.desired.take_if(|(from, _)| *from < now) {
            hub.act(now, number, |rtc| {
                rtc.bwe()
                    .set_bitrate(Bitrate::ZERO, Bitrate::kbps(desired.into()));
            });
        }
        for sender in &mut leg.senders {
            let mut writing = Writing {
                now,
                mid: sender.mid,
                pt: sender.pt,
                mark: Mark {
                    source: sender.source.0 as u32,
                    layer: 0,
                    number: 0,
                    captured: now,
                },
            };
            let after = sender.after;
            match &mut sender.making {
                Making::Sound {
                    began,
                    number: sent,
                } => {
                    while *began + packet * *sent + after <= now {
                        let taken = *began + packet * *sent;
                        writing.mark.number = *sent;
                        writing.mark.captured = mixed[0].unwrap_or(taken);
                        *sent += 1;
                        hub.act(now, number, |rtc| {
                            writing.sound(rtc, taken, payload, is_speaking)
                        });
                    }
                }
                Making::Picture { encoder, rids } => {
                    for (layer, rid) in rids.iter().enumerate() {
                        let after = after + APART * layer as u32;
                        while encoder.sources()[layer].next_at() + after <= now {
                            let room =
                                hub.act(now, number, |rtc| has_room(rtc, now, sender.mid, *rid));
                            let Some(frame) = encoder.source(layer).take(room.unwrap_or(true))
                            else {
                                continue;
                            };
                            writing.mark.layer = layer as u8;
                            writing.mark.number = frame.number;
                            writing.mark.captured = mixed[1].unwrap_or(frame.captured);
                            hub.act(now, number, |rtc| {
                                writing.picture(
                                    rtc,
                                    frame.captured,
                                    *rid,
                                    frame.is_key,
                                    frame.bytes,
                                )
                            });
                        }
                    }
                }
            }
        }
    }

    fn watch(&mut self, now: Time, number: u32, data: &MediaData, hub: &mut Hub) {
        let Some(mark) = Mark::of(&data.data) else {
            return;
        };
        let id = SourceId(mark.source as usize);
        if id.0 >= self.plan().sources.len() {
            return;
        }
        let is_video = self.plan().source(id).kind.is_video();
        let repaired = hub.connection(number).and_then(Connection::repaired);
        let leg = self.leg(number);
        let is_key = data.is_keyframe();
        let mut arrival = Arrival::whole(now, mark.captured, data.data.len());
        if is_video {
            let watched = leg.watched.entry(data.mid).or_default();
            let is_new = watched.source.replace(mark.source) != Some(mark.source);
            watched.is_broken = !is_key && (watched.is_broken || is_new || !data.contiguous);
            if watched.is_broken {
                if watched
                    .requested
                    .is_none_or(|at| now >= at + REQUEST_SPACING)
                {
                    watched.requested = Some(now);
                    hub.act(now, number, |rtc| {
                        let mut writer = rtc.writer(data.mid)?;
                        let rid = data.rid;
                        writer.request_keyframe(rid, KeyframeRequestKind::Pli).ok()
                    });
                }
                return;
            }
            // Of the frames that come out at once, the first had waited for a packet, and those
            // behind it for the first. Of a stream in order the stack tells only when each began.
            let began = Time::from_instant(data.network_time, *EPOCH).min(now);
            let waited = now.saturating_since(began);
            if repaired == Some(now) && watched.repaired != repaired {
                watched.repaired = repaired;
                arrival.repaired = true;
                if !waited.is_zero() {
                    watched.round_trip.took(now, waited);
                }
            } else if watched.repaired == Some(now) {
                arrival.whole = began;
            }
            arrival.round_trip = watched.round_trip.get(now);
        }
        leg.came[usize::from(is_video)] = Some(mark.captured);
        if let Place::Participant(viewer) = self.briefing.place {
            let shown = Shown {
                viewer,
                source: id,
                layer: mark.layer.into(),
                is_key,
                arrival,
            };
            self.briefing.meter.screens_mut().shown(now, shown);
        }
    }
}

/// What all sources of a connection would use at their best, with headers, in kbit/s.
fn desired_kbps(plan: &Plan, sources: impl Iterator<Item = SourceId>) -> u32 {
    let video: u32 = sources
        .flat_map(|source| &plan.source(source).layers)
        .map(|layer| layer.max_kbps)
        .sum();
    100 + (f64::from(video) / MEDIA_SHARE * 1.1) as u32
}

/// Whether what was written before has left so far that another frame makes sense.
pub(crate) fn has_room(rtc: &mut Rtc, now: Time, mid: Mid, rid: Option<Rid>) -> bool {
    let mut direct = rtc.direct_api();
    let info = direct
        .stream_tx_by_mid(mid, rid)
        .and_then(|stream| stream.queue_info()?.first_unsent());
    info.is_none_or(|since| now.to_instant(*EPOCH) < since + BACKLOG)
}

/// A time in a clock of media.
pub(crate) fn media_time(taken: Time, clock: Frequency) -> MediaTime {
    let ticks = (taken - Time::ZERO).as_nanos() * u128::from(clock.get()) / 1_000_000_000;
    MediaTime::new(ticks as u64, clock)
}

/// What is about to be written, and where.
struct Writing {
    now: Time,
    mid: Mid,
    pt: Pt,
    mark: Mark,
}

impl Writing {
    fn sound(&self, rtc: &mut Rtc, taken: Time, bytes: usize, is_speaking: bool) {
        let level = if is_speaking { SPEECH } else { SILENCE };
        let Some(writer) = rtc.writer(self.mid) else {
            return;
        };
        let time = media_time(taken, Frequency::FORTY_EIGHT_KHZ);
        let frame = self.mark.frame(false, bytes);
        let wallclock = self.now.to_instant(*EPOCH);
        // Before the connection stands, and after its end, what is written is dropped.
        let _ = writer
            .audio_level(level, is_speaking)
            .write(self.pt, wallclock, time, frame);
    }

    fn picture(&self, rtc: &mut Rtc, taken: Time, rid: Option<Rid>, is_key: bool, bytes: usize) {
        let Some(mut writer) = rtc.writer(self.mid) else {
            return;
        };
        if let Some(rid) = rid {
            writer = writer.rid(rid);
        }
        let time = media_time(taken, Frequency::NINETY_KHZ);
        let frame = self.mark.frame(is_key, bytes);
        let wallclock = self.now.to_instant(*EPOCH);
        let _ = writer.write(self.pt, wallclock, time, frame);
    }
}

impl Role for Attendee {
    fn begin(&mut self, now: Time, hub: &mut Hub, io: &mut Io<'_>) {
        self.briefing.offer_all(now, hub, io, config);
    }

    fn accept(&mut self, _: Time, _: u32) -> RtcConfig {
        config()
    }

    fn handle_event(&mut self, now: Time, number: u32, event: Event, hub: &mut Hub) {
        match event {
            Event::Connected => self.connected(now, number, hub),
            Event::MediaData(data) => self.watch(now, number, &data, hub),
            Event::KeyframeRequest(request) => {
                let leg = self.leg(number);
                let sender = leg.senders.iter_mut().find(|it| it.mid == request.mid);
                if let Some(Sender {
                    making: Making::Picture { encoder, rids },
                    ..
                }) = sender
                    && let Some(layer) = rids.iter().position(|rid| *rid == request.rid)
                {
                    encoder.source(layer).request_key_frame();
                }
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.estimated(now, number, (estimate.as_u64() / 1_000) as u32);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Time, hub: &mut Hub) {
        let numbers: Vec<u32> = self.legs.keys().copied().collect();
        for number in numbers {
            self.send(now, number, hub);
        }
        self.plan_next();
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.next
    }
}
