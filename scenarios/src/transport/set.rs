//! The transports of one program.

use std::collections::VecDeque;

use pinhole::{ArrivedTrain, Input, Io, Time};

use super::ice::{Bytes, Received};
use super::{Alarms, IceTransport, Milestone, Signal, TransportConfig, TransportEvent};

/// Every transport of a program, numbered from 0 in the order in which they were added.
#[derive(Default)]
pub struct Transports {
    all: Vec<IceTransport>,
    /// Which port is whose, in the ports' order.
    ports: Vec<(u16, u32)>,
    alarms: Alarms,
    signals: VecDeque<(usize, Signal)>,
    events: VecDeque<(usize, TransportEvent)>,
    /// Packets that came out of TCP connections.
    streamed: VecDeque<(usize, Vec<u8>)>,
}

/// What an input turned out to be.
pub struct Came<'a>(Option<(usize, Bytes<'a>)>);

impl Came<'_> {
    /// The transport and the packet, if it was one of the application's.
    pub fn application(&self) -> Option<(usize, &[u8])> {
        let (transport, bytes) = self.0.as_ref()?;
        Some((*transport, bytes.bytes()))
    }
}

impl Transports {
    /// Adds a transport; it does nothing before it is [begun](Transports::begin) or hears an offer.
    pub fn add(&mut self, config: TransportConfig) -> usize {
        self.all.push(IceTransport::new(config));
        self.all.len() - 1
    }

    /// A transport.
    pub fn get(&self, transport: usize) -> &IceTransport {
        &self.all[transport]
    }

    /// Whether a transport's packets go through a connection to a TURN server.
    pub fn is_streamed(&self, transport: usize) -> bool {
        self.all[transport].streams_through().is_some()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &IceTransport> {
        self.all.iter()
    }

    /// Lets the controlling side of a transport make its offer.
    pub fn begin(&mut self, transport: usize, now: Time, io: &mut Io<'_>) {
        self.all[transport].begin(now, io);
        self.settle(transport, now, io);
    }

    /// The other side of a transport told something.
    pub fn hear(&mut self, transport: usize, now: Time, signal: &Signal, io: &mut Io<'_>) {
        self.all[transport].hear(now, signal, io);
        self.settle(transport, now, io);
    }

    /// Sends a packet. Returns whether its transport is connected.
    pub fn send(&mut self, transport: usize, now: Time, payload: &[u8], io: &mut Io<'_>) -> bool {
        let sender = &mut self.all[transport];
        let sent = sender.send(now, payload, io);
        if sender.is_relayed() {
            sender.transmit(now, io);
            self.alarms.set(transport, sender.poll_timeout());
        }
        sent
    }

    /// The transport that a train of media is for.
    pub fn receives(&mut self, train: &ArrivedTrain<'_>) -> Option<usize> {
        let port = train.local.port();
        let place = self.ports.binary_search_by_key(&port, |(port, _)| *port);
        let transport = self.ports[place.ok()?].1 as usize;
        self.all[transport].hear_media();
        Some(transport)
    }

    /// Takes the input of a program that is about its transports: everything but messages.
    pub fn handle_input<'a>(&mut self, now: Time, input: &Input<'a>, io: &mut Io<'_>) -> Came<'a> {
        match input {
            Input::Datagram(datagram) => {
                let port = datagram.local.port();
                let Ok(place) = self.ports.binary_search_by_key(&port, |(port, _)| *port) else {
                    io.reject("no transport has this port any more");
                    return Came(None);
                };
                let transport = self.ports[place].1 as usize;
                let receiver = &mut self.all[transport];
                match receiver.receive(now, datagram) {
                    Received::Application(bytes) => {
                        receiver.hear_media();
                        return Came(Some((transport, bytes)));
                    }
                    Received::Handled => {}
                    Received::Refused(why) => io.reject(why),
                }
                self.settle(transport, now, io);
            }
            Input::Tcp { stream, event } => {
                let Some(transport) = self.all.iter().position(|it| it.holds(*stream)) else {
                    return Came(None);
                };
                let receiver = &mut self.all[transport];
                receiver.handle_tcp(now, *stream, *event);
                while let Some(relayed) = receiver.poll_streamed(now) {
                    receiver.hear_media();
                    self.streamed.push_back((transport, relayed.payload));
                }
                self.settle(transport, now, io);
            }
            Input::Unreachable { local, remote, .. } => {
                let port = local.port();
                if let Ok(place) = self.ports.binary_search_by_key(&port, |(port, _)| *port) {
                    let transport = self.ports[place].1 as usize;
                    self.all[transport].handle_unreachable(*local, *remote);
                    self.settle(transport, now, io);
                }
            }
            Input::NetworkChanged => {
                for transport in 0..self.all.len() {
                    self.all[transport].change_network(now, io);
                    self.settle(transport, now, io);
                }
            }
            Input::Wake => {
                while let Some(transport) = self.alarms.pop(now) {
                    self.all[transport].handle_timeout(now);
                    self.settle(transport, now, io);
                }
            }
            Input::Start | Input::EchoReply(_) | Input::Message { .. } => {}
        }
        Came(None)
    }

    /// When it wants [`Input::Wake`].
    pub fn poll_timeout(&mut self) -> Option<Time> {
        self.alarms.next()
    }

    /// The next thing to tell the other side of a transport.
    pub fn poll_signal(&mut self) -> Option<(usize, Signal)> {
        self.signals.pop_front()
    }

    /// The next thing that happened to a transport.
    pub fn poll_event(&mut self) -> Option<(usize, TransportEvent)> {
        self.events.pop_front()
    }

    /// The next packet that came over TCP.
    pub fn poll_streamed(&mut self) -> Option<(usize, Vec<u8>)> {
        self.streamed.pop_front()
    }

    /// Lets a transport act on what happened to it, and takes what it has to say.
    fn settle(&mut self, transport: usize, now: Time, io: &mut Io<'_>) {
        let changed = &mut self.all[transport];
        changed.advance(now, io);
        changed.flush(now, io);
        while let Some(signal) = changed.poll_signal() {
            self.signals.push_back((transport, signal));
        }
        while let Some(event) = changed.poll_event() {
            use Milestone::{Began, Restarted};
            // It has other sockets.
            if matches!(event, TransportEvent::Reached(Began | Restarted)) {
                self.ports.retain(|(_, of)| *of != transport as u32);
                let ports = changed.ports().map(|port| (port, transport as u32));
                self.ports.extend(ports);
                self.ports.sort_unstable();
            }
            self.events.push_back((transport, event));
        }
        self.alarms.set(transport, changed.poll_timeout());
    }
}
