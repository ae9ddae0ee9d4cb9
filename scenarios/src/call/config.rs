//! What a call is between, and how it is set up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat::{FilterMemory, NatConfig};
use pinhole::topology::Kind;
use pinhole::{Budget, Time};

use super::data::Side;
use super::fault::CallFault;
use super::roles::Roles;
use crate::ice::Stack;
use crate::transport::{RestartPolicy, TurnTransport};

/// Which transports the service's TURN servers offer; none is no TURN at all.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TurnOffer(Vec<TurnTransport>);

impl TurnOffer {
    /// No TURN.
    pub const OFF: TurnOffer = TurnOffer(Vec::new());

    /// Every transport there is.
    pub fn all() -> Self {
        TurnOffer(TurnTransport::ALL.to_vec())
    }

    /// The same, and one transport more.
    #[must_use]
    pub fn with(mut self, transport: TurnTransport) -> Self {
        self.0.push(transport);
        self.0.sort_unstable();
        self.0.dedup();
        self
    }

    /// The transports, in their order.
    pub fn transports(&self) -> &[TurnTransport] {
        &self.0
    }
}

/// Why a text is no [`TurnOffer`]: it names a transport that nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no TURN transport is called {0:?}; there are off and all, or a comma list of udp, tcp and tls"
)]
pub struct ParseTurnError(String);

impl FromStr for TurnOffer {
    type Err = ParseTurnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => return Ok(TurnOffer::OFF),
            "all" => return Ok(TurnOffer::all()),
            _ => {}
        }
        let mut transports = Vec::new();
        for name in text.split(',').map(str::trim) {
            let known = TurnTransport::ALL
                .into_iter()
                .find(|known| known.name() == name);
            match known {
                Some(transport) if transports.contains(&transport) => {}
                Some(transport) => transports.push(transport),
                None => return Err(ParseTurnError(name.to_owned())),
            }
        }
        transports.sort_unstable();
        Ok(TurnOffer(transports))
    }
}

impl fmt::Display for TurnOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("off");
        }
        let names: Vec<&str> = self.0.iter().map(|transport| transport.name()).collect();
        f.write_str(&names.join(","))
    }
}

/// On what terms the service's TURN server lends relays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TurnTerms {
    /// The most relays that it lends to one user at a time; both endpoints are the same one. `None`
    /// sets no bound.
    pub quota: Option<u32>,
    /// Whether the credentials that both endpoints were given have expired: the server knows the
    /// user by another password by now, and answers 401 whatever they try (RFC 8489 §9.2.4).
    pub expired: bool,
}

/// Who signals candidates as they are found, and who signals all of them at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Trickle {
    /// Both trickle (RFC 8838).
    #[default]
    Full,
    /// The caller's offer has all of its candidates, and the callee trickles: what a caller does
    /// who doesn't know whether the callee can trickle (RFC 8838 §16).
    Half,
    /// Nobody trickles.
    Off,
}

impl Trickle {
    /// The name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Trickle::Full => "true",
            Trickle::Half => "half",
            Trickle::Off => "false",
        }
    }

    /// Whether a side signals candidates as it finds them.
    pub const fn is_done_by(self, side: Side) -> bool {
        matches!((self, side), (Trickle::Full, _) | (Trickle::Half, Side::B))
    }
}

impl From<bool> for Trickle {
    fn from(trickles: bool) -> Self {
        if trickles {
            Trickle::Full
        } else {
            Trickle::Off
        }
    }
}

/// A text that says of no side whether it trickles.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("trickle is true, half or false, not {0:?}")]
pub struct ParseTrickleError(String);

impl FromStr for Trickle {
    type Err = ParseTrickleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Trickle::Full, Trickle::Half, Trickle::Off];
        let found = all.into_iter().find(|trickle| trickle.name() == text);
        found.ok_or_else(|| ParseTrickleError(text.to_owned()))
    }
}

impl fmt::Display for Trickle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where the two endpoints stand to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Neighbourhood {
    /// Each on a site of its own.
    #[default]
    Apart,
    /// Both on one local network, behind A's edge.
    SameLan,
    /// Both behind A's edge, whose access point keeps its stations from reaching each other.
    IsolatedLan,
    /// Each on a site of its own, and both sites behind one carrier of this kind, which stands
    /// between them and the internet.
    SharedCarrier(Kind),
}

impl Neighbourhood {
    /// The name in results.
    pub const fn name(&self) -> &'static str {
        match self {
            Neighbourhood::Apart => "apart",
            Neighbourhood::SameLan => "same-lan",
            Neighbourhood::IsolatedLan => "isolated-lan",
            Neighbourhood::SharedCarrier(_) => "shared-carrier",
        }
    }

    /// Whether both endpoints are on A's local network.
    pub const fn is_one_lan(&self) -> bool {
        matches!(self, Neighbourhood::SameLan | Neighbourhood::IsolatedLan)
    }

    /// What stands between both endpoints' sites and the internet.
    pub const fn carrier(&self) -> Option<&Kind> {
        match self {
            Neighbourhood::SharedCarrier(kind) => Some(kind),
            _ => None,
        }
    }
}

