//! Programs: how any protocol stack is attached to a virtual host.
//!
//! A program is sans-IO. It is handed the time and its input; whatever it wants done it asks of the
//! [`Io`] it is given: datagrams to send, when to be woken, messages to post. It reads no clock,
//! opens no socket of the operating system and never blocks.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::network_layer::Sending;
use super::sockets::{BindError, Host};
use super::tcp::{Place, TcpEvent, TcpId, TcpSettings};
use crate::address::{Address, Endpoint, Family};
use crate::engine::Stream;
use crate::id::NodeId;
use crate::packet::{
    Car, IcmpEcho, IcmpErrorKind, LARGEST_UDP_PAYLOAD, Packet, PacketArena, PacketId, Payload,
    Slot, Train, Transport,
};
use crate::time::Time;

/// A program that runs on a host. Given out when a program is attached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProgramId(pub(crate) u32);

/// What runs on a host.
///
/// Any `FnMut(Time, Input, &mut Io)` is a program too:
///
/// ```
/// use pinhole::{Input, Io, Time};
///
/// // Answers every datagram with its own bytes.
/// let echo = |_now: Time, input: Input<'_>, io: &mut Io<'_>| match input {
///     Input::Start => { io.bind(7).unwrap(); }
///     Input::Datagram(datagram) => io.send(datagram.local, datagram.remote, datagram.payload),
///     _ => {}
/// };
/// # fn takes(_: impl pinhole::Program) {}
/// # takes(echo);
/// ```
pub trait Program: Any {
    /// Something happened at `now`. Everything the program wants done about it is asked of `io`.
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>);

    /// A packet reached the host, and this program has its [raw socket](Io::open_raw). Programs
    /// without one need nothing here.
    fn handle_packet(&mut self, now: Time, packet: &Packet, io: &mut Io<'_>) {
        let _ = (now, packet, io);
    }

    /// A [train](Io::send_train) came in on one of its sockets; `now` is the time of its last car. A
    /// program that knows nothing of trains is given each car as the datagram that it is. What it
    /// rejects of a train is rejected with all of it.
    fn handle_train(&mut self, now: Time, train: ArrivedTrain<'_>, io: &mut Io<'_>) {
        let mut payload = Vec::new();
        for car in train.cars {
            payload.clear();
            car.payload(&mut payload);
            let datagram = Datagram {
                id: PacketId(train.id.0 + u64::from(car.number)),
                local: train.local,
                remote: train.remote,
                payload: &payload,
                length: usize::from(car.length),
                tag: 0,
            };
            self.handle_input(now, Input::Datagram(datagram), io);
        }
    }
}

impl<F> Program for F
where
    F: FnMut(Time, Input<'_>, &mut Io<'_>) + 'static,
{
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        self(now, input, io);
    }
}

/// What a program is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The program was attached: always its first input.
    Start,
    /// A datagram came in on one of its sockets.
    Datagram(Datagram<'a>),
    /// Something happened to one of its TCP connections.
    Tcp {
        /// The connection.
        stream: TcpId,
        /// What happened.
        event: TcpEvent<'a>,
    },
    /// The time came for which it asked to be woken.
    Wake,
    /// ICMP reports that a datagram or ping it sent could not be delivered, or its own host that it
    /// is too long for the first link.
    Unreachable {
        /// The socket it was sent from; a ping's identifier stands in place of the port.
        local: SocketAddr,
        /// Where it was sent to.
        remote: SocketAddr,
        /// What was wrong.
        kind: IcmpErrorKind,
        /// Who says so: a host, a gateway, or a router that has no address of its own and uses
        /// 192.0.0.8 (RFC 7600 §4.8) or `100::c000:8`.
        reporter: IpAddr,
    },
    /// Somebody answered its ping.
    EchoReply(EchoReply<'a>),
    /// The host's addresses have changed: [`Io::addresses`] tells those that it has now.
    NetworkChanged,
    /// Another program posted something, out of band.
    Message {
        /// Who.
        from: ProgramId,
        /// What.
        content: &'a dyn Any,
    },
}

/// A datagram that came in.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its number in the run.
    pub id: PacketId,
    /// The socket's address and port, as the sender's packet named it on arrival.
    pub local: SocketAddr,
    /// Where it seems to come from: behind a NAT, the NAT's external endpoint.
    pub remote: SocketAddr,
    /// The bytes; empty if it was sent with only a size.
    pub payload: &'a [u8],
    /// The payload's length, real or claimed.
    pub length: usize,
    /// The tag of a datagram that was sent with only a size.
    pub tag: u64,
}

