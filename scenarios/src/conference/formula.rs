//! Closed forms: what a conference needs and gets, without simulating it. The oracle.
//!
//! Rates are exact where nothing is congested. Where something is, links are shared as fluid would
//! be: a sender divides its uplink evenly among its connections, a server gives each viewer the
//! layers that fit into its downlink. Queues, losses, and how long anything takes to settle are
//! beyond it. Who needs TURN isn't computed but asked of one real call for each pair of networks.

mod demand;
mod ways;

use pinhole::link::Link;
use pinhole::trace::{Counts, Digest};

use self::demand::Demand;
use self::ways::{Way, Ways};
use super::config::{Fidelity, Topology};
use super::outcome::{
    ConferenceOutcome, ParticipantOutcome, Percentiles, Rates, Received, ServerOutcome, TurnOutcome,
};
use super::plan::{Place, Plan};
use crate::call::CallError;
use crate::overhead;

/// What a link is asked to carry, and can't.
#[derive(Clone, PartialEq, Debug)]
pub struct Overload {
    /// Whose link.
    pub participant: usize,
    /// Whether it is the uplink.
    pub is_uplink: bool,
    /// What all streams in full quality need, in kbit/s.
    pub needed_kbps: f64,
    /// What the link has.
    pub capacity_kbps: f64,
}

impl Overload {
    /// How much more than it has the link is asked for, as a ratio.
    pub fn ratio(&self) -> f64 {
        self.needed_kbps / self.capacity_kbps
    }
}

/// Computes a conference.
///
/// # Errors
///
/// The networks make no sense.
pub fn run(plan: &Plan) -> Result<ConferenceOutcome, CallError> {
    let ways = Ways::ask(plan)?;
    let granted = Demand::granted(plan);
    Ok(outcome(plan, &granted, &ways))
}

/// The link that is asked for the most beyond what it has, if every stream is sent, and forwarded, in
/// full quality; of several, the first participant's. `None`: all fits.
pub fn overload(plan: &Plan) -> Option<Overload> {
    let demand = Demand::full(plan);
    let mut worst: Option<Overload> = None;
    for (number, participant) in plan.participants().iter().enumerate() {
        let Some(access) = participant.access else {
            continue;
        };
        let rates = Flows::of(plan, &demand, Place::Participant(number));
        let sides = [
            (true, rates.out.total(), access.up_kbps),
            (false, rates.into.total(), access.down_kbps),
        ];
        for (is_uplink, needed_kbps, capacity) in sides {
            let this = Overload {
                participant: number,
                is_uplink,
                needed_kbps,
                capacity_kbps: f64::from(capacity),
            };
            let is_worse = worst.as_ref().is_none_or(|it| this.ratio() > it.ratio());
            if this.ratio() > 1.0 && is_worse {
                worst = Some(this);
            }
        }
    }
    worst
}

/// Packets that all places send together in a second, media, feedback and consent: what a simulation
/// of it costs.
pub fn packets_per_second(plan: &Plan) -> f64 {
    let demand = Demand::granted(plan);
    let connections = 0..plan.connections.len();
    let packets = connections.flat_map(|connection| {
        let demand = &demand;
        [0, 1].map(|end| {
            let sent = demand.on(connection, end);
            sent.packets + sent.feedback_packets() + demand::consent()
        })
    });
    packets.sum()
}

fn outcome(plan: &Plan, demand: &Demand, ways: &Ways) -> ConferenceOutcome {
    let participants = 0..plan.participants().len();
    let participants = participants.map(|number| participant(plan, demand, ways, number));
    let servers = 0..plan.servers.len();
    let servers = servers.map(|number| server(plan, demand, number));
    ConferenceOutcome {
        topology: plan.config.topology,
        fidelity: Fidelity::Formula,
        connections: plan.connections.len(),
        measured: plan.config.measured,
        participants: participants.collect(),
        servers: servers.collect(),
        turn: turn(plan, demand, ways),
        all_seen: None,
        gaps: Vec::new(),
        roams: Vec::new(),
        findings: Vec::new(),
        packets: Counts::default(),
        digest: Digest::default(),
        repeats: true,
    }
}

/// What goes into a place and out of it.
struct Flows {
    into: Rates,
    out: Rates,
    packets_in: f64,
    packets_out: f64,
    streams_in: usize,
    streams_out: usize,
    media_out: f64,
    /// Packets that are decrypted or encrypted.
    secured: f64,
}

impl Flows {
    fn of(plan: &Plan, demand: &Demand, place: Place) -> Flows {
        let mut flows = Flows {
            into: Rates::default(),
            out: Rates::default(),
            packets_in: 0.0,
            packets_out: 0.0,
            streams_in: 0,
            streams_out: 0,
            media_out: 0.0,
            secured: 0.0,
        };
        for (connection, end) in plan.connections_of(place) {
            let sent = demand.on(connection, end);
            let got = demand.on(connection, 1 - end);
            flows.out += sent.rates() + got.feedback();
            flows.into += got.rates() + sent.feedback();
            flows.packets_out += sent.packets + got.feedback_packets() + demand::consent();
            flows.packets_in += got.packets + sent.feedback_packets() + demand::consent();
            flows.streams_out += sent.streams;
            flows.streams_in += got.streams;
            flows.media_out += sent.packets;
            let feedback = sent.feedback_packets() + got.feedback_packets();
            flows.secured += sent.packets + got.packets + feedback;
        }
        flows
    }
}

