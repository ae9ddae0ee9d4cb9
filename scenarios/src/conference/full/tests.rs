//! Two parties, audio and video: what the stack needs to work on this internet.

use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat64::Resolver;
use pinhole::topology::{AddressPlan, Kind, SiteOptions};
use pinhole::{Internet, Io, NodeId, ProgramId, Time, Topology};
use str0m::bwe::Bitrate;
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::{Event, RtcConfig};

use super::{Hub, Line, Mark, Party, Posts, Role, Terms};
use crate::call::{TurnOffer, TurnTerms, TurnTransport};
use crate::ice::EPOCH;

const FRAME: Duration = Duration::from_millis(33);
const CONNECTION: u32 = 1;

/// Sends a 720p-like stream and a voice, and notes what comes.
struct Talker {
    number: u32,
    offers_to: Option<usize>,
    audio: Option<Mid>,
    video: Option<Mid>,
    connected: Option<Time>,
    next: Option<Time>,
    sent: u32,
    audio_frames: u32,
    video_frames: u32,
    key_frames: u32,
    latency: Duration,
}

impl Talker {
    fn new(number: u32, offers_to: Option<usize>) -> Self {
        Talker {
            number,
            offers_to,
            audio: None,
            video: None,
            connected: None,
            next: None,
            sent: 0,
            audio_frames: 0,
            video_frames: 0,
            key_frames: 0,
            latency: Duration::ZERO,
        }
    }

    fn config() -> RtcConfig {
        RtcConfig::new()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_bwe(Some(Bitrate::kbps(300)))
    }
}

impl Role for Talker {
    fn begin(&mut self, now: Time, hub: &mut Hub, io: &mut Io<'_>) {
        if let Some(other) = self.offers_to {
            let line = |kind| Line {
                kind,
                direction: Direction::SendRecv,
                simulcast: None,
            };
            let lines = vec![line(MediaKind::Audio), line(MediaKind::Video)];
            hub.offer(now, CONNECTION, other, Self::config(), lines, io);
        }
    }

    fn accept(&mut self, _: Time, _: u32) -> RtcConfig {
        Self::config()
    }

