//! Presets: devices as they are in the wild, each with every parameter, with what it is modelled on,
//! and with how sure that is.
//!
//! A preset's name is a network's kind: `home-router`, `home-router>carrier-grade`. One file holds
//! one family of devices. What a preset is said to do, as RFC 5780 sees it and as the requirements
//! of the RFCs judge it, stands beside its parameters, and is tested against what it does.
//!
//! Nothing here is a copy of one product: a preset is the device that its sources describe, where
//! they agree, and says so where something is assumed.

mod carrier;
mod cloud;
mod home;
mod linux;
mod pf;
mod reference;
mod restricted;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::EdgePlan;
use crate::behaviour::{Filtering, Mapping};

/// How sure it is that real devices are like this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Certainty {
    /// The maker's documentation, the source code or an RFC says so.
    Documented,
    /// Measurements of real devices found it.
    Observed,
    /// It is put together from what is generally known; single parameters are guesses.
    Assumed,
}

impl Certainty {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Certainty::Documented => "documented",
            Certainty::Observed => "observed",
            Certainty::Assumed => "assumed",
        }
    }
}

/// What an RFC 5780 client behind a device finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// No UDP gets through to a STUN server.
    Blocked,
    /// A device, or several that look like one.
    Device {
        /// How it maps; `None` where nothing translates.
        mapping: Option<Mapping>,
        /// How it filters.
        filtering: Filtering,
        /// Whether a packet from inside to an external endpoint comes back in.
        hairpinning: bool,
        /// Whether the external port is the internal one.
        port_preservation: bool,
        /// How long a mapping lives that was answered and is then left alone.
        lifetime: Duration,
    },
}

/// A requirement: the number of the RFC, and that of the requirement or section in it.
pub type Requirement = (u16, &'static str);

/// A device as it is in the wild.
pub struct Preset {
    /// The name, which is a kind of network.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// What it is modelled on.
    pub modelled_on: &'static str,
    /// Where that is written.
    pub sources: &'static [&'static str],
    /// How sure it is.
    pub certainty: Certainty,
    /// What an RFC 5780 client behind it finds.
    pub seen: Seen,
    /// What it does that an RFC says it must not, or the other way round.
    pub fails: &'static [Requirement],
    /// What an RFC recommends and it doesn't do.
    pub falls_short: &'static [Requirement],
    gateways: fn() -> Vec<EdgePlan>,
}

impl Preset {
    /// The gateways that it is made of, from the inside out, with every parameter. Never empty.
    pub fn edges(&self) -> Vec<EdgePlan> {
        (self.gateways)()
    }
}

/// The families of presets, each with what it is called.
pub const FAMILIES: [(&str, &[Preset]); 7] = [
    ("home routers", &home::PRESETS),
    ("Linux", &linux::PRESETS),
    ("OpenBSD and pfSense", &pf::PRESETS),
    ("carriers", &carrier::PRESETS),
    ("clouds", &cloud::PRESETS),
    ("offices and public places", &restricted::PRESETS),
    ("as the RFCs ask", &reference::PRESETS),
];

/// Every preset, family by family.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    // A constant would be another one at each use; these are one.
    static ALL: [(&str, &[Preset]); 7] = FAMILIES;
    ALL.iter().flat_map(|(_, presets)| presets.iter())
}

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    all().find(|preset| preset.name == name)
}

/// Every preset's name, for messages.
pub(super) fn names() -> String {
    let names: Vec<&str> = all().map(|preset| preset.name).collect();
    names.join(", ")
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// A preset is its name: no two have the same.

impl PartialEq for Preset {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Preset {}

impl PartialOrd for Preset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Preset {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

impl Hash for Preset {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::topology::{Device, Kind};

    #[test]
    fn every_preset_is_a_kind_and_no_two_have_one_name() {
        let mut names = BTreeSet::new();
        for preset in all() {
            assert!(names.insert(preset.name), "{} twice", preset.name);
            let kind: Kind = preset.name.parse().unwrap();
            assert_eq!(kind.to_string(), preset.name);
            assert!(!preset.edges().is_empty(), "{}", preset.name);
            let chain: Kind = format!("{0}>{0}", preset.name).parse().unwrap();
            assert_eq!(chain.edges().len(), 2);
        }
        assert!(names.len() >= 20);
        assert_eq!(find("home-router").unwrap().name, "home-router");
        assert!(find("Home-Router").is_none() && find("").is_none());
    }

    /// The description beside the parameters says what they say.
    #[test]
    fn what_is_seen_is_what_the_parameters_say() {
        for preset in all() {
            let edges = preset.edges();
            let nats: Vec<_> = edges
                .iter()
                .flat_map(|edge| &edge.devices)
                .filter_map(|device| match device {
                    Device::Nat(config) => Some(config),
                    _ => None,
                })
                .collect();
            let Seen::Device {
                mapping,
                filtering,
                lifetime,
                ..
            } = preset.seen
            else {
                continue;
            };
            // Of several in a row the strictest decides, and what lives shortest.
            assert_eq!(
                mapping,
                nats.iter().map(|nat| nat.mapping).max(),
                "{}",
                preset.name
            );
            assert_eq!(
                Some(filtering),
                nats.iter().map(|nat| nat.filtering).max(),
                "{}",
                preset.name
            );
            assert_eq!(
                Some(lifetime),
                nats.iter().map(|nat| nat.lifetimes.udp).min(),
                "{}",
                preset.name
            );
        }
    }

    #[test]
    fn no_preset_contradicts_itself() {
        for preset in all() {
            for edge in preset.edges() {
                for device in &edge.devices {
                    if let Device::Nat(config) = device {
                        assert_eq!(config.check(), Ok(()), "{}", preset.name);
                        assert!(edge.addresses > 0, "{}", preset.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_preset_says_what_it_is_modelled_on() {
        for preset in all() {
            let name = preset.name;
            assert!(
                !preset.summary.is_empty() && !preset.modelled_on.is_empty(),
                "{name}"
            );
            assert!(
                preset.certainty == Certainty::Assumed || !preset.sources.is_empty(),
                "{name}"
            );
            for requirement in preset.fails {
                assert!(!preset.falls_short.contains(requirement), "{name}");
            }
        }
    }
}
