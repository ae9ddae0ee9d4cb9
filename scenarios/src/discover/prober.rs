//! What runs on the client's host: sockets, and one STUN transaction at a time over any of them.

use std::net::SocketAddr;

use pinhole::host::BindError;
use pinhole::nat64::Prefix64;
use pinhole::{Address, Endpoint, Input, Io, Program, Time};

use crate::stun_client::{BindingOutcome, BindingRequest, Retransmission, StunTransaction};

/// What came of one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Exchange {
    /// When the first request was sent.
    pub(super) begun: Time,
    /// When the answer came, the request itself came back, or all hope was given up.
    pub(super) ended: Time,
    /// How many requests were sent.
    pub(super) requests: u32,
    /// What came.
    pub(super) came: Came,
}

/// What came back, and on which socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// The end of a STUN transaction. With RESPONSE-PORT the answer comes in on another socket
    /// than the request left from.
    End {
        on: SocketAddr,
        outcome: BindingOutcome,
    },
    /// The request itself: something turned it round.
    Request { on: SocketAddr, from: SocketAddr },
}

/// The program on the client's host.
pub(super) struct Prober {
    /// The prefix under which IPv4 lies, where the host has only IPv6.
    through: Option<Prefix64>,
    asking: Option<Asking>,
}

struct Asking {
    local: SocketAddr,
    to: SocketAddr,
    begun: Time,
    transaction: StunTransaction,
    sent: Vec<u8>,
    /// When it was over, and what had come.
    end: Option<(Time, Came)>,
}

impl Prober {
    pub(super) fn new(through: Option<Prefix64>) -> Self {
        Prober {
            through,
            asking: None,
        }
    }

    /// Opens a socket that nothing was sent from before, on the host's first address that can reach
    /// the server; `None` if the host has none.
    pub(super) fn open(
        &self,
        server: Address,
        io: &mut Io<'_>,
    ) -> Result<Option<SocketAddr>, BindError> {
        let Some(address) = io.address(on_the_network(self.through, server).family()) else {
            return Ok(None);
        };
        let any_port = Endpoint::new(address, 0).into();
        io.bind_to(any_port).map(Some)
    }

    /// Begins a transaction, in place of the one before.
    pub(super) fn begin(
        &mut self,
        local: SocketAddr,
        to: SocketAddr,
        request: BindingRequest,
        patience: Retransmission,
        io: &mut Io<'_>,
    ) {
        let begun = io.now();
        self.asking = Some(Asking {
            local,
            to,
            begun,
            transaction: StunTransaction::new(begun, request, patience, io.random()),
            sent: Vec::new(),
            end: None,
        });
        self.pump(io);
    }

    /// What came of the transaction, once it is over.
    pub(super) fn exchange(&self) -> Option<Exchange> {
        let asking = self.asking.as_ref()?;
        let (ended, came) = asking.end?;
        Some(Exchange {
            begun: asking.begun,
            ended,
            requests: asking.transaction.requests(),
            came,
        })
    }

    fn pump(&mut self, io: &mut Io<'_>) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        if asking.end.is_none()
            && let Some(outcome) = asking.transaction.outcome()
        {
            let on = asking.local;
            asking.end = Some((io.now(), Came::End { on, outcome }));
        }
        if asking.end.is_some() {
            return io.wake_at(None);
        }
        if let Some(request) = asking.transaction.poll_transmit() {
            let address = on_the_network(self.through, asking.to.ip().into());
            let to = SocketAddr::new(address.into(), asking.to.port());
            io.send(asking.local, to, request);
            asking.sent.clear();
            asking.sent.extend_from_slice(request);
        }
        io.wake_at(asking.transaction.poll_timeout());
    }
}

/// An address as packets have it on the host's network.
fn on_the_network(through: Option<Prefix64>, address: Address) -> Address {
    through.map_or(address, |prefix| prefix.embed(address))
}

impl Program for Prober {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        let through = self.through;
        // As the server knows itself.
        let known_as = |remote: SocketAddr| {
            let stands_for = through.and_then(|prefix| prefix.extract(remote.ip().into()));
            stands_for.map_or(remote, |address| {
                SocketAddr::new(address.into(), remote.port())
            })
        };
        let Some(asking) = &mut self.asking else {
            return;
        };
        match input {
            Input::Datagram(datagram) => {
                let (on, from) = (datagram.local, known_as(datagram.remote));
                if asking.transaction.handle_datagram(from, datagram.payload) {
                    let outcome = asking.transaction.outcome();
                    let outcome = outcome.expect("a transaction that was answered is over");
                    asking.end.get_or_insert((now, Came::End { on, outcome }));
                } else if datagram.payload == asking.sent && on != asking.local {
                    asking.end.get_or_insert((now, Came::Request { on, from }));
                } else {
                    io.reject("nothing that is waited for");
                }
            }
            Input::Unreachable { local, remote, .. }
                if (local, known_as(remote)) == (asking.local, asking.to) =>
            {
                asking.transaction.handle_unreachable();
            }
            Input::Wake => asking.transaction.handle_timeout(now),
            Input::Start
            | Input::Unreachable { .. }
            | Input::Tcp { .. }
            | Input::EchoReply(_)
            | Input::NetworkChanged
            | Input::Message { .. } => {}
        }
        self.pump(io);
    }
}
