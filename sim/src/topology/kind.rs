//! Network kinds, as every command and file spells them: `nat:eim/apdf>nat:eim/eif`.

use std::fmt;
use std::str::FromStr;

use super::preset::{self, Preset, Seen};
use crate::behaviour::{Filtering, Mapping};

/// One edge of a home or office network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Edge {
    /// A plain router: public addresses, nothing filtered. `open`.
    Open,
    /// Public addresses behind a stateful firewall. `firewall:adf`, `firewall:apdf`.
    Firewall(Filtering),
    /// A NAT. `nat:M/F`.
    Nat(Mapping, Filtering),
    /// Public addresses behind a firewall that lets no UDP cross. `udp-blocked`.
    UdpBlocked,
    /// A device as it is in the wild. See [`preset`](super::preset).
    Preset(&'static Preset),
}

/// A network's kind: its edges, from the inside out.
///
/// ```
/// use pinhole::topology::Kind;
///
/// let home_behind_carrier: Kind = "nat:eim/apdf>nat:eim/eif".parse()?;
/// assert_eq!(home_behind_carrier.edges().len(), 2);
/// assert_eq!(home_behind_carrier.to_string(), "nat:eim/apdf>nat:eim/eif");
/// # Ok::<(), pinhole::topology::ParseKindError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(Vec<Edge>);

/// The most edges a kind may have: more NATs in a row than anybody has seen.
const MOST_EDGES: usize = 8;

impl Kind {
    /// A kind with one edge.
    pub fn of(edge: Edge) -> Self {
        Kind(vec![edge])
    }

    /// The edges, from the inside out. Never empty.
    pub fn edges(&self) -> &[Edge] {
        &self.0
    }

    /// This kind with another edge at a place, counted from the inside.
    ///
    /// # Panics
    ///
    /// The kind has no such place.
    pub fn with_edge(&self, place: usize, edge: Edge) -> Self {
        let mut edges = self.0.clone();
        edges[place] = edge;
        Kind(edges)
    }

    /// Which of the edges a site's gateway is made for, both counted from the inside: a preset may
    /// have several.
    ///
    /// # Panics
    ///
    /// A site of this kind has no such gateway.
    pub fn edge_of(&self, gateway: usize) -> usize {
        let mut made = 0;
        let place = self.0.iter().position(|edge| {
            made += match edge {
                Edge::Preset(preset) => preset.edges().len(),
                Edge::Open | Edge::Firewall(_) | Edge::Nat(..) | Edge::UdpBlocked => 1,
            };
            gateway < made
        });
        place.unwrap_or_else(|| panic!("a site of kind {self} has {made} gateways"))
    }

    /// The thirteen kinds of a default matrix: `open`, two firewalls, the nine NATs,
    /// `udp-blocked`.
    pub fn all() -> Vec<Kind> {
        let firewalls = [
            Filtering::AddressDependent,
            Filtering::AddressAndPortDependent,
        ];
        let nats = Mapping::ALL.into_iter().flat_map(|mapping| {
            Filtering::ALL
                .into_iter()
                .map(move |filtering| (mapping, filtering))
        });
        [Edge::Open]
            .into_iter()
            .chain(firewalls.into_iter().map(Edge::Firewall))
            .chain(nats.map(|(mapping, filtering)| Edge::Nat(mapping, filtering)))
            .chain([Edge::UdpBlocked])
            .map(Kind::of)
            .collect()
    }

    /// Whether a host behind these edges has a private address.
    pub fn translates(&self) -> bool {
        self.0.iter().any(|edge| match edge {
            Edge::Nat(..) => true,
            Edge::Open | Edge::Firewall(_) | Edge::UdpBlocked => false,
            Edge::Preset(preset) => preset.edges().iter().any(|edge| edge.addresses > 0),
        })
    }

    /// Whether UDP crosses every edge.
    pub fn passes_udp(&self) -> bool {
        self.0.iter().all(|edge| match edge {
            Edge::Open | Edge::Firewall(_) | Edge::Nat(..) => true,
            Edge::UdpBlocked => false,
            Edge::Preset(preset) => preset.seen != Seen::Blocked,
        })
    }
}

/// Why a text names no kind of network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKindError {
    /// No edge is called that.
    #[error(
        "no kind of network is called {text:?}; there are open, firewall:adf, firewall:apdf, \
         nat:M/F with M one of eim, adm, apdm and F one of eif, adf, apdf, udp-blocked, and the \
         presets {presets} (`pinhole nat presets` tells of them); several edges in a row, inner \
         first, are joined by '>': nat:eim/apdf>nat:eim/eif",
        presets = preset::names()
    )]
    Unknown {
        /// The edge that nobody knows.
        text: String,
    },
    /// Too many edges in a row.
    #[error("{count} edges in a row are more than the {MOST_EDGES} that a kind may have")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl FromStr for Edge {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || match text.split_once(':') {
            None if text == "open" => Some(Edge::Open),
            None if text == "udp-blocked" => Some(Edge::UdpBlocked),
            None => preset::find(text).map(Edge::Preset),
            Some(("firewall", filtering)) => match filtering.parse().ok()? {
                // A firewall that lets everything in is `open`, and is called so.
                Filtering::EndpointIndependent => None,
                filtering => Some(Edge::Firewall(filtering)),
            },
            Some(("nat", behaviour)) => {
                let (mapping, filtering) = behaviour.split_once('/')?;
                Some(Edge::Nat(mapping.parse().ok()?, filtering.parse().ok()?))
            }
            _ => None,
        };
        parse().ok_or_else(|| ParseKindError::Unknown {
            text: text.to_owned(),
        })
    }
}

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let edges: Vec<Edge> = text
            .split('>')
            .map(|edge| edge.trim().parse())
            .collect::<Result<_, _>>()?;
        if edges.len() > MOST_EDGES {
            return Err(ParseKindError::TooMany { count: edges.len() });
        }
        Ok(Kind(edges))
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edge::Open => f.write_str("open"),
            Edge::Firewall(filtering) => write!(f, "firewall:{filtering}"),
            Edge::Nat(mapping, filtering) => write!(f, "nat:{mapping}/{filtering}"),
            Edge::UdpBlocked => f.write_str("udp-blocked"),
            Edge::Preset(preset) => f.write_str(preset.name),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, edge) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(">")?;
            }
            edge.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_kind_is_read_as_it_is_written() {
        let kinds = Kind::all();
        assert_eq!(kinds.len(), 13);
        for kind in kinds {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn what_nobody_knows_is_refused_with_what_there_is() {
        for text in [
            "",
            "nat",
            "nat:eim",
            "nat:eim/xyz",
            "firewall:eif",
            "open>",
            "Open",
            "nat:eim/apdf>cone",
        ] {
            let error = text.parse::<Kind>().unwrap_err().to_string();
            assert!(error.contains("nat:M/F"), "{text}: {error}");
        }
        let long = ["open"; 9].join(">");
        assert_eq!(
            long.parse::<Kind>(),
            Err(ParseKindError::TooMany { count: 9 })
        );
    }
}