fn participant(plan: &Plan, demand: &Demand, ways: &Ways, number: usize) -> ParticipantOutcome {
    let place = Place::Participant(number);
    let flows = Flows::of(plan, demand, place);
    let mut up = flows.out;
    let mut down = flows.into;
    for (connection, end) in plan.connections_of(place) {
        // Only on the leg between a client and its own relay is there more to carry.
        let more = |is_up, packets: f64| {
            let bytes = ways.of(connection).client_overhead(end, is_up);
            packets * bytes.unwrap_or(0) as f64 * 8.0 / 1_000.0
        };
        let sent = demand.on(connection, end);
        let got = demand.on(connection, 1 - end);
        up.turn += more(true, sent.packets + got.feedback_packets());
        down.turn += more(false, got.packets + sent.feedback_packets());
    }
    let mut received: Vec<Received> = Vec::new();
    for (connection, end) in plan.connections_of(place) {
        received.extend(demand.received(plan, connection, 1 - end));
    }
    received.sort_by_key(|it| it.source);
    let delay = delay(plan, number);
    ParticipantOutcome {
        name: plan.name(place).to_owned(),
        up,
        down,
        loss: plan.participants()[number].access.map_or(0.0, |it| it.loss),
        up_loss: plan.participants()[number].access.map_or(0.0, |it| it.loss),
        delay,
        queueing: Percentiles::default(),
        received,
        seconds: Vec::new(),
    }
}

/// From the others to this participant, in the middle: propagation alone, and the time an audio
/// packet takes to be put on the two access links.
fn delay(plan: &Plan, viewer: usize) -> Percentiles {
    let mut delays: Vec<f64> = plan
        .publishers()
        .filter(|publisher| *publisher != viewer)
        .map(|publisher| one_way_ms(plan, publisher, viewer))
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * delays.len() as f64).ceil() as usize;
        delays.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    };
    Percentiles {
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
    }
}

fn one_way_ms(plan: &Plan, from: usize, to: usize) -> f64 {
    let config = &plan.config;
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1_000.0;
    let region = |number: usize| plan.participants()[number].region;
    let between = |one: usize, other: usize| {
        let apart = if one == other { 0.0 } else { 1.0 };
        ms(config.delay) + apart * ms(config.between_regions)
    };
    let legs = match (plan.server_of(from), plan.server_of(to)) {
        (Some(first), Some(last)) => {
            let [first_at, last_at] = [first, last].map(|server| plan.servers[server].region);
            let servers = if first == last {
                0.0
            } else {
                between(first_at, last_at)
            };
            between(region(from), first_at) + servers + between(last_at, region(to))
        }
        _ => between(region(from), region(to)),
    };
    let audio = config.audio.as_ref().map_or(0, |it| it.payload()) + overhead::AUDIO_PACKET;
    let access = |number: usize, is_up: bool| {
        plan.participants()[number].access.map_or(0.0, |profile| {
            let kbps = if is_up {
                profile.up_kbps
            } else {
                profile.down_kbps
            };
            let serialized = audio as f64 * 8.0 / f64::from(kbps);
            f64::from(profile.round_trip_ms) / 2.0 + serialized
        })
    };
    // From the sender to its router, and from the receiver's router to it.
    let lan = 2.0 * ms(Link::lan().up.delay);
    legs + lan + access(from, true) + access(to, false)
}

fn server(plan: &Plan, demand: &Demand, number: usize) -> ServerOutcome {
    let flows = Flows::of(plan, demand, Place::Server(number));
    let mixes = plan.config.topology == Topology::Mcu;
    let (decoded_per_s, encoded_per_s) = plan.mixed_frames();
    ServerOutcome {
        name: plan.servers[number].name.clone(),
        region: plan.servers[number].region,
        into: flows.into,
        out: flows.out,
        packets_in_per_s: flows.packets_in,
        packets_out_per_s: flows.packets_out,
        streams_in: flows.streams_in,
        streams_out: flows.streams_out,
        forwarded_per_s: if mixes { 0.0 } else { flows.media_out },
        crypto_per_s: flows.secured,
        decoded_per_s,
        encoded_per_s,
    }
}

fn turn(plan: &Plan, demand: &Demand, ways: &Ways) -> TurnOutcome {
    let mut relayed = 0;
    let mut kbps = 0.0;
    for connection in 0..plan.connections.len() {
        let way = ways.of(connection);
        relayed += usize::from(matches!(way, Way::Relayed { .. }));
        for end in [0, 1] {
            let [sent, got] = [end, 1 - end].map(|end| demand.on(connection, end));
            let out = (sent.rates() + got.feedback()).total();
            kbps += out * way.relays(end) as f64;
        }
    }
    TurnOutcome {
        relayed_share: relayed as f64 / plan.connections.len().max(1) as f64,
        relayed_kbps: kbps,
    }
}

