//! What every drawing must be, over calls that have little in common.

use std::collections::BTreeSet;

use pinhole::trace::{Event, Fate};
use roxmltree::{Document, Node};

use super::{ladder, paint};
use crate::call::{Call, CallConfig, Caller, Neighbourhood, Trickle, TurnOffer};
use crate::ice::Stack;

fn config(a: &str, b: &str, turn: TurnOffer) -> CallConfig {
    CallConfig {
        turn,
        ..CallConfig::new(a.parse().unwrap(), b.parse().unwrap())
    }
}

/// Calls that connect in every way there is, and some that don't.
fn calls() -> Vec<CallConfig> {
    let (off, all) = (TurnOffer::OFF, TurnOffer::all());
    let (home, symmetric) = ("nat:eim/apdf", "nat:apdm/apdf");
    let carrier = "nat:eim/apdf>nat:eim/eif";
    vec![
        config("open", "open", off.clone()),
        config(home, home, off.clone()),
        config(symmetric, symmetric, all.clone()),
        config(symmetric, symmetric, off.clone()),
        config(carrier, "firewall:adf", off.clone()),
        config("udp-blocked", "open", all.clone()),
        CallConfig {
            neighbourhood: Neighbourhood::SameLan,
            ..config(home, home, off.clone())
        },
        CallConfig {
            neighbourhood: Neighbourhood::SameLan,
            ..config("open", "open", all.clone())
        },
        CallConfig {
            neighbourhood: Neighbourhood::IsolatedLan,
            hairpinning: true,
            ..config(carrier, carrier, off.clone())
        },
        CallConfig {
            stacks: [Stack::Rtc; 2],
            ..config(symmetric, home, all.clone())
        },
        CallConfig {
            ipv6: [true; 2],
            ..config(home, "firewall:apdf", all)
        },
        CallConfig {
            trickle: Trickle::Off,
            ..config(home, carrier, off)
        },
    ]
}

fn each(mut look: impl FnMut(&Call<'_>, &CallConfig)) {
    let mut caller = Caller::recording();
    for config in calls() {
        look(&caller.call(&config).unwrap(), &config);
    }
}

/// The numbers of the packets that are drawn.
fn drawn(document: &Document<'_>) -> Vec<usize> {
    let numbers = document
        .descendants()
        .filter_map(|node| node.attribute("data-packet"));
    numbers.map(|number| number.parse().unwrap()).collect()
}

fn is_cross(node: &Node<'_, '_>) -> bool {
    node.attribute("class") == Some("cross")
}

#[test]
fn every_packet_is_drawn_or_counted_once() {
    each(|call, config| {
        let svg = ladder(call);
        let document = Document::parse(&svg).unwrap();
        let drawn = drawn(&document);
        let once: BTreeSet<usize> = drawn.iter().copied().collect();
        assert_eq!(once.len(), drawn.len(), "{config:?}");
        let counted: usize = document
            .descendants()
            .filter_map(|node| node.attribute("data-counted"))
            .map(|number| number.parse::<usize>().unwrap())
            .sum();
        let packets = call.net.trace().recording().unwrap().packets().len();
        assert_eq!(drawn.len() + counted, packets, "{config:?}");
        // The reader is told.
        let text = svg.contains(super::fold::RULE.split(' ').next_back().unwrap());
        assert!(counted == 0 || text);
        let said = if counted == 0 {
            "All of them are drawn".to_owned()
        } else {
            format!("{} are drawn, {counted} are counted", drawn.len())
        };
        assert!(svg.contains(&said), "{said}");
    });
}

#[test]
fn a_drop_that_is_drawn_ends_in_one_cross_and_nothing_else_does() {
    each(|call, config| {
        let svg = ladder(call);
        let document = Document::parse(&svg).unwrap();
        let drawn: BTreeSet<usize> = drawn(&document).into_iter().collect();
        let recording = call.net.trace().recording().unwrap();
        let dropped: BTreeSet<usize> = recording
            .records()
            .iter()
            .filter(|record| matches!(record.event, Event::Ended(Fate::Dropped(_))))
            .map(|record| record.packet.index())
            .filter(|packet| drawn.contains(packet))
            .collect();
        let crossed: Vec<usize> = document
            .descendants()
            .filter(is_cross)
            .filter_map(|cross| cross.parent()?.attribute("data-packet"))
            .map(|number| number.parse().unwrap())
            .collect();
        let once: BTreeSet<usize> = crossed.iter().copied().collect();
        assert_eq!(once.len(), crossed.len());
        assert_eq!(once, dropped, "{config:?}");
    });
}

#[test]
fn translated_addresses_stand_on_the_arrows() {
    each(|call, config| {
        let canvas = paint(call);
        let texts: BTreeSet<String> = canvas.texts().iter().map(|text| text.content()).collect();
        let svg = canvas.to_svg();
        let document = Document::parse(&svg).unwrap();
        let drawn = drawn(&document);
        for record in call.net.trace().recording().unwrap().records() {
            if drawn.contains(&record.packet.index())
                && let Event::Translated { .. } = record.event
            {
                let addresses = format!("{} → {}", record.source, record.destination);
                assert!(texts.contains(&addresses), "{config:?}: {addresses}");
            }
        }
    });
}

#[test]
fn no_text_stands_on_another_or_outside() {
    each(|call, config| {
        let canvas = paint(call);
        let texts = canvas.texts();
        for (place, one) in texts.iter().enumerate() {
            let (left, top, right, bottom) = one.room();
            assert!(left > 0.0 && top > 0.0, "{}", one.content());
            for other in &texts[place + 1..] {
                let (l, t, r, b) = other.room();
                let apart = right <= l || r <= left || bottom <= t || b <= top;
                let (one, other) = (one.content(), other.content());
                assert!(apart, "{config:?}: {one:?} and {other:?}");
            }
        }
    });
}

#[test]
fn a_drawing_stands_alone_and_is_the_same_twice() {
    let mut again = Caller::recording();
    each(|call, config| {
        let svg = ladder(call);
        assert_eq!(svg, ladder(&again.call(config).unwrap()));
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "svg");
        let first: Vec<_> = root
            .children()
            .filter(Node::is_element)
            .map(|node| node.tag_name().name())
            .take(2)
            .collect();
        assert_eq!(first, ["title", "desc"]);
        assert!(document.descendants().all(|node| {
            !matches!(node.tag_name().name(), "script" | "image" | "use" | "a")
                && node
                    .attributes()
                    .all(|attribute| !attribute.name().contains("href"))
        }));
        assert!(!svg.contains("url(") && !svg.contains("@import"));
        assert!(svg.contains("prefers-color-scheme: dark"));
    });
}

#[test]
fn what_happened_can_be_read() {
    let mut caller = Caller::recording();
    let config = config("nat:eim/apdf", "nat:apdm/apdf", TurnOffer::OFF);
    let call = caller.call(&config).unwrap();
    let texts: Vec<String> = paint(&call)
        .texts()
        .iter()
        .map(|text| text.content())
        .collect();
    for words in [
        "No connection: both sides gave up",
        "host a",
        "NAT apdm/apdf",
        "begins to gather candidates",
        "hears the offer",
        "new mapping, opens for 192.0.2.1:3478",
        "filtered: a has sent nothing to ",
        "no route: 192.168.2.2 is private",
        " more until ",
        "gives up: no pair is left to try",
    ] {
        let found = texts.iter().any(|text| text.contains(words));
        assert!(found, "{words:?} in {texts:#?}");
    }
}
