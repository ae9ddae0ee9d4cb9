//! IPv6-only networks: NAT64 with DNS64 (RFC 6146, RFC 6147), 464XLAT (RFC 6877), and what becomes
//! of calls from there.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat64::{ClatConfig, Nat64Config, Prefix64};
use pinhole::packet::IcmpErrorKind;
use pinhole::topology::{AddressPlan, BuildError, Kind, SiteOptions};
use pinhole::{Address, Endpoint, Filtering, Input, Internet, Mapping, NodeId, Topology};
use pinhole_scenarios::call::{CallConfig, Caller, PathClass, TurnOffer};
use pinhole_scenarios::discover::{DiscoverOptions, Hairpin, discover};
use pinhole_scenarios::ice::Stack;
use pinhole_tests::binary::{document, is_refused, pinhole, stderr, stdout};

/// A site of some kind with two hosts, and a server with both IP versions.
struct World {
    net: Internet,
    hosts: [NodeId; 2],
    server: NodeId,
}

const PORT: u16 = 3478;

impl World {
    fn new(kind: &str) -> World {
        let (mut plan, mut addresses) = (Topology::new(), AddressPlan::new());
        let core = plan.router("internet");
        let access = Link::with_delay(Duration::from_millis(10));
        let kind: Kind = kind.parse().unwrap();
        let options = SiteOptions::new(access);
        let mut site = plan.site("home", core, &kind, &options, &mut addresses);
        let hosts = ["first", "second"].map(|name| plan.host_at(&mut site, name, &mut addresses));
        let server = plan.server("server", core, access, 1, true, &mut addresses);
        World {
            net: plan.build(1).unwrap(),
            hosts,
            server,
        }
    }

    fn address(&self, node: NodeId, is_ipv4: bool) -> Option<Address> {
        let mut addresses = self.net.topology().addresses(node);
        addresses.find(|address| address.is_ipv4() == is_ipv4)
    }

    /// Sends from each host to `to`; returns whom the server saw, and from where each answer came.
    fn ask(&mut self, to: Address) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let seen = Rc::new(RefCell::new((Vec::new(), Vec::new())));
        let to = SocketAddr::from(Endpoint::new(to, PORT));
        let sees = Rc::clone(&seen);
        self.net
            .attach_fn(self.server, move |_, input, io| match input {
                Input::Start => {
                    io.bind(PORT).unwrap();
                }
                Input::Datagram(datagram) => {
                    sees.borrow_mut().0.push(datagram.remote);
                    io.send(datagram.local, datagram.remote, b"answer");
                }
                _ => {}
            });
        for host in self.hosts {
            let sees = Rc::clone(&seen);
            self.net.attach_fn(host, move |_, input, io| match input {
                Input::Start => {
                    io.bind(5000).unwrap();
                    io.send_from(5000, to, b"question");
                }
                Input::Datagram(datagram) => sees.borrow_mut().1.push(datagram.remote),
                _ => {}
            });
        }
        self.net.run_for(Duration::from_secs(1)).unwrap();
        seen.take()
    }
}

#[test]
fn hosts_without_ipv4_reach_ipv4_under_the_prefix_and_ipv6_as_it_is() {
    let mut world = World::new("nat64:eim/apdf");
    assert_eq!(world.address(world.hosts[0], true), None);
    let server = world.address(world.server, true).unwrap();
    let synthesized = Prefix64::well_known().embed(server);
    let (seen, answers) = world.ask(synthesized);
    // Ports are preserved where they can be, and keep their parity where they can't.
    assert_eq!(seen[0].to_string(), "203.0.113.1:5000");
    assert_eq!(seen[1].ip(), seen[0].ip());
    assert!(seen[1].port() != 5000 && seen[1].port() % 2 == 0);
    let from = SocketAddr::from(Endpoint::new(synthesized, PORT));
    assert_eq!(answers, [from; 2]);

    let mut world = World::new("nat64:eim/apdf");
    let server = world.address(world.server, false).unwrap();
    let own = world.hosts.map(|host| world.address(host, false).unwrap());
    let (seen, answers) = world.ask(server);
    assert_eq!(seen, own.map(|own| Endpoint::new(own, 5000).into()));
    assert_eq!(answers.len(), 2);
}

