//! One endpoint of a call: gathers candidates, signals them, lets a production ICE stack find a
//! path, and sends data on it.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::nat64::Prefix64;
use pinhole::{Address, Datagram, Input, Io, Program, ProgramId, Time};

use super::data::{DATA_INTERVAL, Data, Side};
use super::wire::SharedWire;
use crate::ice::{
    Candidate, CandidateType, Guarded, IceAgent, IceEvent, Role, SignaledCandidate, Stack,
};
use crate::transport::{
    Description, Gathering, RestartPolicy, Servers, Signal, Taken, TurnConnection,
};

/// What an endpoint is told.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Which of the two it is. A calls, and is the one that restarts ICE.
    pub side: Side,
    /// What it believes that it is when the call begins.
    pub role: Role,
    /// Whether it makes an offer when the call begins. If both do, each takes the other's for the
    /// answer to its own.
    pub offers: bool,
    /// Its ICE stack.
    pub stack: Stack,
    /// What the stack's randomness is drawn from.
    pub seed: u64,
    /// The port that its first socket binds, if it is to be a certain one. After a restart it is
    /// another: the first one is still in use.
    pub port: Option<u16>,
    /// The servers to ask.
    pub servers: Servers,
    /// The prefix of its NAT64, if it has no IPv4 and makes up for that: it writes the other side's
    /// IPv4 candidates as IPv6 ones, and tells the other side its own that are IPv4.
    pub synthesize: Option<Prefix64>,
    /// Whether candidates are signaled as they are found, or all at once.
    pub trickle: bool,
    /// What a signal takes to the other side.
    pub signaling_delay: Duration,
    /// Where data is noted that goes through TCP connections.
    pub wire: SharedWire,
    /// Whether the call is to go on whatever happens to it, and when ICE is restarted then. `None`:
    /// all that counts is whether it connects.
    pub lasting: Option<RestartPolicy>,
}

/// Something worth telling, in an endpoint's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Milestone {
    /// It began to gather candidates.
    Began,
    /// It found a candidate of its own.
    Gathered(Candidate),
    /// It sent its offer or answer, with every candidate that it had found by then.
    Described,
    /// It learned a candidate of the other side.
    Learned(SignaledCandidate),
    /// It knows the other side's credentials: checks begin.
    Started,
    /// Its stack selected a pair.
    Selected {
        /// The address to send from.
        local: SocketAddr,
        /// The address to send to.
        remote: SocketAddr,
    },
    /// Its stack lost the pair.
    Disconnected,
    /// Its stack gave up.
    Failed,
    /// Its host's addresses changed.
    NetworkChanged,
    /// It asked the other side, which controls, to restart ICE.
    AskedForRestart,
    /// It restarted ICE: new credentials, new candidates.
    Restarted,
}

impl Milestone {
    /// Whether it belongs to how a call goes on, and not only to how it begins.
    pub(super) const fn is_of_the_course(&self) -> bool {
        match self {
            Milestone::Selected { .. }
            | Milestone::Disconnected
            | Milestone::Failed
            | Milestone::NetworkChanged
            | Milestone::AskedForRestart
            | Milestone::Restarted => true,
            Milestone::Began
            | Milestone::Gathered(_)
            | Milestone::Described
            | Milestone::Learned(_)
            | Milestone::Started => false,
        }
    }
}

/// One endpoint of a call.
pub struct Peer {
    config: PeerConfig,
    other: Option<ProgramId>,
    agent: Option<Guarded>,
    /// When the agent wants to be woken.
    agent_due: Option<Time>,
    gathering: Gathering,
    /// The sockets from before the last restart: data may use them until there is another pair.
    retired: Option<Gathering>,
    /// Candidates to be signaled with the description.
    untold: Vec<SignaledCandidate>,
    described: bool,
    /// It made an offer, or is about to, and has no answer yet.
    expects_answer: bool,
    /// A restart has become necessary before that answer.
    owes_restart: bool,
    /// The controlled side asked for a restart, and has no offer yet.
    asked: bool,
    selected: Option<(SocketAddr, SocketAddr)>,
    /// When a check was last answered on the selected pair.
    consented: Time,
    /// When it is to fall back on relays, if it hears nothing from the other side until then.
    falls_back: Option<Time>,
    /// Whether data came from the other side.
    heard: bool,
    /// Whether only relayed candidates count, after a pair turned out to be deaf.
    only_relays: bool,
    next_data: Option<Time>,
    sequence: u32,
    milestones: Vec<(Time, Milestone)>,
    failed: bool,
    hung_up: bool,
}

