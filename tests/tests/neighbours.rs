//! Two homes behind one carrier, roles in conflict, half trickle: through the API, read off the
//! recorded wire and not from what a call says of itself.

use std::time::Duration;

use pinhole::trace::Recording;
use pinhole::{Family, NodeId};
use pinhole_scenarios::call::{
    CallConfig, Caller, Neighbourhood, PathClass, Roles, Side, Trickle, TurnOffer,
};
use pinhole_scenarios::explain::message::{Class, Message, Method};
use pinhole_scenarios::ice::Stack;

fn homes(carrier: &str) -> CallConfig {
    let home = || "nat:eim/apdf".parse().unwrap();
    CallConfig {
        neighbourhood: Neighbourhood::SharedCarrier(carrier.parse().unwrap()),
        ..CallConfig::new(home(), home())
    }
}

/// Every STUN message that a host sent to its peer, in order.
fn sent_by(recording: &Recording, host: NodeId) -> Vec<Message> {
    let mine = recording
        .ids()
        .filter(|id| recording.packet(*id).origin == host);
    mine.map(|id| Message::read(recording.payload(id)))
        .collect()
}

#[test]
fn a_role_conflict_is_on_the_wire_and_one_side_gives_way() {
    let mut refused = 0;
    for a in Stack::ALL {
        for b in Stack::ALL {
            for roles in [Roles::BothControlling, Roles::BothControlled, Roles::Glare] {
                for seed in 1..=4 {
                    let kind = || "nat:eim/apdf".parse().unwrap();
                    let config = CallConfig {
                        stacks: [a, b],
                        roles,
                        seed,
                        turn: TurnOffer::OFF,
                        ..CallConfig::new(kind(), kind())
                    };
                    let mut caller = Caller::recording();
                    let call = caller.call(&config).unwrap();
                    let what = format!("{a}, {b}, {roles}, seed {seed}");
                    assert_eq!(
                        call.outcome.path_class(),
                        Some(PathClass::Reflexive),
                        "{what}"
                    );
                    let recording = call.net.trace().recording().unwrap();
                    let claims = call.scene.hosts.map(|host| {
                        let sent = sent_by(recording, host).into_iter();
                        let claims = sent.filter_map(|message| match message {
                            Message::Stun(stun) if stun.class == Class::Request => stun.controlling,
                            _ => None,
                        });
                        claims.collect::<Vec<bool>>()
                    });
                    let [from_a, from_b] = &claims;
                    assert_eq!(from_a.first(), from_b.first(), "both begin alike: {what}");
                    assert_ne!(from_a.last(), from_b.last(), "one gives way: {what}");
                    let refusals = call.scene.hosts.map(|host| {
                        let sent = sent_by(recording, host).into_iter();
                        let refusals = sent.filter(|message| {
                            matches!(message, Message::Stun(stun)
                                if stun.method == Method::Binding
                                    && matches!(stun.class, Class::Error { code: 487, .. }))
                        });
                        refusals.count() as u32
                    });
                    let told = call.outcome.role_conflict.unwrap();
                    assert_eq!(told.refusals, refusals[0] + refusals[1], "{what}");
                    let controls = if from_a.last() == Some(&true) {
                        Side::A
                    } else {
                        Side::B
                    };
                    assert_eq!(told.controlling(), Some(controls), "{what}");
                    refused += told.refusals;
                }
            }
        }
    }
    assert!(refused > 0, "somebody refuses a check with 487");
}

#[test]
fn glare_saves_a_signal_s_way() {
    let at = |roles| {
        let kind = || "open".parse().unwrap();
        let config = CallConfig {
            roles,
            signaling_delay: Duration::from_secs(2),
            ..CallConfig::new(kind(), kind())
        };
        let outcome = Caller::new().call(&config).unwrap().outcome;
        outcome.connection.unwrap().at
    };
    let saved = at(Roles::Caller) - at(Roles::Glare);
    // The conflict costs some of it.
    assert!(saved > Duration::from_millis(1500), "{saved:?}");
}

