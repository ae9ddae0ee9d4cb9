//! A host without a network, for this room's tests: hands a program its inputs and collects what
//! it does about them.

use std::net::SocketAddr;

use crate::engine::Stream;
use crate::host::{Alarm, Datagram, Host, Input, Io, Program, ProgramId, Sending};
use crate::id::{DirectionId, NodeId};
use crate::packet::{IcmpErrorKind, PacketArena, PacketId, Slot};
use crate::time::Time;

pub(super) struct LoneHost<P> {
    pub(super) program: P,
    pub(super) now: Time,
    host: Host,
    arena: PacketArena,
    outbox: Vec<Slot>,
    alarm: Alarm,
    /// Why the last datagram was rejected.
    pub(super) rejected: Option<&'static str>,
}

/// What a program sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: Vec<u8>,
}

impl<P: Program> LoneHost<P> {
    pub(super) fn start(program: P, addresses: &[&str]) -> Self {
        let mut host = Host::new(NodeId(0), Stream::new(1, "lone host"));
        for address in addresses {
            host.connect(address.parse().unwrap(), DirectionId(0), 1500);
        }
        let mut lone = LoneHost {
            program,
            now: Time::ZERO,
            host,
            arena: PacketArena::default(),
            outbox: Vec::new(),
            alarm: Alarm::default(),
            rejected: None,
        };
        lone.input(Input::Start);
        lone
    }

    pub(super) fn input(&mut self, input: Input<'_>) -> Vec<Sent> {
        let mut io = Io {
            now: self.now,
            program: ProgramId(0),
            host: &mut self.host,
            arena: &mut self.arena,
            outbox: &mut self.outbox,
            posts: &mut Vec::new(),
            alarm: &mut self.alarm,
            busy: &mut Vec::new(),
            sending: &mut Sending::default(),
            rejected: None,
        };
        self.program.handle_input(self.now, input, &mut io);
        self.rejected = io.rejected;
        let arena = &mut self.arena;
        self.outbox
            .drain(..)
            .map(|slot| {
                let packet = arena.get(slot).clone();
                arena.remove(slot);
                Sent {
                    from: packet.source.into(),
                    to: packet.destination.into(),
                    payload: packet.payload.bytes().to_vec(),
                }
            })
            .collect()
    }

    /// A datagram comes in.
    pub(super) fn datagram(&mut self, from: &str, to: &str, payload: &[u8]) -> Vec<Sent> {
        self.input(Input::Datagram(Datagram {
            id: PacketId(0),
            local: to.parse().unwrap(),
            remote: from.parse().unwrap(),
            payload,
            length: payload.len(),
            tag: 0,
        }))
    }

    /// ICMP says that `remote` can't be reached from `local`.
    #[allow(dead_code)]
    pub(super) fn unreachable(&mut self, local: SocketAddr, remote: SocketAddr) -> Vec<Sent> {
        self.input(Input::Unreachable {
            local,
            remote,
            kind: IcmpErrorKind::PortUnreachable,
            reporter: remote.ip(),
        })
    }

    /// Lets time pass until `until`, with every wake-up on the way.
    #[allow(dead_code)]
    pub(super) fn sleep_until(&mut self, until: Time) -> Vec<Sent> {
        let mut sent = Vec::new();
        for _ in 0..100_000 {
            match self.alarm.wanted.filter(|when| *when <= until) {
                Some(when) => {
                    self.now = self.now.max(when);
                    self.alarm.wanted = None;
                    sent.extend(self.input(Input::Wake));
                }
                None => {
                    self.now = until;
                    return sent;
                }
            }
        }
        panic!("the program wants to be woken without end, at {}", self.now);
    }

    /// Whether a socket is bound there.
    #[allow(dead_code)]
    pub(super) fn is_bound(&self, local: SocketAddr) -> bool {
        self.host.owner(local.into()).is_some()
    }
}
