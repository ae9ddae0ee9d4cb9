//! NAT behaviour discovery (RFC 5780) against devices whose behaviour is known: what the client
//! finds over the wire is what was configured.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::link::{Conditions, Jitter, Link};
use pinhole::nat::{FilterMemory, Hairpinning, NatConfig, PortAllocation, Refresh};
use pinhole::server::StunServer;
use pinhole::topology::{AddressPlan, Device as Installed, Edge, Kind};
use pinhole::{Endpoint, Filtering, Internet, Lifetimes, Mapping, NodeId, Topology};
use pinhole_scenarios::discover::{
    Device, DiscoverError, DiscoverOptions, Discovery, Hairpin, LONGEST, Lifetime, discover,
    discover_from,
};
use proptest::prelude::*;

const MEMORIES: [FilterMemory; 2] = [FilterMemory::InternalEndpoint, FilterMemory::Mapping];

fn kind(text: &str) -> Kind {
    text.parse().unwrap()
}

fn options(hairpinning: Hairpinning, filter_memory: FilterMemory) -> DiscoverOptions {
    DiscoverOptions {
        hairpinning,
        filter_memory,
        ..DiscoverOptions::default()
    }
}

fn device(kind: &Kind, options: &DiscoverOptions) -> Device {
    let found = discover(kind, options, 1).unwrap();
    found.device.unwrap_or_else(|| panic!("{kind} is blocked"))
}

fn device_of(text: &str) -> Device {
    device(&kind(text), &DiscoverOptions::default())
}

fn expires(seconds: u64) -> Lifetime {
    Lifetime::Expires(Duration::from_secs(seconds))
}

/// Whether hairpinning can be seen from inside, if it is on. The sender's source towards the
/// device's own address must pass the receiver's filter. With endpoint-independent mapping it is
/// the endpoint that the STUN server saw, and the receiver can have written to it. Otherwise it is
/// a new one: without a filter that doesn't matter; an address-dependent one is opened by writing to
/// any port of the device's address, which happens through another mapping than the one that is
/// tested, and counts only if the filter's memory is the internal endpoint's.
fn hairpinning_shows(mapping: Mapping, filtering: Filtering, memory: FilterMemory) -> bool {
    mapping == Mapping::EndpointIndependent
        || match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => memory == FilterMemory::InternalEndpoint,
            Filtering::AddressAndPortDependent => false,
        }
}

/// Whose memory it is shows only where an internal endpoint has several mappings and there is a
/// filter.
fn memory_shows(mapping: Mapping, filtering: Filtering) -> bool {
    mapping != Mapping::EndpointIndependent && filtering != Filtering::EndpointIndependent
}

#[test]
fn every_nat_is_found_out() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let kind = Kind::of(Edge::Nat(mapping, filtering));
            for memory in MEMORIES {
                for hairpinning in [Hairpinning::Off, Hairpinning::ExternalSource] {
                    let found = device(&kind, &options(hairpinning, memory));
                    let what = format!("{kind}, {memory:?}, {hairpinning:?}");
                    // Whose memory the filter has doesn't touch the first two: the mapping tests
                    // never meet a filter, and the socket of the filtering tests has written to one
                    // endpoint, through one mapping.
                    assert_eq!(found.mapping, Some(mapping), "{what}");
                    assert_eq!(found.filtering, filtering, "{what}");
                    let expected = memory_shows(mapping, filtering).then_some(memory);
                    assert_eq!(found.filter_memory, expected, "{what}");
                    let expected = match hairpinning {
                        _ if !hairpinning_shows(mapping, filtering, memory) => Hairpin::Hidden,
                        Hairpinning::Off => Hairpin::No,
                        Hairpinning::ExternalSource | Hairpinning::InternalSource => Hairpin::Yes,
                    };
                    assert_eq!(found.hairpinning, expected, "{what}");
                    // The defaults: ports preserved by endpoint-independent mapping, five minutes.
                    let preserving = mapping == Mapping::EndpointIndependent;
                    assert_eq!(found.port_preservation, preserving, "{what}");
                    assert_eq!(found.lifetime, expires(300), "{what}");
                    assert_eq!(found.external.ip().to_string(), "203.0.113.1", "{what}");
                }
            }
        }
    }
}