#[test]
fn programs_that_know_only_ipv4_work_behind_a_clat() {
    for kind in [
        "464xlat:eim/apdf",
        "nat:eim/apdf>464xlat:eim/apdf",
        "clat>open>nat64:eim/apdf",
    ] {
        let mut world = World::new(kind);
        let server = world.address(world.server, true).unwrap();
        let (seen, answers) = world.ask(server);
        let from = SocketAddr::from(Endpoint::new(server, PORT));
        assert_eq!(answers, [from; 2], "{kind}");
        assert_eq!(seen[0].to_string(), "203.0.113.1:5000", "{kind}");
        assert_eq!(seen[1].ip(), seen[0].ip(), "{kind}");
        assert_ne!(seen[1], seen[0], "{kind}");
        let nat64 = world.net.topology().find("home.nat64").unwrap();
        assert_eq!(world.net.nat64_bindings(nat64).len(), 2, "{kind}");
    }
}

#[test]
fn icmp_errors_find_their_way_back_through_both_translators() {
    // IPv4 on the carrier's and the server's link; behind a CLAT, on the host's too.
    for (kind, shown) in [("nat64:eim/apdf", (8, 4)), ("464xlat:eim/apdf", (12, 4))] {
        let mut world = World::new(kind);
        let server = world.address(world.server, true).unwrap();
        let to = match world.address(world.hosts[0], true) {
            Some(_) => server,
            None => Prefix64::well_known().embed(server),
        };
        let closed = SocketAddr::from(Endpoint::new(to, 9));
        world.net.record();
        let told = Rc::new(RefCell::new(None));
        let tell = Rc::clone(&told);
        world
            .net
            .attach_fn(world.hosts[0], move |_, input, io| match input {
                Input::Start => {
                    io.bind(5000).unwrap();
                    io.send_from(5000, closed, b"anybody?");
                }
                Input::Unreachable {
                    local,
                    remote,
                    kind,
                    ..
                } => {
                    *tell.borrow_mut() = Some((local.port(), remote, kind));
                }
                _ => {}
            });
        world.net.run_for(Duration::from_secs(1)).unwrap();
        let expected = (5000, closed, IcmpErrorKind::PortUnreachable);
        assert_eq!(told.take(), Some(expected), "{kind}");
        // A capture shows the address and ports at both ends of each link, once in the packet and
        // once in the error's quote, in the IP version of that link.
        let mut capture = Vec::new();
        world.net.write_pcapng(&mut capture).unwrap();
        let times = |address: Address| {
            let mut bytes = match IpAddr::from(address) {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            bytes.extend([5000u16.to_be_bytes(), 9u16.to_be_bytes()].concat());
            let windows = capture.windows(bytes.len());
            windows.filter(|window| *window == bytes).count()
        };
        let synthesized = Prefix64::well_known().embed(server);
        // What stands for an address ends in its bytes.
        let ipv6 = times(synthesized);
        assert_eq!((times(server) - ipv6, ipv6), shown, "{kind}");
    }
}

#[test]
fn one_seed_is_one_run_and_every_packet_is_accounted_for() {
    for kinds in [
        ["nat64:eim/apdf", "nat:eim/apdf"],
        ["464xlat:eim/adf", "nat64:eim/eif"],
        [
            "nat:eim/apdf>464xlat:eim/apdf",
            "clat>firewall:apdf>nat64:eim/adf",
        ],
    ] {
        for stack in [Stack::Is, Stack::Rtc] {
            let [a, b]: [Kind; 2] = kinds.map(|kind| kind.parse().unwrap());
            let config = CallConfig {
                stacks: [stack; 2],
                synthesize: [true; 2],
                ..CallConfig::new(a, b)
            };
            let run = || Caller::new().call(&config).unwrap().outcome;
            let (first, second) = (run(), run());
            assert_eq!(first.digest, second.digest, "{kinds:?} {stack}");
            assert!(first.is_connected(), "{kinds:?} {stack}");
            let counts = first.packets;
            assert_eq!(
                counts.sent + counts.duplicated,
                counts.delivered + counts.dropped,
                "{kinds:?} {stack}"
            );
        }
    }
}

#[test]
fn neighbours_kept_apart_meet_behind_their_carrier() {
    // The access point drops what they send each other; the NAT64 sends it back in (RFC 6146 §3.8).
    let call = "call --a nat64:eim/apdf --lan-isolated --turn off --format json";
    let class = |more: &str| {
        let output = pinhole(format!("{call} {more}").split_whitespace());
        document(&output)["path_class"].clone()
    };
    assert_eq!(class(""), "none");
    assert_eq!(class("--synthesize"), "reflexive");
    assert_eq!(class("--synthesize --stack rtc-ice"), "reflexive");
}

#[test]
fn a_translator_without_an_address_to_translate_to_is_refused() {
    let access = Link::with_delay(Duration::from_millis(10));
    let build = |make: &dyn Fn(&mut Topology) -> NodeId, address: &str| {
        let mut plan = Topology::new();
        let core = plan.router("internet");
        let box_ = make(&mut plan);
        plan.connect(box_, core, access, &[address.parse().unwrap()]);
        plan.build(1).map(|_| ()).unwrap_err()
    };
    let nat64 =
        |plan: &mut Topology| plan.nat64("box", Nat64Config::new(Filtering::EndpointIndependent));
    let clat = |plan: &mut Topology| {
        let (source, destination) = (
            "2001:db8:c1a7::/96".parse().unwrap(),
            Prefix64::well_known(),
        );
        plan.clat(
            "box",
            ClatConfig {
                source,
                destination,
            },
        )
    };
    for (error, needs) in [
        (build(&nat64, "2001:db8::1"), "IPv4 address"),
        (
            build(&clat, "2001:db8::1"),
            "IPv6 address under its source prefix",
        ),
    ] {
        let translator = "box".to_owned();
        assert_eq!(
            error,
            BuildError::NothingToTranslateTo { translator, needs }
        );
    }
}

#[test]
fn discovery_finds_one_nat_whether_behind_a_nat64_or_464xlat() {
    for outer in ["nat64", "464xlat", "nat:eim/eif>464xlat"] {
        for filtering in Filtering::ALL {
            let kind = format!("{outer}:eim/{filtering}").parse().unwrap();
            let found = discover(&kind, &DiscoverOptions::default(), 1).unwrap();
            let device = found.device.unwrap();
            assert_eq!(device.mapping, Some(Mapping::EndpointIndependent), "{kind}");
            assert_eq!(device.filtering, filtering, "{kind}");
            assert_eq!(device.lifetime.as_millis(), Some(300_000), "{kind}");
            assert!(device.port_preservation, "{kind}");
            assert_eq!(device.external.ip().to_string(), "203.0.113.1", "{kind}");
            // RFC 6146 §3.8 asks for it; so a home behind its own NAT reaches itself too.
            assert_eq!(device.hairpinning, Hairpin::Yes, "{kind}");
        }
    }
}

/// A call from behind a NAT64, and its path with each of the two stacks.
struct Case {
    a: &'static str,
    b: &'static str,
    turn: bool,
    synthesize: bool,
    is: Option<PathClass>,
    rtc: Option<PathClass>,
}

const fn case(
    (a, b): (&'static str, &'static str),
    turn: bool,
    synthesize: bool,
    is: Option<PathClass>,
    rtc: Option<PathClass>,
) -> Case {
    Case {
        a,
        b,
        turn,
        synthesize,
        is,
        rtc,
    }
}

fn path(case: &Case, stack: Stack, swapped: bool, ipv6: [bool; 2]) -> Option<PathClass> {
    let kinds: [Kind; 2] = [case.a, case.b].map(|kind| kind.parse().unwrap());
    let [a, b] = kinds;
    let (a, b) = if swapped { (b, a) } else { (a, b) };
    let config = CallConfig {
        stacks: [stack; 2],
        turn: if case.turn {
            TurnOffer::all()
        } else {
            TurnOffer::OFF
        },
        synthesize: [case.synthesize; 2],
        ipv6,
        ..CallConfig::new(a, b)
    };
    Caller::new().call(&config).unwrap().outcome.path_class()
}

const DIRECT: Option<PathClass> = Some(PathClass::Direct);
const REFLEXIVE: Option<PathClass> = Some(PathClass::Reflexive);
const RELAYED: Option<PathClass> = Some(PathClass::Relayed);
const NONE: Option<PathClass> = None;

#[test]
fn ice_across_families() {
    let (eif, apdf) = ("nat64:eim/eif", "nat64:eim/apdf");
    let (home, symmetric) = ("nat:eim/apdf", "nat:apdm/apdf");
    for case in [
        // The stacks alone. A host without IPv4 has nothing to check the other's IPv4 candidates
        // from. What a STUN server saw of it is an IPv4 candidate on an IPv6 base: `is` refuses to
        // take one, so the other side has nowhere to send to either. `rtc-ice` tells it, and then
        // the other side's checks reach the NAT64, which lets them in if it filters nothing: they
        // come from an address under the prefix, a peer-reflexive candidate that can be answered.
        case((eif, home), false, false, NONE, REFLEXIVE),
        case((eif, symmetric), false, false, NONE, REFLEXIVE),
        case((eif, "open"), false, false, NONE, REFLEXIVE),
        // A NAT64 that filters is waiting for a packet out, which there never is.
        case((apdf, home), false, false, NONE, NONE),
        case((apdf, "open"), false, false, NONE, NONE),
        // TURN always helps: its name leads through the NAT64, and the address it lends is IPv4.
        case((eif, home), true, false, RELAYED, REFLEXIVE),
        case((apdf, home), true, false, RELAYED, RELAYED),
        case((apdf, symmetric), true, false, RELAYED, RELAYED),
        case((apdf, "open"), true, false, RELAYED, RELAYED),
        // An endpoint that knows its NAT64's prefix reaches IPv4 addresses by what stands for them.
        // Then a NAT64 is one more NAT.
        case((eif, home), false, true, REFLEXIVE, REFLEXIVE),
        case((apdf, home), false, true, REFLEXIVE, REFLEXIVE),
        case((apdf, "open"), false, true, REFLEXIVE, REFLEXIVE),
        case((eif, symmetric), false, true, REFLEXIVE, REFLEXIVE),
        case((apdf, symmetric), false, true, NONE, NONE),
        case((apdf, symmetric), true, true, RELAYED, RELAYED),
        // Between two networks of IPv6 nothing is translated, and both filters open from inside.
        case((apdf, apdf), false, false, DIRECT, DIRECT),
        case((apdf, apdf), true, true, DIRECT, DIRECT),
        case((apdf, "464xlat:eim/apdf"), false, false, DIRECT, DIRECT),
        // A CLAT gives the host an IPv4 address, and stacks that know nothing of all this work.
        case(
            ("464xlat:eim/apdf", home),
            false,
            false,
            REFLEXIVE,
            REFLEXIVE,
        ),
        case(
            ("464xlat:eim/apdf", "open"),
            false,
            false,
            REFLEXIVE,
            REFLEXIVE,
        ),
        case(("464xlat:eim/apdf", symmetric), false, false, NONE, NONE),
        case(
            ("464xlat:eim/apdf", symmetric),
            true,
            false,
            RELAYED,
            RELAYED,
        ),
    ] {
        for (stack, expected) in [(Stack::Is, case.is), (Stack::Rtc, case.rtc)] {
            for swapped in [false, true] {
                let found = path(&case, stack, swapped, [false; 2]);
                let Case {
                    a,
                    b,
                    turn,
                    synthesize,
                    ..
                } = case;
                assert_eq!(
                    found, expected,
                    "{a} and {b} with {stack}, TURN {turn}, synthesized {synthesize}, swapped {swapped}"
                );
            }
        }
    }
}

#[test]
fn a_peer_with_both_families_needs_no_nat64() {
    for stack in [Stack::Is, Stack::Rtc] {
        for turn in [false, true] {
            let case = case(
                ("nat64:eim/apdf", "nat:apdm/apdf"),
                turn,
                false,
                DIRECT,
                DIRECT,
            );
            assert_eq!(path(&case, stack, false, [false, true]), DIRECT, "{stack}");
            assert_eq!(path(&case, stack, true, [true, false]), DIRECT, "{stack}");
        }
    }
}

/// A service that has IPv6 gives hosts without IPv4 less than one that hasn't: DNS64 synthesizes
/// nothing for its names, and what its servers tell and lend is IPv6, which IPv4 peers can't use.
/// Only an endpoint that asks by the synthesized address too gets what it needs.
#[test]
fn servers_with_ipv6_keep_families_apart_unless_asked_by_ipv4_too() {
    for stack in [Stack::Is, Stack::Rtc] {
        for (turn, synthesize, expected) in [
            (true, false, NONE),
            (true, true, REFLEXIVE),
            (false, true, REFLEXIVE),
        ] {
            let pair = ("nat64:eim/apdf", "nat:eim/apdf");
            let case = case(pair, turn, synthesize, expected, expected);
            // IPv6 for A, which has it anyway, gives the servers IPv6.
            let found = path(&case, stack, false, [true, false]);
            assert_eq!(
                found, expected,
                "{stack}, TURN {turn}, synthesized {synthesize}"
            );
        }
    }
}

/// A NAT64 follows TCP too: a relay is reached over TCP and TLS by the synthesized address.
#[test]
fn turn_over_tcp_and_tls_crosses_a_nat64() {
    for a in ["nat64:eim/apdf", "464xlat:eim/apdf"] {
        for transport in ["tcp", "tls"] {
            let [a, b]: [Kind; 2] = [a, "udp-blocked"].map(|kind| kind.parse().unwrap());
            let config = CallConfig {
                turn: transport.parse().unwrap(),
                ..CallConfig::new(a.clone(), b)
            };
            let outcome = Caller::new().call(&config).unwrap().outcome;
            assert_eq!(outcome.path_class(), RELAYED, "{a} over {transport}");
        }
    }
}

/// What `call --explain` says, as one line.
fn story(arguments: &str) -> String {
    let output = pinhole(format!("call --explain {arguments}").split_whitespace());
    assert!(output.status.success(), "{}", stderr(&output));
    let words: Vec<String> = stdout(&output)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ")
}

#[track_caller]
fn says(story: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(
            story.contains(sentence),
            "{sentence:?} is missing in {story}"
        );
    }
}

