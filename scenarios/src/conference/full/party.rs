//! The program on a participant's or a server's host: its connections, and what it does with the media
//! in them.
//!
//! A *party* has a number that all others know it by, and any number of connections, each to one other
//! party and on a UDP port of its own. What it does with media is its [`Role`].

use std::any::Any;
use std::collections::BTreeMap;

use pinhole::{Input, Io, Program, Time};
use str0m::{Event, RtcConfig};

use super::connection::{Connection, Line, Terms};
use super::signal::{Channel, Message, Signal};

/// What a party does with the media in its connections.
pub trait Role: Any {
    /// The run begins: connections that this party offers are to be opened.
    fn begin(&mut self, now: Time, hub: &mut Hub, io: &mut Io<'_>);

    /// Another party offers a connection with this number: how this end's stack is set up for it.
    fn accept(&mut self, now: Time, connection: u32) -> RtcConfig;

    /// A connection's stack has something to tell.
    fn handle_event(&mut self, now: Time, connection: u32, event: Event, hub: &mut Hub);

    /// The time that [`poll_timeout`](Role::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Time, hub: &mut Hub);

    /// When to call [`handle_timeout`](Role::handle_timeout).
    fn poll_timeout(&self) -> Option<Time>;
}

/// The connections of a party.
pub struct Hub {
    terms: Terms,
    connections: BTreeMap<u32, Held>,
    /// Which connections have something to send or to tell, in the order in which that came about.
    stirred: Vec<u32>,
}

struct Held {
    connection: Connection,
    /// The party at the other end.
    other: usize,
}

impl Hub {
    fn new(terms: Terms) -> Self {
        Hub {
            terms,
            connections: BTreeMap::new(),
            stirred: Vec::new(),
        }
    }

    /// What a connection's stack draws from: never the same as another's, or as the other end's.
    fn terms_of(&self, connection: u32) -> Terms {
        let seed = self.terms.seed;
        Terms {
            seed: seed ^ (u64::from(connection) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..self.terms.clone()
        }
    }

    /// Opens a connection to another party by offering it these lines.
    pub fn offer(
        &mut self,
        now: Time,
        number: u32,
        other: usize,
        config: RtcConfig,
        lines: Vec<Line>,
        io: &mut Io<'_>,
    ) {
        let terms = self.terms_of(number);
        let connection = Connection::offering(now, config, terms, lines, io);
        self.connections.insert(number, Held { connection, other });
        self.stirred.push(number);
    }

    /// A connection, to read it.
    pub fn connection(&self, number: u32) -> Option<&Connection> {
        self.connections.get(&number).map(|held| &held.connection)
    }

    /// Every connection, by number.
    pub fn connections(&self) -> impl Iterator<Item = (u32, &Connection)> {
        let held = self.connections.iter();
        held.map(|(number, held)| (*number, &held.connection))
    }

    /// Calls into a connection's stack.
    pub fn act<R>(
        &mut self,
        now: Time,
        number: u32,
        act: impl FnOnce(&mut str0m::Rtc) -> R,
    ) -> Option<R> {
        let held = self.connections.get_mut(&number)?;
        self.stirred.push(number);
        held.connection.act(now, act)
    }

    /// [Writes](Connection::write) one packet that isn't paced.
    pub fn write(&mut self, now: Time, number: u32, write: impl FnOnce(&mut str0m::Rtc)) {
        if let Some(held) = self.connections.get_mut(&number) {
            self.stirred.push(number);
            held.connection.write(now, write);
        }
    }
}

/// A party's program.
pub struct Party<R> {
    number: usize,
    hub: Hub,
    channel: Option<Box<dyn Channel>>,
    role: R,
    left: bool,
}

impl<R: Role> Party<R> {
    /// The party with this number and this role. Its connections draw from the terms' seed.
    pub fn new(number: usize, terms: Terms, role: R) -> Self {
        Party {
            number,
            hub: Hub::new(terms),
            channel: None,
            role,
            left: false,
        }
    }