#[test]
fn public_networks_translate_nothing_and_filter_as_they_are_called() {
    for (text, filtering, lifetime) in [
        // Nothing is kept, so nothing expires.
        (
            "open",
            Filtering::EndpointIndependent,
            Lifetime::Outlives(LONGEST),
        ),
        // No mapping, but a pinhole that closes after five minutes.
        ("firewall:adf", Filtering::AddressDependent, expires(300)),
        (
            "firewall:apdf",
            Filtering::AddressAndPortDependent,
            expires(300),
        ),
    ] {
        let found = device_of(text);
        assert_eq!(found.mapping, None, "{text}");
        assert_eq!(found.filtering, filtering, "{text}");
        assert_eq!(found.lifetime, lifetime, "{text}");
        assert_eq!(found.hairpinning, Hairpin::No, "{text}");
        assert_eq!(found.filter_memory, None, "{text}");
        assert!(found.port_preservation, "{text}");
        assert_eq!(found.external.ip().to_string(), "203.0.113.1", "{text}");
    }
}

#[test]
fn where_no_udp_passes_one_test_says_so() {
    for text in ["udp-blocked", "nat:eim/eif>udp-blocked"] {
        let found = discover(&kind(text), &DiscoverOptions::default(), 1).unwrap();
        assert_eq!(found.device, None);
        let [step] = &found.log[..] else {
            panic!("{:?}", found.log)
        };
        // RFC 8489 §6.2.1: seven requests, and nothing came.
        assert_eq!((step.requests, step.answer), (7, None));
    }
}

/// Several edges look like one device. Two destinations share an external endpoint only if every
/// NAT on the way lets them share, so the mapping is the most dependent one; a stranger's datagram
/// comes in only if every edge lets it, so the filter is the strictest; what lives shortest decides
/// the lifetime, and the outermost NAT is the only one that a datagram to the external address gets
/// to.
#[test]
fn edges_in_a_row_look_like_one() {
    use Filtering::{AddressAndPortDependent as Apdf, AddressDependent as Adf};
    use Mapping::{AddressAndPortDependent as Apdm, AddressDependent as Adm};
    let eim = Mapping::EndpointIndependent;
    for (text, mapping, filtering) in [
        ("nat:eim/apdf>nat:eim/eif", Some(eim), Apdf),
        ("nat:eim/eif>nat:eim/adf", Some(eim), Adf),
        ("nat:eim/adf>nat:eim/apdf", Some(eim), Apdf),
        ("nat:adm/eif>nat:eim/adf", Some(Adm), Adf),
        ("nat:eim/adf>nat:adm/eif", Some(Adm), Adf),
        ("nat:adm/adf>nat:apdm/adf", Some(Apdm), Adf),
        ("nat:apdm/apdf>nat:adm/eif", Some(Apdm), Apdf),
        ("nat:eim/eif>firewall:adf", Some(eim), Adf),
        ("firewall:apdf>nat:adm/eif", Some(Adm), Apdf),
        ("firewall:adf>firewall:apdf", None, Apdf),
        ("open>nat:eim/eif>open", Some(eim), Filtering::ALL[0]),
        (
            "nat:eim/eif>nat:eim/eif>nat:adm/apdf>firewall:adf",
            Some(Adm),
            Apdf,
        ),
    ] {
        for memory in MEMORIES {
            let found = device(&kind(text), &options(Hairpinning::Off, memory));
            assert_eq!(
                (found.mapping, found.filtering, found.lifetime),
                (mapping, filtering, expires(300)),
                "{text}"
            );
        }
    }
}

