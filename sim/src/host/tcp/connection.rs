//! One connection: smoltcp's socket, and what the program knows of it.

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, Socket, SocketBuffer, State};
use smoltcp::time::{Duration as SmolDuration, Instant};

use super::settings::{CongestionControl, TcpSettings};
use super::stack::Happening;
use super::wire::{LOCAL, REMOTE, Wire};
use super::{TcpEnd, TcpId};
use crate::address::Endpoint;
use crate::host::ProgramId;
use crate::packet::{IcmpErrorKind, TcpFlags, TcpSegment, Transport};
use crate::time::Time;

/// Who began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A program of this host.
    Opened,
    /// Somebody else.
    Accepted,
}

/// A connection.
pub(super) struct Connection {
    pub(super) id: TcpId,
    pub(super) owner: ProgramId,
    pub(super) origin: Origin,
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
    /// Which of the host's smoltcp interfaces it uses.
    pub(super) interface: usize,
    settings: TcpSettings,
    /// Holds one socket.
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    /// Since when an answer is due that the other side owes.
    waiting_since: Option<Time>,
    last_heard: Time,
    /// One more than the highest sequence number that the other side has used.
    peer_next: u32,
    /// One more than the highest sequence number that this side has used: SND.NXT.
    sent_next: Option<u32>,
    told: Told,
    /// The program was refused room, and is told when there is some.
    wants_room: bool,
    /// The program has closed it before it was there for both sides.
    closes: bool,
    end: Option<TcpEnd>,
}

/// What the program was told.
#[derive(Clone, Copy, Default)]
struct Told {
    established: bool,
    peer_closed: bool,
    ended: bool,
}

impl Connection {
    /// A connection with nothing sent.
    pub(super) fn new(
        id: TcpId,
        owner: ProgramId,
        origin: Origin,
        (local, remote): (Endpoint, Endpoint),
        interface: usize,
        settings: &TcpSettings,
        now: Time,
    ) -> Self {
        let receive = SocketBuffer::new(TcpSettings::buffer(settings.receive_buffer));
        let send = SocketBuffer::new(TcpSettings::buffer(settings.send_buffer));
        let mut socket = Socket::new(receive, send);
        socket.set_congestion_control(match settings.congestion_control {
            CongestionControl::Reno => tcp::CongestionControl::Reno,
            CongestionControl::Cubic => tcp::CongestionControl::Cubic,
            CongestionControl::None => tcp::CongestionControl::None,
        });
        socket.set_ack_delay(settings.delayed_ack.map(SmolDuration::from));
        socket.set_nagle_enabled(settings.nagle);
        socket.set_keep_alive(settings.keep_alive.map(SmolDuration::from));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Connection {
            id,
            owner,
            origin,
            local,
            remote,
            interface,
            settings: *settings,
            sockets,
            socket,
            waiting_since: None,
            last_heard: now,
            peer_next: 0,
            sent_next: None,
            told: Told::default(),
            wants_room: false,
            closes: false,
            end: None,
        }
    }

