//! One end of one connection: an `Rtc`, the sockets and relays it sends through, and its half of the
//! negotiation.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::{Address, Datagram, Io, TcpEvent, TcpId, Time};
use rustc_hash::FxHashMap;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid, Simulcast};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Candidate as IceCandidate, Event, Input, PacerReason, Reason, Rtc, RtcConfig};

use super::crypto::PROVIDER;
use super::run::RTX;
use super::signal::Signal;
use super::stack::{NEVER, drain, sort_requests, wake};
use crate::conference::meter::Meter;
use crate::conference::plan::Place;
use crate::ice::is::made;
use crate::ice::random::OwnRandom;
use crate::ice::{EPOCH, in_a_stack};
use crate::transport::{ANY_PORT, Servers, Sockets, Taken};

/// What a connection is told.
#[derive(Clone)]
pub struct Terms {
    /// Who counts what goes through TCP connections to TURN servers, and for whom.
    pub tap: Option<(Meter, Place)>,
    /// The servers to ask for candidates.
    pub servers: Servers,
    /// Whether candidates are signaled as they are found, or all with the description.
    pub trickle: bool,
    /// What all randomness is drawn from.
    pub seed: u64,
}

/// How often the stack may want to be woken at one moment: a burst of packets takes one each.
const MOST_WAKES: usize = 10_000;

/// How long the stack may rest after a packet, before it looks for what it wants to do by itself.
const REST: Duration = Duration::from_millis(2);

/// One end of a connection.
pub struct Connection {
    /// `None` after it panicked.
    rtc: Option<Rtc>,
    random: OwnRandom,
    terms: Terms,
    sockets: Sockets,
    negotiation: Negotiation,
    /// The names of the media lines, in the order of offer and answer.
    mids: Vec<Mid>,
    /// The candidates in use, as they were added.
    locals: Vec<IceCandidate>,
    /// The addresses and ports of the pair that media was sent on last.
    pair: Option<(SocketAddr, SocketAddr)>,
    due: Option<Time>,
    sockets_due: Option<Time>,
    /// Something was given to a server's client, or came from it.
    stirred: bool,
    outgoing: VecDeque<Transmit>,
    events: VecDeque<Event>,
    signals: VecDeque<Signal>,
    failure: Option<String>,
    /// The highest sequence number of each stream that came.
    highest: FxHashMap<u32, u16>,
    repaired: Option<Time>,
}

/// A media line to be offered.
#[derive(Clone, Debug)]
pub struct Line {
    /// Audio or video.
    pub kind: MediaKind,
    /// Which way media goes.
    pub direction: Direction,
    /// The layers, where there are several.
    pub simulcast: Option<Simulcast>,
}

/// How far offer and answer are.
enum Negotiation {
    /// This end has lines to offer, once it has gathered what it wants to tell with them.
    ToOffer(Vec<Line>),
    /// This end has a restart of ICE to offer.
    ToRestart,
    /// This end made an offer and waits for the answer. Where ICE restarts, candidates that are found
    /// meanwhile belong to the new user fragment.
    Offered(SdpPendingOffer, Option<String>),
    /// This end makes offers, and has none under way.
    Offers,
    /// This end has an offer to answer, once it has gathered what it wants to tell with that.
    ToAnswer(SdpOffer),
    /// This end answers, and has answered.
    Answers,
}

impl Connection {
    /// The end that offers these lines.
    pub fn offering(
        now: Time,
        config: RtcConfig,
        terms: Terms,
        lines: Vec<Line>,
        io: &mut Io<'_>,
    ) -> Self {
        Self::new(now, config, terms, Negotiation::ToOffer(lines), io)
    }