/// Behind an inner NAT that gives each destination a mapping, the outer one sees as many internal
/// endpoints as there are destinations, and remembers for each what that one sent. Whatever it is
/// told to remember, from outside it looks like a memory per mapping.
#[test]
fn a_dependent_nat_inside_hides_the_memory_of_the_one_outside() {
    let endpoint = FilterMemory::InternalEndpoint;
    let memory = |text: &str| device(&kind(text), &options(Hairpinning::Off, endpoint));
    let (outer, inner) = (
        memory("nat:adm/eif>nat:eim/adf"),
        memory("nat:adm/adf>nat:eim/eif"),
    );
    assert_eq!(outer.filter_memory, Some(FilterMemory::Mapping));
    assert_eq!(inner.filter_memory, Some(FilterMemory::InternalEndpoint));
}

/// A client inside, the device that is tested, and a server for discovery.
struct Bench {
    net: Internet,
    client: NodeId,
    server: SocketAddr,
}

impl Bench {
    fn new(installed: &[Installed], access: Link, seed: u64) -> Self {
        let mut plan = Topology::new();
        let mut addresses = AddressPlan::new();
        let core = plan.router("internet");
        let far = Link::with_delay(Duration::from_millis(10));
        let server = plan.server("stun", core, far, 2, false, &mut addresses);
        let mut outer = core;
        // The outermost is the last of the devices.
        for (place, device) in installed.iter().enumerate().rev() {
            let gateway = plan.gateway(format!("edge{place}"));
            plan.install(gateway, device.clone());
            let external = if outer == core {
                addresses.edge()
            } else {
                addresses.carrier().nth(2).unwrap()
            };
            let link = if outer == core { access } else { Link::lan() };
            plan.connect(gateway, outer, link, &[external]);
            outer = gateway;
        }
        let client = plan.host("client");
        plan.connect(
            client,
            outer,
            Link::lan(),
            &[addresses.home().nth(2).unwrap()],
        );
        let mut net = plan.build(seed).unwrap();
        let address = net.address(server);
        net.attach(server, StunServer::with_discovery(3478, 3479));
        Bench {
            net,
            client,
            server: Endpoint::new(address, 3478).into(),
        }
    }

    fn behind(config: &NatConfig, seed: u64) -> Self {
        let access = Link::with_delay(Duration::from_millis(10));
        Bench::new(&[Installed::Nat(config.clone())], access, seed)
    }

    fn discover(&mut self) -> Result<Discovery, DiscoverError> {
        discover_from(&mut self.net, self.client, self.server, LONGEST)
    }

    fn device(&mut self) -> Device {
        self.discover().unwrap().device.expect("UDP gets through")
    }
}

fn nat(lifetime: Duration) -> NatConfig {
    NatConfig {
        lifetimes: Lifetimes {
            udp: lifetime,
            ..Lifetimes::STANDARD
        },
        ..NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        )
    }
}

#[test]
fn lifetimes_are_found_to_the_step() {
    for (millis, found) in [
        (30_000, 30_000),
        (120_000, 120_000),
        (600_000, 600_000),
        (30_100, 30_100),
        // Between two steps the nearer one. The test for T = 30.1 s meets a mapping that is half a
        // step and twice the 1 ms between client and device younger: 30.048 s old. A mapping that
        // lives exactly as long is dead by then.
        (30_048, 30_000),
        (30_049, 30_100),
    ] {
        let config = nat(Duration::from_millis(millis));
        let device = Bench::behind(&config, 1).device();
        assert_eq!(device.lifetime.as_millis(), Some(found), "{millis} ms");
    }
}

#[test]
fn a_lifetime_beyond_patience_is_only_bounded() {
    let config = nat(Duration::from_secs(1_000));
    let mut bench = Bench::behind(&config, 1);
    let patience = Duration::from_secs(900);
    let found = discover_from(&mut bench.net, bench.client, bench.server, patience).unwrap();
    let lifetime = found.device.unwrap().lifetime;
    assert_eq!(lifetime, Lifetime::Outlives(patience));
    assert_eq!(lifetime.as_millis(), None);
}

