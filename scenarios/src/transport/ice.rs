//! One ICE-connected transport.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::{Address, Datagram, Io, TcpEvent, TcpId, Time};

use super::gathering::{Gathering, Taken};
use super::servers::Servers;
use super::signaling::{Description, Signal};
use crate::call::DEAFNESS;
use crate::ice::{CandidateType, Guarded, IceAgent, IceEvent, Role, SignaledCandidate, Stack};
use crate::turn_client::PeerData;

/// What a transport is told when it is made.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Who makes the offer, and controls.
    pub role: Role,
    /// The ICE stack.
    pub stack: Stack,
    /// What the stack's randomness is drawn from.
    pub seed: u64,
    /// The servers to ask; none for a host that everybody reaches.
    pub servers: Servers,
}

/// What happens to a transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportEvent {
    /// Packets can be sent; or they go another way than before.
    Selected {
        /// From where.
        local: SocketAddr,
        /// To where.
        remote: SocketAddr,
        /// Whether over a TURN server of this side's.
        relayed: bool,
    },
    /// No packet can be sent until there is another pair.
    Lost,
    /// The stack gave up.
    Failed,
}

/// How long packets may be sent on a pair after a check on it was last answered (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// How an answer to a check begins (RFC 8489 §5).
const BINDING_SUCCESS: [u8; 2] = [1, 1];

/// The pair in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pair {
    local: SocketAddr,
    remote: SocketAddr,
    /// Whether it goes over a relay of this side's.
    relayed: bool,
}

/// One end of an ICE-connected transport.
pub struct IceTransport {
    config: TransportConfig,
    agent: Option<Guarded>,
    /// When the agent wants to be woken.
    agent_due: Option<Time>,
    gathering: Gathering,
    /// The sockets from before the last restart.
    retired: Option<Gathering>,
    described: bool,
    expects_answer: bool,
    owes_restart: bool,
    asked: bool,
    pair: Option<Pair>,
    was_connected: bool,
    consented: Time,
    /// Whether the other side's packets come.
    heard: bool,
    falls_back: Option<Time>,
    only_relays: bool,
    signals: VecDeque<Signal>,
    events: VecDeque<TransportEvent>,
}

/// What a datagram turned out to be.
pub(super) enum Received<'a> {
    /// The application's.
    Application(Bytes<'a>),
    /// This transport's own business.
    Handled,
    /// Nobody's.
    Refused(&'static str),
}

/// A packet's bytes, as they are or out of TURN's wrapping.
pub(super) enum Bytes<'a> {
    Bare(&'a [u8]),
    Relayed(PeerData<'a>),
}

impl Bytes<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Bytes::Bare(bytes) => bytes,
            Bytes::Relayed(data) => data.bytes(),
        }
    }
}

/// RFC 7983 §7: whether a datagram is RTP or RTCP.
const fn is_media(first: u8) -> bool {
    matches!(first, 128..=191)
}