/// How long data may be sent on a pair after a check on it was last answered (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);

/// How long the controlling side waits for data on its first pair before it takes that for deaf and
/// restarts ICE with relayed candidates alone, where it has any: what applications do whose users
/// hear nothing.
///
/// A stack may select a pair that works for it alone. `is` does between two NATs with
/// address-and-port-dependent mapping: it takes answers from anywhere, and the other side, which
/// keeps to RFC 8445 §7.2.5.2.1, never selects anything.
pub const DEAFNESS: Duration = Duration::from_secs(5);

/// Leaves the port to the host.
const ANY_PORT: u16 = 0;

/// How an answer to a check begins (RFC 8489 §5).
const BINDING_SUCCESS: [u8; 2] = [1, 1];

/// What a call without trouble takes, so that noting it doesn't make memory grow step by step.
const USUAL_MILESTONES: usize = 12;

impl Peer {
    /// An endpoint that waits: A for the start of the run, B for A's offer.
    pub fn new(config: PeerConfig) -> Self {
        Peer {
            gathering: Gathering::default(),
            config,
            other: None,
            agent: None,
            agent_due: None,
            retired: None,
            expects_answer: false,
            owes_restart: false,
            asked: false,
            untold: Vec::new(),
            described: false,
            selected: None,
            consented: Time::ZERO,
            falls_back: None,
            heard: false,
            only_relays: false,
            next_data: None,
            sequence: 0,
            milestones: Vec::with_capacity(USUAL_MILESTONES),
            failed: false,
            hung_up: false,
        }
    }

    /// Names the program at the other end of the signaling channel.
    pub fn introduce(&mut self, other: ProgramId) {
        self.other = Some(other);
    }

    /// Ends the call on this side: it sends nothing more.
    pub fn hang_up(&mut self, io: &mut Io<'_>) {
        self.hung_up = true;
        io.wake_at(None);
    }

    /// Whether its stack gave up, or panicked.
    pub fn has_failed(&self) -> bool {
        self.failed || self.panic().is_some()
    }

    /// What its stack said when it panicked, if it did.
    pub fn panic(&self) -> Option<&str> {
        self.agent.as_ref()?.panic()
    }

    /// What happened to it, in order.
    pub fn milestones(&self) -> &[(Time, Milestone)] {
        &self.milestones
    }

    /// Its connections to TURN servers, over TCP and TLS.
    pub fn turn_connections(&self) -> impl Iterator<Item = &TurnConnection> {
        self.gathering.connections()
    }

