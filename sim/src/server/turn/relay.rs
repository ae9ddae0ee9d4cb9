//! Data on its way through: from clients to peers, from peers to clients, and ICMP about it.

use std::net::SocketAddr;

use turn_server_proto::api::{DelayedMessageOrChannelSend, TurnServerApi};
use turn_server_proto::stun::agent::Transmit;
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::transmit::TransmitBuild;
use turn_server_proto::types::{AddressFamily, TransportType};

use super::{ClientKey, Room, TurnServer, icmp, instant};
use crate::address::{Address, Endpoint, Family};
use crate::host::Io;
use crate::packet::{IcmpErrorKind, LARGEST_UDP_PAYLOAD};
use crate::time::Time;

impl TurnServer {
    /// A Send indication or ChannelData.
    pub(super) fn relay_to_peer(
        &mut self,
        now: Time,
        key: ClientKey,
        payload: &[u8],
        io: &mut Io<'_>,
    ) -> Result<(), &'static str> {
        let local = self.listeners[key.listener].local;
        let transmit = Transmit::new(payload, TransportType::Udp, key.client.into(), local);
        let client = self.clients.get_mut(key);
        let out = client
            .and_then(|client| client.core.recv(transmit, instant(now)))
            .ok_or("data for a peer without channel or permission")?;
        if !self.may_reach(out.to) {
            return Err("data for a peer that the rules deny");
        }
        let (from, to) = (out.from, out.to);
        let data = built(out, &mut self.buffer)?;
        let length = data.len();
        io.send(from, to, data);
        let traffic = self.traffic(key.listener);
        traffic.client_in.count(payload.len());
        traffic.peer_out.count(length);
        Ok(())
    }

    /// A datagram that came to a relayed address.
    pub(super) fn peer_datagram(
        &mut self,
        now: Time,
        key: ClientKey,
        relay: SocketAddr,
        peer: SocketAddr,
        payload: &[u8],
        io: &mut Io<'_>,
    ) -> Result<(), &'static str> {
        if !self.may_reach(peer) {
            return Err("data from a peer that the rules deny");
        }
        let transmit = Transmit::new(payload, TransportType::Udp, peer, relay);
        let client = self.clients.get_mut(key);
        let out = client
            .and_then(|client| client.core.recv(transmit, instant(now)))
            .ok_or("data from a peer without permission")?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let room = built(out, &mut buffer).map(|data| (self.transmit(key, data, io), data.len()));
        self.buffer = buffer;
        let (room, length) = room?;
        let traffic = self.traffic(key.listener);
        traffic.peer_in.count(payload.len());
        match room {
            Room::Enough => traffic.client_out.count(length),
            Room::None => traffic.overflow.count(length),
        }
        Ok(())
    }

    /// ICMP about a datagram from a relayed address goes to the client (RFC 8656 §11.5).
    pub(super) fn unreachable(
        &mut self,
        now: Time,
        relay: Endpoint,
        peer: Endpoint,
        kind: IcmpErrorKind,
        io: &mut Io<'_>,
    ) {
        let Some(key) = self.relays.get(&relay).copied() else {
            return;
        };
        let family = match relay.address.family() {
            Family::V4 => AddressFamily::IPV4,
            Family::V6 => AddressFamily::IPV6,
        };
        let mut buffer = icmp::buffer();
        let bytes = icmp::error(kind, relay, peer, &mut buffer);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if let Some(out) = client.core.recv_icmp(family, bytes, instant(now)) {
            self.send_to_client(key, &out.data, io);
        }
    }

    /// Whether the rules let clients reach `peer`. An IPv4 address in IPv6 clothes is refused: it
    /// would leave from an IPv6 socket for the IPv4 internet.
    pub(super) fn may_reach(&self, peer: SocketAddr) -> bool {
        let address = Address::from(peer.ip());
        peer.is_ipv4() == address.is_ipv4() && self.config.peers.allows(address)
    }
}

/// The bytes of what the crate wants sent, in `buffer` where they have to be put together.
fn built<'a>(
    out: TransmitBuild<DelayedMessageOrChannelSend<&'a [u8]>>,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    // The header around the data may make it longer than a datagram can be; the crate would then
    // write a wrong length into the header.
    if out.data.len() > LARGEST_UDP_PAYLOAD {
        return Err("data too long to be relayed");
    }
    match out.data {
        DelayedMessageOrChannelSend::Range(data, range) => return Ok(&data[range]),
        DelayedMessageOrChannelSend::Channel(channel) => {
            buffer.resize(channel.len(), 0);
            channel.write_into(buffer);
        }
        // `write_into` would make a Send indication of it, even towards the client.
        DelayedMessageOrChannelSend::Message(message) => *buffer = message.build(),
        DelayedMessageOrChannelSend::Owned(bytes) => *buffer = bytes,
    }
    Ok(buffer)
}
