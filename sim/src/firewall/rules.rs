//! Ordered rules with a default policy: the first that matches decides.

use std::ops::{BitOr, RangeInclusive};

use super::session::MidStream;
use super::tracker::Tracker;
use crate::address::{Endpoint, Prefix};
use crate::behaviour::Lifetimes;
use crate::middlebox::{Middlebox, Passage, Surroundings, Verdict, Way};
use crate::packet::{Packet, Protocol};
use crate::trace::DropReason;

/// What a rule does with a packet that matches it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Lets it pass, whatever later rules say.
    Allow,
    /// Drops it.
    Deny,
}

/// How a packet relates to what the list has let pass before: a set of states.
///
/// ```
/// use pinhole::firewall::States;
///
/// let answers = States::ESTABLISHED | States::RELATED;
/// assert!(answers.contains(States::RELATED) && !answers.contains(States::NEW));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct States(u8);

impl States {
    /// No state at all: what fits to nothing, such as a segment of no connection.
    pub const NONE: States = States(0);
    /// It begins a conversation, or repeats what began one that is still without an answer.
    pub const NEW: States = States(1);
    /// It belongs to a conversation: it answers, or follows an answer.
    pub const ESTABLISHED: States = States(2);
    /// It is an ICMP error about a packet of a conversation.
    pub const RELATED: States = States(4);

    /// Whether every state of `other` is in the set.
    pub const fn contains(self, other: States) -> bool {
        self.0 & other.0 == other.0
    }

    const fn meets(self, other: States) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for States {
    type Output = States;

    fn bitor(self, other: States) -> States {
        States(self.0 | other.0)
    }
}

/// A rule. `None` in a field matches anything.
///
/// ```
/// use pinhole::firewall::{Action, Protocol, Rule};
///
/// let block_udp = Rule { protocol: Some(Protocol::Udp), ..Rule::new(Action::Deny) };
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What to do.
    pub action: Action,
    /// Which way the packet goes.
    pub way: Option<Way>,
    /// Its protocol.
    pub protocol: Option<Protocol>,
    /// The address block that its inner endpoint lies in.
    pub inner: Option<Prefix>,
    /// The address block that its outer endpoint lies in.
    pub outer: Option<Prefix>,
    /// The inner endpoint's port. Matches no packet without ports.
    pub inner_port: Option<RangeInclusive<u16>>,
    /// The outer endpoint's port. Matches no packet without ports.
    pub outer_port: Option<RangeInclusive<u16>>,
    /// Its state: one of these.
    pub state: Option<States>,
}

/// Why a rule makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A range of ports ends before it starts.
    #[error(
        "rule {rule}: {field} is an empty range ({start} to {end}); leave it out to match any port"
    )]
    EmptyRange {
        /// The rule's place in the list, from 0.
        rule: usize,
        /// `inner_port` or `outer_port`.
        field: &'static str,
        /// Where the range starts.
        start: u16,
        /// Where it ends.
        end: u16,
    },
    /// A rule about ICMP names a port.
    #[error("rule {rule}: protocol is ICMP, which has no ports, but {field} names some")]
    PortOfIcmp {
        /// The rule's place in the list, from 0.
        rule: usize,
        /// `inner_port` or `outer_port`.
        field: &'static str,
    },
    /// No packet goes from one IP version to the other.
    #[error("rule {rule}: inner {inner} and outer {outer} are of different IP versions")]
    FamiliesDiffer {
        /// The rule's place in the list, from 0.
        rule: usize,
        /// The inner block.
        inner: Prefix,
        /// The outer block.
        outer: Prefix,
    },
    /// Only ICMP errors are related to something.
    #[error(
        "rule {rule}: state is RELATED, which only ICMP errors are, but protocol is {protocol:?}"
    )]
    RelatedWithoutIcmp {
        /// The rule's place in the list, from 0.
        rule: usize,
        /// The protocol.
        protocol: Protocol,
    },
}

impl Rule {
    /// A rule that matches every packet.
    pub fn new(action: Action) -> Self {
        Rule {
            action,
            way: None,
            protocol: None,
            inner: None,
            outer: None,
            inner_port: None,
            outer_port: None,
            state: None,
        }
    }

    /// Denies all of UDP, both ways.
    pub fn deny_udp() -> Self {
        Rule {
            protocol: Some(Protocol::Udp),
            ..Rule::new(Action::Deny)
        }
    }

    /// Allows what belongs to a conversation that was allowed to begin, and errors about it.
    pub fn allow_answers() -> Self {
        Rule {
            state: Some(States::ESTABLISHED | States::RELATED),
            ..Rule::new(Action::Allow)
        }
    }

    /// Allows the inside to begin a conversation with these ports outside.
    pub fn allow_out(protocol: Protocol, ports: RangeInclusive<u16>) -> Self {
        Rule {
            way: Some(Way::Out),
            protocol: Some(protocol),
            outer_port: Some(ports),
            state: Some(States::NEW),
            ..Rule::new(Action::Allow)
        }
    }

