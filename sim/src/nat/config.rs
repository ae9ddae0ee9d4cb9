//! What a NAT is told to do, in RFC 4787's words.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::address::{Address, Prefix};
use crate::behaviour::{Filtering, Lifetimes, Mapping};

/// Whose past decides which remote endpoints may come in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum FilterMemory {
    /// The internal endpoint's: what it sent through any of its mappings counts for all of them.
    /// RFC 4787 §5 words it so.
    #[default]
    InternalEndpoint,
    /// The mapping's: only what was sent through this mapping counts for it, as connection tracking
    /// does it.
    Mapping,
}

/// How a NAT picks the external port of a new mapping (RFC 4787 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortAllocation {
    /// The internal port, where it is free.
    Preserving {
        /// And where it isn't.
        on_conflict: PortConflict,
    },
    /// The port this far after the last one given out, where it is free; else the next free one.
    Sequential {
        /// How far; 1 counts up. Never 0.
        step: u16,
    },
    /// Any free port, each as likely.
    Random,
}

impl PortAllocation {
    /// Preserves ports, and takes the next free port above where one is taken.
    pub const PRESERVING: PortAllocation = PortAllocation::Preserving {
        on_conflict: PortConflict::NextFree,
    };
    /// Counts up by one.
    pub const SEQUENTIAL: PortAllocation = PortAllocation::Sequential { step: 1 };
}

/// What a NAT that preserves ports does when the port is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum PortConflict {
    /// Takes the next free port above.
    #[default]
    NextFree,
    /// Counts up from the low end of the range.
    Sequential,
    /// Takes any free port.
    Random,
    /// Takes the port from whoever had it: his mapping ends. A fault that RFC 4787 §4.2.1 describes
    /// as port overloading of the crudest kind.
    Takeover,
}

/// Whether two internal endpoints may share an external one (RFC 4787 §4.2.1, REQ-3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum PortOverloading {
    /// Never.
    #[default]
    Never,
    /// Where their remote endpoints differ, so that answers can be told apart (RFC 7857 §3). The NAT
    /// then works as Linux connection tracking does: each mapping is of one pair of endpoints and
    /// filters by it, and an external port is picked for the pair. With [`Mapping`] endpoint
    /// independent the pair gets the port that the internal endpoint has already, or else its own,
    /// unless somebody has that pair. It needs filtering `apdf` and
    /// [`FilterMemory::Mapping`], which are what it comes to.
    DistinctRemotes,
    /// Always: every internal endpoint keeps its port, and answers go to whoever sent last. The
    /// fault that REQ-3 forbids.
    Always,
}

/// Blocks of ports that subscribers are given, so that logs stay short (RFC 7422, RFC 6888 §4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PortBlocks {
    /// Ports in a block.
    pub size: u16,
    /// Blocks that one subscriber may have.
    pub most: u16,
}

/// Which of a NAT's external addresses an internal address gets (RFC 4787 §4.1, REQ-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Pooling {
    /// Always the same one.
    #[default]
    Paired,
    /// Any, for each mapping anew.
    Arbitrary,
}

/// What refreshes a mapping's lifetime (RFC 4787 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Refresh {
    /// Packets from inside only.
    #[default]
    Outbound,
    /// Packets either way, as long as the filter lets them pass.
    BothWays,
    /// Packets from outside too, even those that the filter refuses: RFC 7857 §7 forbids it.
    RefusedToo,
}

/// How much a NAT remembers, and what it does when that is spent (RFC 6888 REQ-5, REQ-11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capacity {
    /// The most mappings.
    pub mappings: u32,
    /// What happens to the next one.
    pub when_full: WhenFull,
}

/// What a NAT whose table is full does with a packet that needs a new mapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WhenFull {
    /// Drops it; those that exist live on.
    Drop,
    /// Ends the mapping that would have expired first.
    EvictOldest,
}

