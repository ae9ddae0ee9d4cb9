//! Every story is held to account: nothing is claimed that isn't so, every line fits, and a story fits
//! a screen.

use pinhole::topology::Kind;

use super::*;
use crate::report;

/// Whether a packet opened something in a gateway. A hairpinned packet does so on its way out, even
/// if it is then dropped on its way back in; of that, the record shows its new source alone.
fn opens(call: &Call<'_>, record: &Record, gateway: &str) -> bool {
    match record.event {
        Event::Opened { by, .. } => call.net.name(by) == gateway,
        Event::Ended(Fate::Dropped(DropReason::FilteredByNat { nat, remote, .. })) => {
            call.net.name(nat) == gateway && remote != record.source
        }
        _ => false,
    }
}

/// What a sentence says about drops, and about who opened what for whom, is so.
fn hold_to_account(call: &Call<'_>, sentence: &Sentence) {
    let text = &sentence.text;
    let recording = call.net.trace().recording().unwrap();
    let ended_at = |id: &PacketId| {
        records(call).iter().find_map(|record| match record.event {
            Event::Ended(Fate::Dropped(reason)) if record.packet == *id => {
                Some(call.net.place_name(reason.place()))
            }
            _ => None,
        })
    };
    if let Some((before, after)) = text.split_once(" drops ") {
        let gate = before.strip_prefix("The router ").unwrap_or(before);
        let gate = gate.split(' ').next().unwrap();
        let what = after.split_once(": ").map_or(after, |(what, _)| what);
        let words: Vec<&str> = what.split(' ').collect();
        let numbers = words.iter().filter_map(|word| word.parse::<usize>().ok());
        let single = |pair: &&[&str]| pair[0].ends_with("'s") && pair[1].parse::<usize>().is_err();
        let singles = words.windows(2).filter(single).count();
        assert_eq!(
            numbers.sum::<usize>() + singles,
            sentence.packets.len(),
            "{text}"
        );
        for id in &sentence.packets {
            assert_eq!(ended_at(id).as_deref(), Some(gate), "{text}");
        }
    }
    if let Some((number, _)) = text.split_once(" more packet") {
        assert_eq!(number.parse(), Ok(sentence.packets.len()), "{text}");
        assert!(
            sentence.packets.iter().all(|id| ended_at(id).is_some()),
            "{text}"
        );
    }
    for (before, after) in text
        .match_indices(" lets it in thanks to ")
        .map(|(at, found)| (&text[..at], &text[at + found.len()..]))
    {
        let gate = before.rsplit(' ').next().unwrap();
        let who = after.split("'s ").next().unwrap();
        let opened = records(call).iter().any(|record| {
            let packet = recording.packet(record.packet);
            let when = format!(" at {}.", words::time(packet.time));
            opens(call, record, gate)
                && call.net.name(packet.origin) == who
                && after.contains(&when)
                && sentence.packets.contains(&record.packet)
        });
        assert!(opened, "{text}");
    }
    if text.contains("gets through.") {
        let arrived = records(call).iter().any(|record| {
            let delivered = |host| record.event == Event::Ended(Fate::Delivered { host });
            sentence.packets.contains(&record.packet) && call.scene.hosts.into_iter().any(delivered)
        });
        assert!(arrived, "{text}");
    }
}

/// Nothing is claimed that isn't so, every line fits, and a story fits a screen.
fn holds(caller: &mut Caller, config: &CallConfig) {
    let call = caller.call(config).unwrap();
    let story = explain(&call);
    for sentence in story.sentences() {
        hold_to_account(&call, sentence);
        assert!(sentence.packets.is_sorted(), "{sentence:?}");
    }
    let lines = report::story(&story, 100);
    let longest = lines.iter().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{lines:#?}");
    assert!(lines.len() <= 55, "{lines:#?}");
}

#[test]
fn stories_of_all_kinds_hold() {
    let kinds = Kind::all();
    let mut caller = Caller::recording();
    for (place, a) in kinds.iter().enumerate() {
        for b in &kinds[place..] {
            for turn in ["off", "udp"] {
                holds(&mut caller, &config(&a.to_string(), &b.to_string(), turn));
            }
        }
    }
}

#[test]
fn stories_of_the_other_stack_and_of_neighbours_hold() {
    let mut caller = Caller::recording();
    for b in ["open", "nat:eim/apdf", "nat:apdm/apdf"] {
        for stacks in [[Stack::Rtc; 2], [Stack::Is, Stack::Rtc]] {
            let config = CallConfig {
                stacks,
                ipv6: [b == "open"; 2],
                ..config("nat:adm/adf", b, "udp")
            };
            holds(&mut caller, &config);
        }
        for (neighbourhood, hairpinning) in [
            (Neighbourhood::SameLan, true),
            (Neighbourhood::IsolatedLan, true),
            (Neighbourhood::IsolatedLan, false),
        ] {
            let config = CallConfig {
                neighbourhood,
                hairpinning,
                ..config(b, b, "off")
            };
            holds(&mut caller, &config);
        }
    }
}
