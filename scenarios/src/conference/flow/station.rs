//! The program of a participant or a server: its legs, what it makes, what it forwards.

mod trains;
mod upkeep;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::{ArrivedTrain, Input, Io, Program, ProgramId, Stream, Time};

use self::trains::Departures;
use super::capacity::{self, Capacity};
use super::forwarding::{Forwarding, Order};
use super::leg::{Control, Leg};
use super::mixer::Mixer;
use super::packet::{self, Kind, Media, Rtcp};
use super::producer::Producer;
use crate::conference::config::Topology;
use crate::conference::media::Arrival;
use crate::conference::meter::{Meter, Shown};
use crate::conference::plan::{Place, Plan, SourceKind};
use crate::congestion::{Bounds, Class, Controller, Pacer, ProbeMark, What};
use crate::ice::{Role, Stack};
use crate::overhead;
use crate::transport::{
    Alarms, Milestone, Servers, Signal, TransportConfig, TransportEvent, Transports,
};

/// Where controllers begin: what browsers do.
const START_BPS: u64 = 300_000;
/// What they never go below.
const MIN_BPS: u64 = 30_000;
/// What they may go above what is offered, so that there is room to find it.
const HEADROOM: f64 = 1.2;
/// How often a server looks at what its legs bear, and at what it forwards.
const LOOK: Duration = Duration::from_millis(200);

/// What goes over the signaling channel.
struct Letter {
    connection: usize,
    signal: Signal,
}

/// What a place does with what it gets.
enum Work {
    /// It watches and listens.
    Watches(usize),
    /// It forwards.
    Forwards(Box<Forwarding>),
    /// It decodes, mixes and encodes.
    Mixes(Mixer),
}

/// A participant or a server.
pub(super) struct Station {
    plan: Rc<Plan>,
    work: Work,
    meter: Meter,
    legs: Vec<Leg>,
    /// The leg of each connection.
    leg_of: Vec<u32>,
    transports: Transports,
    /// What is made here: leg and producer.
    producers: Vec<(usize, Producer)>,
    /// The service's TURN servers.
    turn: Rc<[IpAddr]>,
    alarms: Alarms,
    report_at: Time,
    look_at: Option<Time>,
    looked: Time,
    orders: Vec<Order>,
    departures: Departures,
    /// Scratch.
    packet: Vec<u8>,
    again: Vec<u16>,
}

impl Station {
    pub(super) fn new(
        plan: &Rc<Plan>,
        place: Place,
        servers: &Servers,
        turn: &Rc<[IpAddr]>,
        capacity: &Capacity,
        meter: Meter,
    ) -> Self {
        let ends: Vec<(usize, usize)> = plan.connections_of(place).collect();
        let mut transports = Transports::default();
        let mut legs = Vec::with_capacity(ends.len());
        let mut producers = Vec::new();
        let mut leg_of = vec![u32::MAX; plan.connections.len()];
        for (leg, (connection, end)) in ends.iter().copied().enumerate() {
            let seed = Stream::new(plan.config.seed, &format!("ice/{connection}/{end}"));
            let role = match end {
                0 => Role::Controlling,
                _ => Role::Controlled,
            };
            let seed = seed.clone().next_u64();
            transports.add(TransportConfig::new(role, Stack::Is, seed, servers.clone()));
            leg_of[connection] = leg as u32;
            let to_control = capacity.to_control(connection, end);
            legs.push(Leg::new(plan, connection, end, to_control));
            let tracks = plan.connections[connection].tracks[end].iter().enumerate();
            let own = tracks.filter(|(_, track)| plan.source(track.source).owner == place);
            producers.extend(own.map(|(number, track)| {
                (leg, Producer::new(plan, connection, number, track.source))
            }));
        }
        let work = match (place, plan.config.topology) {
            (Place::Participant(number), _) => Work::Watches(number),
            (Place::Server(_), Topology::Mcu) => Work::Mixes(Mixer::new(plan)),
            (Place::Server(_), _) => {
                let controlled: Vec<bool> = legs.iter().map(|it| it.to_control.is_some()).collect();
                Work::Forwards(Box::new(Forwarding::new(plan, &ends, &controlled)))
            }
        };
        let name = format!("reports/{}", plan.name(place));
        let micros = overhead::REPORT_INTERVAL.as_micros() as u64;
        let phase = Stream::new(plan.config.seed, &name).below(micros);
        Station {
            work,
            meter,
            legs,
            leg_of,
            transports,
            producers,
            turn: Rc::clone(turn),
            alarms: Alarms::default(),
            report_at: Time::ZERO + Duration::from_micros(phase),
            look_at: None,
            looked: Time::ZERO,
            orders: Vec::new(),
            departures: Departures::new(plan, place),
            packet: Vec::new(),
            again: Vec::new(),
            plan: Rc::clone(plan),
        }
    }

