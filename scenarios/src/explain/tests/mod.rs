//! Stories of real calls, held against the recording they were told from. What is expected is
//! looked up in the records themselves, by other means than the stories' own.

mod account;

use pinhole::packet::PacketId;
use pinhole::trace::{DropReason, Event, Fate, Record};
use pinhole::{Address, Endpoint};

use super::{Sentence, Story, explain, words};
use crate::call::{
    Call, CallConfig, CallFault, Caller, Finding, Milestone, Neighbourhood, Peer, Side, TurnOffer,
};
use crate::ice::{CandidateType, Stack};

fn config(a: &str, b: &str, turn: &str) -> CallConfig {
    CallConfig {
        turn: turn.parse::<TurnOffer>().unwrap(),
        ..CallConfig::new(a.parse().unwrap(), b.parse().unwrap())
    }
}

/// Makes the call, tells it, and looks at both.
fn told<R>(config: &CallConfig, look: impl FnOnce(&Call<'_>, &Story) -> R) -> R {
    let mut caller = Caller::recording();
    let call = caller.call(config).unwrap();
    let story = explain(&call);
    look(&call, &story)
}

/// The one sentence that has all of these words.
fn only<'s>(story: &'s Story, words: &[&str]) -> &'s Sentence {
    let fits = |sentence: &&Sentence| words.iter().all(|word| sentence.text.contains(word));
    let found: Vec<&Sentence> = story.sentences().filter(fits).collect();
    assert_eq!(found.len(), 1, "{words:?} in {story:#?}");
    found[0]
}

fn has(story: &Story, words: &str) -> bool {
    story
        .sentences()
        .any(|sentence| sentence.text.contains(words))
}

fn records<'c>(call: &'c Call<'_>) -> &'c [Record] {
    call.net.trace().recording().unwrap().records()
}

fn address(call: &Call<'_>, node: &str) -> Address {
    call.net.address(call.net.topology().find(node).unwrap())
}

/// The external endpoint that a NAT first mapped something to that was sent to this address.
fn mapped_toward(call: &Call<'_>, nat: &str, remote: Address) -> Endpoint {
    let mapped = |record: &Record| match record.event {
        Event::Mapped {
            nat: by, external, ..
        } => (call.net.name(by) == nat && record.destination.address == remote).then_some(external),
        _ => None,
    };
    records(call).iter().find_map(mapped).unwrap()
}

/// Packets that ended for this reason at this node.
fn dropped_at(call: &Call<'_>, node: &str, code: &str) -> Vec<PacketId> {
    let ended = |record: &Record| match record.event {
        Event::Ended(Fate::Dropped(reason)) => (reason.code() == code
            && call.net.place_name(reason.place()) == node)
            .then_some(record.packet),
        _ => None,
    };
    records(call).iter().filter_map(ended).collect()
}

#[test]
fn two_symmetric_nats_without_a_relay_fail_by_name_filter_and_port() {
    told(
        &config("nat:apdm/apdf", "nat:apdm/apdf", "off"),
        |call, story| {
            let (a, b) = (address(call, "a.nat"), address(call, "b.nat"));
            let stun = address(call, "stun");
            for (own, other, sender, from) in
                [("a.nat", "b.nat", "b", a), ("b.nat", "a.nat", "a", b)]
            {
                let advertised = mapped_toward(call, other, stun);
                let used = mapped_toward(call, other, from);
                assert_ne!(advertised, used);
                let dropped = dropped_at(call, own, "filtered_by_nat");
                let drops = format!("{own} drops {sender}'s {} checks", dropped.len());
                let sentence = only(story, &[&drops]);
                assert_eq!(sentence.packets, dropped);
                for part in [advertised.port, used.port] {
                    assert!(
                        sentence.text.contains(&part.to_string()),
                        "{}",
                        sentence.text
                    );
                }
                assert!(sentence.text.contains(other), "{}", sentence.text);
            }
            only(story, &["the filter (apdf) looks at ports"]);
            assert!(story.title.ends_with("no connection"));
        },
    );
}

