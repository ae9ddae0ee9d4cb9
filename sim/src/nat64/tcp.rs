//! The states of a TCP session (RFC 6146 §3.5.2.2), as far as lifetimes depend on them.

use std::time::Duration;

use crate::behaviour::Lifetimes;
use crate::middlebox::Way;
use crate::packet::{TcpFlags, TcpSegment};

/// A session's state. The RFC's names say which IP version a segment was of; here they say which
/// side it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TcpState {
    /// Only this side has sent its SYN.
    Opening(Way),
    /// Both have.
    Established,
    /// This side has sent its FIN.
    HalfClosed(Way),
    /// Both have: what is still under way may pass, and prolongs nothing.
    Closed,
    /// A reset was seen. If it was forged, the next segment brings the session back (§3.5.2.2,
    /// TRANS).
    Reset,
}

impl TcpState {
    /// The state that a segment opens a session in; `None` if it opens none.
    pub(super) fn opened_by(segment: &TcpSegment, way: Way) -> Option<TcpState> {
        segment.is_opening().then_some(TcpState::Opening(way))
    }

    /// The state after another segment, and the lifetime that starts with it; `None` where what was
    /// left of it goes on running out.
    pub(super) fn after(
        self,
        segment: &TcpSegment,
        way: Way,
        lifetimes: &Lifetimes,
    ) -> (TcpState, Option<Duration>) {
        let has = |flag| segment.flags.contains(flag);
        let established = Some(lifetimes.tcp_established);
        let transitory = Some(lifetimes.tcp_transitory);
        match self {
            TcpState::Opening(opener) if has(TcpFlags::SYN) && way != opener => {
                (TcpState::Established, established)
            }
            TcpState::Opening(opener) if has(TcpFlags::SYN) && way == opener => (self, transitory),
            TcpState::Opening(_) | TcpState::Closed => (self, None),
            TcpState::Established | TcpState::HalfClosed(_) if has(TcpFlags::RST) => {
                (TcpState::Reset, transitory)
            }
            TcpState::Established if has(TcpFlags::FIN) => (TcpState::HalfClosed(way), established),
            TcpState::HalfClosed(first) if has(TcpFlags::FIN) && way != first => {
                (TcpState::Closed, transitory)
            }
            TcpState::Established | TcpState::HalfClosed(_) => (self, established),
            TcpState::Reset if has(TcpFlags::RST) => (self, None),
            TcpState::Reset => (TcpState::Established, established),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segments: &[(TcpFlags, Way)]) -> (TcpState, Option<Duration>) {
        let segment = |flags| TcpSegment {
            flags,
            ..TcpSegment::default()
        };
        let (first, rest) = segments.split_first().unwrap();
        let mut state = TcpState::opened_by(&segment(first.0), first.1).unwrap();
        let mut lifetime = None;
        for (flags, way) in rest {
            (state, lifetime) = state.after(&segment(*flags), *way, &Lifetimes::STANDARD);
        }
        (state, lifetime)
    }

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN: TcpFlags = TcpFlags::FIN;
    const RST: TcpFlags = TcpFlags::RST;

    #[test]
    fn sessions_open_and_close_as_the_rfc_has_it() {
        let (out, back) = (Way::Out, Way::In);
        let established = Some(Lifetimes::STANDARD.tcp_established);
        let transitory = Some(Lifetimes::STANDARD.tcp_transitory);
        // An answer without SYN opens nothing; a simultaneous open does.
        assert_eq!(
            run(&[(SYN, out), (ACK, back)]),
            (TcpState::Opening(out), None)
        );
        assert_eq!(
            run(&[(SYN, out), (SYN, out)]),
            (TcpState::Opening(out), transitory)
        );
        let open = [(SYN, out), (SYN | ACK, back)];
        assert_eq!(run(&open), (TcpState::Established, established));
        assert_eq!(
            run(&[(SYN, back), (SYN, out)]),
            (TcpState::Established, established)
        );
        // Closing from either side; a second FIN of the same side is a repetition.
        let half = [open[0], open[1], (FIN | ACK, back), (FIN | ACK, back)];
        assert_eq!(run(&half), (TcpState::HalfClosed(back), established));
        let closed = [open[0], open[1], (FIN, out), (FIN, back), (ACK, out)];
        assert_eq!(run(&closed[..4]), (TcpState::Closed, transitory));
        assert_eq!(run(&closed), (TcpState::Closed, None));
        // A forged reset ends nothing that goes on.
        let reset = [open[0], open[1], (RST, back), (RST, back), (ACK, out)];
        assert_eq!(run(&reset[..3]), (TcpState::Reset, transitory));
        assert_eq!(run(&reset[..4]), (TcpState::Reset, None));
        assert_eq!(run(&reset), (TcpState::Established, established));
    }
}
