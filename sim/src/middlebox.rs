//! What stands between an inside and an outside: the one point at which NATs, firewalls and a
//! user's own devices are attached to the network.
//!
//! A gateway passes every packet through its middleboxes: from the innermost to the outermost on
//! its way out, in reverse on its way in.

use crate::address::Endpoint;
use crate::engine::Stream;
use crate::id::NodeId;
use crate::packet::{Packet, PacketId};
use crate::time::Time;
use crate::trace::{Cause, DropReason};

/// What a middlebox may know beyond the packet.
pub struct Surroundings<'a> {
    /// The time.
    pub now: Time,
    /// The gateway that the middlebox is part of, to be named in drops.
    pub node: NodeId,
    /// The gateway's own random stream.
    pub random: &'a mut Stream,
}

/// What becomes of a packet at a middlebox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on.
    Forward(Passage),
    /// It goes back to the inside, translated (RFC 4787 §6). An answer to outbound packets only.
    Hairpin(Passage),
    /// It goes no further.
    Drop(DropReason),
    /// It goes no further, but something was changed for it before that showed.
    Refuse {
        /// What was changed.
        passage: Passage,
        /// The external endpoint of the mapping that it would have come from.
        external: Endpoint,
        /// Why it goes no further.
        reason: DropReason,
    },
    /// It waits here until the middlebox [asks](Request) to release or to discard it.
    Hold,
}

/// What a middlebox asks of its gateway, beside its verdicts about packets.
#[derive(Clone, Debug)]
pub enum Request {
    /// Sends a packet of the gateway's own, past all middleboxes. Who sends it is filled in.
    Send(Packet, Cause),
    /// Lets a packet that it [holds](Verdict::Hold) go on: it passes this middlebox once more, and
    /// then the others.
    Release(PacketId),
    /// Drops a packet that it holds.
    Discard(PacketId, DropReason),
    /// Calls [`wake`](Middlebox::wake) then.
    WakeAt(Time),
}

impl Verdict {
    /// The packet goes on as it came.
    pub const PASS: Verdict = Verdict::Forward(Passage {
        mapped: false,
        opened: false,
    });
}

/// What passing a packet changed in the middlebox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Passage {
    /// A mapping was created for it.
    pub mapped: bool,
    /// A pinhole was opened by it: packets from its destination may now come in.
    pub opened: bool,
}

/// A device between an inside and an outside.
///
/// A closure can be one:
///
/// ```
/// use pinhole::middlebox::{Middlebox, PacketFilter, Way};
/// use pinhole::packet::Packet;
///
/// // Drops every packet longer than 600 bytes, as a broken tunnel might.
/// let broken_tunnel = PacketFilter(|way: Way, packet: &Packet| {
///     if packet.wire_length() > 600 { Err("too long for the tunnel") } else { Ok(()) }
/// });
/// # fn takes(_: impl Middlebox) {}
/// # takes(broken_tunnel);
/// ```
pub trait Middlebox {
    /// A packet goes from the inside to the outside. Its addresses may be rewritten.
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict;

    /// A packet comes from the outside to the inside. Its addresses may be rewritten.
    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict;

    /// A time that it [asked for](Request::WakeAt) has come, or another middlebox of the gateway
    /// did.
    fn wake(&mut self, around: &mut Surroundings<'_>) {
        let _ = around;
    }

    /// What it asks of its gateway next. It is asked until it wants nothing, after every packet
    /// that came through the gateway and after every [`wake`](Middlebox::wake).
    fn poll_request(&mut self) -> Option<Request> {
        None
    }
}

/// Which way a packet goes through a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// From the inside to the outside.
    Out,
    /// From the outside to the inside.
    In,
}

/// A stateless middlebox made from a function that says why a packet must not pass.
pub struct PacketFilter<F>(pub F);

impl<F> PacketFilter<F>
where
    F: FnMut(Way, &Packet) -> Result<(), &'static str>,
{
    fn judge(&mut self, way: Way, packet: &Packet, node: NodeId) -> Verdict {
        match (self.0)(way, packet) {
            Ok(()) => Verdict::PASS,
            Err(why) => Verdict::Drop(DropReason::Custom { node, why }),
        }
    }
}

impl<F> Middlebox for PacketFilter<F>
where
    F: FnMut(Way, &Packet) -> Result<(), &'static str>,
{
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::Out, packet, around.node)
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge(Way::In, packet, around.node)
    }
}
