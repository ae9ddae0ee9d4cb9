//! Clients over TCP and TLS: their connections, from the first segment to the last.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::clients::ClientKey;
use super::connection::{Connection, PATIENCE, Room};
use super::{ClientTransport, TurnServer};
use crate::host::{Io, TcpEvent, TcpId};
use crate::time::Time;

/// Every connection, by its stream and by the client it is.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Never iterated, and neither is the other one.
    connections: FxHashMap<ClientKey, Connection>,
    by_stream: FxHashMap<TcpId, ClientKey>,
    /// Those without an allocation, and when each will be cut off.
    patience: BTreeSet<(Time, ClientKey)>,
    until: FxHashMap<ClientKey, Time>,
}

impl Streams {
    /// Sends a message; where its connection is gone, nobody misses it.
    pub(super) fn send(&mut self, key: ClientKey, message: &[u8], io: &mut Io<'_>) -> Room {
        match self.connections.get_mut(&key) {
            Some(connection) => connection.send(message, io),
            None => Room::None,
        }
    }

    fn add(&mut self, now: Time, key: ClientKey, connection: Connection) {
        self.by_stream.insert(connection.stream, key);
        self.connections.insert(key, connection);
        self.distrust(now, key);
    }

    fn remove(&mut self, key: ClientKey) -> Option<Connection> {
        self.trust(key);
        let connection = self.connections.remove(&key)?;
        self.by_stream.remove(&connection.stream);
        Some(connection)
    }

    /// This client may stay as long as it likes.
    pub(super) fn trust(&mut self, key: ClientKey) {
        if let Some(until) = self.until.remove(&key) {
            self.patience.remove(&(until, key));
        }
    }

    /// This client's connection ends unless it allocates something soon.
    pub(super) fn distrust(&mut self, now: Time, key: ClientKey) {
        self.trust(key);
        if self.connections.contains_key(&key) {
            let until = now + PATIENCE;
            self.until.insert(key, until);
            self.patience.insert((until, key));
        }
    }

    /// When the next connection is to be cut off.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.patience.first().map(|(until, _)| *until)
    }

    /// A connection that is to be cut off now.
    pub(super) fn out_of_patience(&self, now: Time) -> Option<ClientKey> {
        let (until, key) = self.patience.first()?;
        (*until <= now).then_some(*key)
    }
}

impl TurnServer {
    pub(super) fn stream_event(
        &mut self,
        now: Time,
        stream: TcpId,
        event: TcpEvent<'_>,
        io: &mut Io<'_>,
    ) {
        if let TcpEvent::Accepted { local, remote } = event {
            let Some(listener) = self.listener(local, false) else {
                return io.tcp_abort(stream);
            };
            let client = remote.into();
            self.accept(now, ClientKey { listener, client }, stream, io);
            return;
        }
        let Some(key) = self.streams.by_stream.get(&stream).copied() else {
            return;
        };
        match event {
            TcpEvent::Accepted { .. } | TcpEvent::Connected { .. } => {}
            TcpEvent::Data(bytes) => {
                if let Err(LostStream) = self.stream_bytes(now, key, bytes, io) {
                    self.counters.rejected += 1;
                    self.hang_up(now, key, io);
                }
            }
            TcpEvent::Writable => {
                if let Some(connection) = self.streams.connections.get_mut(&key) {
                    connection.flush(io);
                }
            }
            TcpEvent::PeerClosed => self.hang_up(now, key, io),
            TcpEvent::Ended(_) => {
                self.streams.remove(key);
                self.forget_client(key, io);
            }
        }
    }

    fn accept(&mut self, now: Time, key: ClientKey, stream: TcpId, io: &mut Io<'_>) {
        // A client that lost its connection and comes again from the same port, before this end
        // has noticed: it is a new client.
        if let Some(before) = self.streams.remove(key) {
            io.tcp_abort(before.stream);
        }
        self.forget_client(key, io);
        let security = match (self.listeners[key.listener].transport, &self.tls) {
            (ClientTransport::Tls, Some((_, tls))) => Some(tls.accept(now)),
            _ => None,
        };
        self.counters.connections += 1;
        let connection = Connection::new(stream, security);
        self.streams.add(now, key, connection);
    }

    /// Bytes from a client's stream: as many messages as they complete.
    fn stream_bytes(
        &mut self,
        now: Time,
        key: ClientKey,
        bytes: &[u8],
        io: &mut Io<'_>,
    ) -> Result<(), LostStream> {
        let Some(connection) = self.streams.connections.get_mut(&key) else {
            return Ok(());
        };
        let received = connection.receive(now, bytes, io);
        let mut framing = std::mem::take(&mut connection.framing);
        while let Some(message) = framing.next_message().map_err(|_| LostStream)? {
            if self.client_message(now, key, message, io).is_err() {
                self.counters.rejected += 1;
            }
        }
        if let Some(connection) = self.streams.connections.get_mut(&key) {
            connection.framing = framing;
        }
        received.map_err(|_| LostStream)
    }

    /// Ends a client's connection from this side, and what the client holds.
    pub(super) fn hang_up(&mut self, _now: Time, key: ClientKey, io: &mut Io<'_>) {
        if let Some(connection) = self.streams.remove(key) {
            connection.close(io);
        }
        self.forget_client(key, io);
    }
}

/// A stream that can't be read on.
struct LostStream;