/// A train that came in.
#[derive(Clone, Copy, Debug)]
pub struct ArrivedTrain<'a> {
    /// The number in the run of the first datagram that was sent with it.
    pub id: PacketId,
    /// As of a [`Datagram`].
    pub local: SocketAddr,
    /// As of a [`Datagram`].
    pub remote: SocketAddr,
    /// What is left of it, by time of arrival.
    pub cars: &'a [Car],
}

/// The answer to a ping (RFC 792, RFC 4443 §4.2).
#[derive(Clone, Copy, Debug)]
pub struct EchoReply<'a> {
    /// The answer's number in the run.
    pub id: PacketId,
    /// The address that was pinged from.
    pub local: IpAddr,
    /// Who answered.
    pub remote: IpAddr,
    /// The ping's identifier.
    pub identifier: u16,
    /// The ping's sequence number.
    pub sequence: u16,
    /// The ping's bytes.
    pub payload: &'a [u8],
}

/// A message on its way from program to program, outside the network.
pub(crate) struct Post {
    pub(crate) to: ProgramId,
    pub(crate) after: Duration,
    pub(crate) content: Box<dyn Any>,
}

/// When a program wants to be woken.
#[derive(Clone, Copy, Default)]
pub(crate) struct Alarm {
    /// What the program asked for last.
    pub(crate) wanted: Option<Time>,
    /// The earliest of its events in the queue; later ones are void.
    pub(crate) queued: Option<Time>,
}

/// What a program can do: its host's sockets, and the time.
pub struct Io<'a> {
    pub(crate) now: Time,
    pub(crate) program: ProgramId,
    pub(crate) host: &'a mut Host,
    pub(crate) arena: &'a mut PacketArena,
    pub(crate) outbox: &'a mut Vec<Slot>,
    pub(crate) posts: &'a mut Vec<Post>,
    pub(crate) alarm: &'a mut Alarm,
    /// Connections that have something to do once the program is done.
    pub(crate) busy: &'a mut Vec<(NodeId, Place)>,
    pub(crate) sending: &'a mut Sending,
    pub(crate) rejected: Option<&'static str>,
}

