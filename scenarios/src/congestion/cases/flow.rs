//! The contender `goog-cc`: a sender of sized packets under [`Controller`] and [`Pacer`], and a
//! receiver that answers with transport-wide feedback.
//!
//! Packets have a genuine RTP header, and their true size: header extension and SRTP tag count. What
//! it doesn't do: retransmissions. The cases measure what the network carries.

use std::time::Duration;

use pinhole::{Input, Internet, Io, Program, ProgramId, Time};

use super::case::{MAX_BPS, MIN_BPS, START_BPS};
use super::source::Source;
use super::{Attached, Contender, FlowSpec, Told};
use crate::congestion::feedback::{Feedback, Recorder};
use crate::congestion::{Bounds, Class, Controller, Pacer, What};

/// The most media in one packet.
const PAYLOAD: usize = 1_100;
/// RTP header (12), transport-wide sequence number in a header extension (8), SRTP tag (10).
const RTP: usize = 30;
/// UDP and IPv4.
const IP: usize = 28;
/// What goes with a feedback: SRTCP's index and tag.
const SRTCP: usize = 14;
/// The headers' share of the rate is counted as what packets of this size have.
const USUAL_PAYLOAD: usize = 900;
/// RTP, version 2.
const VERSION: u8 = 0x80;
/// What a controller may ask for beyond the media: headers, and room to probe.
const HEADROOM: f64 = 1.2;

/// Google Congestion Control.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoogCc;

impl Contender for GoogCc {
    fn name(&self) -> &'static str {
        "goog-cc"
    }

    fn attach(&self, net: &mut Internet, flow: &FlowSpec) -> Box<dyn Attached> {
        let sender = net.attach(flow.sender, Sender::new(flow.clone()));
        net.attach(flow.receiver, Receiver::new(flow.clone()));
        Box::new(Running(sender))
    }
}

struct Running(ProgramId);

impl Attached for Running {
    fn told(&self, net: &Internet) -> Told {
        let sender = net.program::<Sender>(self.0);
        Told {
            target_bps: sender.controller.as_ref().map(Controller::target_bps),
            skipped: sender.skipped,
        }
    }

    fn finding(&self, net: &Internet) -> Option<String> {
        let sender = net.program::<Sender>(self.0);
        let controller = sender.controller.as_ref()?;
        controller.finding().map(str::to_owned)
    }
}

struct Sender {
    flow: FlowSpec,
    source: Source,
    controller: Option<Controller>,
    pacer: Pacer<usize>,
    active: bool,
    sequence: u16,
    skipped: u64,
    /// A packet, written over and over.
    packet: Vec<u8>,
}

impl Sender {
    fn new(flow: FlowSpec) -> Self {
        Sender {
            source: Source::new(Time::ZERO, flow.seed),
            controller: None,
            pacer: Pacer::new(START_BPS * 5 / 2, PAYLOAD + RTP + IP),
            active: false,
            sequence: 0,
            skipped: 0,
            packet: Vec::new(),
            flow,
        }
    }

    /// Begins or pauses as the case has it.
    fn mind_schedule(&mut self, now: Time) {
        let active = self.flow.is_active(now);
        if active && !self.active {
            self.source.resume(now);
            let bounds = Bounds {
                min_bps: MIN_BPS / 3,
                start_bps: START_BPS,
                max_bps: (MAX_BPS as f64 * HEADROOM) as u64,
            };
            self.controller
                .get_or_insert_with(|| Controller::new(now, bounds));
        } else if !active && self.active {
            self.pacer.clear();
        }
        self.active = active;
    }

    fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        self.mind_schedule(now);
        let Some(controller) = &mut self.controller else {
            io.wake_at(self.flow.next_change(now));
            return;
        };
        controller.handle_timeout(now);
        while let Some(probe) = controller.poll_probe() {
            self.pacer.probe(now, probe);
        }
        self.pacer.set_rate(controller.pacing_bps());
        let media = controller.target_bps() as f64 * USUAL_PAYLOAD as f64
            / (USUAL_PAYLOAD + RTP + IP) as f64;
        self.source.set_rate(now, media as u64);
        if self.active
            && let Some(mut bytes) = self.source.poll(now)
        {
            if self.pacer.is_backed_up() {
                self.skipped += 1;
                bytes = 0;
            }
            let packets = bytes.div_ceil(PAYLOAD).max(1);
            for place in 0..packets {
                // As even as they come.
                let payload = (bytes + place) / packets;
                if payload > 0 {
                    self.pacer.push(Class::Video, payload + RTP + IP, payload);
                }
            }
        }
        while let Some(released) = self.pacer.poll(now) {
            let wire = match released.what {
                What::Packet(_, payload) => payload + RTP + IP,
                What::Padding(wire) => wire,
            };
            self.packet.clear();
            self.packet.extend([VERSION, 96]);
            self.packet.extend(self.sequence.to_be_bytes());
            self.packet.resize(wire - IP, 0);
            controller.sent(now, self.sequence, wire, false, released.probe);
            self.sequence = self.sequence.wrapping_add(1);
            io.send(self.flow.sender_at, self.flow.receiver_at, &self.packet);
        }
        let times = [
            self.active.then(|| self.source.poll_timeout()),
            self.pacer.poll_timeout(now),
            controller.poll_timeout(),
            self.flow.next_change(now),
        ];
        io.wake_at(times.into_iter().flatten().min());
    }
}

impl Program for Sender {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                let bound = io.bind_to(self.flow.sender_at);
                bound.expect("the flow has its host for itself");
            }
            Input::Datagram(datagram) => {
                if let (Some(controller), Some(feedback)) =
                    (&mut self.controller, Feedback::read(datagram.payload))
                {
                    controller.feedback(now, &feedback);
                } else {
                    io.reject("no feedback");
                }
            }
            _ => {}
        }
        self.pump(now, io);
    }
}

struct Receiver {
    flow: FlowSpec,
    recorder: Recorder,
    packet: Vec<u8>,
}

impl Receiver {
    fn new(flow: FlowSpec) -> Self {
        Receiver {
            flow,
            recorder: Recorder::new(),
            packet: Vec::new(),
        }
    }
}

impl Program for Receiver {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                let bound = io.bind_to(self.flow.receiver_at);
                bound.expect("the flow has its host for itself");
            }
            Input::Datagram(datagram) => match datagram.payload {
                [VERSION, _, high, low, ..] => {
                    let sequence = u16::from_be_bytes([*high, *low]);
                    self.recorder.arrived(now, sequence, datagram.length + IP);
                }
                _ => io.reject("no media"),
            },
            _ => {}
        }
        self.packet.clear();
        while self.recorder.write(now, 2, 1, &mut self.packet) {
            self.packet.resize(self.packet.len() + SRTCP, 0);
            io.send(self.flow.receiver_at, self.flow.sender_at, &self.packet);
            self.packet.clear();
        }
        // Not at once again: what couldn't be written now is written a little later.
        let due = self.recorder.poll_timeout();
        io.wake_at(due.map(|due| due.max(now + Duration::from_millis(1))));
    }
}