    /// Its own candidates, as it gathered them.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.milestones
            .iter()
            .filter_map(|(_, milestone)| match milestone {
                Milestone::Gathered(candidate) => Some(*candidate),
                _ => None,
            })
    }

    fn note(&mut self, now: Time, milestone: Milestone) {
        self.milestones.push((now, milestone));
    }

    fn begin(&mut self, now: Time, io: &mut Io<'_>) {
        self.note(now, Milestone::Began);
        let PeerConfig { role, seed, .. } = self.config;
        let agent = self.config.stack.agent(now, role, seed);
        self.agent = Some(Guarded::new(agent));
        self.expects_answer = self.config.offers;
        let port = self.config.port.unwrap_or(ANY_PORT);
        self.gathering.begin(now, &self.config.servers, port, io);
        self.take_candidates(now, io);
    }

    /// Hands what was gathered to the stack, and what the stack wants signaled to the other side.
    fn take_candidates(&mut self, now: Time, io: &mut Io<'_>) {
        let Some(agent) = &mut self.agent else { return };
        while let Some(candidate) = self.gathering.poll_candidate() {
            self.milestones.push((now, Milestone::Gathered(candidate)));
            if self.only_relays && candidate.kind != CandidateType::Relayed {
                continue;
            }
            let signaled = agent.add_local_candidate(now, candidate);
            let in_its_place = || told_for_the_agent(&self.config, candidate);
            let Some(signaled) = signaled.or_else(in_its_place) else {
                continue;
            };
            if self.described {
                post(&self.config, self.other, io, Signal::Candidate(signaled));
            } else {
                self.untold.push(signaled);
            }
        }
        let ready = self.config.trickle || self.gathering.is_complete();
        if !self.described && ready {
            self.described = true;
            self.milestones.push((now, Milestone::Described));
            let candidates = std::mem::take(&mut self.untold);
            let credentials = agent.local_credentials();
            let description = Description {
                credentials,
                candidates,
            };
            let signal = if self.expects_answer {
                Signal::Offer(description)
            } else {
                Signal::Answer(description)
            };
            post(&self.config, self.other, io, signal);
        }
    }

    fn hear(&mut self, now: Time, signal: &Signal, io: &mut Io<'_>) {
        match signal {
            // Glare: it is as good as an answer.
            Signal::Answer(description) | Signal::Offer(description) if self.expects_answer => {
                self.expects_answer = false;
                self.learn(now, description);
                if std::mem::take(&mut self.owes_restart) {
                    self.restart(now, io);
                }
            }
            // Nobody asked.
            Signal::Answer(_) => {}
            Signal::Offer(description) => {
                self.asked = false;
                if self.agent.is_none() {
                    self.begin(now, io);
                } else {
                    self.restart(now, io);
                }
                self.learn(now, description);
            }
            // Before the answer it belongs to the pairs of before the restart.
            Signal::Candidate(_) if self.expects_answer => {}
            Signal::Candidate(candidate) => self.learn_candidate(now, *candidate),
            // An offer under way covers what it was wanted for.
            Signal::RestartWanted if self.expects_answer => {}
            Signal::RestartWanted => self.restart(now, io),
        }
    }

    /// Sees to it that ICE is restarted: by this side if it controls, else by the other.
    fn want_restart(&mut self, now: Time, io: &mut Io<'_>) {
        match self.config.side {
            _ if self.agent.is_none() => {}
            Side::A if self.expects_answer => self.owes_restart = true,
            Side::A => self.restart(now, io),
            Side::B if self.asked => {}
            Side::B => {
                self.asked = true;
                self.note(now, Milestone::AskedForRestart);
                post(&self.config, self.other, io, Signal::RestartWanted);
            }
        }
    }

    /// New credentials, new sockets, new candidates (RFC 8445 §9). Data goes on over the old pair,
    /// if that still works, until there is a new one.
    fn restart(&mut self, now: Time, io: &mut Io<'_>) {
        let Some(agent) = &mut self.agent else { return };
        agent.restart(now);
        self.note(now, Milestone::Restarted);
        self.expects_answer = self.config.side == Side::A;
        self.described = false;
        self.untold.clear();
        let old = std::mem::take(&mut self.gathering);
        if let Some(older) = self.retired.replace(old) {
            older.close(io);
        }
        self.gathering
            .begin(now, &self.config.servers, ANY_PORT, io);
        self.take_candidates(now, io);
    }

    /// Falls back on relays if the selected pair is deaf.
    fn mind_deafness(&mut self, now: Time, io: &mut Io<'_>) {
        if self.heard {
            self.falls_back = None;
        } else if self.falls_back.is_some_and(|due| due <= now) {
            self.falls_back = None;
            self.only_relays = true;
            self.want_restart(now, io);
        }
    }

    fn change_network(&mut self, now: Time, io: &mut Io<'_>) {
        self.note(now, Milestone::NetworkChanged);
        let addresses: Vec<Address> = io.addresses().collect();
        self.gathering.keep(&addresses);
        if let Some(retired) = &mut self.retired {
            retired.keep(&addresses);
        }
        let is_alive = |local: SocketAddr| {
            let is_relay = |gathering: &Gathering| gathering.relays(local);
            addresses.contains(&local.ip().into())
                || is_relay(&self.gathering)
                || self.retired.as_ref().is_some_and(is_relay)
        };
        if self.selected.is_some_and(|(local, _)| !is_alive(local)) {
            self.lose_pair();
        }
        let policy = self.config.lasting;
        if policy.is_some_and(|policy| policy.on_network_change) {
            self.want_restart(now, io);
        }
    }

    /// A restarted stack no longer asks for consent on the pair of before, which data still uses:
    /// that one's ends here.
    fn mind_consent(&mut self, now: Time) {
        let kept_by_the_stack = |agent: &Guarded| agent.selected_pair() == self.selected;
        if self.config.lasting.is_some()
            && self.selected.is_some()
            && !self.agent.as_ref().is_some_and(kept_by_the_stack)
            && now >= self.consented + CONSENT
        {
            self.lose_pair();
        }
    }

    /// No data may be sent until there is another pair.
    fn lose_pair(&mut self) {
        self.selected = None;
        self.next_data = None;
    }

    /// What a lasting call does when its stack reports a loss: RFC 7675 §5.1 has it stop sending on
    /// a pair that the stack no longer has.
    fn bear_loss(&mut self, now: Time, is_final: bool, io: &mut Io<'_>) {
        let Some(policy) = self.config.lasting else {
            return;
        };
        let has_pair = |agent: &Guarded| agent.selected_pair().is_some();
        if !self.agent.as_ref().is_some_and(has_pair) {
            self.lose_pair();
        }
        let was_connected = self
            .milestones
            .iter()
            .any(|(_, milestone)| matches!(milestone, Milestone::Selected { .. }));
        let wanted = if is_final {
            policy.on_failed
        } else {
            policy.on_disconnected
        };
        if wanted && was_connected && !self.expects_answer {
            self.want_restart(now, io);
        }
    }

    fn learn(&mut self, now: Time, description: &Description) {
        self.note(now, Milestone::Started);
        if let Some(agent) = &mut self.agent {
            agent.start(now, &description.credentials);
        }
        for candidate in &description.candidates {
            self.learn_candidate(now, *candidate);
        }
    }

    fn learn_candidate(&mut self, now: Time, candidate: SignaledCandidate) {
        self.note(now, Milestone::Learned(candidate));
        self.gathering.permit(now, candidate.address.ip());
        let synthesized = self.synthesized(candidate);
        if let Some(agent) = &mut self.agent {
            agent.add_remote_candidate(now, candidate);
            if let Some(synthesized) = synthesized {
                agent.add_remote_candidate(now, synthesized);
            }
        }
    }

    /// What a candidate is on this side's network, where that has only IPv6. The candidate itself
    /// stays: a relayed address of this side's is of IPv4 and reaches it.
    fn synthesized(&self, candidate: SignaledCandidate) -> Option<SignaledCandidate> {
        let prefix = self.config.synthesize?;
        let address = Address::from(candidate.address.ip());
        (address.is_ipv4() && prefix.may_hold(address)).then(|| SignaledCandidate {
            address: SocketAddr::new(prefix.embed(address).into(), candidate.address.port()),
            ..candidate
        })
    }

    fn receive(&mut self, now: Time, datagram: &Datagram<'_>, io: &mut Io<'_>) {
        let mut taken = self.gathering.handle_datagram(now, datagram);
        if let (Taken::No, Some(retired)) = (&taken, &mut self.retired) {
            taken = retired.handle_datagram(now, datagram);
        }
        let received = match taken {
            Taken::Yes => Ok(()),
            Taken::No => {
                let (local, remote) = (datagram.local, datagram.remote);
                self.receive_from_peer(now, local, remote, datagram.payload)
            }
            Taken::Relayed {
                local,
                remote,
                data,
            } => self.receive_from_peer(now, local, remote, data.bytes()),
        };
        if let Err(why) = received {
            io.reject(why);
        }
    }

    /// RFC 7983 §7: the first byte says whose a datagram is.
    fn receive_from_peer(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Result<(), &'static str> {
        match payload.first() {
            Some(0..=3) => {
                if payload.starts_with(&BINDING_SUCCESS) && self.selected == Some((local, remote)) {
                    self.consented = now;
                }
                let agent = self.agent.as_mut().ok_or("STUN before the call began")?;
                agent.handle_datagram(now, local, remote, payload);
                Ok(())
            }
            Some(128..=191) => match Data::from_bytes(payload) {
                Some(_) => {
                    self.heard = true;
                    Ok(())
                }
                None => Err("looks like RTP, but isn't this call's"),
            },
            _ => Err("neither STUN nor TURN nor media (RFC 7983)"),
        }
    }

    /// Takes what came out of connections to TURN servers, of this session and the one before.
    fn take_from_streams(&mut self, now: Time) {
        let next = |peer: &mut Peer| {
            let retired = peer.retired.as_mut();
            peer.gathering
                .poll_relayed()
                .or_else(|| retired.and_then(Gathering::poll_relayed))
        };
        while let Some(relayed) = next(self) {
            if let Some(data) = Data::from_bytes(&relayed.payload) {
                self.config.wire.came_out(now, data, relayed.through);
            }
            let (local, remote) = (relayed.local, relayed.remote);
            // There is no datagram to reject.
            let _ = self.receive_from_peer(now, local, remote, &relayed.payload);
        }
    }

    /// Lets everything that has something to send or to say do so.
    fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        // What the servers granted first: it may be a candidate.
        self.gathering.transmit(now, io);
        self.take_candidates(now, io);
        if let Some(agent) = &mut self.agent {
            while let Some(transmit) = agent.poll_transmit() {
                let (source, destination) = (transmit.source, transmit.destination);
                self.gathering
                    .send(now, source, destination, &transmit.payload, io);
            }
        }
        self.take_events(now, io);
        self.mind_consent(now);
        self.mind_deafness(now, io);
        if let Some((local, remote)) = self.selected
            && self.next_data.is_some_and(|due| due <= now)
        {
            let data = Data {
                sender: self.config.side,
                sequence: self.sequence,
            };
            self.sequence += 1;
            self.next_data = Some(now + DATA_INTERVAL);
            let by = match &mut self.retired {
                Some(retired) if retired.relays(local) => retired,
                _ => &mut self.gathering,
            };
            if let Some(through) = by.stream_under(local) {
                self.config.wire.went_in(data, through);
            }
            by.send(now, local, remote, &data.to_bytes(), io);
        }
        self.gathering.transmit(now, io);
        if let Some(retired) = &mut self.retired {
            retired.transmit(now, io);
        }
        self.agent_due = self
            .agent
            .as_mut()
            .and_then(|agent| agent.poll_timeout(now));
        let times = [
            self.agent_due,
            self.gathering.poll_timeout(),
            self.retired.as_ref().and_then(Gathering::poll_timeout),
            self.next_data,
            self.falls_back,
        ];
        io.wake_at(times.into_iter().flatten().min());
    }

    fn take_events(&mut self, now: Time, io: &mut Io<'_>) {
        while let Some(event) = self.agent.as_mut().and_then(|agent| agent.poll_event()) {
            match event {
                IceEvent::Selected { local, remote } => {
                    self.selected = Some((local, remote));
                    self.consented = now;
                    // At once: what changes is to be seen on the wire when it changes.
                    self.next_data = Some(now);
                    let may_fall_back = self.config.side == Side::A
                        && !self.only_relays
                        && !self.config.servers.turn.is_empty();
                    if may_fall_back && !self.heard {
                        self.falls_back.get_or_insert(now + DEAFNESS);
                    }
                    self.gathering.prefer(now, local, remote);
                    self.note(now, Milestone::Selected { local, remote });
                }
                IceEvent::Disconnected => {
                    self.note(now, Milestone::Disconnected);
                    self.bear_loss(now, false, io);
                }
                IceEvent::Failed => {
                    self.failed = true;
                    self.note(now, Milestone::Failed);
                    self.bear_loss(now, true, io);
                }
            }
        }
    }
}