#[test]
fn the_shortest_lived_mapping_of_a_chain_decides() {
    for seconds in [[60, 90], [90, 60]] {
        let chain = seconds.map(|seconds| Installed::Nat(nat(Duration::from_secs(seconds))));
        let access = Link::with_delay(Duration::from_millis(10));
        let device = Bench::new(&chain, access, 1).device();
        assert_eq!(device.lifetime, expires(60));
    }
}

/// Of two NATs in a row the outer one decides whether datagrams to the external address come back.
#[test]
fn the_outermost_nat_hairpins_or_nobody_does() {
    for outer in [Hairpinning::Off, Hairpinning::ExternalSource] {
        for inner in [Hairpinning::Off, Hairpinning::ExternalSource] {
            let chain = [inner, outer].map(|hairpinning| {
                Installed::Nat(NatConfig {
                    hairpinning,
                    ..nat(Duration::from_secs(60))
                })
            });
            let access = Link::with_delay(Duration::from_millis(10));
            let found = Bench::new(&chain, access, 1).device().hairpinning;
            let expected = match outer {
                Hairpinning::Off => Hairpin::No,
                Hairpinning::ExternalSource | Hairpinning::InternalSource => Hairpin::Yes,
            };
            assert_eq!(found, expected, "{inner:?} inside {outer:?}");
        }
    }
}

/// A tenth of all packets lost each way, and up to 10 ms of jitter: the client asks again.
#[test]
fn loss_and_jitter_change_nothing() {
    let lossy = Conditions::new(Duration::from_millis(10))
        .independent_loss(0.1)
        .jitter(Jitter::Reordering(Duration::from_millis(10)));
    for seed in 1..=8 {
        let config = NatConfig {
            hairpinning: Hairpinning::ExternalSource,
            ..NatConfig::new(Mapping::AddressDependent, Filtering::AddressDependent)
        };
        let installed = [Installed::Nat(config)];
        let found = Bench::new(&installed, Link::symmetric(lossy), seed).discover();
        let found = found.unwrap();
        let repeated = found.log.iter().any(|step| step.requests > 1);
        let device = found.device.unwrap();
        assert_eq!(device.mapping, Some(Mapping::AddressDependent));
        assert_eq!(device.filtering, Filtering::AddressDependent);
        assert_eq!(device.hairpinning, Hairpin::Yes);
        assert_eq!(device.lifetime, expires(300));
        assert!(repeated, "nothing was lost");
    }
}

/// An answer takes longer than RFC 8489's first RTO of 500 ms: every first request is repeated
/// before its answer can be there.
#[test]
fn a_satellite_away_is_not_blocked() {
    let config = nat(Duration::from_secs(60));
    let access = Link::with_delay(Duration::from_millis(600));
    let device = Bench::new(&[Installed::Nat(config)], access, 1).device();
    assert_eq!(device.mapping, Some(Mapping::EndpointIndependent));
    assert_eq!(device.filtering, Filtering::AddressAndPortDependent);
    assert_eq!(device.lifetime, expires(60));
}

#[test]
fn the_log_tells_what_was_sent_and_what_came_back() {
    let found = discover(&kind("nat:adm/adf"), &DiscoverOptions::default(), 1).unwrap();
    let tests: Vec<&str> = found.log.iter().map(|step| step.test).collect();
    assert_eq!(
        tests[..12],
        [
            "mapping I",
            "mapping II",
            "mapping III",
            "filtering I",
            "filtering II",
            "filtering III",
            "filtering IV",
            "filtering IV",
            "hairpinning I",
            "hairpinning I",
            "hairpinning II",
            "lifetime I",
        ]
    );
    assert!(tests[12..].iter().all(|test| *test == "lifetime II"));
    for step in &found.log {
        assert!(!step.conclusion.is_empty(), "{step:?}");
    }
    let external = found.device.unwrap().external;
    let answer = found.log[0].answer.unwrap();
    assert_eq!(answer.mapped, Some(external));
    assert_eq!(answer.from, found.log[0].to);
    // There and back: 20 ms between the edges, 1 ms on the local network.
    assert_eq!(answer.at - found.log[0].at, Duration::from_millis(42));
    // Each socket of the log is one of six, and all but the one that asks for answers elsewhere
    // had a test that nothing was sent before.
    let sockets: BTreeSet<_> = found.log.iter().map(|step| step.from).collect();
    assert_eq!(sockets.len(), 6);
    // The stranger's answer did not come, whatever patience; the known address' did.
    assert_eq!((found.log[4].requests, found.log[4].answer), (7, None));
    let from_other_port = found.log[5].answer.unwrap().from;
    assert_eq!(from_other_port.ip(), found.log[5].to.ip());
    assert_ne!(from_other_port.port(), found.log[5].to.port());
}

