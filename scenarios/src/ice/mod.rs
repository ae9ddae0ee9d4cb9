//! Production ICE stacks (RFC 8445) behind one trait, one file each, unmodified.
//!
//! A stack is an *agent*: it forms pairs, sends checks, nominates. It gathers nothing and owns no
//! socket; whoever holds it hands it time, datagrams and candidates, and carries out what it
//! answers. Every method is deterministic given its arguments and the seed the agent was made with.
//!
//! Candidates are UDP's. Both stacks know TCP candidates (RFC 6544) by name, pair them with their
//! like and would check them; neither gathers any, opens or accepts a connection for one, or frames
//! what goes through it (RFC 4571). All of that would be the holder's, and isn't done here.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pinhole::Time;

mod crypto;
mod guard;
pub(crate) mod is;
pub(crate) mod random;
mod rtc;
mod stack;
#[cfg(test)]
mod tests;

pub use guard::{Guarded, in_a_stack, is_in_a_stack};
pub use stack::{Stack, UnknownStack};

/// What virtual time zero is on the clock of every stack.
///
/// Both stacks want [`Instant`]s and only ever subtract them, so the value itself never shows. It
/// lies a day ahead because `is` also counts backwards from "now", and an `Instant` may not go
/// below the machine's boot.
///
/// Some of str0m looks at it all the same: sender reports carry the wall clock's time, of which
/// receivers return a 65,536th of a second's multiples (RFC 3550 §6.4.1), so that a measured round
/// trip is rounded otherwise at another fraction of a second. So the wall clock shows a whole second
/// here, as near as two clocks can be read at once.
pub(crate) static EPOCH: LazyLock<Instant> = LazyLock::new(|| {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let since_1970 = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = Duration::from_nanos(since_1970.subsec_nanos().into());
    now + Duration::from_hours(24) - fraction
});

/// The four candidate types of RFC 8445 §5.1.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum CandidateType {
    /// An address of the host's own interface.
    Host,
    /// The address a STUN server saw (RFC 8445: server-reflexive).
    ServerReflexive,
    /// An address that was learned from a check, and never signaled.
    PeerReflexive,
    /// An address on a TURN server.
    Relayed,
}

impl CandidateType {
    /// The token of the candidate attribute (RFC 8839 §5.1): `host`, `srflx`, `prflx`, `relay`.
    pub fn token(self) -> &'static str {
        match self {
            CandidateType::Host => "host",
            CandidateType::ServerReflexive => "srflx",
            CandidateType::PeerReflexive => "prflx",
            CandidateType::Relayed => "relay",
        }
    }
}

/// A UDP candidate of one's own side, as it was gathered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Candidate {
    /// What kind of address this is.
    pub kind: CandidateType,
    /// The transport address checks are sent to.
    pub address: SocketAddr,
    /// The base (RFC 8445 §5.1.1): the local address checks are sent from. Equal to `address` for
    /// host and relayed candidates.
    pub base: SocketAddr,
}

/// A candidate as the peer learns of it, in an offer, an answer or a trickled candidate.
///
/// The base stays at home. The priority travels: it is what the stack that owns the candidate
/// computed (RFC 8445 §5.1.2), and both sides must order their pairs by the same numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SignaledCandidate {
    /// What kind of address this is.
    pub kind: CandidateType,
    /// The transport address checks are sent to.
    pub address: SocketAddr,
    /// The priority its owner gave it.
    pub priority: u32,
}

/// Username fragment and password of one side (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The username fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
}

/// Who nominates (RFC 8445 §6.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Nominates the pair.
    Controlling,
    /// Accepts the nomination.
    Controlled,
}

/// A datagram that a stack wants sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The local address to send from: a host candidate's address, or a relayed candidate's, in
    /// which case the datagram goes through the TURN client that holds it.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// What.
    pub payload: Vec<u8>,
}

/// What a stack reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IceEvent {
    /// This pair is to be used for data from now on. Comes again when the stack changes to another
    /// pair, and when it is back after [`Disconnected`](IceEvent::Disconnected).
    Selected {
        /// The local address to send from: a host address or a relayed one (the *base*).
        local: SocketAddr,
        /// The remote address to send to.
        remote: SocketAddr,
    },
    /// The stack had a working pair and lost it; it may come back.
    Disconnected,
    /// The stack gave up.
    Failed,
}

/// One agent of one production stack.
///
/// The holder calls [`start`](IceAgent::start) once, and once more after each
/// [`restart`](IceAgent::restart), feeds candidates as they come, and after every
/// call that takes `now` drains [`poll_transmit`](IceAgent::poll_transmit) and
/// [`poll_event`](IceAgent::poll_event), then asks [`poll_timeout`](IceAgent::poll_timeout).
pub trait IceAgent: Send {
    /// This side's credentials, to be signaled.
    fn local_credentials(&self) -> Credentials;

    /// Both sides' credentials are known: checks may begin.
    fn start(&mut self, now: Time, remote: &Credentials);

    /// Restarts ICE (RFC 8445 §9): new credentials, to be signaled; candidates, pairs and the other
    /// side's credentials are forgotten. The role stays. Candidates are added and
    /// [`start`](IceAgent::start) is called as for a new agent.
    fn restart(&mut self, now: Time);

    /// The pair that the stack has right now. `None` before it selected one, after it lost it for
    /// good, and after a restart until there is another: data may not be sent on a pair that the
    /// stack no longer has (RFC 7675 §5.1).
    fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)>;

    /// Adds a candidate of this side. Returns what to signal of it, or `None` where the stack has
    /// no use for it (a duplicate, say), in which case it isn't worth signaling.
    fn add_local_candidate(&mut self, now: Time, candidate: Candidate)
    -> Option<SignaledCandidate>;

    /// Adds a candidate that the peer signaled. May come before [`start`](IceAgent::start).
    fn add_remote_candidate(&mut self, now: Time, candidate: SignaledCandidate);

    /// A STUN datagram arrived on `local` (a host address, or a relayed one if it came through the
    /// TURN client) from `remote`.
    fn handle_datagram(&mut self, now: Time, local: SocketAddr, remote: SocketAddr, payload: &[u8]);

    /// The time that [`poll_timeout`](IceAgent::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Time);

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next thing to report.
    fn poll_event(&mut self) -> Option<IceEvent>;

    /// When to call [`handle_timeout`](IceAgent::handle_timeout). Never earlier than `now`.
    fn poll_timeout(&mut self, now: Time) -> Option<Time>;
}