    fn tcp(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn state(&self) -> State {
        self.sockets.get::<Socket<'_>>(self.socket).state()
    }

    /// Asks the other side for the connection.
    pub(super) fn open(&mut self, interface: &mut Interface) {
        self.tcp()
            .connect(interface.context(), REMOTE, LOCAL)
            .expect("a new socket connects between two endpoints that are specified");
    }

    /// Waits for the segment that opens it, which comes at once.
    pub(super) fn await_opening(&mut self) {
        self.tcp()
            .listen(LOCAL)
            .expect("a new socket listens on a port that is not 0");
    }

    /// Whether the other side has yet to confirm a connection that it asked for.
    pub(super) fn is_half_open(&self) -> bool {
        self.origin == Origin::Accepted && !self.told.established
    }

    /// Whether both sides have closed it, and it only waits for stragglers.
    pub(super) fn is_in_time_wait(&self) -> bool {
        self.state() == State::TimeWait
    }

    /// Whether a segment that opens a connection comes after everything in this one (RFC 9293
    /// §3.10.7.4: then TIME-WAIT may end early).
    pub(super) fn is_before(&self, segment: &TcpSegment) -> bool {
        (segment.sequence.wrapping_sub(self.peer_next) as i32) >= 0
    }

    /// Whether nothing will ever happen to it again.
    pub(super) fn is_over(&self) -> bool {
        self.told.ended && self.is_silent()
    }

    /// Whether smoltcp has nothing more to say.
    fn is_silent(&self) -> bool {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        socket.state() == State::Closed && socket.remote_endpoint().is_none()
    }

    /// Takes the segment that the wire holds.
    pub(super) fn receive(
        &mut self,
        now: Time,
        segment: &TcpSegment,
        length: usize,
        interface: &mut Interface,
        wire: &mut Wire<'_>,
    ) {
        if self.stops_the_clock(segment, length) {
            return self.heard(now, segment, length);
        }
        let before = self.state();
        let first = wire.outbox.len();
        interface.poll_ingress_single(instant(now), wire, &mut self.sockets);
        self.number_acknowledgments(first, wire);
        let after = self.state();
        self.heard(now, segment, length);
        let reset = segment.flags.contains(TcpFlags::RST);
        match (before, after) {
            (State::Closed, _) => {}
            (State::SynSent, State::Closed) => self.finish(TcpEnd::Refused),
            (State::SynReceived, State::Closed) => self.finish(TcpEnd::Refused),
            // A connection that was never there for the program.
            (_, State::Listen) => {
                self.tcp().abort();
                self.told.ended = true;
            }
            (State::TimeWait, _) => {}
            (_, State::Closed) if reset => self.finish(TcpEnd::Reset),
            (_, State::Closed | State::TimeWait) => self.finish(TcpEnd::Finished),
            (_, State::Established | State::CloseWait) if self.closes => {
                self.closes = false;
                self.tcp().close();
            }
            _ => {}
        }
    }

    /// Sees to it that what was sent from `first` on and only acknowledges bears SND.NXT as its
    /// sequence number (RFC 9293 §3.10.7.4).
    ///
    /// After a retransmission timeout smoltcp gives it the number from which it sends again. The
    /// other side takes that for old, and what it acknowledges goes unseen: two that are both
    /// sending again would stay so forever.
    fn number_acknowledgments(&mut self, first: usize, wire: &mut Wire<'_>) {
        for slot in &wire.outbox[first..] {
            let packet = wire.arena.get_mut(*slot);
            let length = packet.payload.len();
            let Transport::Tcp(segment) = &mut packet.transport else {
                continue;
            };
            if segment.flags.contains(TcpFlags::RST) {
                continue;
            }
            let next = after(segment, length);
            match self.sent_next {
                Some(known) if (next.wrapping_sub(known) as i32) <= 0 => {
                    if next == segment.sequence {
                        segment.sequence = known;
                    }
                }
                _ => self.sent_next = Some(next),
            }
        }
    }

    /// Whether a segment only acknowledges, and not the FIN, while a FIN is all that is out. It
    /// means nothing then; but after three such smoltcp stops its retransmission timer in favour of
    /// a fast retransmission, finds no data to send again, and the FIN is never repeated.
    fn stops_the_clock(&self, segment: &TcpSegment, length: usize) -> bool {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        let only_fin = socket.send_queue() == 0
            && matches!(
                socket.state(),
                State::FinWait1 | State::Closing | State::LastAck
            );
        let bare = length == 0
            && [TcpFlags::SYN, TcpFlags::FIN, TcpFlags::RST]
                .iter()
                .all(|flag| !segment.flags.contains(*flag));
        only_fin && bare && self.sent_next != Some(segment.acknowledgment)
    }

    fn heard(&mut self, now: Time, segment: &TcpSegment, length: usize) {
        self.last_heard = now;
        self.waiting_since = None;
        let next = after(segment, length);
        if segment.flags.contains(TcpFlags::SYN) || (next.wrapping_sub(self.peer_next) as i32) > 0 {
            self.peer_next = next;
        }
    }

    fn finish(&mut self, end: TcpEnd) {
        self.end.get_or_insert(end);
    }

    /// Ends it without a word to the other side.
    fn give_up(&mut self, end: TcpEnd) {
        self.finish(end);
        self.forget();
    }

    /// Closes the socket so that it says nothing more.
    fn forget(&mut self) {
        // An aborted socket would send a reset; one that listens again has nobody to send it to.
        let socket = self.tcp();
        socket.abort();
        let listens = socket.listen(LOCAL);
        debug_assert_eq!(listens, Ok(()));
        socket.abort();
    }

    /// What ICMP says about it (RFC 1122 §4.2.3.9). Returns the path's MTU if that is what it
    /// says.
    ///
    /// While it is being opened, an error ends it, as common systems do where RFC 1122 would go on
    /// trying for some errors (RFC 5461 §4.1). Later on errors are not believed.
    pub(super) fn report(&mut self, kind: IcmpErrorKind) -> Option<u16> {
        match kind {
            IcmpErrorKind::TooBig { mtu } => return Some(mtu),
            IcmpErrorKind::TimeExceeded | IcmpErrorKind::ReassemblyTimeExceeded => {}
            IcmpErrorKind::PortUnreachable
            | IcmpErrorKind::HostUnreachable
            | IcmpErrorKind::Prohibited => {
                if self.state() == State::SynSent {
                    self.give_up(TcpEnd::Unreachable(kind));
                }
            }
        }
        None
    }

    /// Lets smoltcp send what it has to.
    pub(super) fn transmit(&mut self, now: Time, interface: &mut Interface, wire: &mut Wire<'_>) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.give_up(TcpEnd::TimedOut);
            return;
        }
        let now_there = instant(now);
        let first = wire.outbox.len();
        loop {
            let sent = wire.outbox.len();
            interface.poll_egress(now_there, wire, &mut self.sockets);
            if wire.outbox.len() == sent {
                break;
            }
        }
        self.number_acknowledgments(first, wire);
        if self.expects_answer() {
            self.waiting_since.get_or_insert(now);
        } else {
            self.waiting_since = None;
        }
    }