#[test]
fn a_server_that_cannot_discover_is_refused_with_the_reason() {
    let mut bench = Bench::behind(&nat(Duration::from_secs(60)), 1);
    // On another port of the same host.
    let server = bench.net.topology().find("stun").unwrap();
    bench.net.attach(server, StunServer::new(3400));
    bench.server.set_port(3400);
    let error = bench.discover().unwrap_err().to_string();
    assert!(
        error.contains("192.0.2.1:3400 names no other address"),
        "{error}"
    );
    bench.server.set_port(9);
    let error = bench.discover().unwrap_err().to_string();
    assert!(error.contains("192.0.2.1:9 is no STUN server"), "{error}");
    bench.server = "[2001:db8::1]:3478".parse().unwrap();
    let error = bench.discover().unwrap_err().to_string();
    assert!(error.contains("client has no address"), "{error}");
}

#[test]
fn the_same_seed_asks_the_same_questions() {
    let kind = kind("nat:apdm/apdf");
    let again = |seed| discover(&kind, &DiscoverOptions::default(), seed).unwrap();
    assert_eq!(again(7), again(7));
    assert_ne!(again(7).log, again(8).log);
}

/// A NAT of any behaviour.
fn any_nat() -> impl Strategy<Value = NatConfig> {
    let choice = (
        prop::sample::select(&Mapping::ALL[..]),
        prop::sample::select(&Filtering::ALL[..]),
        prop::sample::select(&MEMORIES[..]),
        prop::sample::select(&[
            PortAllocation::PRESERVING,
            PortAllocation::SEQUENTIAL,
            PortAllocation::Random,
        ]),
        prop::sample::select(&[Hairpinning::Off, Hairpinning::ExternalSource]),
        prop::sample::select(&[Refresh::Outbound, Refresh::BothWays]),
        200u64..=9_000,
    );
    choice.prop_map(
        |(mapping, filtering, filter_memory, ports, hairpinning, refresh, tenths)| NatConfig {
            filter_memory,
            ports,
            hairpinning,
            refresh,
            lifetimes: Lifetimes {
                udp: Duration::from_millis(100 * tenths),
                ..Lifetimes::STANDARD
            },
            ..NatConfig::new(mapping, filtering)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a NAT is told to do is found out from inside, as far as it can be.
    #[test]
    fn what_was_configured_is_found(config in any_nat(), seed: u64) {
        let found = Bench::behind(&config, seed).device();
        let NatConfig { mapping, filtering, filter_memory, .. } = config;
        prop_assert_eq!(found.mapping, Some(mapping));
        prop_assert_eq!(found.filtering, filtering);
        let memory = memory_shows(mapping, filtering).then_some(filter_memory);
        prop_assert_eq!(found.filter_memory, memory);
        let hairpins = match config.hairpinning {
            _ if !hairpinning_shows(mapping, filtering, filter_memory) => Hairpin::Hidden,
            Hairpinning::Off => Hairpin::No,
            Hairpinning::ExternalSource | Hairpinning::InternalSource => Hairpin::Yes,
        };
        prop_assert_eq!(found.hairpinning, hairpins);
        let preserving = config.ports == PortAllocation::PRESERVING;
        prop_assert_eq!(found.port_preservation, preserving);
        prop_assert_eq!(found.lifetime, Lifetime::Expires(config.lifetimes.udp));
        prop_assert_eq!(found.external.ip().to_string(), "203.0.113.1");
    }
}