#[test]
fn the_story_says_why_families_keep_apart() {
    let alone = story("--a nat64:eim/apdf --b nat:eim/apdf --turn off --stack rtc-ice");
    says(
        &alone,
        &[
            "a.nat64 (203.0.113.1) is a NAT64. Inside there is only IPv6: the IPv4 internet lies \
             under 64:ff9b::/96",
            "never leave a: it has no IPv4 address to send from.",
            "a.nat64 drops b's 16 checks to 203.0.113.1:61454: they come from 203.0.113.2:64559, \
             where a has sent nothing.",
            "If a wrote b's IPv4 addresses as the IPv6 ones that stand for them behind its NAT64. \
             Tried: connected after",
            "If a.nat64's filter let anybody in (eif): 203.0.113.2:64559 would pass. Tried: \
             connected after",
            "With a TURN server (over udp,tcp,tls). Tried: connected after",
        ],
    );
    let refused = story("--a nat64:eim/apdf --b nat:eim/apdf --turn off");
    says(
        &refused,
        &[
            "b is never told: the stack `is` takes no candidate of another IP version than its \
             socket.",
        ],
    );
    let synthesized = story("--a nat64:eim/apdf --b nat:eim/apdf --turn off --synthesize");
    says(
        &synthesized,
        &[
            "connected after 416 ms, reflexive",
            "a.nat64 lets it in thanks to a's check at",
        ],
    );
}