/// One NAT's filter alone doesn't do: the other NAT's drops the answers. The call itself says so.
#[test]
fn what_is_said_to_help_was_tried() {
    let (tight, loose) = ("nat:apdm/apdf", "nat:apdm/adf");
    let outcome = |a, b, turn| {
        let outcome = Caller::new().call(&config(a, b, turn)).unwrap().outcome;
        let after = outcome
            .connection
            .map(|connection| words::time(connection.at));
        after.map(|after| (after, outcome.path_class().unwrap().name()))
    };
    told(&config(tight, tight, "off"), |_, story| {
        assert_eq!(outcome(loose, tight, "off"), None);
        let (after, class) = outcome(loose, loose, "off").unwrap();
        let both = format!("adf at a.nat with adf at b.nat: connected after {after}, {class}");
        only(
            story,
            &[
                "Not enough alone (tried): filtering by addresses only (adf)",
                &both,
            ],
        );
        let (after, class) = outcome(tight, tight, "all").unwrap();
        only(
            story,
            &[
                "TURN server (over udp,tcp,tls)",
                &format!("connected after {after}, {class}"),
            ],
        );
    });
}

#[test]
fn a_relay_is_told_with_its_borrower_its_permission_and_its_price() {
    told(
        &config("nat:apdm/apdf", "nat:apdm/apdf", "udp"),
        |call, story| {
            for side in Side::BOTH {
                let peer = call.net.program::<Peer>(call.peers[side.index()]);
                let relayed = peer
                    .candidates()
                    .find(|candidate| candidate.kind == CandidateType::Relayed);
                let relayed = relayed.unwrap().address.to_string();
                let (name, other) = (side.name(), side.other().name());
                only(story, &[&format!("The TURN server lends it {relayed}")]);
                let through = only(
                    story,
                    &[&format!("{other}'s check to {relayed}, lent to {name}")],
                );
                let outside = address(call, &format!("{other}.nat"));
                let permitted = format!("{name} had permitted {outside} there");
                assert!(through.text.contains(&permitted), "{}", through.text);
            }
            let cost = only(story, &["by this detour", "bytes more a packet"]);
            let recording = call.net.trace().recording().unwrap();
            let mut lengths: Vec<u32> = cost
                .packets
                .iter()
                .map(|id| recording.packet(*id).wire_length)
                .collect();
            lengths.retain(|length| *length < 140);
            let extra = lengths.iter().max().unwrap() - lengths.iter().min().unwrap();
            assert!(
                cost.text.contains(&format!("{extra} bytes")),
                "{}",
                cost.text
            );
            only(story, &["Without the TURN server. Tried: no connection."]);
        },
    );
}

#[test]
fn a_hole_is_punched_by_a_check_that_is_dropped_itself() {
    told(
        &config("nat:eim/apdf", "nat:eim/apdf", "off"),
        |call, story| {
            let stun = address(call, "stun");
            let advertised = mapped_toward(call, "a.nat", stun);
            let opener = records(call).iter().find(|record| {
                matches!(record.event, Event::Opened { by, remote, .. }
                if call.net.name(by) == "b.nat" && remote == advertised)
            });
            let opener = opener.unwrap().packet;
            let punch = only(story, &["it opened a pinhole in b.nat"]);
            assert_eq!(punch.packets, [opener]);
            let may = format!("what comes from {advertised} may come in to b");
            assert!(punch.text.contains(&may), "{}", punch.text);
            let through = only(
                story,
                &[
                    "a's check",
                    "gets through",
                    "b.nat lets it in thanks to b's check",
                ],
            );
            assert!(through.packets.contains(&opener));
            assert!(through.time > punch.time);
        },
    );
}

#[test]
fn where_nothing_filters_nothing_is_dropped() {
    told(&config("open", "open", "off"), |_, story| {
        assert!(story.title.contains("direct"));
        assert!(!has(story, "drop"));
        assert!(!has(story, "Tried"));
        let through =
            |sentence: &&Sentence| sentence.text.contains("Nothing on the way filters it");
        assert_eq!(story.sentences().filter(through).count(), 2);
    });
}

#[test]
fn a_firewall_that_waits_for_another_port_drops_checks_and_answers() {
    told(
        &config("firewall:apdf", "nat:apdm/eif", "off"),
        |call, story| {
            let dropped = dropped_at(call, "a.firewall", "filtered_by_firewall");
            let sentence = only(story, &["a.firewall drops b's", "answers and", "checks to"]);
            assert_eq!(sentence.packets, dropped);
            only(
                story,
                &[
                    "a's check to",
                    "b.nat lets anybody in",
                    "the answer is dropped",
                ],
            );
            let changed = config("firewall:adf", "nat:apdm/eif", "off");
            let at = Caller::new()
                .call(&changed)
                .unwrap()
                .outcome
                .connection
                .unwrap()
                .at;
            let tried = format!("Tried: connected after {}, reflexive", words::time(at));
            only(
                story,
                &["If a.firewall's filter looked at addresses only", &tried],
            );
        },
    );
}