/// What a NAT does with a packet from inside that is sent to its own external address (RFC 4787 §6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Hairpinning {
    /// Drops it.
    #[default]
    Off,
    /// Sends it back in, from the sender's external endpoint: what REQ-9a asks for.
    ExternalSource,
    /// Sends it back in, from the sender's internal endpoint: the receiver's answer then takes
    /// another way, and the sender doesn't know it. What REQ-9a forbids.
    InternalSource,
}

/// What a NAT does with ICMP errors about packets of its mappings (RFC 4787 REQ-12, RFC 5508).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum IcmpErrors {
    /// Translates them, both ways, and ends no mapping.
    #[default]
    Translated,
    /// Drops them.
    Dropped,
    /// Translates them and ends the mapping: the fault that REQ-12a forbids.
    EndMapping,
}

/// What a NAT does with fragments (RFC 4787 REQ-14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fragments {
    /// Lets them pass in any order: those that come before the first wait for it.
    AnyOrder {
        /// The most bytes that may wait.
        limit: u32,
    },
    /// Lets those pass that come after the first, and drops the others.
    InOrder,
    /// Drops them all.
    Dropped,
}

/// What a NAT does with a packet that is too long for the next link and must not be fragmented
/// (RFC 4787 REQ-13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TooBig {
    /// Tells the sender.
    #[default]
    Reported,
    /// Drops it in silence: a black hole.
    Silent,
}

/// What a NAT answers to a SYN from outside that nobody inside has asked for (RFC 5382 REQ-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UnsolicitedSyn {
    /// Nothing for this long, so that a SYN from inside can make it a simultaneous open; then ICMP
    /// port unreachable. Six seconds are the least that REQ-4 allows.
    Wait(Duration),
    /// Nothing, ever.
    Silence,
    /// A reset at once, which kills a simultaneous open. Forbidden.
    Reset,
}

/// When a NAT stops being what it looks like (RFC 4787 REQ-11 forbids it).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChangeOfMind {
    /// What makes it change.
    pub when: Conflict,
    /// How it maps from then on.
    pub mapping: Mapping,
    /// How it filters from then on.
    pub filtering: Filtering,
}

/// What makes a NAT change its mind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Conflict {
    /// A second internal endpoint wants a port that is taken: its own mappings, and only its, are
    /// of the other kind.
    PortTaken,
    /// So many mappings exist: all later ones are of the other kind.
    Mappings(u32),
}

/// Whether the router itself takes packets that nobody inside has asked for, as Linux does where
/// its own firewall accepts them.
///
/// Connection tracking knows no difference between forwarded packets and the router's own. A packet
/// that arrives first, unasked for, and is accepted claims its pair of endpoints; when a host
/// inside then sends to that remote endpoint, its port is taken and the mapping gets another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum RouterInput {
    /// Drops what belongs to no mapping, and remembers nothing of it.
    #[default]
    Drop,
    /// Accepts it: it is the router's own from then on, for the lifetime of what has no answer.
    /// Needs [`PortOverloading::DistinctRemotes`], for what is claimed is a pair of endpoints.
    Accept,
}