/// A call: who, from where, and how it is set up.
#[derive(Clone, PartialEq, Debug)]
pub struct CallConfig {
    /// The kinds of network that A and B are on. B's doesn't count on one local network.
    pub kinds: [Kind; 2],
    /// What the innermost NATs of A and B are told to do, where their kinds don't say it: mapping,
    /// filtering, filter memory and hairpinning stay as kind and call have them. `None` changes
    /// nothing. B's doesn't count on one local network.
    pub nats: [Option<NatConfig>; 2],
    /// The ICE stacks of A and B.
    pub stacks: [Stack; 2],
    /// The UDP ports that A and B send from at first, as phones with a fixed one do; `None` leaves it
    /// to the host.
    pub ports: [Option<u16>; 2],
    /// Whether A and B have an IPv6 address beside their IPv4 one.
    pub ipv6: [bool; 2],
    /// Whether A and B, where they have no IPv4 address, know how to do without: they write the
    /// other side's IPv4 candidates as IPv6 ones under their network's NAT64 prefix, as RFC 8305
    /// §7.1 has it for address literals, ask IPv4 servers even where those have IPv6, and tell the other side what a STUN server saw of them even
    /// where their stack refuses a candidate of two IP versions.
    pub synthesize: [bool; 2],
    /// Where the two stand to each other.
    pub neighbourhood: Neighbourhood,
    /// What the service offers when no direct way is found.
    pub turn: TurnOffer,
    /// On what terms.
    pub turn_terms: TurnTerms,
    /// One way between any two edges, servers included.
    pub delay: Duration,
    /// The access links of A and B, their delay coming on top of `delay`; `None` adds nothing. B's
    /// doesn't count on one local network.
    pub access: [Option<Link>; 2],
    /// What a signal takes from one endpoint to the other.
    pub signaling_delay: Duration,
    /// Who signals candidates as they are found.
    pub trickle: Trickle,
    /// Which side believes that it controls.
    pub roles: Roles,
    /// Whether NATs hairpin.
    pub hairpinning: bool,
    /// Whose past the NATs' filters remember.
    pub filter_memory: FilterMemory,
    /// The kinds of network that A and B may roam to, if any: sites called `a.mobile` and
    /// `b.mobile`.
    pub roams_to: [Option<Kind>; 2],
    /// What goes wrong, and when. A call with faults goes on until [`until`](CallConfig::until),
    /// and its outcome has a [`Course`](super::Course).
    pub faults: Vec<(Time, CallFault)>,
    /// When the endpoints restart ICE, in a call with faults.
    pub restart: RestartPolicy,
    /// When the call is given up; in a call with faults, when it ends.
    pub until: Time,
    /// What the run may spend: a storm between two stacks ends with an error.
    pub budget: Budget,
    /// What everything random is drawn from.
    pub seed: u64,
}

impl CallConfig {
    /// A call between two kinds of network, as the `call` command makes it if told nothing else.
    pub fn new(a: Kind, b: Kind) -> Self {
        CallConfig {
            kinds: [a, b],
            nats: [None, None],
            stacks: [Stack::Is; 2],
            ports: [None; 2],
            ipv6: [false; 2],
            synthesize: [false; 2],
            neighbourhood: Neighbourhood::Apart,
            turn: TurnOffer::all(),
            turn_terms: TurnTerms::default(),
            delay: Duration::from_millis(20),
            access: [None; 2],
            signaling_delay: Duration::from_millis(50),
            trickle: Trickle::default(),
            roles: Roles::default(),
            hairpinning: false,
            filter_memory: FilterMemory::default(),
            roams_to: [None, None],
            faults: Vec::new(),
            restart: RestartPolicy::default(),
            until: Time::from_millis(45_000),
            budget: Budget::default(),
            seed: 1,
        }
    }

    /// Whether both endpoints have an IPv6 address, and so a way that nothing translates.
    pub fn share_ipv6(&self) -> bool {
        let carrier = self.neighbourhood.carrier();
        let only_ipv6 = carrier.is_some_and(Kind::is_behind_nat64);
        let has = |side: usize| self.ipv6[side] || only_ipv6 || self.kinds[side].is_behind_nat64();
        has(0) && has(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_as_it_is_written() {
        for (text, written) in [
            ("off", "off"),
            ("all", "udp,tcp,tls"),
            ("tls", "tls"),
            ("tls, udp,tls", "udp,tls"),
        ] {
            let offer: TurnOffer = text.parse().unwrap();
            assert_eq!(offer.to_string(), written);
            assert_eq!(written.parse(), Ok(offer));
        }
        for nonsense in ["", "sctp", "udp,", "off,udp", "UDP"] {
            assert!(nonsense.parse::<TurnOffer>().is_err(), "{nonsense:?}");
        }
    }
}