#[test]
fn blocked_udp_leaves_questions_and_checks_without_an_answer() {
    told(&config("udp-blocked", "open", "off"), |call, story| {
        let dropped = dropped_at(call, "a.firewall", "udp_blocked").len();
        let unanswered = only(
            story,
            &["a asked the STUN server", "got no answer", "rule 0"],
        );
        let checks = only(story, &["a.firewall lets no UDP pass", "drops"]);
        assert_eq!(unanswered.packets.len() + checks.packets.len(), dropped);
        only(story, &["only TURN over TCP or TLS could help"]);
    });
}

#[test]
fn a_way_past_a_block_is_told_from_syn_to_relay() {
    let relayed = |call: &Call<'_>, side: Side| {
        let peer = call.net.program::<Peer>(call.peers[side.index()]);
        let connection = peer.turn_connections().last().unwrap().clone();
        connection.relayed.unwrap().to_string()
    };
    told(&config("udp-blocked", "open", "tcp"), |call, story| {
        // A round trip for TCP. 401 and the allocation follow.
        let address = relayed(call, Side::A);
        let way = only(
            story,
            &["a opens a TCP connection", ":3478", "stands at 42 ms"],
        );
        assert!(way.text.contains(&format!("lends it {address}")), "{way:?}");
        assert_eq!(way.packets.len(), 1);
        // TCP's segments show what they carry.
        only(story, &["a's check to", "gets through over its relay"]);
        only(story, &["a reaches it over TCP"]);
    });
    told(&config("tcp-443-only", "open", "all"), |call, story| {
        only(story, &["connections from inside to port 443 pass"]);
        only(
            story,
            &["a opens a TCP connection", ":3478", "denied by rule"],
        );
        let address = relayed(call, Side::A);
        let way = only(
            story,
            &["a opens a TCP connection", ":443", "stands at 1042 ms"],
        );
        for words in [
            "handshake is over at 1084 ms",
            &format!("lends it {address}"),
        ] {
            assert!(way.text.contains(words), "{words} in {way:?}");
        }
        only(story, &["a reaches it over TLS"]);
    });
    told(&config("tcp-443-only", "udp-blocked", "udp"), |_, story| {
        assert!(story.title.ends_with("no connection"));
        only(
            story,
            &["a asked the STUN server and the TURN server", "no UDP pass"],
        );
        only(story, &["(over udp,tls). Tried: connected"]);
        assert!(!has(story, "(over udp,tcp). Tried: connected"));
    });
}

#[test]
fn of_two_nats_in_a_row_the_one_that_drops_is_named() {
    told(
        &config("nat:eim/apdf>nat:eim/eif", "nat:eim/adf", "off"),
        |call, story| {
            only(story, &["a is at", "behind a.nat1 and a.nat2"]);
            only(story, &["Through a.nat1 and a.nat2 the STUN server sees"]);
            assert_eq!(dropped_at(call, "a.nat1", "filtered_by_nat").len(), 1);
            only(story, &["a.nat1 drops b's check", "yet"]);
            assert!(!has(story, "a.nat2 drops"));
        },
    );
}

#[test]
fn neighbours_meet_on_their_network_or_by_hairpinning_or_not_at_all() {
    let with = |neighbourhood, hairpinning| CallConfig {
        neighbourhood,
        hairpinning,
        ..config("nat:eim/apdf", "nat:eim/apdf", "off")
    };
    told(&with(Neighbourhood::SameLan, false), |_, story| {
        only(story, &["both behind a.nat"]);
        only(story, &["a.nat drops b's check", "no hairpinning"]);
        assert!(story.title.contains("direct"));
    });
    told(&with(Neighbourhood::IsolatedLan, true), |_, story| {
        only(story, &["a.nat keeps the hosts on its inside apart"]);
        only(
            story,
            &[
                "a's check to",
                "turns it around (hairpinning). a.nat lets it in thanks to b",
            ],
        );
    });
    told(&with(Neighbourhood::IsolatedLan, false), |_, story| {
        only(story, &["(hairpinning). Tried: connected after"]);
        only(
            story,
            &["let its hosts reach each other. Tried: connected after"],
        );
    });
}

