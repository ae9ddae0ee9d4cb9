//! What a NAT knows of a TCP connection: the state machine of RFC 7857 §2 (which amends RFC 6146
//! §3.5.2), as far as lifetimes depend on it. Sequence numbers are not looked at.

use crate::packet::TcpFlags;

/// Where a segment comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Inside,
    Outside,
}

/// A connection's state: which flags were seen from which side.
///
/// ```text
///            SYN from both sides,        FIN from both sides, or RST
///            then an ACK                 from one
///   opening ─────────────────▶ established ─────────────▶ closing
///                                     ▲                      │
///                                     └──────────────────────┘
///                               after RST: any other segment
/// ```
///
/// A reset may be forged. So it ends nothing: the connection lives on for the transitory lifetime,
/// and whoever still speaks brings it back (RFC 7857 §2.2, RFC 6146 §3.5.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Connection(u8);

const SYN: [u8; 2] = [0x01, 0x02];
const FIN: [u8; 2] = [0x04, 0x08];
const ESTABLISHED: u8 = 0x10;
const RESET: u8 = 0x20;

impl Connection {
    /// A connection in whose middle the NAT began to look, as Linux takes it up.
    pub(super) const PICKED_UP: Connection = Connection(ESTABLISHED | SYN[0] | SYN[1]);

    /// Whether the connection gets the lifetime of established ones. Half closed counts, for the
    /// other half may take hours.
    pub(super) fn is_established(self) -> bool {
        let closed = self.0 & (FIN[0] | FIN[1]) == FIN[0] | FIN[1];
        self.0 & ESTABLISHED != 0 && self.0 & RESET == 0 && !closed
    }

    /// Whether it was established once and is so no longer.
    fn is_over(self) -> bool {
        self.0 & ESTABLISHED != 0 && !self.is_established()
    }

    /// The state after a segment.
    pub(super) fn after(self, side: Side, flags: TcpFlags) -> Connection {
        let side = side as usize;
        if flags.contains(TcpFlags::RST) {
            return Connection(self.0 | RESET);
        }
        if flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK) && self.is_over() {
            // The next connection between the same two endpoints.
            return Connection(SYN[side]);
        }
        let mut state = self.0 & !RESET;
        if flags.contains(TcpFlags::SYN) {
            state |= SYN[side];
        } else if flags.contains(TcpFlags::ACK) && state & SYN[0] != 0 && state & SYN[1] != 0 {
            state |= ESTABLISHED;
        }
        if flags.contains(TcpFlags::FIN) {
            state |= FIN[side];
        }
        Connection(state)
    }
}

/// What is wrong with a combination of flags that no TCP sends, if it is one.
pub(super) fn malformed(flags: TcpFlags) -> Option<&'static str> {
    let both = |other| flags.contains(TcpFlags::SYN) && flags.contains(other);
    if both(TcpFlags::FIN) {
        Some("a TCP segment with SYN and FIN")
    } else if both(TcpFlags::RST) {
        Some("a TCP segment with SYN and RST")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Side::{Inside, Outside};
    use super::*;

    const ANSWER: [TcpFlags; 2] = [TcpFlags::SYN, TcpFlags::ACK];

    fn run(segments: &[(Side, &[TcpFlags])]) -> Connection {
        let join = |flags: &[TcpFlags]| flags.iter().fold(TcpFlags::default(), |all, f| all | *f);
        segments
            .iter()
            .fold(Connection::default(), |state, (side, flags)| {
                state.after(*side, join(flags))
            })
    }

    fn handshake() -> Vec<(Side, &'static [TcpFlags])> {
        vec![
            (Inside, &[TcpFlags::SYN]),
            (Outside, &ANSWER),
            (Inside, &[TcpFlags::ACK]),
        ]
    }

    #[test]
    fn established_comes_with_the_last_segment_of_the_handshake() {
        let all = handshake();
        for some in 0..all.len() {
            assert!(!run(&all[..some]).is_established(), "{some}");
        }
        assert!(run(&all).is_established());
    }

    #[test]
    fn a_simultaneous_open_is_a_handshake_too() {
        let opened = run(&[
            (Inside, &[TcpFlags::SYN]),
            (Outside, &[TcpFlags::SYN]),
            (Inside, &ANSWER),
            (Outside, &ANSWER),
            (Outside, &[TcpFlags::ACK]),
        ]);
        assert!(opened.is_established());
    }

    #[test]
    fn an_answer_that_nobody_gives_establishes_nothing() {
        let alone = run(&[(Inside, &[TcpFlags::SYN]), (Inside, &[TcpFlags::ACK])]);
        assert!(!alone.is_established());
    }

    #[test]
    fn it_closes_when_both_sides_have_and_not_before() {
        let mut segments = handshake();
        let fin: &[TcpFlags] = &[TcpFlags::FIN, TcpFlags::ACK];
        segments.push((Outside, fin));
        assert!(run(&segments).is_established());
        segments.push((Inside, fin));
        assert!(!run(&segments).is_established());
        segments.push((Outside, &[TcpFlags::ACK]));
        assert!(!run(&segments).is_established(), "the last ACK");
        // The same ports again.
        segments.extend(handshake());
        assert!(run(&segments).is_established());
    }

    #[test]
    fn a_reset_is_believed_until_somebody_speaks_on() {
        let mut segments = handshake();
        segments.push((Outside, &[TcpFlags::RST]));
        assert!(!run(&segments).is_established());
        segments.push((Inside, &[TcpFlags::ACK]));
        assert!(run(&segments).is_established());
    }
}