    /// Gives it its end of the signaling channel, before the run.
    pub fn introduce(&mut self, channel: impl Channel + 'static) {
        self.channel = Some(Box::new(channel));
    }

    /// What it does with media, to read off what came of that.
    pub fn role(&self) -> &R {
        &self.role
    }

    /// Its connections.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// It sends nothing more.
    pub fn leave(&mut self, io: &mut Io<'_>) {
        self.left = true;
        io.wake_at(None);
    }

    fn hear(&mut self, now: Time, message: &Message, io: &mut Io<'_>) {
        let Message {
            connection: number,
            signal,
            from: other,
        } = message;
        self.hub.stirred.push(*number);
        if let Some(held) = self.hub.connections.get_mut(number) {
            held.connection.hear(now, signal);
        } else if let Signal::Offer(offer) = signal {
            let config = self.role.accept(now, *number);
            let terms = self.hub.terms_of(*number);
            // What isn't an offer is answered by nothing.
            if let Ok(connection) = Connection::answering(now, config, terms, offer, io) {
                let held = Held {
                    connection,
                    other: *other,
                };
                self.hub.connections.insert(*number, held);
            }
        }
    }

    /// Lets everybody do what there is to do, until there is no more.
    fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        if self.role.poll_timeout().is_some_and(|due| due <= now) {
            self.role.handle_timeout(now, &mut self.hub);
        }
        let mut next = 0;
        while let Some(number) = self.hub.stirred.get(next).copied() {
            next += 1;
            while let Some(held) = self.hub.connections.get_mut(&number) {
                held.connection.pump(now, io);
                while let Some(signal) = held.connection.poll_signal() {
                    let message = Message {
                        from: self.number,
                        connection: number,
                        signal,
                    };
                    if let Some(channel) = &mut self.channel {
                        channel.send(held.other, message, io);
                    }
                }
                let Some(event) = held.connection.poll_event() else {
                    break;
                };
                self.role.handle_event(now, number, event, &mut self.hub);
            }
        }
        self.hub.stirred.clear();
        let connections = self.hub.connections.values();
        let dues = connections.filter_map(|held| held.connection.poll_timeout());
        io.wake_at(dues.chain(self.role.poll_timeout()).min());
    }
}

impl<R: Role> Program for Party<R> {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if self.left {
            return;
        }
        let message = self.channel.as_mut().and_then(|c| c.receive(&input));
        if let Some(message) = message {
            self.hear(now, &message, io);
        }
        let hub = &mut self.hub;
        match input {
            Input::Start => self.role.begin(now, hub, io),
            Input::Datagram(datagram) => {
                let port = datagram.local.port();
                let mut held = hub.connections.iter_mut();
                let taken = held.find(|(_, held)| held.connection.ports().any(|own| own == port));
                let taken = taken.ok_or("no connection has this port any more");
                let taken = taken.and_then(|(number, held)| {
                    hub.stirred.push(*number);
                    held.connection.handle_datagram(now, &datagram)
                });
                if let Err(why) = taken {
                    io.reject(why);
                }
            }
            Input::Wake => {
                for (number, held) in &mut hub.connections {
                    let due = held.connection.poll_timeout();
                    if due.is_some_and(|due| due <= now) {
                        hub.stirred.push(*number);
                        held.connection.handle_timeout(now);
                    }
                }
            }
            Input::Unreachable { local, remote, .. } => {
                for (number, held) in &mut hub.connections {
                    if held.connection.ports().any(|own| own == local.port()) {
                        hub.stirred.push(*number);
                        held.connection.handle_unreachable(local, remote);
                    }
                }
            }
            Input::Tcp { stream, event } => {
                for (number, held) in &mut hub.connections {
                    hub.stirred.push(*number);
                    held.connection.handle_tcp(now, stream, event);
                }
            }
            Input::NetworkChanged => {
                for (number, held) in &mut hub.connections {
                    hub.stirred.push(*number);
                    held.connection.change_network(now, io);
                }
            }
            Input::Message { .. } | Input::EchoReply(_) => {}
        }
        self.pump(now, io);
    }
}