    /// The end that answers this offer.
    ///
    /// # Errors
    ///
    /// It isn't one.
    pub fn answering(
        now: Time,
        config: RtcConfig,
        terms: Terms,
        offer: &str,
        io: &mut Io<'_>,
    ) -> Result<Self, String> {
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|error| error.to_string())?;
        let mut connection = Self::new(now, config, terms, Negotiation::ToAnswer(parsed), io);
        connection.permit_all(now, offer);
        Ok(connection)
    }

    fn new(
        now: Time,
        config: RtcConfig,
        terms: Terms,
        negotiation: Negotiation,
        io: &mut Io<'_>,
    ) -> Self {
        let mut random = OwnRandom::new(terms.seed);
        let config = config
            .set_crypto_provider(PROVIDER.clone())
            // Nobody here asks what has paused; being woken for it would depend on the map's order.
            .set_pause_threshold(NEVER);
        let made = random.lend(|| in_a_stack(|| config.build(now.to_instant(*EPOCH))));
        let (rtc, failure) = match made {
            Ok(rtc) => (Some(rtc), None),
            Err(panic) => (None, Some(panic)),
        };
        let mut connection = Connection {
            rtc,
            random,
            terms,
            sockets: Sockets::default(),
            negotiation,
            mids: Vec::new(),
            locals: Vec::new(),
            pair: None,
            due: None,
            sockets_due: None,
            stirred: true,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            signals: VecDeque::new(),
            failure,
            highest: FxHashMap::default(),
            repaired: None,
        };
        connection.handle_timeout(now);
        let sockets = connection.sockets.current_mut();
        sockets.begin(now, &connection.terms.servers, ANY_PORT, io);
        connection
    }

    /// What went wrong with the stack, if something did: it can do nothing more.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The names of the media lines, in the order of offer and answer.
    pub fn mids(&self) -> &[Mid] {
        &self.mids
    }

    /// When a packet of media came last that had been missing.
    pub fn repaired(&self) -> Option<Time> {
        self.repaired
    }

    /// Whether a datagram is media that comes after what was sent later: again, or very late. RTP's
    /// header isn't encrypted.
    fn is_repair(&mut self, datagram: &[u8]) -> bool {
        let [0x80..=0xbf, kind, high, low, _, _, _, _, ssrc @ ..] = datagram else {
            return false;
        };
        // Not RTCP (RFC 5761 §4).
        let (false, Some(ssrc)) = ((192..=223).contains(kind), ssrc.first_chunk()) else {
            return false;
        };
        if kind & 0x7f == RTX {
            return true;
        }
        let sequence = u16::from_be_bytes([*high, *low]);
        let highest = self
            .highest
            .entry(u32::from_be_bytes(*ssrc))
            .or_insert(sequence);
        let is_older = (sequence.wrapping_sub(*highest) as i16) < 0;
        if !is_older {
            *highest = sequence;
        }
        is_older
    }

    /// The local and the remote address of the pair that media is sent on.
    pub fn pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.pair
    }

    /// Its ports, of the session now and the one before.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.sockets.ports()
    }

    /// Reads the stack.
    pub fn rtc(&self) -> Option<&Rtc> {
        self.rtc.as_ref()
    }

    /// Calls into the stack, and takes all that it has to say to that.
    ///
    /// What it wants to be woken for at once it does at once. That keeps a run repeatable: str0m looks
    /// at its streams in the order of a map with random keys, and where only one of them has something
    /// to do any order is the same.
    pub fn act<R>(&mut self, now: Time, act: impl FnOnce(&mut Rtc) -> R) -> Option<R> {
        let rtc = self.rtc.as_mut()?;
        let (outgoing, events, due) = (&mut self.outgoing, &mut self.events, &mut self.due);
        let instant = now.to_instant(*EPOCH);
        let acted = self.random.lend(|| {
            in_a_stack(|| {
                let answer = act(rtc);
                for _ in 0..MOST_WAKES {
                    let next = drain(rtc, outgoing, events).map_err(|error| error.to_string())?;
                    let next = wake(next, now);
                    *due = next;
                    if next != Some(now) {
                        return Ok(answer);
                    }
                    let woken = rtc.handle_input(Input::Timeout(instant));
                    woken.map_err(|error| error.to_string())?;
                }
                Err(format!("it wants to be woken at {now} again and again"))
            })
        });
        sort_requests(events.make_contiguous());
        match acted.and_then(|answer| answer) {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.rtc = None;
                self.due = None;
                self.failure = Some(why);
                None
            }
        }
    }

    /// Writes one packet that isn't paced, and takes it out of the stack.
    ///
    /// After each packet the stack wants to be woken a microsecond later, to look whether there is
    /// another. A forwarder writes the next itself, and looking at every stream takes the stack most of
    /// its time: it is woken `REST` later, or when something else was due before.
    pub fn write(&mut self, now: Time, write: impl FnOnce(&mut Rtc)) {
        let before = self.due;
        let instant = now.to_instant(*EPOCH);
        let written = self.act(now, |rtc| {
            write(rtc);
            rtc.handle_input(Input::Timeout(instant))
        });
        self.note(written);
        let reason = self.rtc.as_ref().map(Rtc::last_timeout_reason);
        if reason == Some(Reason::Pacer(PacerReason::Immediate)) {
            let rested = now + REST;
            self.due = Some(before.map_or(rested, |due| due.clamp(now, rested)));
        }
    }

    /// The next event of the stack.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next signal for the other end.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// When to call [`handle_timeout`](Connection::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        let times = [self.due, self.sockets_due];
        times.into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.sockets_due.is_some_and(|due| due <= now) {
            self.stirred = true;
            self.sockets.handle_timeout(now);
        }
        // Before its first one the stack knows no time, and asks for none.
        if self.due.is_none_or(|due| due <= now) {
            self.act(now, |rtc| {
                rtc.handle_input(Input::Timeout(now.to_instant(*EPOCH)))
            });
        }
    }

    /// A datagram came to one of its ports.
    ///
    /// # Errors
    ///
    /// Nobody here has a use for it, for this reason.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &Datagram<'_>,
    ) -> Result<(), &'static str> {
        match self.sockets.handle_datagram(now, datagram) {
            Taken::Yes => {
                self.stirred = true;
                Ok(())
            }
            Taken::No => self.receive(now, datagram.local, datagram.remote, datagram.payload),
            Taken::Relayed {
                local,
                remote,
                data,
            } => self.receive(now, local, remote, data.bytes()),
        }
    }

    /// Something happened to a TCP connection of its host.
    pub fn handle_tcp(&mut self, now: Time, stream: TcpId, event: TcpEvent<'_>) {
        self.stirred = true;
        self.sockets.handle_tcp(now, stream, event);
        while let Some(relayed) = self.sockets.poll_relayed() {
            if let Some((meter, place)) = &self.terms.tap {
                meter.through_stream(now, *place, false, &relayed.payload);
            }
            // There is no datagram to reject.
            let _ = self.receive(now, relayed.local, relayed.remote, &relayed.payload);
        }
    }

    fn receive(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Result<(), &'static str> {
        let received = Receive::new(Protocol::Udp, remote, local, payload);
        let received = received.map_err(|_| "neither STUN nor DTLS nor media (RFC 7983)")?;
        if self.is_repair(payload) {
            self.repaired = Some(now);
        }
        let input = Input::Receive(now.to_instant(*EPOCH), received);
        // What it can't decrypt or parse it drops by itself.
        self.act(now, |rtc| rtc.handle_input(input))
            .ok_or("the stack that it is for has failed")?
            .map_err(|_| "the stack refused it")
    }

    /// ICMP says that nobody is at `remote`.
    pub fn handle_unreachable(&mut self, local: SocketAddr, remote: SocketAddr) {
        self.stirred = true;
        self.sockets.handle_unreachable(local, remote);
    }

    /// The host has other addresses now. The end that makes offers restarts ICE; the other asks it to.
    pub fn change_network(&mut self, now: Time, io: &mut Io<'_>) {
        let addresses: Vec<Address> = io.addresses().collect();
        self.sockets.keep(&addresses);
        self.regather(now, io);
        match self.negotiation {
            Negotiation::Offers | Negotiation::Offered(..) => {
                self.negotiation = Negotiation::ToRestart;
            }
            Negotiation::Answers => self.signals.push_back(Signal::RestartWanted),
            Negotiation::ToOffer(_) | Negotiation::ToRestart | Negotiation::ToAnswer(_) => {}
        }
    }

    /// New sockets, new candidates; the old ones are not tried any more.
    fn regather(&mut self, now: Time, io: &mut Io<'_>) {
        for old in std::mem::take(&mut self.locals) {
            self.act(now, |rtc| rtc.direct_api().invalidate_candidate(&old));
        }
        self.sockets.renew(now, &self.terms.servers, io);
        self.stirred = true;
    }

    /// The other end told something.
    pub fn hear(&mut self, now: Time, signal: &Signal) {
        match signal {
            Signal::Offer(offer) => {
                // An offer that can't be read is answered by nothing.
                if let Ok(parsed) = SdpOffer::from_sdp_string(offer) {
                    self.negotiation = Negotiation::ToAnswer(parsed);
                    self.permit_all(now, offer);
                }
            }
            Signal::Answer(answer) => {
                let Ok(parsed) = SdpAnswer::from_sdp_string(answer) else {
                    return;
                };
                match std::mem::replace(&mut self.negotiation, Negotiation::Offers) {
                    Negotiation::Offered(pending, _) => {
                        self.permit_all(now, answer);
                        let accepted =
                            self.act(now, |rtc| rtc.sdp_api().accept_answer(pending, parsed));
                        self.note(accepted);
                    }
                    // It answers an offer that was taken back by a later one.
                    other => self.negotiation = other,
                }
            }
            Signal::Candidate(candidate) => {
                // Before the answer it belongs to the pairs of before the restart.
                if matches!(self.negotiation, Negotiation::Offered(_, Some(_))) {
                    return;
                }
                if let Ok(candidate) = IceCandidate::from_sdp_string(candidate) {
                    self.permit(now, candidate.addr().ip());
                    self.act(now, |rtc| rtc.add_remote_candidate(candidate));
                }
            }
            // An offer under way covers what it was wanted for.
            Signal::RestartWanted => {
                if matches!(self.negotiation, Negotiation::Offers) {
                    self.negotiation = Negotiation::ToRestart;
                }
            }
        }
    }

    fn note<E: ToString>(&mut self, done: Option<Result<(), E>>) {
        if let Some(Err(error)) = done {
            self.failure = Some(error.to_string());
        }
    }

    /// Lets datagrams from every address of a description come in over relays.
    fn permit_all(&mut self, now: Time, description: &str) {
        for line in description.lines() {
            let candidate = line.strip_prefix("a=candidate:");
            let candidate = candidate.map(|rest| format!("candidate:{rest}"));
            if let Some(Ok(candidate)) = candidate.map(|text| IceCandidate::from_sdp_string(&text))
            {
                self.permit(now, candidate.addr().ip());
            }
        }
    }

    fn permit(&mut self, now: Time, peer: IpAddr) {
        self.stirred = true;
        for sockets in self.sockets.all_mut() {
            sockets.permit(now, peer);
        }
    }

    /// Lets everything that has something to send do so.
    pub fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        if self.stirred {
            // What the servers granted first: it may be a candidate.
            self.sockets.current_mut().transmit(now, io);
            self.take_candidates(now);
            self.describe(now);
        }
        while let Some(transmit) = self.outgoing.pop_front() {
            let (local, remote) = (transmit.source, transmit.destination);
            let is_media = transmit.contents.first().is_some_and(|first| *first >= 20);
            if is_media && self.pair != Some((local, remote)) {
                self.pair = Some((local, remote));
                self.sockets.current_mut().prefer(now, local, remote);
            }
            let by = self.sockets.under(local);
            if by.relays(local) {
                self.stirred = true;
                if let Some((meter, place)) = &self.terms.tap
                    && by.stream_under(local).is_some()
                {
                    meter.through_stream(now, *place, true, &transmit.contents);
                }
            }
            by.send(now, local, remote, &transmit.contents, io);
        }
        if std::mem::take(&mut self.stirred) {
            self.sockets.transmit(now, io);
            self.sockets_due = self.sockets.poll_timeout();
        }
    }

    /// Hands what was gathered to the stack, and signals what it makes of that.
    fn take_candidates(&mut self, now: Time) {
        while let Some(candidate) = self.sockets.current_mut().poll_candidate() {
            let Some(made) = made(candidate) else {
                continue;
            };
            let added = self.act(now, |rtc| rtc.add_local_candidate(made).cloned());
            let Some(Some(mut added)) = added else {
                continue;
            };
            let is_told = match &self.negotiation {
                Negotiation::ToOffer(_) | Negotiation::ToRestart | Negotiation::ToAnswer(_) => {
                    false
                }
                Negotiation::Offered(_, ufrag) => {
                    if let Some(ufrag) = ufrag {
                        added.set_ufrag(ufrag);
                    }
                    true
                }
                Negotiation::Offers | Negotiation::Answers => true,
            };
            if is_told {
                let told = Signal::Candidate(added.to_sdp_string());
                self.signals.push_back(told);
            }
            self.locals.push(added);
        }
    }

    /// Makes the offer or answer that is due, once what it is to tell has been gathered.
    fn describe(&mut self, now: Time) {
        if !self.terms.trickle && !self.sockets.current().is_complete() {
            return;
        }
        match std::mem::replace(&mut self.negotiation, Negotiation::Offers) {
            Negotiation::ToOffer(lines) => {
                let offered = self.act(now, |rtc| {
                    let mut changes = rtc.sdp_api();
                    let mut mids = Vec::with_capacity(lines.len());
                    for line in lines {
                        let Line {
                            kind,
                            direction,
                            simulcast,
                        } = line;
                        mids.push(changes.add_media(kind, direction, None, None, simulcast));
                    }
                    (mids, changes.apply())
                });
                if let Some((mids, Some((offer, pending)))) = offered {
                    self.mids = mids;
                    self.negotiation = Negotiation::Offered(pending, None);
                    let told = Signal::Offer(offer.to_sdp_string());
                    self.signals.push_back(told);
                }
            }
            Negotiation::ToRestart => {
                let offered = self.act(now, |rtc| {
                    let mut changes = rtc.sdp_api();
                    let credentials = changes.ice_restart(true);
                    (credentials.ufrag, changes.apply())
                });
                if let Some((ufrag, Some((offer, pending)))) = offered {
                    self.negotiation = Negotiation::Offered(pending, Some(ufrag));
                    let told = Signal::Offer(offer.to_sdp_string());
                    self.signals.push_back(told);
                }
            }
            Negotiation::ToAnswer(offer) => {
                self.negotiation = Negotiation::Answers;
                match self.act(now, |rtc| rtc.sdp_api().accept_offer(offer)) {
                    Some(Ok(answer)) => {
                        let answer = answer.to_sdp_string();
                        let names = answer.lines().filter_map(|it| it.strip_prefix("a=mid:"));
                        self.mids = names.map(Mid::from).collect();
                        self.signals.push_back(Signal::Answer(answer));
                    }
                    refused => self.note(refused.map(|refused| refused.map(|_| ()))),
                }
            }
            other => self.negotiation = other,
        }
    }

    /// Whether something waits to be told, sent or looked at.
    pub fn is_stirred(&self) -> bool {
        self.stirred
            || !self.outgoing.is_empty()
            || !self.events.is_empty()
            || !self.signals.is_empty()
    }
}
