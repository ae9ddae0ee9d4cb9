//! One endpoint of a call: a transport, the signals that it posts to the other side, the data that it
//! sends, and what it noted of all that.

use std::time::Duration;

use pinhole::{Datagram, Input, Io, Program, ProgramId, Time};

use super::data::{DATA_INTERVAL, Data, Side};
use super::wire::SharedWire;
use crate::ice::Candidate;
use crate::transport::{
    IceTransport, Milestone, Received, Signal, TransportConfig, TransportEvent, TurnConnection,
};

/// What an endpoint is told.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Which of the two it is.
    pub side: Side,
    /// Its end of the transport.
    pub transport: TransportConfig,
    /// What a signal takes to the other side.
    pub signaling_delay: Duration,
    /// Where data is noted that goes through TCP connections.
    pub wire: SharedWire,
}

/// One endpoint of a call.
pub struct Peer {
    side: Side,
    /// Whether it makes an offer when the call begins.
    offers: bool,
    transport: IceTransport,
    signaling_delay: Duration,
    wire: SharedWire,
    other: Option<ProgramId>,
    next_data: Option<Time>,
    sequence: u32,
    milestones: Vec<(Time, Milestone)>,
    failed: bool,
    hung_up: bool,
}

/// What a call without trouble takes, so that noting it doesn't make memory grow step by step.
const USUAL_MILESTONES: usize = 12;

impl Peer {
    /// An endpoint that waits: A for the start of the run, B for A's offer.
    pub fn new(config: PeerConfig) -> Self {
        Peer {
            side: config.side,
            offers: config.transport.offers,
            transport: IceTransport::new(config.transport),
            signaling_delay: config.signaling_delay,
            wire: config.wire,
            other: None,
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
        self.transport.panic()
    }

    /// What happened to it, in order.
    pub fn milestones(&self) -> &[(Time, Milestone)] {
        &self.milestones
    }

    /// Its connections to TURN servers, over TCP and TLS.
    pub fn turn_connections(&self) -> impl Iterator<Item = &TurnConnection> {
        self.transport.turn_connections()
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

    fn receive(&mut self, now: Time, datagram: &Datagram<'_>, io: &mut Io<'_>) {
        match self.transport.receive(now, datagram) {
            Received::Application(bytes) => match Data::from_bytes(bytes.bytes()) {
                Some(_) => self.transport.hear_media(),
                None => io.reject("looks like RTP, but isn't this call's"),
            },
            Received::Handled => {}
            Received::Refused(why) => io.reject(why),
        }
    }

    /// Takes what came out of connections to TURN servers.
    fn take_from_streams(&mut self, now: Time) {
        while let Some(relayed) = self.transport.poll_streamed(now) {
            // There is no datagram to reject.
            if let Some(data) = Data::from_bytes(&relayed.payload) {
                self.wire.came_out(now, data, relayed.through);
                self.transport.hear_media();
            }
        }
    }

    /// Lets everything that has something to send or to say do so.
    fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        self.transport.advance(now, io);
        self.take_events(now);
        if self.next_data.is_some_and(|due| due <= now) {
            self.send_data(now, io);
        }
        self.transport.flush(now, io);
        while let Some(signal) = self.transport.poll_signal() {
            self.post(signal, io);
        }
        let times = [self.transport.poll_timeout(), self.next_data];
        io.wake_at(times.into_iter().flatten().min());
    }

    fn take_events(&mut self, now: Time) {
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Reached(milestone) => {
                    match milestone {
                        // At once: what changes is to be seen on the wire when it changes.
                        Milestone::Selected { .. } => self.next_data = Some(now),
                        Milestone::Failed => self.failed = true,
                        _ => {}
                    }
                    self.milestones.push((now, milestone));
                }
                TransportEvent::Lost => self.next_data = None,
            }
        }
    }

    fn send_data(&mut self, now: Time, io: &mut Io<'_>) {
        let data = Data {
            sender: self.side,
            sequence: self.sequence,
        };
        self.sequence += 1;
        self.next_data = Some(now + DATA_INTERVAL);
        if let Some(through) = self.transport.streams_through() {
            self.wire.went_in(data, through);
        }
        self.transport.send(now, &data.to_bytes(), io);
    }

    fn post(&self, signal: Signal, io: &mut Io<'_>) {
        let other = self.other;
        let other = other.expect("both ends of the channel are introduced before the run");
        io.post(other, self.signaling_delay, signal);
    }
}

impl Program for Peer {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if self.hung_up {
            return;
        }
        match input {
            Input::Start => {
                if self.offers {
                    self.transport.begin(now, io);
                }
            }
            Input::Message { content, .. } => {
                if let Some(signal) = content.downcast_ref() {
                    self.transport.hear(now, signal, io);
                }
            }
            Input::Datagram(datagram) => self.receive(now, &datagram, io),
            Input::Wake => self.transport.handle_timeout(now),
            Input::Unreachable { local, remote, .. } => {
                self.transport.handle_unreachable(local, remote);
            }
            Input::Tcp { stream, event } => {
                self.transport.handle_tcp(now, stream, event);
                self.take_from_streams(now);
            }
            Input::EchoReply(_) => {}
            Input::NetworkChanged => self.transport.change_network(now, io),
        }
        self.pump(now, io);
    }
}
