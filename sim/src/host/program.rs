//! Programs: how any protocol stack is attached to a virtual host.
//!
//! A program is sans-IO. It is handed the time and its input; whatever it wants done it asks of the
//! [`Io`] it is given: datagrams to send, when to be woken, messages to post. It reads no clock,
//! opens no socket of the operating system and never blocks.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use super::sockets::{BindError, Host};
use crate::address::{Address, Endpoint, Family};
use crate::engine::Stream;
use crate::packet::{
    IcmpErrorKind, LARGEST_UDP_PAYLOAD, Packet, PacketArena, PacketId, Payload, Slot,
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
    /// The time came for which it asked to be woken.
    Wake,
    /// ICMP reports that a datagram it sent could not be delivered.
    Unreachable {
        /// The socket it was sent from.
        local: SocketAddr,
        /// Where it was sent to.
        remote: SocketAddr,
        /// What was wrong.
        kind: IcmpErrorKind,
    },
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

    fn send_payload(&mut self, local: Endpoint, remote: Endpoint, payload: Payload) {
        let source = self.host.source_for(local, remote);
        let slot = self
            .arena
            .insert_udp(source, remote, payload, self.host.node());
        self.outbox.push(slot);
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