    /// Names the program at the other end of a connection.
    pub(super) fn introduce(&mut self, connection: usize, peer: ProgramId) {
        self.legs[self.leg_of[connection] as usize].peer = Some(peer);
    }

    /// Its connections, and whether each goes over a TURN server, or did when it was lost.
    pub(super) fn connections(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        let legs = self.legs.iter();
        legs.map(|leg| (leg.connection, leg.over_relay))
    }

    /// What stacks and controllers said when they panicked.
    pub(super) fn findings(&self) -> impl Iterator<Item = String> + '_ {
        let ice = self.transports.iter().filter_map(|it| it.panic());
        let ice = ice.map(|panic| format!("ICE: {panic}"));
        let controls = self.legs.iter().filter_map(|leg| leg.control.as_ref());
        let panics = controls.filter_map(|control| control.controller.finding());
        ice.chain(panics.map(|panic| format!("congestion control: {panic}")))
    }

    fn reports_sleeper(&self) -> usize {
        self.legs.len() + self.producers.len()
    }

    fn start(&mut self, now: Time, io: &mut Io<'_>) {
        for leg in 0..self.legs.len() {
            if self.legs[leg].end == 0 {
                self.transports.begin(leg, now, io);
            }
        }
        self.alarms
            .set(self.reports_sleeper(), Some(self.report_at));
        if let Work::Forwards(forwarding) = &mut self.work {
            forwarding.begin(now, &mut self.orders);
        }
        if !matches!(self.work, Work::Watches(_)) {
            self.look_at = Some(now);
            self.alarms.set(self.reports_sleeper() + 1, Some(now));
        }
    }

    fn event(&mut self, now: Time, leg: usize, event: TransportEvent) {
        match event {
            TransportEvent::Reached(Milestone::Selected { local, remote }) => {
                // Over this side's relay, or over the other's.
                let own = self.transports.get(leg).relays(local);
                let relayed = own || self.turn.contains(&remote.ip());
                let this = &mut self.legs[leg];
                let was_lost = !std::mem::replace(&mut this.connected, true);
                // As libwebrtc has it: another pair of the same networks is no other route.
                let is_other = was_lost || this.over_relay != relayed;
                this.over_relay = relayed;
                match (&mut this.control, this.to_control) {
                    (Some(control), _) if is_other => {
                        control.controller.route_changed(now);
                        control.pacer.clear();
                    }
                    (Some(_), _) => {}
                    (None, Some(kbps)) => {
                        let most = (kbps * 1_000.0 * HEADROOM) as u64;
                        let bounds = Bounds {
                            min_bps: MIN_BPS,
                            start_bps: START_BPS.min(most),
                            max_bps: most.max(MIN_BPS),
                        };
                        let controller = Controller::new(now, bounds);
                        let padding = Media::padding().wire_length();
                        let pacer = Pacer::new(controller.pacing_bps(), padding);
                        this.control = Some(Control { controller, pacer });
                    }
                    (None, None) => {}
                }
                if was_lost {
                    self.begin(now, leg);
                }
                self.steer(now, leg);
                self.alarms.set(leg, self.legs[leg].poll_timeout(now));
            }
            TransportEvent::Lost => self.legs[leg].connected = false,
            TransportEvent::Reached(_) => {}
        }
    }

    /// The tracks made here begin on a leg.
    fn begin(&mut self, now: Time, leg: usize) {
        let kbps = match &self.legs[leg].control {
            Some(control) => (control.controller.target_bps() / 1_000) as u32,
            None => u32::MAX,
        };
        for number in 0..self.producers.len() {
            let (of, producer) = &mut self.producers[number];
            if *of == leg {
                producer.begin(now, kbps);
                self.alarms
                    .set(self.legs.len() + number, producer.poll_timeout());
            }
        }
    }

    /// Shares what a leg bears among the tracks made here: sound, then the screen, then the camera.
    fn steer(&mut self, now: Time, leg: usize) {
        let resent = self.legs[leg].resent_kbps(now);
        let Some(control) = &self.legs[leg].control else {
            return;
        };
        let mut left = control.controller.target_bps() as f64 / 1_000.0 - resent;
        let own = self.producers.iter().filter(|(of, _)| *of == leg);
        let sounds = own.filter(|(_, it)| it.kind == SourceKind::Audio).count();
        left -= sounds as f64 * capacity::audio_kbps(&self.plan);
        for kind in [SourceKind::Screen, SourceKind::Camera] {
            for (of, producer) in &mut self.producers {
                if *of != leg || producer.kind != kind {
                    continue;
                }
                let kbps = producer
                    .payload_kbps(left.max(1.0))
                    .min(producer.most_kbps());
                producer.set_rate(now, kbps);
                left -= f64::from(kbps) * 1.08;
            }
        }
    }

    /// A packet came in on a leg.
    fn take(&mut self, now: Time, leg: usize, bytes: &[u8], io: &mut Io<'_>) {
        if self.transports.is_streamed(leg) {
            let place = self.place();
            self.meter.through_stream(now, place, false, bytes);
        }
        if Rtcp::is(bytes) {
            match Rtcp::read(bytes) {
                Some(rtcp) => self.take_rtcp(now, leg, &rtcp, io),
                None => io.reject("RTCP that nobody here sends"),
            }
            return;
        }
        match Media::read(bytes, bytes.len()) {
            Some((media, sequence)) => self.take_media(now, leg, &media, sequence, io),
            None => io.reject("RTP that nobody here sends"),
        }
        self.alarms.set(leg, self.legs[leg].poll_timeout(now));
    }

    /// Media came in on a leg, at `now` or, in a train, a little before it.
    fn take_media(
        &mut self,
        at: Time,
        leg: usize,
        media: &Media,
        transport_sequence: u16,
        io: &mut Io<'_>,
    ) {
        let this = &mut self.legs[leg];
        let wire = media.wire_length();
        this.recorder.arrived(at, transport_sequence, wire);
        let Some(stream) = this.into.stream(media.track, media.layer) else {
            return;
        };
        let mut sequence = None;
        match media.kind {
            Kind::Padding => return,
            Kind::Audio => this.received.mark(stream),
            Kind::Video | Kind::Rtx => {
                this.received.mark(stream);
                let incoming = this.incoming(stream);
                let Some(new) = incoming.arrived(at, media) else {
                    return;
                };
                sequence = Some(new);
                if incoming.poll_timeout().is_some() {
                    this.mind(stream);
                }
            }
        }
        if let Work::Forwards(forwarding) = &mut self.work {
            forwarding.forward(at, leg, media, &mut self.orders);
            self.carry_out(at, io);
            return;
        }
        let this = &mut self.legs[leg];
        let source = this.into.source(media.track);
        let (work, meter, plan) = (&mut self.work, &self.meter, &self.plan);
        let mut show = |layer: u8, is_key, arrival: Arrival| match work {
            Work::Watches(viewer) => meter.screens_mut().shown(
                at,
                Shown {
                    viewer: *viewer,
                    source,
                    layer: layer.into(),
                    is_key,
                    arrival,
                },
            ),
            Work::Mixes(mixer) => {
                if let Place::Participant(owner) = plan.source(source).owner {
                    let is_video = plan.source(source).kind.is_video();
                    mixer.captured[owner][usize::from(is_video)] = Some(arrival.captured);
                }
            }
            Work::Forwards(_) => unreachable!("it forwards without looking"),
        };
        match sequence {
            None => show(
                0,
                false,
                Arrival::whole(at, media.captured, media.payload.into()),
            ),
            Some(sequence) => {
                let incoming = this.incoming(stream);
                incoming.assemble(sequence, media, |whole| {
                    show(whole.layer, whole.is_key, whole.arrival);
                });
                if incoming.poll_timeout().is_some() {
                    this.mind(stream);
                }
            }
        }
    }

    fn take_rtcp(&mut self, now: Time, leg: usize, rtcp: &Rtcp<'_>, io: &mut Io<'_>) {
        match rtcp {
            Rtcp::Feedback(feedback) => {
                if let Some(control) = &mut self.legs[leg].control {
                    control.controller.feedback(now, feedback);
                    self.steer(now, leg);
                    self.pump(now, leg, io);
                }
            }
            Rtcp::Nack(track, layer, nacked) => {
                for sequence in nacked.sequences() {
                    let this = &mut self.legs[leg];
                    if let Some(media) = this.again(*track, *layer, sequence)
                        && this.may_resend(now, media.wire_length())
                    {
                        let rtx = Media {
                            kind: Kind::Rtx,
                            ..media
                        };
                        self.submit(now, leg, rtx, io);
                    }
                }
                self.pump(now, leg, io);
            }
            Rtcp::KeyFrame(track, layer) => match &mut self.work {
                Work::Forwards(forwarding) => {
                    forwarding.key_wanted(now, leg, *track, *layer, &mut self.orders);
                    self.carry_out(now, io);
                }
                Work::Watches(_) | Work::Mixes(_) => {
                    let asked = |it: &&mut (usize, Producer)| it.0 == leg && it.1.track == *track;
                    if let Some((_, producer)) = self.producers.iter_mut().find(asked) {
                        producer.request_key_frame(*layer);
                    }
                }
            },
            Rtcp::Report => {}
        }
    }

    /// Does what the forwarding has decided about what happened `at` that time.
    fn carry_out(&mut self, at: Time, io: &mut Io<'_>) {
        let now = io.now();
        let mut orders = std::mem::take(&mut self.orders);
        for order in orders.drain(..) {
            match order {
                Order::Send(leg, media) => {
                    self.submit(at, leg, media, io);
                    if self.legs[leg].control.is_some() {
                        self.pump(now, leg, io);
                    }
                }
                Order::AskKey(leg, track, layer) => {
                    let mut packet = std::mem::take(&mut self.packet);
                    packet::write_key_request(track, layer, &mut packet);
                    self.put(now, leg, &packet, io);
                    self.packet = packet;
                }
                Order::Paused(viewer, source) => self.meter.screens_mut().paused(viewer, source),
            }
        }
        self.orders = orders;
    }

    /// A packet of media is to go out on a leg: at once, or when the pacer lets it.
    fn submit(&mut self, at: Time, leg: usize, media: Media, io: &mut Io<'_>) {
        let this = &mut self.legs[leg];
        if !this.connected {
            return;
        }
        match &mut this.control {
            Some(control) => {
                let class = match media.kind {
                    Kind::Audio => Class::Audio,
                    Kind::Rtx => Class::Retransmission,
                    Kind::Video | Kind::Padding => Class::Video,
                };
                control.pacer.push(class, media.wire_length(), media);
            }
            None => self.emit(at, leg, &media, None, io),
        }
    }

    /// Lets a leg's pacer send what it may by now.
    fn pump(&mut self, now: Time, leg: usize, io: &mut Io<'_>) {
        while let Some(control) = &mut self.legs[leg].control {
            let Control { controller, pacer } = control;
            while let Some(probe) = controller.poll_probe() {
                pacer.probe(now, probe);
            }
            pacer.set_rate(controller.pacing_bps());
            let Some(released) = pacer.poll(now) else {
                break;
            };
            let media = match released.what {
                What::Packet(_, media) => media,
                What::Padding(_) => Media::padding(),
            };
            self.emit(now, leg, &media, released.probe, io);
        }
        let due = self.legs[leg].poll_timeout(now);
        self.alarms.set(leg, due);
    }

    /// Sends a packet of media; on its own, or `at` its time in a train.
    fn emit(
        &mut self,
        at: Time,
        leg: usize,
        media: &Media,
        probe: Option<ProbeMark>,
        io: &mut Io<'_>,
    ) {
        let this = &mut self.legs[leg];
        let sequence = this.sequence;
        this.sequence = sequence.wrapping_add(1);
        if let Some(control) = &mut this.control {
            let audio = media.kind == Kind::Audio;
            let wire = media.wire_length();
            control.controller.sent(at, sequence, wire, audio, probe);
        }
        if media.kind != Kind::Padding
            && let Some(stream) = this.out.stream(media.track, media.layer)
        {
            this.sent.mark(stream);
        }
        if media.kind == Kind::Video {
            this.remember(*media);
        }
        if self.rides(leg) {
            return self.board(at, leg, media, sequence, io);
        }
        let mut packet = std::mem::take(&mut self.packet);
        media.write(sequence, &mut packet);
        self.put(at, leg, &packet, io);
        self.packet = packet;
    }

    /// Sends bytes on a leg.
    fn put(&mut self, now: Time, leg: usize, packet: &[u8], io: &mut Io<'_>) {
        if self.transports.send(leg, now, packet, io) && self.transports.is_streamed(leg) {
            let place = self.place();
            self.meter.through_stream(now, place, true, packet);
        }
    }

    fn place(&self) -> Place {
        let leg = &self.legs[0];
        self.plan.connections[leg.connection].ends[leg.end]
    }

    fn wake_producer(&mut self, now: Time, number: usize, io: &mut Io<'_>) {
        let (leg, producer) = &mut self.producers[number];
        let leg = *leg;
        let this = &self.legs[leg];
        let backed_up = this
            .control
            .as_ref()
            .is_some_and(|it| it.pacer.is_backed_up());
        let is_sound = producer.kind == SourceKind::Audio;
        let room = this.connected && (is_sound || !backed_up);
        let viewer = match self.plan.connections[this.connection].ends[1 - this.end] {
            Place::Participant(viewer) => viewer,
            Place::Server(_) => usize::MAX,
        };
        let work = &self.work;
        let captured = |due: Time| match work {
            Work::Mixes(mixer) => mixer.captured_for(viewer, !is_sound).unwrap_or(due),
            Work::Watches(_) | Work::Forwards(_) => due,
        };
        let orders = &mut self.orders;
        producer.poll(now, room, captured, |media| {
            orders.push(Order::Send(leg, media));
        });
        let due = producer.poll_timeout();
        self.alarms.set(self.legs.len() + number, due);
        self.carry_out(now, io);
    }
}