#[test]
fn the_story_of_464xlat_names_both_translators() {
    let told = story("--a 464xlat:eim/apdf --b nat:eim/apdf --turn off");
    says(
        &told,
        &[
            "a is at 192.0.0.2 and 2001:db8:0:1::2, behind a.clat and a.nat64",
            "Through a.clat and a.nat64 the STUN server sees 203.0.113.1:61454",
            "dropped by a.clat: 192.168.1.2 is private, and no IPv6 address stands for it.",
            "Its path is reflexive",
        ],
    );
    assert!(
        !told.contains("hairpinning"),
        "nothing is turned around: {told}"
    );
}

#[test]
fn a_matrix_takes_networks_without_ipv4() {
    let kinds = "nat64:eim/apdf,464xlat:eim/apdf,nat:eim/apdf";
    let arguments = [
        "matrix", "--kinds", kinds, "--format", "json", "--jobs", "2",
    ];
    let json = document(&pinhole(arguments));
    let cells = json["cells"].as_array().unwrap();
    let classes = cells
        .iter()
        .map(|cell| cell["path_class"].as_str().unwrap());
    let expected = [
        "direct",
        "direct",
        "relayed",
        "direct",
        "reflexive",
        "reflexive",
    ];
    assert_eq!(classes.collect::<Vec<_>>(), expected);
    assert_eq!(cells[1]["b"], "464xlat:eim/apdf");
}

#[test]
fn kinds_that_lead_nowhere_are_refused_with_what_would_be_right() {
    for (kind, hint) in [
        (
            "clat",
            "clat needs a nat64 outside of it, as in clat>nat64:eim/eif",
        ),
        ("nat:eim/apdf>nat64", "put a clat between them"),
        ("nat64:apdm/apdf", "a NAT64 maps endpoint-independently"),
        (
            "nat64>464xlat",
            "one nat64 is on the way into IPv4, not several",
        ),
    ] {
        is_refused(
            &pinhole(["call", "--a", kind, "--b", "open"]),
            kind,
            &[hint],
        );
    }
}
