//! Presets: what each says of itself is what it does, as the requirements judge it, and as an RFC
//! 5780 client sees it.

use std::collections::BTreeMap;

use pinhole::Mapping;
use pinhole::nat::{FilterMemory, Hairpinning};
use pinhole::topology::preset::{self, Seen};
use pinhole::topology::{Kind, ParseKindError};
use pinhole_scenarios::check::{Subject, Verdict, check};
use pinhole_scenarios::discover::{DiscoverOptions, Hairpin, Lifetime, discover};

#[test]
fn each_fails_what_it_says_it_fails() {
    let mut wrong = Vec::new();
    for preset in preset::all() {
        let kind: Kind = preset.name.parse().expect("a preset is a kind");
        let subject = Subject::of(&kind, Hairpinning::Off, FilterMemory::default());
        let found = check(&subject, 1).expect("it makes sense");
        for (verdict, claimed) in [
            (Verdict::Fail, preset.fails),
            (Verdict::FallsShort, preset.falls_short),
        ] {
            let outcomes = found.outcomes.iter().filter(|it| it.verdict == verdict);
            let seen: BTreeMap<_, _> = outcomes
                .map(|it| ((it.requirement.rfc, it.requirement.req), &it.seen))
                .collect();
            for (requirement, words) in &seen {
                if !claimed.contains(requirement) {
                    wrong.push(format!("{preset:?}: {requirement:?} unmet: {words}"));
                }
            }
            for requirement in claimed {
                if !seen.contains_key(requirement) {
                    wrong.push(format!("{preset:?}: {requirement:?} is met after all"));
                }
            }
        }
        assert_eq!(found.passes(), preset.fails.is_empty(), "{preset:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_is_discovered_as_it_describes_itself() {
    let mut wrong = Vec::new();
    for preset in preset::all() {
        let kind: Kind = preset.name.parse().expect("a preset is a kind");
        let found = discover(&kind, &DiscoverOptions::default(), 1).expect("it can be asked");
        let seen = match found.device {
            None => Seen::Blocked,
            Some(device) => Seen::Device {
                mapping: device.mapping,
                filtering: device.filtering,
                hairpinning: device.hairpinning == Hairpin::Yes,
                port_preservation: device.port_preservation,
                lifetime: match device.lifetime {
                    Lifetime::Expires(after) | Lifetime::Outlives(after) => after,
                },
            },
        };
        if seen != preset.seen {
            wrong.push(format!("{preset:?}: {:?}, but {seen:?}", preset.seen));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn presets_stand_in_chains_like_any_edge() {
    let kind: Kind = "home-router>carrier-grade".parse().expect("a kind");
    assert_eq!(kind.to_string(), "home-router>carrier-grade");
    let found = discover(&kind, &DiscoverOptions::default(), 1).expect("it can be asked");
    let device = found.device.expect("UDP passes");
    assert_eq!(device.mapping, Some(Mapping::EndpointIndependent));
    // The carrier's four addresses are the ones that are seen.
    assert!(device.external.ip().to_string().starts_with("203.0.113."));
    let mixed: Kind = "hotspot>nat:eim/eif".parse().expect("a kind");
    assert!(mixed.translates() && mixed.passes_udp());
    let blocked: Kind = "home-router>tcp-443-only".parse().expect("a kind");
    assert!(!blocked.passes_udp());
}

#[test]
fn what_is_no_preset_is_refused_with_those_that_there_are() {
    for text in [
        "home-routers",
        "Home-Router",
        "",
        "home-router>",
        "home-router>>pf",
        "pf:eim",
    ] {
        let error = text.parse::<Kind>().expect_err(text).to_string();
        for part in ["home-router", "rfc-compliant", "nat presets", "nat:M/F"] {
            assert!(error.contains(part), "{text}: no {part} in {error}");
        }
    }
    let nine = ["home-router"; 9].join(">");
    assert_eq!(
        nine.parse::<Kind>(),
        Err(ParseKindError::TooMany { count: 9 })
    );
}