impl Program for Station {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match &input {
            Input::Start => self.start(now, io),
            Input::Message { content, .. } => {
                if let Some(letter) = content.downcast_ref::<Letter>() {
                    let leg = self.leg_of[letter.connection] as usize;
                    self.transports.hear(leg, now, &letter.signal, io);
                }
            }
            _ => {}
        }
        let came = self.transports.handle_input(now, &input, io);
        if let Some((leg, packet)) = came.application() {
            self.take(now, leg, packet, io);
        }
        while let Some((leg, packet)) = self.transports.poll_streamed() {
            self.take(now, leg, &packet, io);
        }
        while let Some((leg, signal)) = self.transports.poll_signal() {
            let connection = self.legs[leg].connection;
            let peer = self.legs[leg].peer.expect("both ends are introduced");
            let delay = self.plan.config.signaling_delay;
            io.post(peer, delay, Letter { connection, signal });
        }
        while let Some((leg, event)) = self.transports.poll_event() {
            self.event(now, leg, event);
        }
        if let Input::Wake | Input::Start = input {
            while let Some(sleeper) = self.alarms.pop(now) {
                let reports = self.reports_sleeper();
                if sleeper < self.legs.len() {
                    self.wake_leg(now, sleeper, io);
                } else if sleeper < reports {
                    self.wake_producer(now, sleeper - self.legs.len(), io);
                } else if sleeper == reports {
                    self.report(now, io);
                } else if sleeper == reports + 1 {
                    self.look(now, io);
                } else {
                    self.depart(io);
                }
            }
        }
        self.settle(now, io);
    }

    fn handle_train(&mut self, now: Time, train: ArrivedTrain<'_>, io: &mut Io<'_>) {
        self.take_train(now, train, io);
        self.settle(now, io);
    }
}

impl Station {
    /// After everything: trains leave, and the alarm is set.
    fn settle(&mut self, now: Time, io: &mut Io<'_>) {
        self.depart_or_wait(now, io);
        let times = [self.alarms.next(), self.transports.poll_timeout()];
        io.wake_at(times.into_iter().flatten().min());
    }
}