#[test]
fn an_address_that_nobody_told_is_learned_from_a_check() {
    told(
        &config("nat:apdm/apdf", "nat:eim/adf", "off"),
        |call, story| {
            let used = mapped_toward(call, "a.nat", address(call, "b.nat"));
            let through = only(story, &["peer-reflexive candidate"]);
            let comes = format!("It comes from {used}, which nobody told b");
            assert!(through.text.contains(&comes), "{}", through.text);
        },
    );
}

#[test]
fn a_stack_that_breaks_down_is_a_finding_and_the_other_one_is_tried() {
    let config = config("udp-blocked", "open", "off");
    let mut caller = Caller::recording();
    let mut call = caller.call(&config).unwrap();
    call.outcome.findings.push(Finding {
        side: Side::B,
        stack: Stack::Is,
        panic: "7 pairs are too many".to_owned(),
    });
    let story = explain(&call);
    only(
        &story,
        &["b's ICE stack is broke down", "7 pairs are too many"],
    );
    only(
        &story,
        &["Not enough alone (tried): the ICE stack `rtc-ice` at b"],
    );
}

#[test]
fn the_same_call_is_told_in_the_same_words() {
    let config = config("nat:eim/apdf", "nat:apdm/apdf", "udp");
    let once = || told(&config, |_, story| story.clone());
    assert_eq!(once(), once());
}

#[test]
fn what_was_selected_is_what_the_peers_selected() {
    told(
        &config("nat:eim/adf", "firewall:apdf", "off"),
        |call, story| {
            for side in Side::BOTH {
                let peer = call.net.program::<Peer>(call.peers[side.index()]);
                let selected =
                    peer.milestones()
                        .iter()
                        .rev()
                        .find_map(|(_, milestone)| match milestone {
                            Milestone::Selected { local, remote } => {
                                Some(format!("{local} to {remote}"))
                            }
                            _ => None,
                        });
                only(story, &[side.name(), &selected.unwrap()]);
            }
            only(story, &["a nominates"]);
        },
    );
}

/// What goes wrong is told in its order, with what came of it, and stands in the ladder too.
#[test]
fn faults_are_part_of_the_story() {
    let at = pinhole::Time::from_millis;
    let name = |text: &str| text.to_owned();
    let home: pinhole::topology::Kind = "nat:eim/apdf".parse().unwrap();
    let config = CallConfig {
        faults: vec![
            (
                at(5_000),
                CallFault::Roam {
                    host: name("a"),
                    to: name("a.mobile.nat"),
                },
            ),
            (
                at(8_000),
                CallFault::Reboot {
                    node: name("b.nat"),
                    external: vec!["203.0.113.77".parse().unwrap()],
                },
            ),
        ],
        roams_to: [Some(home.clone()), None],
        until: at(40_000),
        ..CallConfig::new(home.clone(), home)
    };
    let mut caller = Caller::recording();
    let call = caller.call(&config).unwrap();
    let story = explain(&call);
    let title = "What went wrong, and how the call went on";
    let told = story.chapters.iter().find(|chapter| chapter.title == title);
    let told = &told.expect("a chapter of its own").sentences;
    assert!(told.is_sorted_by_key(|sentence| sentence.time));
    let at_once = |time: u64| -> Vec<&str> {
        let same = told
            .iter()
            .filter(|sentence| sentence.time == Some(at(time)));
        same.map(|sentence| sentence.text.as_str()).collect()
    };
    assert_eq!(
        at_once(5_000),
        [
            "a roams to the network behind a.mobile.nat: its sockets at 192.168.1.2 are dead.",
            "a learns of its new addresses.",
            "a restarts ICE: new credentials, new sockets, new candidates.",
        ]
    );
    assert_eq!(
        at_once(8_000),
        [
            "b.nat reboots: its mappings are gone, and it is at 203.0.113.77 now, no longer at 203.0.113.2."
        ]
    );
    // Who is where tells of the beginning.
    let cast = &story.chapters[0].sentences;
    assert!(
        cast[0]
            .text
            .starts_with("a is at 192.168.1.2, behind a.nat;")
    );
    assert!(cast[1].text.contains("b.nat (203.0.113.2)"));
    let drawn = crate::report::ladder::ladder(&call);
    assert!(drawn.contains("b.nat reboots: its mappings are gone"));
    assert!(drawn.contains("restarts ICE: new credentials"));
    // A call without faults has no such chapter.
    let config = CallConfig {
        faults: Vec::new(),
        ..config
    };
    let call = caller.call(&config).unwrap();
    assert!(
        explain(&call)
            .chapters
            .iter()
            .all(|chapter| chapter.title != title)
    );
}
