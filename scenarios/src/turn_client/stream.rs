//! A TURN client over TCP (RFC 8656 §3.1), with TLS on it or without.
//!
//! Sans-IO like the client it holds: it is told what became of the connection, and says what is to
//! be written to it. TURN itself begins when the connection stands, and behind TLS's handshake.

use std::collections::VecDeque;
use std::net::SocketAddr;

use pinhole::server::{StreamFraming, StreamSecurity};
use pinhole::{TcpEnd, TcpEvent, Time};

use super::{Received, TurnClient, TurnEvent};
use crate::tls::TlsStream;

/// Bytes that may wait for a connection that takes them slowly. Data beyond is dropped: it is late
/// anyway, and what waits can't be overtaken.
const LONGEST_QUEUE: usize = 64 * 1024;

/// Why a stream ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEnd {
    /// TCP's own reason.
    Tcp(TcpEnd),
    /// The server closed it.
    ClosedByServer,
    /// TLS could not begin, or not go on.
    Tls(String),
    /// The server sent what is no TURN message.
    Garbage,
}

/// A client of one TURN server, over a TCP connection that its holder has asked for.
#[derive(Debug)]
pub struct TurnStream {
    server: SocketAddr,
    user: String,
    password: String,
    client: Option<TurnClient>,
    security: Option<Security>,
    framing: StreamFraming,
    plain: Vec<u8>,
    outgoing: Vec<u8>,
    received: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<TurnEvent>,
    connected_at: Option<Time>,
    secured_at: Option<Time>,
    end: Option<StreamEnd>,
}

/// TLS, once there is a connection for it.
#[derive(Debug)]
enum Security {
    Wanted { server_name: String },
    Begun { tls: TlsStream, local: SocketAddr },
}

impl TurnStream {
    /// A client of `server`, over TCP alone.
    pub fn tcp(server: SocketAddr, user: &str, password: &str) -> Self {
        TurnStream {
            server,
            user: user.to_owned(),
            password: password.to_owned(),
            client: None,
            security: None,
            framing: StreamFraming::default(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            received: VecDeque::new(),
            events: VecDeque::new(),
            connected_at: None,
            secured_at: None,
            end: None,
        }
    }

    /// A client of `server`, over TLS. The server has to be called `server_name`.
    pub fn tls(server: SocketAddr, server_name: &str, user: &str, password: &str) -> Self {
        let server_name = server_name.to_owned();
        TurnStream {
            security: Some(Security::Wanted { server_name }),
            ..TurnStream::tcp(server, user, password)
        }
    }

    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The relayed address, while there is one.
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.client.as_ref()?.relayed()
    }

    /// When the connection stood.
    pub fn connected_at(&self) -> Option<Time> {
        self.connected_at
    }

    /// When TLS's handshake was over, on this side.
    pub fn secured_at(&self) -> Option<Time> {
        self.secured_at
    }

    /// Why it ended, if it did. Its holder then closes the connection.
    pub fn end(&self) -> Option<&StreamEnd> {
        self.end.as_ref()
    }

    /// Something happened to the connection.
    pub fn handle_event(&mut self, now: Time, event: TcpEvent<'_>) {
        if self.end.is_some() {
            return;
        }
        match event {
            TcpEvent::Accepted { .. } | TcpEvent::Writable => {}
            TcpEvent::Connected { local, .. } => {
                self.connected_at = Some(now);
                match self.security.take() {
                    Some(Security::Wanted { server_name }) => {
                        let tls = TlsStream::client(&server_name, now);
                        self.security = Some(Security::Begun { tls, local });
                    }
                    _ => self.begin(now, local),
                }
            }
            TcpEvent::Data(bytes) => {
                if let Err(why) = self.take_in(now, bytes) {
                    self.finish(why);
                }
            }
            TcpEvent::PeerClosed => self.finish(StreamEnd::ClosedByServer),
            TcpEvent::Ended(why) => self.finish(StreamEnd::Tcp(why)),
        }
        self.collect();
    }

