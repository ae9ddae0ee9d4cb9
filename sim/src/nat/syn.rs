//! SYNs from outside that nobody inside has asked for (RFC 5382 REQ-4).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rustc_hash::FxBuildHasher;

use super::config::UnsolicitedSyn;
use super::connections::is_opening;
use super::icmp::Quoted;
use super::{Flow, Nat, flags_of};
use crate::address::Endpoint;
use crate::middlebox::{Request, Surroundings};
use crate::packet::{
    IcmpErrorKind, Packet, PacketId, Payload, Protocol, TcpFlags, TcpSegment, Transport,
};
use crate::time::Time;
use crate::trace::{Cause, DropReason};

/// SYNs that will be answered, unless one from inside comes first.
#[derive(Default)]
pub(super) struct Unsolicited {
    /// By external and remote endpoint.
    waiting: HashMap<(Endpoint, Endpoint), (Time, PacketId), FxBuildHasher>,
    /// In the order in which they are due: each waits as long.
    due: VecDeque<(Time, Endpoint, Endpoint)>,
}

/// The most SYNs that wait. Who sends more gets no answers, which he doesn't deserve either.
const MOST_WAITING: usize = 1024;

impl Nat {
    /// Does what is to be done about a packet from outside that was refused: nothing, unless it is
    /// a SYN.
    pub(super) fn answer_unsolicited(
        &mut self,
        packet: &Packet,
        drop: &DropReason,
        around: &Surroundings<'_>,
    ) {
        let refused = matches!(
            drop,
            DropReason::NoMapping { .. } | DropReason::FilteredByNat { .. }
        );
        if !refused || !is_opening(flags_of(&packet.transport)) {
            return;
        }
        match self.config.unsolicited_syn {
            UnsolicitedSyn::Silence => {}
            UnsolicitedSyn::Reset => self.reset(packet),
            UnsolicitedSyn::Wait(span) => self.wait_for_syn(packet, span, around.now),
        }
    }

    fn wait_for_syn(&mut self, packet: &Packet, span: Duration, now: Time) {
        let (external, remote) = (packet.destination, packet.source);
        let Unsolicited { waiting, due } = &mut self.unsolicited;
        // The sender repeats itself: the first one counts.
        if due.len() >= MOST_WAITING || waiting.contains_key(&(external, remote)) {
            return;
        }
        let time = now + span;
        waiting.insert((external, remote), (time, packet.id));
        due.push_back((time, external, remote));
        self.requests.push_back(Request::WakeAt(time));
    }

    /// A SYN from inside makes it a simultaneous open.
    #[inline]
    pub(super) fn cancel_unsolicited(&mut self, external: Endpoint, flow: &Flow) {
        if flow.protocol == Protocol::Tcp && is_opening(flow.flags) {
            let waiting = &mut self.unsolicited.waiting;
            waiting.remove(&(external, flow.remote));
        }
    }

    /// Answers those for which no SYN from inside has come in time.
    pub(super) fn answer_overdue(&mut self, now: Time) {
        while let Some((time, external, remote)) = self.unsolicited.due.front().copied() {
            if time > now {
                return;
            }
            self.unsolicited.due.pop_front();
            let waiting = &mut self.unsolicited.waiting;
            // Another one may wait in the place of one that was cancelled.
            match waiting.get(&(external, remote)).copied() {
                Some((due, id)) if due == time => {
                    waiting.remove(&(external, remote));
                    let about = Quoted {
                        id,
                        protocol: Protocol::Tcp,
                        source: remote,
                        destination: external,
                    };
                    let from = external.without_port();
                    self.report(IcmpErrorKind::PortUnreachable, from, about);
                }
                _ => {}
            }
        }
    }

    /// Resets the connection that a SYN asks for, as nobody should.
    fn reset(&mut self, packet: &Packet) {
        let Transport::Tcp(syn) = &packet.transport else {
            return;
        };
        let reset = TcpSegment {
            acknowledgment: syn.sequence.wrapping_add(1),
            flags: TcpFlags::RST | TcpFlags::ACK,
            ..TcpSegment::default()
        };
        let answer = Packet::new(
            packet.destination,
            packet.source,
            Transport::Tcp(reset),
            Payload::default(),
            crate::NodeId(0),
        );
        let request = Request::Send(answer, Cause::Sent);
        self.requests.push_back(request);
    }
}
