//! A TCP connection, as a firewall on its way can follow it (RFC 5382 §2, RFC 6146 §3.5.2 and
//! RFC 7857 §2).

use std::time::Duration;

use crate::behaviour::Lifetimes;
use crate::middlebox::Way;
use crate::packet::{TcpFlags, TcpSegment};

/// What a firewall does with a segment from the inside that belongs to no session and opens none:
/// its connection is older than the firewall's memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MidStream {
    /// It takes the connection up as if it had seen it open, as Linux does
    /// (`nf_conntrack_tcp_loose`), and so what most home routers do.
    #[default]
    Loose,
    /// It drops it, as Cisco's ASA and pf with its default `flags S/SA` do.
    Strict,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Not both sides have sent their SYN, or nobody has acknowledged them.
    Opening,
    Established,
    /// Both have sent a FIN.
    Closing,
    /// One has sent a reset. It may have been forged: what comes after it counts.
    Reset,
}

/// A connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Session {
    phase: Phase,
    /// Who has sent a SYN: inside, outside.
    syn: [bool; 2],
    /// Who has sent a FIN.
    fin: [bool; 2],
}

fn side(way: Way) -> usize {
    match way {
        Way::Out => 0,
        Way::In => 1,
    }
}

impl Session {
    /// A connection of which this is the first segment that is seen.
    pub(super) fn begin(way: Way, segment: &TcpSegment) -> Self {
        let mut session = Session {
            phase: if segment.flags.contains(TcpFlags::SYN) {
                Phase::Opening
            } else {
                Phase::Established
            },
            syn: [false; 2],
            fin: [false; 2],
        };
        session.follow(way, segment);
        session
    }

    /// Takes note of a segment that passes.
    pub(super) fn follow(&mut self, way: Way, segment: &TcpSegment) {
        let has = |flag| segment.flags.contains(flag);
        let side = side(way);
        if self.is_over() && segment.is_opening() {
            // The same endpoints begin anew.
            *self = Session::begin(way, segment);
            return;
        }
        if has(TcpFlags::RST) {
            self.phase = Phase::Reset;
            return;
        }
        self.syn[side] |= has(TcpFlags::SYN);
        self.fin[side] |= has(TcpFlags::FIN);
        self.phase = match self.phase {
            _ if self.fin == [true; 2] => Phase::Closing,
            Phase::Opening if self.syn == [true; 2] && !has(TcpFlags::SYN) => Phase::Established,
            Phase::Reset => Phase::Established,
            phase => phase,
        };
    }

    /// Whether the connection has ended, as far as can be seen.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Reset)
    }

    /// How long it is remembered after its last segment.
    pub(super) fn lifetime(&self, lifetimes: &Lifetimes) -> Duration {
        match self.phase {
            Phase::Established => lifetimes.tcp_established,
            Phase::Opening | Phase::Closing | Phase::Reset => lifetimes.tcp_transitory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN: TcpFlags = TcpFlags::FIN;
    const RST: TcpFlags = TcpFlags::RST;

    fn phase(segments: &[(Way, TcpFlags)]) -> Phase {
        let segment = |flags| TcpSegment {
            flags,
            ..TcpSegment::default()
        };
        let (way, flags) = segments[0];
        let mut session = Session::begin(way, &segment(flags));
        for (way, flags) in &segments[1..] {
            session.follow(*way, &segment(*flags));
        }
        session.phase
    }

    #[test]
    fn it_is_established_once_both_have_sent_a_syn_and_one_has_gone_on() {
        let (out, back) = (Way::Out, Way::In);
        assert_eq!(phase(&[(out, SYN)]), Phase::Opening);
        assert_eq!(phase(&[(out, SYN), (out, ACK)]), Phase::Opening);
        assert_eq!(phase(&[(out, SYN), (back, SYN | ACK)]), Phase::Opening);
        let opened = [(out, SYN), (back, SYN | ACK), (out, ACK)];
        assert_eq!(phase(&opened), Phase::Established);
        let at_once = [(out, SYN), (back, SYN), (out, SYN | ACK), (back, SYN | ACK)];
        assert_eq!(phase(&at_once), Phase::Opening);
        assert_eq!(
            phase(&[&at_once[..], &[(out, ACK)]].concat()),
            Phase::Established
        );
        // Taken up on the way.
        assert_eq!(phase(&[(out, ACK)]), Phase::Established);
    }

    #[test]
    fn it_closes_with_the_second_fin_or_a_reset_that_nothing_follows() {
        let (out, back) = (Way::Out, Way::In);
        let open = [(out, SYN), (back, SYN | ACK), (out, ACK)];
        let after = |rest: &[(Way, TcpFlags)]| phase(&[&open[..], rest].concat());
        assert_eq!(after(&[(out, FIN | ACK)]), Phase::Established);
        assert_eq!(
            after(&[(out, FIN | ACK), (back, FIN | ACK)]),
            Phase::Closing
        );
        let last = [(out, FIN | ACK), (back, FIN | ACK), (out, ACK)];
        assert_eq!(after(&last), Phase::Closing);
        assert_eq!(after(&[(back, RST)]), Phase::Reset);
        assert_eq!(after(&[(back, RST), (out, ACK)]), Phase::Established);
        // The same endpoints begin anew.
        assert_eq!(after(&[(back, RST), (out, SYN)]), Phase::Opening);
    }
}
