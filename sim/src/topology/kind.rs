//! Network kinds, as every command and file spells them: `nat:eim/apdf>nat:eim/eif`.

use std::fmt;
use std::str::FromStr;

use super::EdgePlan;
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
    /// Public addresses behind a firewall that lets no UDP cross, but TCP that the inside opens.
    /// `udp-blocked`.
    UdpBlocked,
    /// A network with IPv6 only behind a NAT64 with DNS64, as mobile carriers have it; IPv6 passes
    /// untranslated behind a stateful filter. `nat64:eim/F`; `nat64` alone is `nat64:eim/eif`.
    Nat64(Filtering),
    /// The subscriber's half of 464XLAT (RFC 6877): hosts have a private IPv4 address beside their
    /// IPv6 one. `clat`, which needs a NAT64 outside of it.
    Clat,
    /// A device as it is in the wild. See [`preset`](super::preset).
    Preset(&'static Preset),
}

/// A network's kind: its edges, from the inside out.
///
/// `464xlat:eim/F` is a CLAT behind a NAT64, `clat>nat64:eim/F`.
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
    ///
    /// # Panics
    ///
    /// The edge is a CLAT, which is none without a NAT64.
    pub fn of(edge: Edge) -> Self {
        Kind::sound(vec![edge])
    }

    /// # Panics
    ///
    /// The edges can't stand in this order.
    fn sound(edges: Vec<Edge>) -> Self {
        if let Err(error) = refuse_misplaced(&edges) {
            panic!("{error}");
        }
        Kind(edges)
    }

    /// The edges, from the inside out. Never empty.
    pub fn edges(&self) -> &[Edge] {
        &self.0
    }

    /// This kind with another edge at a place, counted from the inside.
    ///
    /// # Panics
    ///
    /// The kind has no such place, or the edge can't stand there.
    pub fn with_edge(&self, place: usize, edge: Edge) -> Self {
        let mut edges = self.0.clone();
        edges[place] = edge;
        Kind::sound(edges)
    }

    /// This kind with the edges of another one outside of its own: a home behind a carrier.
    ///
    /// # Errors
    ///
    /// The two don't go together.
    pub fn behind(&self, carrier: &Kind) -> Result<Kind, ParseKindError> {
        format!("{self}>{carrier}").parse()
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
                _ => 1,
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
            Edge::Nat(..) | Edge::Clat => true,
            Edge::Open | Edge::Firewall(_) | Edge::UdpBlocked | Edge::Nat64(_) => false,
            Edge::Preset(preset) => preset.edges().iter().any(EdgePlan::translates),
        })
    }

    /// Whether a NAT64 is all that leads into IPv4. Hosts of such a network have IPv6 addresses.
    pub fn is_behind_nat64(&self) -> bool {
        self.0.iter().any(|edge| matches!(edge, Edge::Nat64(_)))
    }

    /// Whether UDP crosses every edge.
    pub fn passes_udp(&self) -> bool {
        self.0.iter().all(|edge| match edge {
            Edge::Open | Edge::Firewall(_) | Edge::Nat(..) | Edge::Nat64(_) | Edge::Clat => true,
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
         nat:M/F with M one of eim, adm, apdm and F one of eif, adf, apdf, udp-blocked, nat64:eim/F \
         (a NAT64 maps endpoint-independently), 464xlat:eim/F, which is clat>nat64:eim/F, and the \
         presets {presets} (`pinhole nat presets` tells of them); several edges in a row, inner \
         first, are joined by '>': nat:eim/apdf>nat:eim/eif",
        presets = preset::names()
    )]
    Unknown {
        /// The edge that nobody knows.
        text: String,
    },
    /// An edge that can't stand where it stands.
    #[error("{edge} can't stand there: {why}")]
    Misplaced {
        /// The edge.
        edge: Edge,
        /// What would be right.
        why: &'static str,
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
            None if text == "clat" => Some(Edge::Clat),
            None if text == "nat64" => Some(Edge::Nat64(Filtering::EndpointIndependent)),
            Some(("nat64", behaviour)) => match behaviour.split_once('/')? {
                ("eim", filtering) => Some(Edge::Nat64(filtering.parse().ok()?)),
                _ => None,
            },
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
        let mut edges: Vec<Edge> = Vec::new();
        for edge in text.split('>').map(str::trim) {
            match edge.strip_prefix("464xlat") {
                None => edges.push(edge.parse()?),
                Some(behaviour) => {
                    let nat64 = format!("nat64{behaviour}").parse();
                    let unknown = ParseKindError::Unknown {
                        text: edge.to_owned(),
                    };
                    edges.extend([Edge::Clat, nat64.map_err(|_| unknown)?]);
                }
            }
        }
        if edges.len() > MOST_EDGES {
            return Err(ParseKindError::TooMany { count: edges.len() });
        }
        refuse_misplaced(&edges)?;
        Ok(Kind(edges))
    }
}