/// The priority of a server-reflexive candidate of a host with one address (RFC 8445 §5.1.2.1).
const REFLEXIVE_PRIORITY: u32 = (100 << 24) | (65_535 << 8) | 255;

/// What an endpoint that knows of its NAT64 tells the other side although its agent has no use for
/// it: where a NAT64 sends what comes to that address. No agent sends from a reflexive candidate
/// (RFC 8445 §6.1.2.4), so it need not know one to be reached there.
fn told_for_the_agent(config: &PeerConfig, candidate: Candidate) -> Option<SignaledCandidate> {
    let Candidate {
        kind,
        address,
        base,
    } = candidate;
    let behind_nat64 = config.synthesize.is_some() && address.is_ipv4() && base.is_ipv6();
    (behind_nat64 && kind == CandidateType::ServerReflexive).then_some(SignaledCandidate {
        kind,
        address,
        priority: REFLEXIVE_PRIORITY,
    })
}

fn post(config: &PeerConfig, other: Option<ProgramId>, io: &mut Io<'_>, signal: Signal) {
    let other = other.expect("both ends of the channel are introduced before the run");
    io.post(other, config.signaling_delay, signal);
}

impl Program for Peer {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if self.hung_up {
            return;
        }
        match input {
            Input::Start => {
                if self.config.offers {
                    self.begin(now, io);
                }
            }
            Input::Message { content, .. } => {
                if let Some(signal) = content.downcast_ref() {
                    self.hear(now, signal, io);
                }
            }
            Input::Datagram(datagram) => self.receive(now, &datagram, io),
            Input::Wake => {
                self.gathering.handle_timeout(now);
                if let Some(retired) = &mut self.retired {
                    retired.handle_timeout(now);
                }
                // Not for the sake of data or of a server: a stack may act on a wake of its own only.
                if let Some(agent) = &mut self.agent
                    && self.agent_due.is_some_and(|due| due <= now)
                {
                    agent.handle_timeout(now);
                }
            }
            Input::Unreachable { local, remote, .. } => {
                self.gathering.handle_unreachable(local, remote);
                if let Some(retired) = &mut self.retired {
                    retired.handle_unreachable(local, remote);
                }
            }
            Input::Tcp { stream, event } => {
                self.gathering.handle_tcp(now, stream, event);
                if let Some(retired) = &mut self.retired {
                    retired.handle_tcp(now, stream, event);
                }
                self.take_from_streams(now);
            }
            Input::EchoReply(_) => {}
            Input::NetworkChanged => self.change_network(now, io),
        }
        self.pump(now, io);
    }
}