    /// Whether the rule, as the how manyth of its list, can match anything.
    fn check(&self, rule: usize) -> Result<(), RuleError> {
        let ports = [
            ("inner_port", &self.inner_port),
            ("outer_port", &self.outer_port),
        ];
        for (field, ports) in ports {
            let Some(ports) = ports else { continue };
            if ports.is_empty() {
                let (start, end) = (*ports.start(), *ports.end());
                return Err(RuleError::EmptyRange {
                    rule,
                    field,
                    start,
                    end,
                });
            }
            if self.protocol == Some(Protocol::Icmp) {
                return Err(RuleError::PortOfIcmp { rule, field });
            }
        }
        if let (Some(inner), Some(outer)) = (self.inner, self.outer)
            && inner != Prefix::ANY
            && outer != Prefix::ANY
            && inner.base().family() != outer.base().family()
        {
            return Err(RuleError::FamiliesDiffer { rule, inner, outer });
        }
        match (self.state, self.protocol) {
            (Some(States::RELATED), Some(protocol)) if protocol != Protocol::Icmp => {
                Err(RuleError::RelatedWithoutIcmp { rule, protocol })
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, way: Way, packet: &Packet, state: Option<States>) -> bool {
        let (inner, outer) = match way {
            Way::Out => (packet.source, packet.destination),
            Way::In => (packet.destination, packet.source),
        };
        let protocol = packet.transport.protocol();
        let lies_in = |prefix: Option<Prefix>, endpoint: Endpoint| {
            prefix.is_none_or(|prefix| prefix.contains(endpoint.address))
        };
        let among = |ports: &Option<RangeInclusive<u16>>, endpoint: Endpoint| {
            ports
                .as_ref()
                .is_none_or(|ports| protocol != Protocol::Icmp && ports.contains(&endpoint.port))
        };
        self.way.is_none_or(|wanted| wanted == way)
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && lies_in(self.inner, inner)
            && lies_in(self.outer, outer)
            && among(&self.inner_port, inner)
            && among(&self.outer_port, outer)
            && self
                .state
                .is_none_or(|wanted| state.is_some_and(|state| wanted.meets(state)))
    }

    /// Whether the rule denies UDP as such, not some of it.
    fn denies_all_udp(&self) -> bool {
        *self == Rule::deny_udp()
    }
}

/// An ordered list of rules, and what becomes of a packet that none of them matches.
///
/// If a rule asks for a state, the list keeps track of conversations in both directions: UDP by
/// its endpoints, TCP connections from SYN to FIN and reset, ICMP echoes by their identifier. What
/// passes in either direction keeps them alive. Only what the list lets pass begins one.
///
/// ```
/// use pinhole::firewall::{Action, Protocol, Rule, Rules};
///
/// // The inside may speak SSH with anybody, and nothing else.
/// let rules = Rules {
///     otherwise: Action::Deny,
///     ..Rules::new(vec![Rule::allow_answers(), Rule::allow_out(Protocol::Tcp, 22..=22)])
/// };
/// assert!(rules.check().is_ok());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// In order.
    pub rules: Vec<Rule>,
    /// What becomes of the rest. Results call this policy the rule behind the last.
    pub otherwise: Action,
    /// How long the list remembers conversations.
    pub lifetimes: Lifetimes,
    /// Whether outgoing and incoming segments of connections that the list knows nothing of count
    /// as new, or as being in no state.
    pub mid_stream: MidStream,
}

impl Rules {
    /// These rules; what none of them matches passes.
    pub fn new(rules: Vec<Rule>) -> Self {
        Rules {
            rules,
            otherwise: Action::Allow,
            lifetimes: Lifetimes::STANDARD,
            mid_stream: MidStream::default(),
        }
    }

    /// Whether every rule makes sense. A plan with rules that don't can't be
    /// [built](crate::Topology::build).
    ///
    /// # Errors
    ///
    /// Names the first rule that contradicts itself, and the two things in it that do.
    pub fn check(&self) -> Result<(), RuleError> {
        let mut rules = self.rules.iter().enumerate();
        rules.try_for_each(|(place, rule)| rule.check(place))
    }
}

/// Rules at work.
pub(crate) struct RulesAtWork {
    rules: Rules,
    /// Where a rule asks for a state.
    tracker: Option<Tracker>,
}

impl RulesAtWork {
    pub(crate) fn new(rules: Rules) -> Self {
        let tracks = rules.rules.iter().any(|rule| rule.state.is_some());
        let tracker = tracks.then(|| Tracker::new(rules.lifetimes, rules.mid_stream));
        RulesAtWork { rules, tracker }
    }

    fn judge(&mut self, way: Way, packet: &Packet, around: &Surroundings<'_>) -> Verdict {
        let (now, firewall) = (around.now, around.node);
        let tracker = self.tracker.as_mut();
        let state = tracker.map(|tracker| tracker.state(now, way, packet));
        let list = &self.rules.rules;
        let first = list
            .iter()
            .position(|rule| rule.matches(way, packet, state));
        let action = first.map_or(self.rules.otherwise, |place| list[place].action);
        if action == Action::Deny {
            let rule = first.unwrap_or(list.len()) as u16;
            return Verdict::Drop(match first {
                Some(place) if list[place].denies_all_udp() => {
                    DropReason::UdpBlocked { firewall, rule }
                }
                _ => DropReason::DeniedByRule { firewall, rule },
            });
        }
        let opened = (self.tracker.as_mut())
            .is_some_and(|tracker| tracker.follow(now, way, packet) && way == Way::Out);
        Verdict::Forward(Passage {
            mapped: false,
            opened,
        })
    }
}

impl Middlebox for RulesAtWork {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::Out, packet, around)
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::In, packet, around)
    }
}