    fn expects_answer(&self) -> bool {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        match socket.state() {
            State::SynSent | State::SynReceived => true,
            State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::CloseWait => socket.send_queue() > 0,
            State::Closed | State::Listen | State::FinWait2 | State::TimeWait => false,
        }
    }

    /// When it is given up if nothing is heard until then.
    fn deadline(&self) -> Option<Time> {
        if self.end.is_some() {
            return None;
        }
        let patience = match self.state() {
            State::SynSent | State::SynReceived => self.settings.handshake_timeout,
            _ => self.settings.user_timeout,
        };
        let answer = self.waiting_since.map(|since| since + patience);
        let sign_of_life = self
            .settings
            .keep_alive
            .map(|interval| self.last_heard + interval + patience);
        match (answer, sign_of_life) {
            (Some(answer), Some(sign)) => Some(answer.min(sign)),
            (answer, sign) => answer.or(sign),
        }
    }

    /// When it has to be looked at again though nothing arrives.
    pub(super) fn alarm(&mut self, now: Time, interface: &mut Interface) -> Option<Time> {
        let due = interface.poll_at(instant(now), &self.sockets).map(|due| {
            let due = Time::from_nanos(due.total_micros().max(0) as u64 * 1000);
            // It has sent all that it would: whatever is due now would be due forever.
            if due <= now { now + FRUITLESS } else { due }
        });
        match (due, self.deadline()) {
            (Some(due), Some(deadline)) => Some(due.min(deadline)),
            (due, deadline) => due.or(deadline),
        }
    }

