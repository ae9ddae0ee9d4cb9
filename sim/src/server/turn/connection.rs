//! A client's TCP connection: the stream cut into messages, what waits to be sent, TLS around it.

use std::time::Duration;

use super::framing::StreamFraming;
use super::security::StreamSecurity;
use crate::host::{Io, TcpId};
use crate::time::Time;

/// Bytes that may wait for a client that reads slowly. Data beyond is dropped: a TURN server owes
/// its clients no more than UDP does (RFC 8656 §12.6).
pub(super) const SEND_QUEUE: usize = 64 * 1024;

/// A connection on which nothing was allocated for so long is closed: it costs memory, and its
/// owner may have none but bad intentions.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A TCP connection from a client, with TLS on it or without.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpId,
    pub(super) framing: StreamFraming,
    security: Option<Box<dyn StreamSecurity>>,
    /// What TCP had no room for.
    outgoing: Vec<u8>,
    plain: Vec<u8>,
}

/// Whether a message found room in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// It will be sent.
    Enough,
    /// It was dropped.
    None,
}

impl Connection {
    pub(super) fn new(stream: TcpId, security: Option<Box<dyn StreamSecurity>>) -> Self {
        Connection {
            stream,
            framing: StreamFraming::default(),
            security,
            outgoing: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Bytes off the wire.
    pub(super) fn receive(
        &mut self,
        now: Time,
        bytes: &[u8],
        io: &mut Io<'_>,
    ) -> Result<(), &'static str> {
        let Some(security) = &mut self.security else {
            self.framing.push(bytes);
            return Ok(());
        };
        let result = security.receive(now, bytes, &mut self.plain);
        self.framing.push(&self.plain);
        self.plain.clear();
        // The handshake's answer, or the alert.
        self.flush(io);
        result.map_err(|_| "not TLS, or not in order")
    }

    /// Sends a message, or drops it where too much waits already.
    pub(super) fn send(&mut self, message: &[u8], io: &mut Io<'_>) -> Room {
        if self.outgoing.len() >= SEND_QUEUE {
            return Room::None;
        }
        let padding = &[0; 3][..StreamFraming::padding(message)];
        match &mut self.security {
            Some(security) if padding.is_empty() => security.send(message),
            // One record, not two.
            Some(security) => security.send(&[message, padding].concat()),
            None => {
                self.outgoing.extend_from_slice(message);
                self.outgoing.extend_from_slice(padding);
            }
        }
        self.flush(io);
        Room::Enough
    }

    /// Hands TCP what it has room for.
    pub(super) fn flush(&mut self, io: &mut Io<'_>) {
        if let Some(security) = &mut self.security {
            security.drain(&mut self.outgoing);
        }
        if !self.outgoing.is_empty() {
            let taken = io.tcp_send(self.stream, &self.outgoing);
            self.outgoing.drain(..taken);
        }
    }

    /// Ends the connection in order.
    pub(super) fn close(mut self, io: &mut Io<'_>) {
        if let Some(security) = &mut self.security {
            security.close();
        }
        self.flush(io);
        io.tcp_close(self.stream);
    }
}
