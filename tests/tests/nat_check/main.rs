//! `nat check` against devices whose faults are known: one that has none passes everything, and one
//! with a single fault fails what that fault breaks and nothing else.

mod broken;
mod devices;

use std::collections::{BTreeMap, BTreeSet};

use pinhole::nat::{FilterMemory, Hairpinning, NatConfig};
use pinhole::topology::preset;
use pinhole::topology::{Device, EdgePlan, Kind};
use pinhole_scenarios::check::{Check, REQUIREMENTS, Subject, Verdict, check};

use broken::{Broken, faults_of_configuration, faults_of_other_kinds};

type Requirement = (u16, &'static str);

fn reference(name: &str) -> EdgePlan {
    let preset = preset::find(name).expect("the reference is a preset");
    preset.edges().remove(0)
}

fn config(edge: &mut EdgePlan) -> &mut NatConfig {
    let nat = edge.devices.iter_mut().find_map(|device| match device {
        Device::Nat(config) => Some(config),
        _ => None,
    });
    nat.expect("the reference is a NAT")
}

fn examine(edge: EdgePlan) -> Check {
    check(&Subject::from_edges(vec![edge]), 1).expect("the device makes sense")
}

/// What isn't met, and what was seen of it.
fn faults(check: &Check) -> BTreeMap<Requirement, String> {
    let outcomes = check.outcomes.iter();
    let unmet = outcomes.filter(|it| matches!(it.verdict, Verdict::Fail | Verdict::FallsShort));
    unmet
        .map(|it| ((it.requirement.rfc, it.requirement.req), it.seen.clone()))
        .collect()
}

#[test]
fn the_references_pass_everything() {
    let mut asked = BTreeSet::new();
    for name in ["rfc-compliant", "rfc-compliant-carrier"] {
        let check = examine(reference(name));
        assert!(check.passes(), "{name}: {:?}", faults(&check));
        assert_eq!(faults(&check), BTreeMap::new(), "{name}");
        for outcome in check.outcomes {
            if outcome.verdict == Verdict::Pass {
                let requirement = outcome.requirement;
                assert!(!outcome.packets.is_empty(), "{requirement:?} has no proof");
                asked.insert((requirement.rfc, requirement.req));
            }
        }
    }
    // Nothing passes because it is never asked.
    for requirement in &REQUIREMENTS {
        let name = (requirement.rfc, requirement.req);
        assert!(asked.contains(&name), "{requirement:?} is asked of neither");
    }
}

#[test]
fn a_fault_fails_what_it_breaks_and_nothing_else() {
    let mut covered: BTreeSet<Requirement> = BTreeSet::new();
    let mut wrong = Vec::new();
    let all = faults_of_configuration().into_iter();
    for Broken {
        what,
        subject,
        unmet,
    } in all.chain(faults_of_other_kinds())
    {
        let found = faults(&check(&subject, 1).expect("the device makes sense"));
        for (requirement, seen) in &found {
            if !unmet.contains(requirement) {
                wrong.push(format!("{what}: {requirement:?} unmet too: {seen}"));
            }
        }
        for requirement in &unmet {
            if !found.contains_key(requirement) {
                wrong.push(format!("{what}: {requirement:?} met all the same"));
            }
        }
        covered.extend(unmet);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for requirement in &REQUIREMENTS {
        let name = (requirement.rfc, requirement.req);
        assert!(covered.contains(&name), "no device breaks {requirement:?}");
    }
}

#[test]
fn one_seed_is_one_examination() {
    let once = |seed| {
        let subject = Subject::from_edges(vec![reference("rfc-compliant")]);
        check(&subject, seed)
            .expect("the device makes sense")
            .digest
    };
    assert_eq!(once(3), once(3));
    assert_ne!(once(3), once(4));
}

/// Whatever stands on the way, a check comes to an end: also where there is room for six hosts only,
/// and where no host has an IPv4 address.
#[test]
fn every_kind_can_be_examined() {
    for (text, asked) in [
        ("open", false),
        ("udp-blocked", false),
        ("firewall:adf", false),
        ("nat64:eim/eif", false),
        ("464xlat:eim/eif", true),
        ("clat>nat64:eim/eif>carrier-grade", true),
        ("home-router>464xlat:eim/eif", true),
        ("nat:apdm/apdf>udp-blocked", true),
    ] {
        let kind: Kind = text.parse().expect("a kind");
        let subject = Subject::of(&kind, Hairpinning::Off, FilterMemory::default());
        let found = check(&subject, 1).expect("the device makes sense");
        let idle = found.count(Verdict::NotApplicable) == REQUIREMENTS.len();
        assert_eq!(idle, !asked, "{text}");
    }
}

#[test]
fn verdicts_do_not_depend_on_the_seed() {
    for seed in 2..=6 {
        let subject = Subject::from_edges(vec![reference("rfc-compliant")]);
        let found = check(&subject, seed).expect("the device makes sense");
        assert_eq!(faults(&found), BTreeMap::new(), "seed {seed}");
    }
}
