//! What stands between an inside and an outside: the one point at which NATs, firewalls and a
//! user's own devices are attached to the network.
//!
//! A gateway passes every packet through its middleboxes: from the innermost to the outermost on
//! its way out, in reverse on its way in.

use crate::engine::Stream;
use crate::id::NodeId;
use crate::packet::Packet;
use crate::time::Time;
use crate::trace::DropReason;

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