#[test]
fn half_trickle_pays_one_of_two_waits() {
    for stack in Stack::ALL {
        let at = |trickle| {
            let kind = || "nat:eim/apdf".parse().unwrap();
            let config = CallConfig {
                stacks: [stack; 2],
                trickle,
                delay: Duration::from_millis(100),
                ..CallConfig::new(kind(), kind())
            };
            let outcome = Caller::new().call(&config).unwrap().outcome;
            outcome.connection.unwrap().at
        };
        let [full, half, off] = [Trickle::Full, Trickle::Half, Trickle::Off].map(at);
        assert!(full < half && half < off, "{stack}: {full}, {half}, {off}");
    }
}

#[test]
fn two_homes_behind_one_carrier_meet_if_it_hairpins() {
    for stack in Stack::ALL {
        for (hairpinning, class) in [(false, PathClass::Relayed), (true, PathClass::Reflexive)] {
            let config = CallConfig {
                hairpinning,
                stacks: [stack; 2],
                ..homes("nat:eim/eif")
            };
            let mut caller = Caller::new();
            let call = caller.call(&config).unwrap();
            assert_eq!(call.outcome.path_class(), Some(class), "{stack}");
            let [a, b] = &call.scene.edges;
            let topology = call.net.topology();
            let names = |edges: &[NodeId]| -> Vec<String> {
                edges
                    .iter()
                    .map(|edge| topology.name(*edge).to_owned())
                    .collect()
            };
            assert_eq!(names(a), ["a.nat", "carrier.nat"]);
            assert_eq!(names(b), ["b.nat", "carrier.nat"]);
            assert_eq!(a[1], b[1], "there is one carrier");
            // The homes are in the shared space of RFC 6598, next to each other, and not at one
            // address.
            let outside = |edge: NodeId| {
                let mut own = topology.addresses(edge).map(|address| address.to_string());
                own.find(|address| address.starts_with("100.64."))
            };
            let (a, b) = (outside(a[0]).unwrap(), outside(b[0]).unwrap());
            assert_ne!(a, b);
        }
    }
}

#[test]
fn a_home_that_translates_nothing_has_addresses_of_its_own_behind_the_carrier() {
    // Every mixture of a home's edge and a carrier that makes sense connects, and nobody has
    // somebody else's address: whatever is dropped, it isn't for the wrong host.
    let kinds = ["open", "nat:eim/apdf", "firewall:apdf", "udp-blocked"];
    for carrier in ["open", "nat:apdm/apdf", "rfc-compliant-carrier", "464xlat"] {
        for a in kinds {
            for b in kinds {
                for ipv6 in [false, true] {
                    let config = CallConfig {
                        kinds: [a.parse().unwrap(), b.parse().unwrap()],
                        ipv6: [ipv6; 2],
                        ..homes(carrier)
                    };
                    let mut caller = Caller::new();
                    let call = caller.call(&config).unwrap();
                    let what = format!("{a} and {b} behind {carrier}, IPv6 {ipv6}");
                    let blocked = [a, b].contains(&"udp-blocked");
                    let class = call.outcome.path_class();
                    assert!(class.is_some(), "{what}");
                    if ipv6 && !blocked {
                        assert_eq!(class, Some(PathClass::Direct), "{what}");
                    }
                    let mut all: Vec<_> = call
                        .scene
                        .hosts
                        .into_iter()
                        .flat_map(|host| call.net.topology().addresses(host))
                        .filter(|address| address.family() == Family::V4)
                        .collect();
                    let count = all.len();
                    all.sort_unstable();
                    all.dedup();
                    assert_eq!(all.len(), count, "{what}");
                    let lost = |code: &str| call.outcome.drops.iter().any(|it| it.reason == code);
                    assert!(!lost("wrong_host"), "{what}: {:?}", call.outcome.drops);
                }
            }
        }
    }
}