    fn handle_event(&mut self, now: Time, number: u32, event: Event, hub: &mut Hub) {
        match event {
            Event::MediaAdded(added) => match added.kind {
                MediaKind::Audio => self.audio = Some(added.mid),
                MediaKind::Video => self.video = Some(added.mid),
            },
            Event::Connected => {
                if let Some([audio, video]) = hub.connection(number).unwrap().mids().first_chunk() {
                    (self.audio, self.video) = (Some(*audio), Some(*video));
                }
                self.connected = Some(now);
                self.next = Some(now);
                let desired = Bitrate::kbps(3000);
                hub.act(now, number, |rtc| {
                    rtc.bwe().set_bitrate(Bitrate::ZERO, desired)
                });
            }
            Event::MediaData(data) => {
                let mark = Mark::of(&data.data).unwrap();
                assert_ne!(mark.source, self.number);
                if Some(data.mid) == self.audio {
                    self.audio_frames += 1;
                } else {
                    self.video_frames += 1;
                    self.key_frames += u32::from(data.is_keyframe());
                    self.latency = now - mark.captured;
                }
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Time, hub: &mut Hub) {
        self.next = Some(now + FRAME);
        let mark = Mark {
            source: self.number,
            layer: 0,
            number: self.sent,
            captured: now,
        };
        let is_key = self.sent.is_multiple_of(100);
        let length = if is_key { 40_000 } else { 9_000 };
        self.sent += 1;
        let since = now - Time::ZERO;
        let wallclock = now.to_instant(*EPOCH);
        for (mid, length) in [(self.audio, 80), (self.video, length)] {
            let frame = mark.frame(is_key, length);
            let written = hub.act(now, CONNECTION, |rtc| {
                let writer = rtc.writer(mid.unwrap()).unwrap();
                let params = *writer.payload_params().next().unwrap();
                let rate = params.spec().clock_rate;
                let time = MediaTime::from_micros(since.as_micros() as u64).rebase(rate);
                writer.write(params.pt(), wallclock, time, frame)
            });
            written.unwrap().unwrap();
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.next
    }
}

struct Outcome {
    net: Internet,
    parties: [ProgramId; 2],
    turn: Option<NodeId>,
}

impl Outcome {
    fn talker(&self, side: usize) -> &Talker {
        self.party(side).role()
    }

    fn party(&self, side: usize) -> &Party<Talker> {
        self.net.program(self.parties[side])
    }
}

fn talk(kinds: [&str; 2], turn: &[TurnTransport], trickle: bool, seconds: u64) -> Outcome {
    let mut plan = Topology::new();
    let mut addresses = AddressPlan::new();
    let core = plan.router("internet");
    let link = Link::with_delay(Duration::from_millis(10));
    let hosts: [NodeId; 2] = std::array::from_fn(|side| {
        let name = ["a", "b"][side];
        let kind: Kind = kinds[side].parse().unwrap();
        let options = SiteOptions::new(link);
        let mut site = plan.site(name, core, &kind, &options, &mut addresses);
        plan.host_at(&mut site, name, &mut addresses)
    });
    let stun = plan.server("stun", core, link, 1, false, &mut addresses);
    let offer = turn.iter().fold(TurnOffer::OFF, |offer, t| offer.with(*t));
    let turn =
        (!turn.is_empty()).then(|| plan.server("turn", core, link, 1, false, &mut addresses));
    let mut net = Internet::new(plan, 1).unwrap();
    let zone = crate::call::serve(&mut net, stun, turn, &offer, &TurnTerms::default());
    let resolver = Resolver {
        zone: &zone,
        dns64: None,
    };
    let servers = crate::call::resolve(&resolver, None, &offer);
    let parties = [0, 1].map(|side| {
        let terms = Terms {
            servers: servers.clone(),
            trickle,
            tap: None,
            seed: side as u64,
        };
        let talker = Talker::new(side as u32, (side == 0).then_some(1));
        net.attach(hosts[side], Party::new(side, terms, talker))
    });
    for party in parties {
        let posts = Posts::new(parties.to_vec(), Duration::from_millis(50));
        net.act(party, |party: &mut Party<Talker>, _| party.introduce(posts));
    }
    net.run_until(Time::ZERO + Duration::from_secs(seconds))
        .unwrap();
    Outcome { net, parties, turn }
}

fn assert_good(outcome: &Outcome, what: &str) {
    for side in [0, 1] {
        let connection = outcome.party(side).hub().connection(CONNECTION);
        let connection = connection.expect(what);
        assert_eq!(connection.failure(), None, "{what}");
        let talker = outcome.talker(side);
        assert!(talker.connected.is_some(), "{what}");
        let sent = outcome.talker(1 - side).sent;
        assert!(talker.audio_frames + 10 > sent, "{what}");
        assert!(talker.video_frames + 10 > sent, "{what}");
        assert!(talker.key_frames >= 1, "{what}");
    }
}

#[test]
fn media_crosses_two_home_nats() {
    for trickle in [true, false] {
        let outcome = talk(["nat:eim/apdf", "nat:eim/apdf"], &[], trickle, 5);
        assert_good(&outcome, "eim/apdf");
    }
}

#[test]
fn media_goes_through_relays_over_everything() {
    for transport in TurnTransport::ALL {
        let outcome = talk(["nat:apdm/apdf", "nat:apdm/apdf"], &[transport], true, 5);
        assert_good(&outcome, transport.name());
        // One end's relay or the other's: either way every packet goes through the server.
        let turn = std::net::IpAddr::from(outcome.net.address(outcome.turn.unwrap()));
        for side in [0, 1] {
            let connection = outcome.party(side).hub().connection(CONNECTION).unwrap();
            let (local, remote) = connection.pair().unwrap();
            assert!([local.ip(), remote.ip()].contains(&turn), "{transport:?}");
            assert!(outcome.talker(side).latency > Duration::from_millis(40));
        }
    }
}

fn digest(turn: &[TurnTransport]) -> String {
    let outcome = talk(["nat:apdm/apdf", "nat:eim/apdf"], turn, true, 4);
    outcome.net.trace().digest().to_string()
}

/// The wire's times, lengths and fates are a function of the seed, although the handshakes' bytes aren't.
#[test]
fn a_run_repeats_on_another_thread() {
    let here = digest(&TurnTransport::ALL);
    // Each thread's maps have keys of their own.
    for _ in 0..4 {
        let there = std::thread::spawn(|| digest(&TurnTransport::ALL));
        assert_eq!(there.join().unwrap(), here);
    }
}
