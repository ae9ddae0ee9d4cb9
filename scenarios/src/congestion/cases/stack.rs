//! The contender `str0m`: a production WebRTC stack at both ends, with its own estimator and pacer.
//!
//! A flow is one connection: ICE, DTLS and offer and answer come first, then one line of video, at the
//! rate that the estimate leaves after headers. The stack is unmodified: it retransmits, pads and probes
//! as it sees fit, and all of that is on the wire that the case measures. In a pause of the media it goes
//! on padding, as a call on hold without a new offer does.

use std::time::Duration;

use pinhole::{Input, Internet, Io, Program, ProgramId, Time};
use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{Direction, Frequency, MediaKind, Mid, Pt};
use str0m::{Event, RtcConfig};

use super::case::{MAX_BPS, START_BPS};
use super::source::Source;
use super::{Attached, Contender, FlowSpec, Told};
use crate::call::Servers;
use crate::conference::full::{Hub, Line, MEDIA_SHARE, Mark, Party, Posts, Role, Terms};
use crate::conference::full::{has_room, media_time};
use crate::ice::EPOCH;
use crate::overhead::{MAX_PAYLOAD, VIDEO_PACKET};

/// How long offer and answer take to get to the other end.
const SIGNALING: Duration = Duration::from_millis(50);

/// The only connection's number.
const CONNECTION: u32 = 0;

/// What the estimator is to look for, beyond the media: headers, and room to probe.
const HEADROOM: f64 = 1.2;

/// The stack str0m.
#[derive(Clone, Copy, Debug, Default)]
pub struct Str0m;

impl Contender for Str0m {
    fn name(&self) -> &'static str {
        "str0m"
    }

    fn attach(&self, net: &mut Internet, flow: &FlowSpec) -> Box<dyn Attached> {
        let start = flow.active.first().map_or(Time::ZERO, |(from, _)| *from);
        let terms = |seed| Terms {
            tap: None,
            servers: Servers::default(),
            trickle: true,
            seed,
        };
        let sender = Late {
            start,
            has_begun: false,
            party: Party::new(0, terms(flow.seed), Sender::new(flow.clone())),
        };
        let receiver = Party::new(1, terms(!flow.seed), Receiver);
        let sender = net.attach(flow.sender, sender);
        let receiver = net.attach(flow.receiver, receiver);
        let posts = Posts::new(vec![sender, receiver], SIGNALING);
        let own = posts.clone();
        net.act(sender, |late: &mut Late, _| late.party.introduce(own));
        net.act(receiver, |party: &mut Party<Receiver>, _| {
            party.introduce(posts);
        });
        Box::new(Running(sender))
    }
}

struct Running(ProgramId);

impl Running {
    fn party<'a>(&self, net: &'a Internet) -> &'a Party<Sender> {
        &net.program::<Late>(self.0).party
    }
}

impl Attached for Running {
    fn told(&self, net: &Internet) -> Told {
        let sender = self.party(net).role();
        // What its media is on the wire, with the headers of full packets.
        let whole = (MAX_PAYLOAD + VIDEO_PACKET) as f64 / MAX_PAYLOAD as f64;
        let target = |estimate: u64| (estimate as f64 * MEDIA_SHARE * whole) as u64;
        Told {
            target_bps: sender.estimate_bps.map(target),
            skipped: sender.skipped,
        }
    }

    fn finding(&self, net: &Internet) -> Option<String> {
        let connection = self.party(net).hub().connection(CONNECTION)?;
        connection.failure().map(str::to_owned)
    }
}

fn config() -> RtcConfig {
    RtcConfig::new()
        .clear_codecs()
        .enable_vp8(true)
        .enable_bwe(Some(Bitrate::bps(START_BPS)))
}

/// The sending party, which isn't there before its flow begins.
struct Late {
    start: Time,
    has_begun: bool,
    party: Party<Sender>,
}