    /// TURN begins.
    fn begin(&mut self, now: Time, local: SocketAddr) {
        let (user, password) = (&self.user, &self.password);
        let client = TurnClient::in_stream(local, self.server, user, password, now);
        self.client = Some(client);
    }

    fn take_in(&mut self, now: Time, bytes: &[u8]) -> Result<(), StreamEnd> {
        match &mut self.security {
            None => self.framing.push(bytes),
            Some(Security::Wanted { .. }) => {}
            Some(Security::Begun { tls, local }) => {
                let received = tls.receive(now, bytes, &mut self.plain);
                received.map_err(|failure| StreamEnd::Tls(failure.to_string()))?;
                self.framing.push(&self.plain);
                self.plain.clear();
                let local = *local;
                if self.client.is_none() && !tls.is_handshaking() {
                    self.secured_at = Some(now);
                    self.begin(now, local);
                }
            }
        }
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        while let Some(message) = self
            .framing
            .next_message()
            .map_err(|_| StreamEnd::Garbage)?
        {
            if let Received::Peer(data) = client.handle_datagram(now, message) {
                self.received
                    .push_back((data.peer(), data.bytes().to_vec()));
            }
        }
        Ok(())
    }

    fn finish(&mut self, why: StreamEnd) {
        match &mut self.client {
            Some(client) => client.handle_unreachable(),
            None => self
                .events
                .push_back(TurnEvent::AllocationFailed { code: None }),
        }
        // Still to be said: TLS's alert, or its goodbye.
        if let Some(Security::Begun { tls, .. }) = &mut self.security {
            tls.close();
        }
        self.end = Some(why);
    }

    /// Takes what the client has to send and to report.
    fn collect(&mut self) {
        if let Some(client) = &mut self.client {
            while let Some(event) = client.poll_event() {
                self.events.push_back(event);
            }
            while let Some(mut message) = client.poll_transmit() {
                if self.end.is_some() || self.outgoing.len() >= LONGEST_QUEUE {
                    continue;
                }
                message.resize(message.len() + StreamFraming::padding(&message), 0);
                match &mut self.security {
                    Some(Security::Begun { tls, .. }) => {
                        tls.send(&message);
                        tls.drain(&mut self.outgoing);
                    }
                    _ => self.outgoing.extend_from_slice(&message),
                }
            }
        }
        if let Some(Security::Begun { tls, .. }) = &mut self.security {
            tls.drain(&mut self.outgoing);
        }
    }

    /// The time that [`poll_timeout`](TurnStream::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(client) = &mut self.client {
            client.handle_timeout(now);
        }
        self.collect();
    }

    /// As [`TurnClient::permit`]; nothing as long as there is no allocation.
    pub fn permit(&mut self, peer: std::net::IpAddr, now: Time) {
        if let Some(client) = &mut self.client {
            client.permit(peer, now);
        }
        self.collect();
    }

    /// As [`TurnClient::bind_channel`].
    pub fn bind_channel(&mut self, peer: SocketAddr, now: Time) {
        if let Some(client) = &mut self.client {
            client.bind_channel(peer, now);
        }
        self.collect();
    }

    /// As [`TurnClient::send_to`].
    pub fn send_to(&mut self, peer: SocketAddr, bytes: &[u8], now: Time) {
        if let Some(client) = &mut self.client {
            client.send_to(peer, bytes, now);
        }
        self.collect();
    }

    /// As [`TurnClient::delete`].
    pub fn delete(&mut self, now: Time) {
        if let Some(client) = &mut self.client {
            client.delete(now);
        }
        self.collect();
    }

    /// What is to be written to the connection, in order.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// The connection took this many bytes of it.
    pub fn written(&mut self, bytes: usize) {
        self.outgoing.drain(..bytes);
    }

    /// The next datagram from a peer.
    pub fn poll_data(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.received.pop_front()
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](TurnStream::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.client.as_ref()?.poll_timeout()
    }
}