    /// Takes as much as there is room for.
    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        if self.closes || self.end.is_some() {
            return 0;
        }
        // Before it is there it takes nothing, and there will be room later.
        let taken = self.tcp().send_slice(bytes).unwrap_or(0);
        self.wants_room |= taken < bytes.len();
        taken
    }

    /// Sends a FIN behind all that was sent.
    pub(super) fn close(&mut self) {
        self.wants_room = false;
        match self.state() {
            State::SynSent => self.give_up(TcpEnd::Finished),
            State::SynReceived => self.closes = true,
            _ => self.tcp().close(),
        }
    }

    /// Sends a reset, where the other side knows of the connection (RFC 9293 §3.10.5), and tells
    /// the program nothing more.
    pub(super) fn abort(&mut self) {
        self.told.ended = true;
        self.finish(TcpEnd::Reset);
        match self.state() {
            State::SynSent | State::TimeWait => self.forget(),
            _ => self.tcp().abort(),
        }
    }

    /// What the program is to be told next. Bytes are put into `data`.
    pub(super) fn happening(&mut self, data: &mut [u8]) -> Option<Happening> {
        if self.told.ended {
            return None;
        }
        let state = self.state();
        if !self.told.established && is_there(state) {
            self.told.established = true;
            return Some(match self.origin {
                Origin::Opened => Happening::Connected,
                Origin::Accepted => Happening::Accepted,
            });
        }
        if self.told.established {
            let socket = self.tcp();
            if socket.can_recv() {
                let length = socket.recv_slice(data).unwrap_or(0);
                if length > 0 {
                    return Some(Happening::Data(length));
                }
            }
            if !self.told.peer_closed && has_fin(state) {
                self.told.peer_closed = true;
                return Some(Happening::PeerClosed);
            }
            if self.wants_room && self.has_room() {
                self.wants_room = false;
                return Some(Happening::Writable);
            }
        }
        let end = self.end?;
        // The other side's FIN came with the end.
        if end == TcpEnd::Finished && self.told.established && !self.told.peer_closed {
            self.told.peer_closed = true;
            return Some(Happening::PeerClosed);
        }
        self.told.ended = true;
        // A connection that its program never heard of ends as quietly.
        if self.is_half_open() {
            return None;
        }
        Some(Happening::Ended(end))
    }

    /// A quarter of the send buffer: programs that write much are not woken for every segment.
    fn has_room(&mut self) -> bool {
        let socket = self.tcp();
        let (held, capacity) = (socket.send_queue(), socket.send_capacity());
        socket.may_send() && held <= capacity - capacity / 4
    }
}

/// One more than the last sequence number that a segment uses.
fn after(segment: &TcpSegment, length: usize) -> u32 {
    let controls = u32::from(segment.flags.contains(TcpFlags::SYN))
        + u32::from(segment.flags.contains(TcpFlags::FIN));
    (segment.sequence)
        .wrapping_add(length as u32)
        .wrapping_add(controls)
}

/// How long to wait if smoltcp says that something is due and then sends nothing. Never seen; it
/// keeps a run from standing still.
const FRUITLESS: std::time::Duration = std::time::Duration::from_millis(1);

/// Whether both sides know that the connection is there.
fn is_there(state: State) -> bool {
    match state {
        State::Closed | State::Listen | State::SynSent | State::SynReceived => false,
        State::Established
        | State::FinWait1
        | State::FinWait2
        | State::CloseWait
        | State::Closing
        | State::LastAck
        | State::TimeWait => true,
    }
}

/// Whether the other side's FIN has arrived.
fn has_fin(state: State) -> bool {
    matches!(
        state,
        State::CloseWait | State::Closing | State::LastAck | State::TimeWait
    )
}

/// smoltcp's clock counts microseconds.
pub(super) fn instant(now: Time) -> Instant {
    Instant::from_micros((now.as_nanos() / 1000) as i64)
}
