//! What a rule list remembers of the conversations that it let begin: connection tracking, as
//! Linux words its states.

use crate::address::Endpoint;
use crate::behaviour::Lifetimes;
use crate::middlebox::Way;
use crate::packet::{Packet, Protocol, TcpFlags, TcpSegment, Transport};
use crate::time::Time;

use super::pinholes::Memory;
use super::rules::States;
use super::session::{MidStream, Session};

/// A conversation's inner and outer endpoint.
type Ends = (Protocol, Endpoint, Endpoint);

/// A conversation.
#[derive(Clone, Copy)]
struct Conversation {
    /// Which way its first packet went.
    begun: Way,
    answered: bool,
    /// Of TCP alone.
    session: Option<Session>,
}

/// The conversations that go on.
pub(super) struct Tracker {
    lifetimes: Lifetimes,
    mid_stream: MidStream,
    conversations: Memory<Ends, Conversation>,
}

impl Tracker {
    pub(super) fn new(lifetimes: Lifetimes, mid_stream: MidStream) -> Self {
        Tracker {
            lifetimes,
            mid_stream,
            conversations: Memory::new(),
        }
    }

    /// Which state a packet is in. Empty for one that fits to nothing: an error about nothing
    /// known, a segment from nowhere.
    pub(super) fn state(&mut self, now: Time, way: Way, packet: &Packet) -> States {
        if let Transport::IcmpError(error) = &packet.transport {
            let (source, destination) = (error.quoted_source, error.quoted_destination);
            let (inner, outer) = match way {
                // Who reports an error is on the other side of the packet that it quotes.
                Way::In => (source, destination),
                Way::Out => (destination, source),
            };
            let known = (self.conversations).holds(now, &(error.quoted_protocol, inner, outer));
            return if known { States::RELATED } else { States::NONE };
        }
        let known = self.conversations.get_mut(now, &ends(way, packet));
        match (known, &packet.transport) {
            (Some((_, known)), Transport::Tcp(segment)) if begins_anew(known, segment) => {
                States::NEW
            }
            (Some((_, known)), _) if known.answered || known.begun != way => States::ESTABLISHED,
            (Some(_), _) => States::NEW,
            (None, Transport::Tcp(segment)) => match self.mid_stream {
                _ if segment.flags.contains(TcpFlags::RST) => States::NONE,
                MidStream::Strict if !segment.is_opening() => States::NONE,
                _ => States::NEW,
            },
            // An answer to a question that nobody asked.
            (None, Transport::IcmpEcho(echo)) if echo.is_reply => States::NONE,
            (None, _) => States::NEW,
        }
    }

    /// Takes note of a packet that passes. Returns whether it begins a conversation.
    pub(super) fn follow(&mut self, now: Time, way: Way, packet: &Packet) -> bool {
        let segment = match &packet.transport {
            Transport::IcmpError(_) => return false,
            Transport::Tcp(segment) => Some(segment),
            Transport::Udp | Transport::IcmpEcho(_) => None,
        };
        let key = ends(way, packet);
        let lifetimes = self.lifetimes;
        if let Some((until, known)) = self.conversations.get_mut(now, &key)
            && !segment.is_some_and(|segment| begins_anew(known, segment))
        {
            known.answered |= known.begun != way;
            if let (Some(session), Some(segment)) = (&mut known.session, segment) {
                session.follow(way, segment);
            }
            *until = now + lifetime(known, key.0, &lifetimes);
            return false;
        }
        // What ends something, and answers to nothing, begin nothing.
        let idle = match &packet.transport {
            Transport::Tcp(segment) => segment.flags.contains(TcpFlags::RST),
            Transport::IcmpEcho(echo) => echo.is_reply,
            Transport::Udp | Transport::IcmpError(_) => false,
        };
        if idle {
            return false;
        }
        let begun = Conversation {
            begun: way,
            answered: false,
            session: segment.map(|segment| Session::begin(way, segment)),
        };
        let until = now + lifetime(&begun, key.0, &lifetimes);
        self.conversations.remember(now, key, until, begun);
        true
    }
}

fn ends(way: Way, packet: &Packet) -> Ends {
    let protocol = packet.transport.protocol();
    match way {
        Way::Out => (protocol, packet.source, packet.destination),
        Way::In => (protocol, packet.destination, packet.source),
    }
}

/// Whether a segment opens a connection between the endpoints of one that has ended.
fn begins_anew(known: &Conversation, segment: &TcpSegment) -> bool {
    segment.is_opening() && known.session.is_some_and(|session| session.is_over())
}

fn lifetime(
    conversation: &Conversation,
    protocol: Protocol,
    lifetimes: &Lifetimes,
) -> std::time::Duration {
    match (&conversation.session, protocol) {
        (Some(session), _) => session.lifetime(lifetimes),
        (None, Protocol::Icmp) => lifetimes.icmp_query,
        (None, _) if conversation.answered => lifetimes.udp,
        (None, _) => lifetimes.udp_unanswered.unwrap_or(lifetimes.udp),
    }
}
