//! Who calls whom: a population of endpoints, and the file that describes it.
//!
//! ```toml
//! name = "my users"
//! basis = "a guess"                # optional: what the numbers rest on, shown with results
//! same_lan = 0.02                  # share of pairs on one LAN, behind the first one's edge [0]
//! turn = ["udp", "tcp", "tls"]     # what the service offers; [] for none [all there are]
//! stacks = { is = 0.9, rtc-ice = 0.1 }   # or "is"; stacks_a and stacks_b for one side [is]
//!
//! [[class]]
//! name = "home"                    # optional: what groups call it [its network]
//! network = "nat:eim/apdf"
//! weight = 0.84                    # weights are normalised
//! ipv6 = 0.08                      # share of these endpoints with working IPv6 [0]
//! access = { fibre = 2, adsl = 1 } # or "fibre": access links by weight; none adds no delay [none]
//!
//! [[group]]                        # optional: matched pairs
//! name = "colleagues"
//! share = 0.2                      # share of all pairs both of whose endpoints are of …
//! classes = ["home", "office"]     # … these classes; all other pairs are independent
//!
//! [call]                           # optional: how calls are made, as the options of `call`
//! delay_ms = 20
//! signaling_delay_ms = 50
//! trickle = true
//! hairpin = false
//! filter_memory = "endpoint"
//! until_ms = 45000
//! packets = 5000                   # a call that sends more is stopped, and counts as none
//! ```

mod read;
mod write;

use std::path::Path;

use pinhole::Mapping;
use pinhole::link::AccessProfile;
use pinhole::topology::preset::Seen;
use pinhole::topology::{Edge, Kind};

use super::presets;
use super::stacks::StackMix;
use super::weighted::Weighted;
use crate::call::CallConfig;
use crate::file::{self, FileError};

pub(crate) use read::{trickle, turn};

/// A population of endpoints, and how calls between them are made.
#[derive(Clone, PartialEq, Debug)]
pub struct Population {
    /// Its name.
    pub name: String,
    /// What its numbers rest on.
    pub basis: Option<String>,
    /// The share of pairs whose endpoints sit on one LAN behind the first one's edge.
    pub same_lan: f64,
    /// The kinds of endpoints there are. Never empty; the weights make a choice.
    pub classes: Vec<Class>,
    /// Pairs that don't form independently.
    pub groups: Vec<Group>,
    /// The ICE stacks of callers and of callees.
    pub stacks: [StackMix; 2],
    /// How every call is made. Its kinds, stacks, access links, IPv6, neighbourhood and seed don't
    /// count.
    pub call: CallConfig,
}

/// Endpoints that are alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Class {
    /// What groups call it.
    pub name: String,
    /// The kind of network they are on.
    pub kind: Kind,
    /// How many there are, beside the other classes' weights.
    pub weight: f64,
    /// The share of them with working IPv6.
    pub ipv6: f64,
    /// Their access links; `None` adds no delay, no loss and no bottleneck.
    pub access: Option<Weighted<AccessProfile>>,
}

/// Endpoints that call each other more than chance would have it.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The share of all pairs that are of this group.
    pub share: f64,
    /// The places of its classes.
    pub classes: Vec<usize>,
}

/// Packets of one call, if nothing is said: more than ten times what the longest of calls sends,
/// and few enough for a storm between two stacks to cost milliseconds.
pub const USUAL_PACKETS: u64 = 5_000;

impl Population {
    /// Reads a preset by its name, or a file.
    ///
    /// # Errors
    ///
    /// No preset has that name and no file can be read there, or the file makes no sense.
    pub fn load(name_or_path: &str) -> Result<Population, FileError> {
        if let Some(preset) = presets::named(name_or_path) {
            return Ok(preset);
        }
        let path = Path::new(name_or_path);
        let is_name = !name_or_path.contains(['/', '\\', '.']);
        if is_name && !path.exists() {
            let message = format!(
                "neither a population preset nor a file is called so; {}",
                file::instead(name_or_path, &presets::names())
            );
            return Err(FileError::new(name_or_path, message));
        }
        Population::parse(name_or_path, &file::read(path)?)
    }

    /// How likely an endpoint is of each class.
    pub fn shares(&self) -> Vec<f64> {
        let sum: f64 = self.classes.iter().map(|class| class.weight).sum();
        let share = |class: &Class| class.weight / sum;
        self.classes.iter().map(share).collect()
    }

    /// The share of endpoints of which this is true.
    pub fn share_of(&self, is: impl Fn(&Class) -> f64) -> f64 {
        let classes = self.classes.iter().zip(self.shares());
        classes.map(|(class, share)| share * is(class)).sum()
    }
}

impl Class {
    /// Whether its NATs give every destination another mapping: what people call symmetric.
    pub fn is_symmetric(&self) -> bool {
        let mapping = |edge: &Edge| match edge {
            Edge::Nat(mapping, _) => Some(*mapping),
            Edge::Preset(preset) => match preset.seen {
                Seen::Device { mapping, .. } => mapping,
                Seen::Blocked => None,
            },
            Edge::Open | Edge::Firewall(_) | Edge::UdpBlocked | Edge::Nat64(_) | Edge::Clat => None,
        };
        let mut mappings = self.kind.edges().iter().filter_map(mapping);
        mappings.any(|mapping| mapping != Mapping::EndpointIndependent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_symmetric_if_it_looks_so() {
        for (network, is_symmetric) in [
            ("nat:apdm/apdf", true),
            ("nat:eim/apdf>nat:adm/eif", true),
            ("pf", true),
            ("home-router>cloud-nat-aws", true),
            ("home-router", false),
            ("nat:eim/apdf", false),
            ("udp-blocked", false),
        ] {
            let text = format!("name = \"x\"\n[[class]]\nnetwork = {network:?}\nweight = 1");
            let population = Population::parse("x", &text).unwrap();
            assert_eq!(
                population.classes[0].is_symmetric(),
                is_symmetric,
                "{network}"
            );
        }
    }
}