impl Program for Late {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if self.has_begun {
            self.party.handle_input(now, input, io);
        } else if now >= self.start {
            self.has_begun = true;
            self.party.handle_input(now, Input::Start, io);
        } else {
            io.wake_at(Some(self.start));
        }
    }
}

struct Sender {
    flow: FlowSpec,
    source: Source,
    line: Option<(Mid, Pt)>,
    estimate_bps: Option<u64>,
    is_active: bool,
    made: u32,
    skipped: u64,
    next: Option<Time>,
}

impl Sender {
    fn new(flow: FlowSpec) -> Self {
        Sender {
            source: Source::new(Time::ZERO, flow.seed),
            flow,
            line: None,
            estimate_bps: None,
            is_active: false,
            made: 0,
            skipped: 0,
            next: None,
        }
    }

    fn send(&mut self, now: Time, hub: &mut Hub) {
        let Some((mid, pt)) = self.line else { return };
        let was_active = std::mem::replace(&mut self.is_active, self.flow.is_active(now));
        if self.is_active && !was_active {
            self.source.resume(now);
        }
        let frame = self.source.poll(now).filter(|_| self.is_active);
        if let Some(bytes) = frame {
            let is_key = self.made == 0;
            let mark = Mark {
                source: 0,
                layer: 0,
                number: self.made,
                captured: now,
            };
            let sent = hub.act(now, CONNECTION, |rtc| {
                if !has_room(rtc, now, mid, None) {
                    return false;
                }
                let time = media_time(now, Frequency::NINETY_KHZ);
                let frame = mark.frame(is_key, bytes);
                let writer = rtc.writer(mid);
                writer.is_some_and(|writer| {
                    let wallclock = now.to_instant(*EPOCH);
                    writer.write(pt, wallclock, time, frame).is_ok()
                })
            });
            match sent {
                Some(true) => self.made += 1,
                _ => self.skipped += 1,
            }
        }
        let frame = self.is_active.then(|| self.source.poll_timeout());
        let times = [frame, self.flow.next_change(now)];
        self.next = times.into_iter().flatten().min();
    }
}

impl Role for Sender {
    fn begin(&mut self, now: Time, hub: &mut Hub, io: &mut Io<'_>) {
        let line = Line {
            kind: MediaKind::Video,
            direction: Direction::SendOnly,
            simulcast: None,
        };
        hub.offer(now, CONNECTION, 1, config(), vec![line], io);
    }

    fn accept(&mut self, _: Time, _: u32) -> RtcConfig {
        config()
    }

    fn handle_event(&mut self, now: Time, number: u32, event: Event, hub: &mut Hub) {
        match event {
            Event::Connected => {
                let mids = hub.connection(number).map(|it| it.mids().to_vec());
                let Some(mid) = mids.and_then(|mids| mids.first().copied()) else {
                    return;
                };
                let desired = Bitrate::bps((MAX_BPS as f64 * HEADROOM) as u64);
                let pt = hub.act(now, number, |rtc| {
                    rtc.bwe().set_bitrate(Bitrate::ZERO, desired);
                    let writer = rtc.writer(mid)?;
                    writer.payload_params().next().map(|params| params.pt())
                });
                if let Some(Some(pt)) = pt {
                    self.line = Some((mid, pt));
                    self.send(now, hub);
                }
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                let estimate = estimate.as_u64();
                self.estimate_bps = Some(estimate);
                self.source
                    .set_rate(now, (estimate as f64 * MEDIA_SHARE) as u64);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Time, hub: &mut Hub) {
        self.send(now, hub);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.next
    }
}

/// Takes what comes; the stack answers.
struct Receiver;

impl Role for Receiver {
    fn begin(&mut self, _: Time, _: &mut Hub, _: &mut Io<'_>) {}

    fn accept(&mut self, _: Time, _: u32) -> RtcConfig {
        config()
    }

    fn handle_event(&mut self, _: Time, _: u32, _: Event, _: &mut Hub) {}

    fn handle_timeout(&mut self, _: Time, _: &mut Hub) {}

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}