#[cfg(test)]
mod tests {
    use pinhole::link::AccessProfile;

    use super::*;
    use crate::conference::{ConferenceConfig, SourceKind};

    fn plan(topology: &str, participants: usize, access: Option<&str>, simulcast: bool) -> Plan {
        let access = access.map(|name| AccessProfile::named(name).unwrap());
        let topology = topology.parse().unwrap();
        let config = ConferenceConfig {
            simulcast,
            ..ConferenceConfig::new(topology, participants, access)
        };
        Plan::new(config).unwrap()
    }

    fn near(one: f64, other: f64) -> bool {
        (one / other - 1.0).abs() < 1e-9
    }

    #[test]
    fn a_mesh_sends_one_stream_to_each_of_the_others() {
        let two = run(&plan("mesh", 2, None, false)).unwrap();
        let single = two.participants[0].up.media;
        // 2,500 kbit/s of picture and 32 of sound, and headers of about a fourteenth.
        assert!((2_680.0..2_740.0).contains(&single), "{single}");
        for participants in [3, 5, 10] {
            let mesh = run(&plan("mesh", participants, None, false)).unwrap();
            let others = (participants - 1) as f64;
            assert_eq!(mesh.connections, participants * (participants - 1) / 2);
            for it in &mesh.participants {
                assert!(near(it.up.media, others * single));
                assert!(near(it.down.media, others * single));
            }
        }
    }

    #[test]
    fn a_forwarding_server_sends_k_times_k_minus_one_streams() {
        for participants in [2, 5, 9] {
            let outcome = run(&plan("sfu", participants, None, false)).unwrap();
            let single = outcome.participants[0].up.media;
            let streams = participants * (participants - 1);
            let server = &outcome.servers[0];
            assert!(near(server.out.media, streams as f64 * single));
            assert!(near(server.into.media, participants as f64 * single));
            assert_eq!(server.streams_out, streams * 2);
        }
    }

    #[test]
    fn a_mixer_sends_everybody_one() {
        let outcome = run(&plan("mcu", 6, None, false)).unwrap();
        for it in &outcome.participants {
            assert!(near(it.down.media, it.up.media));
        }
        let frames = (
            outcome.servers[0].decoded_per_s,
            outcome.servers[0].encoded_per_s,
        );
        assert_eq!(frames, (180.0, 180.0));
    }

    #[test]
    fn a_cable_uplink_bears_a_mesh_of_six() {
        assert_eq!(overload(&plan("mesh", 6, Some("cable"), false)), None);
        let seven = overload(&plan("mesh", 7, Some("cable"), false)).unwrap();
        assert!(seven.is_uplink && seven.participant == 0);
        assert_eq!(seven.capacity_kbps, 15_000.0);
        assert_eq!(overload(&plan("sfu", 7, Some("cable"), true)), None);
    }

    #[test]
    fn links_that_bear_less_are_given_less() {
        let adsl = run(&plan("mesh", 5, Some("adsl"), false)).unwrap();
        for it in &adsl.participants {
            assert!((700.0..=800.0).contains(&it.up.total()), "{:?}", it.up);
        }
        let sfu = plan("sfu", 5, Some("adsl"), true);
        let outcome = run(&sfu).unwrap();
        for it in &outcome.participants {
            assert!((600.0..=800.0).contains(&it.up.total()), "{:?}", it.up);
            // The two lower layers of each of the four others.
            let pictures = it.received_kbps(|source| sfu.source(source).kind == SourceKind::Camera);
            assert!((500.0..2_800.0).contains(&pictures), "{pictures}");
        }
    }

    #[test]
    fn who_needs_turn_is_found_out() {
        let mut config = ConferenceConfig::new(Topology::Sfu, 3, None);
        config.participants[1].network = "udp-blocked".parse().unwrap();
        let outcome = run(&Plan::new(config).unwrap()).unwrap();
        assert!(near(outcome.turn.relayed_share, 1.0 / 3.0));
        assert!(outcome.participants[1].up.turn > 0.0);
        assert_eq!(outcome.participants[0].up.turn, 0.0);
    }

    #[test]
    fn a_pair_that_needs_a_relay_uses_one_at_a_time() {
        let mut config = ConferenceConfig::new(Topology::Mesh, 2, None);
        for it in &mut config.participants {
            it.network = "nat:apdm/apdf".parse().unwrap();
        }
        let outcome = run(&Plan::new(config).unwrap()).unwrap();
        let both_ways: f64 = outcome.participants.iter().map(|it| it.up.media).sum();
        let ratio = outcome.turn.relayed_kbps / both_ways;
        assert!((1.0..1.05).contains(&ratio), "{ratio}");
    }
}