impl Io<'_> {
    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The program's own id, for others to post to.
    pub fn program(&self) -> ProgramId {
        self.program
    }

    /// The host's own addresses, in the order in which its interfaces were made.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.host.addresses()
    }

    /// The host's random stream.
    pub fn random(&mut self) -> &mut Stream {
        self.host.random()
    }

    /// Binds a UDP socket to `port` on every address of the host; 0 picks a free port from the
    /// ephemeral range (RFC 6335 §6). Returns the port.
    ///
    /// # Errors
    ///
    /// The port is taken, or none is left.
    pub fn bind(&mut self, port: u16) -> Result<u16, BindError> {
        self.host.bind(self.program, None, port)
    }

    /// Binds a UDP socket to one address of the host; port 0 picks a free one. Returns the bound
    /// address and port.
    ///
    /// # Errors
    ///
    /// The address isn't the host's, the port is taken, or none is left.
    pub fn bind_to(&mut self, local: SocketAddr) -> Result<SocketAddr, BindError> {
        let Endpoint { address, port } = local.into();
        let port = self.host.bind(self.program, Some(address), port)?;
        Ok(Endpoint::new(address, port).into())
    }

    /// Closes what [`bind_to`](Io::bind_to) or [`bind`](Io::bind) opened. Closing what isn't open
    /// does nothing.
    pub fn close(&mut self, local: SocketAddr) {
        self.host.close(self.program, local.into());
    }

    /// Sends a datagram from `local` to `remote`. An unspecified local address (`0.0.0.0`, `::`)
    /// becomes the host's first address of the remote's family.
    ///
    /// As with a real socket, nothing is promised: what becomes of the datagram is in the trace.
    /// Payloads that no UDP packet can hold are cut to what it can.
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, payload: &[u8]) {
        let payload = self
            .arena
            .payload(&payload[..payload.len().min(LARGEST_UDP_PAYLOAD)]);
        self.send_payload(local.into(), remote.into(), payload);
    }

    /// The same from the socket at `port`: from the host's first address of the remote's family.
    pub fn send_from(&mut self, port: u16, remote: SocketAddr, payload: &[u8]) {
        self.send(
            Endpoint::new(Address::UNSPECIFIED, port).into(),
            remote,
            payload,
        );
    }

    /// Sends a datagram that has only a size, and a `tag` for the receiver's program.
    pub fn send_sized(&mut self, local: SocketAddr, remote: SocketAddr, length: usize, tag: u64) {
        let length = length.min(LARGEST_UDP_PAYLOAD) as u32;
        self.send_payload(local.into(), remote.into(), Payload::Sized { length, tag });
    }

    /// Sends the cars of a train from `local` to `remote`, each as a datagram that was sent at its
    /// own time; see [`packet::train`](crate::packet::train). The train is empty then. A car may be
    /// from before now, by less than what the first link delays it: a program that has something to
    /// send every few microseconds saves that up for a millisecond or two.
    ///
    /// To its own host, and where fragments are [allowed](Io::allow_fragmentation), cars go as
    /// datagrams of their own, now.
    ///
    /// ```
    /// # use pinhole::packet::Train;
    /// # use pinhole::{Io, Sketch};
    /// # fn example(io: &mut Io<'_>) {
    /// let mut train = Train::default();
    /// train.push(io.now(), 1_200, b"the beginning of the first");
    /// train.push(io.now(), 900, b"and of the second");
    /// let local = "0.0.0.0:5000".parse().unwrap();
    /// io.send_train(local, "192.0.2.1:5000".parse().unwrap(), &mut train);
    /// assert!(train.is_empty());
    /// # }
    /// ```
    pub fn send_train(&mut self, local: SocketAddr, remote: SocketAddr, train: &mut Train) {
        if train.is_empty() {
            return;
        }
        train.number();
        let (local, remote) = (local.into(), Endpoint::from(remote));
        if !self.sending.dont_fragment || self.host.interface(remote.address).is_some() {
            for car in train.cars() {
                let mut payload = self.arena.payload(&[]);
                if let Payload::Bytes(buffer) = &mut payload {
                    car.payload(buffer);
                }
                self.send_payload(local, remote, payload);
            }
            return train.clear();
        }
        let payload = self.arena.train(train);
        self.send_payload(local, remote, payload);
    }

    fn send_payload(&mut self, local: Endpoint, remote: Endpoint, payload: Payload) {
        let source = self.host.source_for(local, remote);
        let slot = self
            .arena
            .insert_udp(source, remote, payload, self.host.node());
        self.put_out(slot);
    }

    /// Sends an echo request. The host there answers by itself, with the same bytes:
    /// [`Input::EchoReply`]. What comes back to this `identifier` is given to the program that used
    /// it last on this host. Of `local` the address counts: see [`send`](Io::send).
    ///
    /// ```
    /// # use pinhole::{Io, Sketch};
    /// # fn example(io: &mut Io<'_>) {
    /// let anywhere = "0.0.0.0".parse().unwrap();
    /// io.ping(anywhere, "192.0.2.1".parse().unwrap(), 77, 1, b"are you there?");
    /// # }
    /// ```
    pub fn ping(
        &mut self,
        local: IpAddr,
        remote: IpAddr,
        identifier: u16,
        sequence: u16,
        payload: &[u8],
    ) {
        self.host.network_layer().pings(identifier, self.program);
        let remote = Endpoint::new(remote.into(), 0);
        let local = Endpoint::new(local.into(), identifier);
        let source = self.host.source_for(local, remote);
        let payload = (self.arena).payload(&payload[..payload.len().min(LARGEST_UDP_PAYLOAD)]);
        let echo = IcmpEcho {
            is_reply: false,
            sequence,
        };
        let origin = self.host.node();
        let request = Packet::new(source, remote, Transport::IcmpEcho(echo), payload, origin);
        let slot = self.arena.insert(request);
        self.put_out(slot);
    }

    /// Hands a packet over to the network.
    fn put_out(&mut self, slot: Slot) {
        if *self.sending != Sending::default() {
            let packet = self.arena.get_mut(slot);
            packet.hop_limit = self.sending.hop_limit;
            packet.dont_fragment = self.sending.dont_fragment;
        }
        self.outbox.push(slot);
    }

    /// Listens for TCP connections to `port` on every address of the host; 0 picks a free port from
    /// the ephemeral range. Returns the port. TCP's ports are others than UDP's. Who connects is
    /// told as [`TcpEvent::Accepted`].
    ///
    /// # Errors
    ///
    /// A program listens there already, or no port is left.
    pub fn tcp_listen(&mut self, port: u16) -> Result<u16, BindError> {
        self.host.use_tcp().listen(self.program, port)
    }

    /// Takes back [`tcp_listen`](Io::tcp_listen). Connections that were accepted live on.
    pub fn tcp_stop_listening(&mut self, port: u16) {
        self.host.use_tcp().stop_listening(self.program, port);
    }

    /// Opens a TCP connection from `local` to `remote`. An unspecified local address becomes the
    /// host's first of the remote's family, port 0 a free one. The program may connect from a port
    /// that it listens on, and to somebody who connects to it at the same time (RFC 9293 §3.5).
    ///
    /// What becomes of it is told later: [`TcpEvent::Connected`] or [`TcpEvent::Ended`].
    ///
    /// # Errors
    ///
    /// The local address isn't the host's; the port is taken by a connection to the same remote
    /// endpoint, which after its end may take ten seconds more, or by another program that
    /// listens; no port is left; the remote endpoint has no port, or another IP version than the
    /// host.
    pub fn tcp_connect(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<TcpId, BindError> {
        let remote = remote.into();
        let local = self.host.source_for(local.into(), remote);
        if local.address.is_unspecified() || local.address.family() != remote.address.family() {
            return Err(BindError::NoAddress { remote });
        }
        let address = local.address;
        if self.host.interface(address).is_none() {
            return Err(BindError::NotMine { address });
        }
        let mtu = self.host.tcp_mtu(address);
        let (program, now) = (self.program, self.now);
        let tcp = self.host.use_tcp();
        let (place, id) = tcp.connect(program, local, remote, mtu, now)?;
        self.mark(Some(place));
        Ok(id)
    }

    /// Sends bytes over a connection, and returns how many of them the send buffer took. If those
    /// are not all, [`TcpEvent::Writable`] follows when there is room again, or once the
    /// connection is there. What a program sends while it handles one input leaves together.
    ///
    /// A connection that is closed, over or not the program's takes nothing.
    pub fn tcp_send(&mut self, stream: TcpId, bytes: &[u8]) -> usize {
        let Some(tcp) = self.host.tcp() else { return 0 };
        let (taken, place) = tcp.send(self.program, stream, bytes);
        self.mark(place);
        taken
    }

    /// Closes a connection on this side: a FIN follows what was sent. The other side may still
    /// send. Before the connection is there this ends it.
    pub fn tcp_close(&mut self, stream: TcpId) {
        if let Some(tcp) = self.host.tcp() {
            let place = tcp.close(self.program, stream);
            self.mark(place);
        }
    }

    /// Ends a connection at once: the other side gets a reset, the program hears no more of it.
    pub fn tcp_abort(&mut self, stream: TcpId) {
        if let Some(tcp) = self.host.tcp() {
            let place = tcp.abort(self.program, stream);
            self.mark(place);
        }
    }

    /// Sets how the host's TCP behaves, for connections that are opened or accepted from now on,
    /// of every program.
    pub fn tcp_settings(&mut self, settings: TcpSettings) {
        self.host.use_tcp().set(settings);
    }

    /// Something is to be done about a connection, once the program is done.
    fn mark(&mut self, place: Option<Place>) {
        let node = self.host.node();
        if let Some(place) = place
            && let Some(tcp) = self.host.tcp()
            && tcp.mark(place)
        {
            self.busy.push((node, place));
        }
    }

    /// Whether what the program sends from now on may be cut into fragments: by its host, and for
    /// IPv4 by every node before a link that is too narrow. What Linux calls `IP_MTU_DISCOVER`,
    /// `IP_PMTUDISC_DONT` and `IP_PMTUDISC_DO`. Off at first: what is too long is dropped, and the
    /// program told how long it may be ([`IcmpErrorKind::TooBig`]).
    pub fn allow_fragmentation(&mut self, allowed: bool) {
        self.sending.dont_fragment = !allowed;
    }

    /// The hops that what the program sends from now on may take (`IP_TTL`, `IPV6_UNICAST_HOPS`);
    /// [64](crate::packet::DEFAULT_HOP_LIMIT) at first. Where they end somebody says so
    /// ([`IcmpErrorKind::TimeExceeded`]), which is how `traceroute` works.
    pub fn set_hop_limit(&mut self, hops: u8) {
        self.sending.hop_limit = hops;
    }

    /// Opens the host's raw socket: from now on every packet that reaches the host is handed to
    /// this program's [`handle_packet`](Program::handle_packet) as it is, headers and fragments and
    /// all, and to nobody else. The host answers nothing by itself any more: no ICMP error, no
    /// reset. For programs that examine the network.
    pub fn open_raw(&mut self) {
        self.host.open_raw(self.program);
    }

    /// Sends a packet that the program has made itself, down to its headers. Its number and origin
    /// are the host's to give. A source that is none of the host's addresses leads nowhere.
    pub fn send_raw(&mut self, packet: Packet) {
        let origin = self.host.node();
        let translations = 0;
        let slot = self.arena.insert(Packet {
            origin,
            translations,
            ..packet
        });
        self.outbox.push(slot);
    }

    /// Asks to be woken at `when`; `None` cancels. A program has one alarm: the last call counts.
    /// Times in the past mean now.
    pub fn wake_at(&mut self, when: impl Into<Option<Time>>) {
        self.alarm.wanted = when.into().map(|when| when.max(self.now));
    }

    /// Asks to be woken `after` from now.
    pub fn wake_after(&mut self, after: Duration) {
        self.wake_at(self.now + after);
    }

    /// Posts `content` to another program, `after` from now, outside the network: no link delays
    /// it, no NAT sees it. Stands for a signaling channel where signaling isn't the subject.
    pub fn post(&mut self, to: ProgramId, after: Duration, content: impl Any) {
        self.posts.push(Post {
            to,
            after,
            content: Box::new(content),
        });
    }

    /// Declares the datagram being handled to be unusable: its fate becomes
    /// [`DropReason::Rejected`](crate::trace::DropReason::Rejected) with this reason.
    pub fn reject(&mut self, why: &'static str) {
        self.rejected = Some(why);
    }

    /// The host's first address of a family, if it has one.
    pub fn address(&self, family: Family) -> Option<Address> {
        self.host
            .addresses()
            .find(|address| address.family() == family)
    }
}