/// Refuses edges that lead nowhere: what has only IPv4 on the inside of what has only IPv6, and the
/// other way round.
fn refuse_misplaced(edges: &[Edge]) -> Result<(), ParseKindError> {
    // From the outside in, whether IPv4 goes in as it came; what doesn't is to be translated back.
    let mut has_ipv4 = true;
    for edge in edges.iter().rev().copied() {
        let is_nat = match edge {
            Edge::Nat(..) => true,
            Edge::Preset(preset) => preset.edges().iter().any(EdgePlan::translates),
            _ => false,
        };
        let why = match edge {
            _ if is_nat && !has_ipv4 => {
                "inside of a nat64 there is no IPv4 to translate; put a clat between them"
            }
            Edge::Nat64(_)
                if edges
                    .iter()
                    .filter(|edge| matches!(edge, Edge::Nat64(_)))
                    .count()
                    > 1 =>
            {
                "one nat64 is on the way into IPv4, not several"
            }
            Edge::Clat if has_ipv4 => {
                "a clat needs a nat64 outside of it, as in clat>nat64:eim/eif"
            }
            _ => "",
        };
        if !why.is_empty() {
            return Err(ParseKindError::Misplaced { edge, why });
        }
        has_ipv4 = match edge {
            Edge::Nat64(_) => false,
            Edge::Clat => true,
            _ => has_ipv4,
        };
    }
    Ok(())
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edge::Open => f.write_str("open"),
            Edge::Firewall(filtering) => write!(f, "firewall:{filtering}"),
            Edge::Nat(mapping, filtering) => write!(f, "nat:{mapping}/{filtering}"),
            Edge::UdpBlocked => f.write_str("udp-blocked"),
            Edge::Nat64(filtering) => write!(f, "nat64:eim/{filtering}"),
            Edge::Clat => f.write_str("clat"),
            Edge::Preset(preset) => f.write_str(preset.name),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, edge) in self.0.iter().enumerate() {
            let inner = place.checked_sub(1).map(|inner| self.0[inner]);
            match (inner, edge) {
                // The rest of "464xlat".
                (Some(Edge::Clat), Edge::Nat64(filtering)) => write!(f, ":eim/{filtering}")?,
                _ => {
                    if place > 0 {
                        f.write_str(">")?;
                    }
                    match (edge, self.0.get(place + 1)) {
                        (Edge::Clat, Some(Edge::Nat64(_))) => f.write_str("464xlat")?,
                        _ => edge.fmt(f)?,
                    }
                }
            }
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
        let hotel: Kind = "nat:eim/apdf>tcp-443-only".parse().unwrap();
        assert_eq!(hotel.to_string(), "nat:eim/apdf>tcp-443-only");
        assert!(!hotel.passes_udp() && hotel.translates());
    }

    #[test]
    fn networks_without_ipv4_are_read_as_they_are_written() {
        for (text, written) in [
            ("nat64", "nat64:eim/eif"),
            ("nat64:eim/apdf", "nat64:eim/apdf"),
            ("464xlat", "464xlat:eim/eif"),
            ("clat>nat64:eim/adf", "464xlat:eim/adf"),
            (
                "nat:eim/apdf>464xlat:eim/apdf>open",
                "nat:eim/apdf>464xlat:eim/apdf>open",
            ),
            (
                "clat > firewall:adf > nat64",
                "clat>firewall:adf>nat64:eim/eif",
            ),
        ] {
            let kind: Kind = text.parse().unwrap();
            assert_eq!(kind.to_string(), written);
            assert_eq!(written.parse(), Ok(kind));
        }
    }

    #[test]
    fn edges_that_lead_nowhere_are_refused() {
        for (text, hint) in [
            ("clat", "needs a nat64 outside"),
            ("nat64>clat", "needs a nat64 outside"),
            ("clat>464xlat", "needs a nat64 outside"),
            ("nat:eim/eif>nat64", "put a clat between"),
            ("home-router>nat64", "put a clat between"),
            ("nat64>nat64", "not several"),
        ] {
            let error = text.parse::<Kind>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    #[should_panic(expected = "needs a nat64 outside")]
    fn a_clat_alone_is_no_kind() {
        Kind::of(Edge::Clat);
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
            "nat64:apdm/apdf",
            "nat64:eim",
            "464xlat:",
            "464xlatter",
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