impl IceTransport {
    /// A transport that waits for [`begin`](IceTransport::begin), or for an offer.
    pub fn new(config: TransportConfig) -> Self {
        IceTransport {
            config,
            agent: None,
            agent_due: None,
            gathering: Gathering::default(),
            retired: None,
            described: false,
            expects_answer: false,
            owes_restart: false,
            asked: false,
            pair: None,
            was_connected: false,
            consented: Time::ZERO,
            heard: false,
            falls_back: None,
            only_relays: false,
            signals: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    fn controls(&self) -> bool {
        self.config.role == Role::Controlling
    }

    /// Gathers candidates, and makes an offer if this is the controlling side.
    pub fn begin(&mut self, now: Time, io: &mut Io<'_>) {
        let agent = (self.config.stack).agent(now, self.config.role, self.config.seed);
        self.agent = Some(Guarded::new(agent));
        self.expects_answer = self.controls();
        self.gathering.begin(now, &self.config.servers, 0, io);
        self.pump(now, io);
    }

    /// What the stack said when it panicked, if it did.
    pub fn panic(&self) -> Option<&str> {
        self.agent.as_ref()?.panic()
    }

    /// Whether packets can be sent now.
    pub fn is_connected(&self) -> bool {
        self.pair.is_some()
    }

    /// Whether they go over a TURN server of this side's.
    pub fn is_relayed(&self) -> bool {
        self.pair.is_some_and(|pair| pair.relayed)
    }

    /// Whether packets go through a connection to a TURN server, over TCP or TLS.
    pub fn is_streamed(&mut self) -> bool {
        let Some(pair) = self.pair.filter(|pair| pair.relayed) else {
            return false;
        };
        let by = match &mut self.retired {
            Some(retired) if retired.relays(pair.local) => retired,
            _ => &mut self.gathering,
        };
        by.stream_under(pair.local).is_some()
    }

    /// The ports of its sockets: of now, and of before the last restart.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        let retired = self.retired.as_ref().map(Gathering::port);
        let ports = [Some(self.gathering.port()), retired];
        ports.into_iter().flatten().filter(|port| *port != 0)
    }

    /// Whether that is one of its connections to TURN servers.
    pub(super) fn holds(&self, stream: TcpId) -> bool {
        let retired = self.retired.as_ref();
        self.gathering.holds(stream) || retired.is_some_and(|it| it.holds(stream))
    }

    /// The next thing to tell the other side.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// The other side told something.
    pub fn hear(&mut self, now: Time, signal: &Signal, io: &mut Io<'_>) {
        match signal {
            Signal::Offer(description) => {
                self.asked = false;
                if self.agent.is_none() {
                    self.begin(now, io);
                } else {
                    self.restart(now, io);
                }
                self.learn(now, description);
            }
            Signal::Answer(description) => {
                self.expects_answer = false;
                self.learn(now, description);
                if std::mem::take(&mut self.owes_restart) {
                    self.restart(now, io);
                }
            }
            // Before the answer it belongs to the pairs of before the restart.
            Signal::Candidate(_) if self.expects_answer => {}
            Signal::Candidate(candidate) => self.learn_candidate(now, *candidate),
            // An offer under way covers what it was wanted for.
            Signal::RestartWanted if self.expects_answer => {}
            Signal::RestartWanted => self.restart(now, io),
        }
        self.pump(now, io);
    }

    /// Sends a packet on the pair in use. Returns whether there was one.
    pub fn send(&mut self, now: Time, payload: &[u8], io: &mut Io<'_>) -> bool {
        let Some(pair) = self.pair else {
            return false;
        };
        if !pair.relayed {
            io.send(pair.local, pair.remote, payload);
            return true;
        }
        let by = match &mut self.retired {
            Some(retired) if retired.relays(pair.local) => retired,
            _ => &mut self.gathering,
        };
        by.send(now, pair.local, pair.remote, payload, io);
        by.transmit(now, io);
        true
    }

    /// A datagram came in on one of its ports.
    pub(super) fn receive<'a>(&mut self, now: Time, datagram: &Datagram<'a>) -> Received<'a> {
        // The path of almost every packet.
        if datagram.payload.first().copied().is_some_and(is_media) {
            self.heard = true;
            return Received::Application(Bytes::Bare(datagram.payload));
        }
        let mut taken = self.gathering.handle_datagram(now, datagram);
        if let (Taken::No, Some(retired)) = (&taken, &mut self.retired) {
            taken = retired.handle_datagram(now, datagram);
        }
        match taken {
            Taken::Yes => Received::Handled,
            Taken::No => {
                let (local, remote) = (datagram.local, datagram.remote);
                self.take_stun(now, local, remote, datagram.payload)
            }
            Taken::Relayed {
                local,
                remote,
                data,
            } => {
                if data.bytes().first().copied().is_some_and(is_media) {
                    self.heard = true;
                    return Received::Application(Bytes::Relayed(data));
                }
                match self.take_stun(now, local, remote, data.bytes()) {
                    Received::Refused(why) => Received::Refused(why),
                    _ => Received::Handled,
                }
            }
        }
    }

    fn take_stun(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Received<'static> {
        if !matches!(payload.first(), Some(0..=3)) {
            return Received::Refused("neither STUN nor TURN nor media (RFC 7983)");
        }
        let in_use = |pair: Pair| (pair.local, pair.remote) == (local, remote);
        if payload.starts_with(&BINDING_SUCCESS) && self.pair.is_some_and(in_use) {
            self.consented = now;
        }
        match &mut self.agent {
            Some(agent) => {
                agent.handle_datagram(now, local, remote, payload);
                Received::Handled
            }
            None => Received::Refused("STUN before the call began"),
        }
    }

    /// Something happened to a connection of its. Packets that came out of it go to `application`.
    pub(super) fn handle_tcp(
        &mut self,
        now: Time,
        stream: TcpId,
        event: TcpEvent<'_>,
        application: &mut impl FnMut(Vec<u8>),
    ) {
        self.gathering.handle_tcp(now, stream, event);
        if let Some(retired) = &mut self.retired {
            retired.handle_tcp(now, stream, event);
        }
        let next = |transport: &mut IceTransport| {
            let retired = transport.retired.as_mut();
            let of_now = transport.gathering.poll_relayed();
            of_now.or_else(|| retired.and_then(Gathering::poll_relayed))
        };
        while let Some(relayed) = next(self) {
            if relayed.payload.first().copied().is_some_and(is_media) {
                self.heard = true;
                application(relayed.payload);
            } else {
                // There is no datagram to refuse.
                self.take_stun(now, relayed.local, relayed.remote, &relayed.payload);
            }
        }
    }

    /// ICMP says that nobody is at `remote`.
    pub(super) fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        self.gathering.handle_unreachable(local, remote);
        if let Some(retired) = &mut self.retired {
            retired.handle_unreachable(local, remote);
        }
    }

    /// The time that [`poll_timeout`](IceTransport::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.gathering.handle_timeout(now);
        if let Some(retired) = &mut self.retired {
            retired.handle_timeout(now);
        }
        if let Some(agent) = &mut self.agent
            && self.agent_due.is_some_and(|due| due <= now)
        {
            agent.handle_timeout(now);
        }
    }

    /// The host's addresses are others now.
    pub fn change_network(&mut self, now: Time, io: &mut Io<'_>) {
        let addresses: Vec<Address> = io.addresses().collect();
        self.gathering.keep(&addresses);
        if let Some(retired) = &mut self.retired {
            retired.keep(&addresses);
        }
        if let Some(pair) = self.pair {
            let relays = |gathering: &Gathering| gathering.relays(pair.local);
            let alive = addresses.contains(&pair.local.ip().into())
                || relays(&self.gathering)
                || self.retired.as_ref().is_some_and(relays);
            if !alive {
                self.lose_pair();
            }
        }
        self.want_restart(now, io);
        self.pump(now, io);
    }

    /// Sees to it that ICE is restarted: by this side if it controls, else by the other.
    fn want_restart(&mut self, now: Time, io: &mut Io<'_>) {
        if self.agent.is_none() {
        } else if !self.controls() {
            if !std::mem::replace(&mut self.asked, true) {
                self.signals.push_back(Signal::RestartWanted);
            }
        } else if self.expects_answer {
            self.owes_restart = true;
        } else {
            self.restart(now, io);
        }
    }

    /// New credentials, new sockets, new candidates (RFC 8445 §9).
    fn restart(&mut self, now: Time, io: &mut Io<'_>) {
        let Some(agent) = &mut self.agent else { return };
        agent.restart(now);
        self.expects_answer = self.controls();
        self.described = false;
        let old = std::mem::take(&mut self.gathering);
        if let Some(older) = self.retired.replace(old) {
            older.close(io);
        }
        self.gathering.begin(now, &self.config.servers, 0, io);
    }

    fn learn(&mut self, now: Time, description: &Description) {
        if let Some(agent) = &mut self.agent {
            agent.start(now, &description.credentials);
        }
        for candidate in &description.candidates {
            self.learn_candidate(now, *candidate);
        }
    }

    fn learn_candidate(&mut self, now: Time, candidate: SignaledCandidate) {
        self.gathering.permit(now, candidate.address.ip());
        if let Some(agent) = &mut self.agent {
            agent.add_remote_candidate(now, candidate);
        }
    }

    fn lose_pair(&mut self) {
        if self.pair.take().is_some() {
            self.events.push_back(TransportEvent::Lost);
        }
    }

    /// Lets everything that has something to send or to say do so.
    pub fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        // What the servers granted first: it may be a candidate.
        self.gathering.transmit(now, io);
        self.take_candidates(now);
        if let Some(agent) = &mut self.agent {
            while let Some(transmit) = agent.poll_transmit() {
                let (source, destination) = (transmit.source, transmit.destination);
                (self.gathering).send(now, source, destination, &transmit.payload, io);
            }
        }
        self.take_events(now, io);
        self.mind_consent(now);
        self.mind_deafness(now, io);
        self.gathering.transmit(now, io);
        if let Some(retired) = &mut self.retired {
            retired.transmit(now, io);
        }
        let due = self.agent.as_mut().and_then(|it| it.poll_timeout(now));
        self.agent_due = due;
    }

    /// When to call [`handle_timeout`](IceTransport::handle_timeout), and then
    /// [`pump`](IceTransport::pump).
    pub fn poll_timeout(&self) -> Option<Time> {
        let times = [
            self.agent_due,
            self.gathering.poll_timeout(),
            self.retired.as_ref().and_then(Gathering::poll_timeout),
            self.falls_back,
        ];
        times.into_iter().flatten().min()
    }

    /// Hands what was gathered to the stack, and what the stack wants signaled to the other side.
    fn take_candidates(&mut self, now: Time) {
        let Some(agent) = &mut self.agent else { return };
        let mut known = Vec::new();
        while let Some(candidate) = self.gathering.poll_candidate() {
            if self.only_relays && candidate.kind != CandidateType::Relayed {
                continue;
            }
            known.extend(agent.add_local_candidate(now, candidate));
        }
        if self.described {
            let signals = known.into_iter().map(Signal::Candidate);
            self.signals.extend(signals);
            return;
        }
        self.described = true;
        let description = Description {
            credentials: agent.local_credentials(),
            candidates: known,
        };
        self.signals.push_back(match self.config.role {
            Role::Controlling => Signal::Offer(description),
            Role::Controlled => Signal::Answer(description),
        });
    }

    fn take_events(&mut self, now: Time, io: &mut Io<'_>) {
        while let Some(event) = self.agent.as_mut().and_then(|agent| agent.poll_event()) {
            match event {
                IceEvent::Selected { local, remote } => {
                    let relayed = self.gathering.relays(local);
                    self.pair = Some(Pair {
                        local,
                        remote,
                        relayed,
                    });
                    self.was_connected = true;
                    self.consented = now;
                    let may_fall_back = self.controls()
                        && !self.only_relays
                        && !self.config.servers.turn.is_empty();
                    if may_fall_back && !self.heard {
                        self.falls_back.get_or_insert(now + DEAFNESS);
                    }
                    self.gathering.prefer(now, local, remote);
                    self.events.push_back(TransportEvent::Selected {
                        local,
                        remote,
                        relayed,
                    });
                }
                IceEvent::Disconnected => self.bear_loss(now, io),
                IceEvent::Failed => {
                    self.events.push_back(TransportEvent::Failed);
                    self.bear_loss(now, io);
                }
            }
        }
    }

    /// RFC 7675 §5.1 has packets stop on a pair that the stack no longer has.
    fn bear_loss(&mut self, now: Time, io: &mut Io<'_>) {
        let has_pair = |agent: &Guarded| agent.selected_pair().is_some();
        if !self.agent.as_ref().is_some_and(has_pair) {
            self.lose_pair();
        }
        if self.was_connected && !self.expects_answer {
            self.want_restart(now, io);
            self.take_candidates(now);
        }
    }

    /// A restarted stack no longer asks for consent on the pair of before, which packets still use:
    /// that one's ends here.
    fn mind_consent(&mut self, now: Time) {
        let Some(pair) = self.pair else { return };
        let kept = |agent: &Guarded| agent.selected_pair() == Some((pair.local, pair.remote));
        if now >= self.consented + CONSENT && !self.agent.as_ref().is_some_and(kept) {
            self.lose_pair();
        }
    }

    /// Falls back on relays if the selected pair is deaf. See [`DEAFNESS`].
    fn mind_deafness(&mut self, now: Time, io: &mut Io<'_>) {
        if self.heard {
            self.falls_back = None;
        } else if self.falls_back.is_some_and(|due| due <= now) {
            self.falls_back = None;
            self.only_relays = true;
            self.want_restart(now, io);
            self.take_candidates(now);
        }
    }
}
