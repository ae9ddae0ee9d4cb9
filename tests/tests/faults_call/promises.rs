//! What holds whatever goes wrong: one seed is one call, and no fault breaks one.

use pinhole::Family;
use proptest::prelude::*;

use super::*;

#[test]
fn the_same_seed_makes_the_same_call_whatever_goes_wrong() {
    for stack in Stack::ALL {
        let config = config(HOMES, stack, &outage(STRIKES, 70_000));
        let (one, other) = (outcome(&config), outcome(&config));
        assert_eq!(one.digest, other.digest, "{stack}");
        assert_eq!(one, other);
    }
}

/// A fault that comes too late to do anything changes nothing but how long the call lasts.
#[test]
fn a_call_is_connected_in_the_same_way_with_faults_to_come() {
    for stack in Stack::ALL {
        let faults = [(
            110_000,
            CallFault::Flush {
                node: name("a.nat"),
            },
        )];
        let lasting = outcome(&config(HOMES, stack, &faults));
        let short = outcome(&config(HOMES, stack, &[]));
        assert_eq!(lasting.connection, short.connection);
        assert_eq!(short.course, None);
    }
}

fn any_fault() -> impl Strategy<Value = CallFault> {
    let node = prop::sample::select(vec![
        "a",
        "b",
        "a.nat",
        "b.nat",
        "a.mobile.nat",
        "internet",
        "stun",
        "turn",
    ]);
    let nat = prop::sample::select(vec!["a.nat", "b.nat", "a.mobile.nat"]);
    let link = prop::sample::select(vec![
        ["a", "a.nat"],
        ["a", "a.mobile.nat"],
        ["a.nat", "internet"],
        ["b.nat", "internet"],
        ["turn", "internet"],
    ]);
    let server = prop::sample::select(vec!["stun", "turn"]);
    let host = prop::sample::select(vec!["a", "b"]);
    let family = prop::sample::select(vec![Family::V4, Family::V6]);
    let pair = |[one, other]: [&str; 2]| ends(one, other);
    prop_oneof![
        (nat.clone(), 0u8..4).prop_map(|(node, n)| {
            let new = format!("198.51.100.{}", 100 + n);
            // Each NAT's own addresses, so that two never want one.
            let new = match node {
                "a.nat" => new,
                "b.nat" => new.replace("198.51", "198.18"),
                _ => new.replace("198.51", "198.19"),
            };
            reboot(node, (n > 0).then_some(&new))
        }),
        nat.prop_map(|node| CallFault::Flush { node: name(node) }),
        prop::sample::select(vec!["a.nat", "a.mobile.nat"]).prop_map(|to| CallFault::Roam {
            host: name("a"),
            to: name(to),
        }),
        link.clone()
            .prop_map(move |link| CallFault::LinkDown { link: pair(link) }),
        link.prop_map(move |link| CallFault::LinkUp { link: pair(link) }),
        (node.clone(), node.clone())
            .prop_filter("two nodes", |(one, other)| one != other)
            .prop_map(|(one, other)| CallFault::Partition {
                between: ends(one, other)
            }),
        (node.clone(), node)
            .prop_filter("two nodes", |(one, other)| one != other)
            .prop_map(|(one, other)| CallFault::Heal {
                between: ends(one, other)
            }),
        server.prop_map(|node| CallFault::Restart { node: name(node) }),
        (host.clone(), family.clone()).prop_map(|(host, family)| CallFault::FamilyLost {
            host: name(host),
            family
        }),
        (host, family).prop_map(|(host, family)| CallFault::FamilyRegained {
            host: name(host),
            family
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever goes wrong and whenever: no stack panics, every packet has its fate, and the same
    /// call goes the same way again. Its story can be told.
    #[test]
    fn no_fault_breaks_a_call(
        seed: u64,
        stacks in prop::sample::select(vec![[Is, Is], [Rtc, Rtc], [Is, Rtc], [Rtc, Is]]),
        always: bool,
        faults in prop::collection::vec((0u64..50_000, any_fault()), 1..12),
    ) {
        let config = CallConfig {
            seed,
            stacks,
            turn: "udp".parse().unwrap(),
            ipv6: [true; 2],
            roams_to: [Some("nat:eim/adf".parse().unwrap()), None],
            restart: if always { ALWAYS } else { NEVER },
            until: at(60_000),
            ..config(HOMES, Is, &faults)
        };
        let one = outcome(&config);
        let counts = one.packets;
        prop_assert_eq!(counts.sent + counts.duplicated, counts.delivered + counts.dropped);
        let mut caller = Caller::recording();
        let again = caller.call(&config).unwrap();
        prop_assert_eq!(&again.outcome, &one);
        let story = pinhole_scenarios::explain::explain(&again);
        let told = story.chapters.iter().find(|chapter| chapter.title.starts_with("What went wrong"));
        prop_assert!(told.unwrap().sentences.len() >= faults.len());
    }
}
