//! What goes wrong during a call, by names, so that a file can say it.

use std::net::IpAddr;

use pinhole::internet::{Fault, FaultError};
use pinhole::{Family, LinkId, NodeId, Topology};
use serde::{Deserialize, Serialize};

/// A [`Fault`] with names in place of numbers: `a`, `b`, `stun` and `turn` are the hosts,
/// `internet` the router in the middle; edges are called after what they are: `a.nat`,
/// `b.firewall`, and `a.mobile.nat` on the network that a [roams to](super::CallConfig::roams_to).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CallFault {
    /// A gateway starts anew: its mappings and pinholes are gone.
    Reboot {
        /// The gateway.
        node: String,
        /// Its external addresses from then on; empty where it keeps those that it has.
        #[serde(default)]
        external: Vec<IpAddr>,
    },
    /// A NAT forgets its mappings and filters.
    Flush {
        /// The gateway.
        node: String,
    },
    /// A host leaves the network that it is on for another.
    Roam {
        /// The host.
        host: String,
        /// What it is attached to from then on.
        to: String,
    },
    /// The links between two nodes take no packets.
    LinkDown {
        /// Both ends.
        link: [String; 2],
    },
    /// They take packets again.
    LinkUp {
        /// Both ends.
        link: [String; 2],
    },
    /// What comes by way of one of two nodes doesn't get to the other.
    Partition {
        /// The two.
        between: [String; 2],
    },
    /// A partition ends.
    Heal {
        /// The two.
        between: [String; 2],
    },
    /// A server starts anew, and remembers nothing.
    Restart {
        /// Its host.
        node: String,
    },
    /// A host loses its addresses of one family.
    FamilyLost {
        /// The host.
        host: String,
        /// `ipv4` or `ipv6`.
        #[serde(with = "FamilyName")]
        family: Family,
    },
    /// A host has them again.
    FamilyRegained {
        /// The host.
        host: String,
        /// `ipv4` or `ipv6`.
        #[serde(with = "FamilyName")]
        family: Family,
    },
}

/// A family, as files spell it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Family")]
enum FamilyName {
    #[serde(rename = "ipv4")]
    V4,
    #[serde(rename = "ipv6")]
    V6,
}

/// Why a fault can't be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallFaultError {
    /// There is no such node.
    #[error("no node is called {name:?}; there are {known}")]
    NoSuchNode {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Nothing joins the two.
    #[error("no link joins {one:?} and {other:?}")]
    NoSuchLink {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
    /// The internet refuses it.
    #[error(transparent)]
    Refused(#[from] FaultError),
}

impl CallFault {
    /// The same in the numbers of this topology: one fault, or one for each of several links that
    /// join the same two nodes.
    ///
    /// # Errors
    ///
    /// No node or link is called so.
    pub fn resolve(&self, topology: &Topology) -> Result<Vec<Fault>, CallFaultError> {
        let find = |name: &String| find(topology, name);
        let both = |[one, other]: &[String; 2]| -> Result<[NodeId; 2], CallFaultError> {
            Ok([find(one)?, find(other)?])
        };
        let links = |ends: &[String; 2]| -> Result<Vec<LinkId>, CallFaultError> {
            let [one, other] = both(ends)?;
            let links = topology.links_between(one, other);
            if links.is_empty() {
                let [one, other] = ends.clone();
                return Err(CallFaultError::NoSuchLink { one, other });
            }
            Ok(links)
        };
        Ok(vec![match self {
            CallFault::Reboot { node, external } => Fault::Reboot {
                gateway: find(node)?,
                external: external.iter().map(|address| (*address).into()).collect(),
            },
            CallFault::Flush { node } => Fault::Flush {
                gateway: find(node)?,
            },
            CallFault::Roam { host, to } => Fault::Roam {
                host: find(host)?,
                to: links(&[host.clone(), to.clone()])?[0],
            },
            CallFault::LinkDown { link } => {
                let down = |link| Fault::LinkDown { link };
                return Ok(links(link)?.into_iter().map(down).collect());
            }
            CallFault::LinkUp { link } => {
                let up = |link| Fault::LinkUp { link };
                return Ok(links(link)?.into_iter().map(up).collect());
            }
            CallFault::Partition { between } => Fault::Partition {
                between: both(between)?,
            },
            CallFault::Heal { between } => Fault::Heal {
                between: both(between)?,
            },
            CallFault::Restart { node } => Fault::Restart { host: find(node)? },
            CallFault::FamilyLost { host, family } => Fault::FamilyLost {
                host: find(host)?,
                family: *family,
            },
            CallFault::FamilyRegained { host, family } => Fault::FamilyRegained {
                host: find(host)?,
                family: *family,
            },
        }])
    }
}

fn find(topology: &Topology, name: &str) -> Result<NodeId, CallFaultError> {
    topology.find(name).ok_or_else(|| {
        let known: Vec<&str> = topology.nodes().map(|node| topology.name(node)).collect();
        CallFaultError::NoSuchNode {
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_file_can_say_it() {
        let told = [
            (
                r#"{"fault":"reboot","node":"a.nat","external":["203.0.113.77"]}"#,
                CallFault::Reboot {
                    node: name("a.nat"),
                    external: vec![IpAddr::from([203, 0, 113, 77])],
                },
            ),
            (
                r#"{"fault":"link-down","link":["a.nat","internet"]}"#,
                CallFault::LinkDown {
                    link: [name("a.nat"), name("internet")],
                },
            ),
            (
                r#"{"fault":"family-lost","host":"a","family":"ipv6"}"#,
                CallFault::FamilyLost {
                    host: name("a"),
                    family: Family::V6,
                },
            ),
        ];
        for (text, fault) in told {
            assert_eq!(serde_json::from_str::<CallFault>(text).unwrap(), fault);
            assert_eq!(serde_json::to_string(&fault).unwrap(), text);
        }
        let short = r#"{"fault":"reboot","node":"a.nat"}"#;
        assert!(serde_json::from_str::<CallFault>(short).is_ok());
        for bad in [
            r#"{"fault":"earthquake","node":"a.nat"}"#,
            r#"{"fault":"flush","nodes":"a.nat"}"#,
            r#"{"fault":"flush"}"#,
        ] {
            assert!(serde_json::from_str::<CallFault>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_which_there_are() {
        let mut plan = Topology::new();
        for node in ["a", "b"] {
            plan.host(node);
        }
        let flush = CallFault::Flush {
            node: name("a.nta"),
        };
        let error = flush.resolve(&plan).unwrap_err().to_string();
        assert_eq!(error, r#"no node is called "a.nta"; there are a, b"#);
        let down = CallFault::LinkDown {
            link: [name("a"), name("b")],
        };
        let error = down.resolve(&plan).unwrap_err().to_string();
        assert_eq!(error, r#"no link joins "a" and "b""#);
    }
}