/// What a NAT is told to do.
///
/// ```
/// use pinhole::nat::{Hairpinning, NatConfig};
/// use pinhole::{Filtering, Mapping};
///
/// let mut symmetric = NatConfig::new(
///     Mapping::AddressAndPortDependent,
///     Filtering::AddressAndPortDependent,
/// );
/// symmetric.hairpinning = Hairpinning::ExternalSource;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatConfig {
    /// When a mapping is used again for another destination. Of UDP and of TCP.
    pub mapping: Mapping,
    /// Which packets from outside are let in. Of UDP and of TCP.
    pub filtering: Filtering,
    /// Whose past the filter remembers.
    pub filter_memory: FilterMemory,
    /// How external ports are picked.
    pub ports: PortAllocation,
    /// Whether an even port stays even and an odd one odd (REQ-4).
    pub port_parity: bool,
    /// Whether an internal port that follows one with a mapping gets the external port that follows
    /// that one's, as RTP and RTCP once needed (RFC 4787 §4.2.3).
    pub port_contiguity: bool,
    /// Whether external ports are shared.
    pub port_overloading: PortOverloading,
    /// The external ports that may be picked. Internal ports below 1024 are mapped below 1024
    /// whatever this says (REQ-3a), unless ports are given out in blocks.
    pub port_range: RangeInclusive<u16>,
    /// Blocks of ports for subscribers, in place of single ports.
    pub port_blocks: Option<PortBlocks>,
    /// How long a freed external port rests before anybody gets it (RFC 6888 REQ-8: 120 s).
    pub port_rest: Duration,
    /// The most mappings of one internal address, per protocol (RFC 6888 REQ-4).
    pub subscriber_limit: Option<u32>,
    /// Which external address an internal one gets.
    pub pooling: Pooling,
    /// Internal addresses that have an external one to themselves: no ports are translated, and
    /// everything passes the filter's rules as for any mapping.
    pub static_addresses: Vec<(Address, Address)>,
    /// Destinations to which packets go untranslated (RFC 6888 REQ-6).
    pub not_translated: Vec<Prefix>,
    /// How long what it remembers lives.
    pub lifetimes: Lifetimes,
    /// What refreshes mappings (REQ-6).
    pub refresh: Refresh,
    /// How many mappings it holds.
    pub capacity: Option<Capacity>,
    /// Whether a packet for which no port is left is answered with ICMP (type 3, code 1; RFC 6888
    /// REQ-11) or dropped in silence.
    pub reports_exhaustion: bool,
    /// What happens to packets from inside to the NAT's own address.
    pub hairpinning: Hairpinning,
    /// What happens to ICMP errors.
    pub icmp_errors: IcmpErrors,
    /// What happens to fragments.
    pub fragments: Fragments,
    /// What happens to packets that are too long for the next link.
    pub too_big: TooBig,
    /// What happens to TCP connections from outside.
    pub unsolicited_syn: UnsolicitedSyn,
    /// When it stops being what it looks like.
    pub change_of_mind: Option<ChangeOfMind>,
    /// Whether it looks for internal addresses in UDP payloads and rewrites them, as meddling
    /// gateways do (REQ-10): the reason why STUN has XOR-MAPPED-ADDRESS.
    pub rewrites_payloads: bool,
    /// Whether the router takes unasked-for packets for itself.
    pub router_input: RouterInput,
}

impl NatConfig {
    /// A NAT with these behaviours and this project's defaults for the rest: ports preserved by
    /// endpoint-independent mapping and random otherwise, drawn from 1024 to 65535; filter memory
    /// per internal endpoint; lifetimes as the RFCs ask, refreshed by outbound packets; paired
    /// pooling; no hairpinning; ICMP errors and fragments as the RFCs ask.
    pub fn new(mapping: Mapping, filtering: Filtering) -> Self {
        NatConfig {
            mapping,
            filtering,
            filter_memory: FilterMemory::default(),
            ports: match mapping {
                Mapping::EndpointIndependent => PortAllocation::PRESERVING,
                Mapping::AddressDependent | Mapping::AddressAndPortDependent => {
                    PortAllocation::Random
                }
            },
            port_parity: false,
            port_contiguity: false,
            port_overloading: PortOverloading::default(),
            port_range: 1024..=u16::MAX,
            port_blocks: None,
            port_rest: Duration::ZERO,
            subscriber_limit: None,
            pooling: Pooling::default(),
            static_addresses: Vec::new(),
            not_translated: Vec::new(),
            lifetimes: Lifetimes::default(),
            refresh: Refresh::default(),
            capacity: None,
            reports_exhaustion: false,
            hairpinning: Hairpinning::default(),
            icmp_errors: IcmpErrors::default(),
            fragments: Fragments::AnyOrder { limit: 256 * 1024 },
            too_big: TooBig::default(),
            unsolicited_syn: UnsolicitedSyn::Wait(Duration::from_secs(6)),
            change_of_mind: None,
            rewrites_payloads: false,
            router_input: RouterInput::default(),
        }
    }
}
