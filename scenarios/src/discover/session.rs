//! A series of tests against one server: opens sockets, runs transactions, keeps the log.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::nat64::Prefix64;
use pinhole::{Address, Internet, NodeId, ProgramId, Time};

use super::DiscoverError;
use super::prober::{Came, Exchange, Prober};
use crate::stun_client::{BindingOutcome, BindingRequest, BindingResponse, Retransmission};

/// A test that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which: `mapping I`, `filtering III`, `lifetime`, …
    pub test: &'static str,
    /// When its first request was sent.
    pub at: Time,
    /// The socket it was sent from.
    pub from: SocketAddr,
    /// Where it was sent to.
    pub to: SocketAddr,
    /// What was asked for.
    pub request: BindingRequest,
    /// How often the request was sent.
    pub requests: u32,
    /// What came back; `None` if nothing did.
    pub answer: Option<Answer>,
    /// What that says.
    pub conclusion: String,
}

/// Something that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When.
    pub at: Time,
    /// The socket it came in on.
    pub on: SocketAddr,
    /// Where it came from.
    pub from: SocketAddr,
    /// The mapped address it told; `None` for a request of the client's own that came back.
    pub mapped: Option<SocketAddr>,
}

/// How often an experiment that can't repeat its requests is repeated before silence counts: as
/// often as RFC 8489 sends a request.
pub(super) const TRIES: u32 = 7;

/// How often the server may leave a plain request unanswered, one after the other, before it counts
/// as gone.
const PLAIN_TRIES: u32 = 64;

/// A series of tests.
pub(super) struct Session<'a> {
    net: &'a mut Internet,
    host: NodeId,
    prober: ProgramId,
    server: SocketAddr,
    /// RTO of RFC 8489 §6.2.1: at least half a second, and no shorter than an answer may take.
    rto: Duration,
    /// For each fresh socket: whether its first mapping had its port.
    preserved: Vec<bool>,
    log: Vec<Step>,
}

/// An answer that counts: a success response from the server, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) response: BindingResponse,
    pub(super) on: SocketAddr,
    pub(super) exchange: Exchange,
}

impl<'a> Session<'a> {
    /// `through` is the NAT64's prefix, where that is the way to the server.
    pub(super) fn begin(
        net: &'a mut Internet,
        host: NodeId,
        server: SocketAddr,
        through: Option<Prefix64>,
    ) -> Self {
        let prober = net.attach(host, Prober::new(through));
        Session {
            net,
            host,
            prober,
            server,
            rto: Retransmission::default().rto,
            preserved: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The server's primary address and port.
    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// The time.
    pub(super) fn now(&self) -> Time {
        self.net.now()
    }

    /// Whether the device has shown more than one external address so far.
    pub(super) fn addresses_differ(&self) -> bool {
        let mapped = |step: &Step| Some(step.answer?.mapped?.ip());
        let mut seen = self.log.iter().filter_map(mapped);
        let first = seen.next();
        seen.any(|other| Some(other) != first)
    }

    pub(super) fn into_log(self) -> Vec<Step> {
        self.log
    }

    /// Whether most of the sockets were mapped to their own ports. Not all: a port may be taken.
    /// Not any: a port may be hit by chance.
    pub(super) fn ports_preserved(&self) -> bool {
        let preserved = self.preserved.iter().filter(|preserved| **preserved);
        2 * preserved.count() > self.preserved.len()
    }

    /// Opens a socket that nothing was sent from before: what the device remembers of it is what
    /// the test does (RFC 5780 §4.1).
    pub(super) fn socket(&mut self) -> Result<SocketAddr, DiscoverError> {
        let server = Address::from(self.server.ip());
        let open = |prober: &mut Prober, io: &mut pinhole::Io<'_>| prober.open(server, io);
        match self.net.act(self.prober, open) {
            Ok(Some(socket)) => Ok(socket),
            Ok(None) | Err(_) => Err(DiscoverError::NoSocket {
                host: self.net.name(self.host).to_owned(),
                server: self.server,
            }),
        }
    }

    /// Runs one transaction to its end.
    pub(super) fn exchange(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        request: BindingRequest,
        patience: Retransmission,
    ) -> Result<Exchange, DiscoverError> {
        let prober = self.prober;
        self.net.act(prober, |program: &mut Prober, io| {
            program.begin(from, to, request, patience, io);
        });
        let ended = |net: &Internet| net.program::<Prober>(prober).exchange();
        // The transaction's own alarm ends it.
        self.net
            .run_while_not(Time::MAX, |net| ended(net).is_some())?;
        Ok(ended(self.net).expect("it is over"))
    }

    /// RFC 8489's patience.
    pub(super) fn patience(&self) -> Retransmission {
        Retransmission {
            rto: self.rto,
            ..Retransmission::default()
        }
    }

    /// One request, and one RTO for its answer.
    pub(super) fn once(&self) -> Retransmission {
        Retransmission {
            rto: self.rto,
            count: 1,
            last: 1,
        }
    }

    /// One test: a transaction with all patience. Returns what the server told, or `None` if it
    /// told nothing; the conclusion is drawn by [`conclude`](Session::conclude).
    pub(super) fn test(
        &mut self,
        test: &'static str,
        from: SocketAddr,
        to: SocketAddr,
        request: BindingRequest,
    ) -> Result<Option<Told>, DiscoverError> {
        let exchange = self.exchange(from, to, request, self.patience())?;
        self.note(test, from, to, request, exchange);
        let told = self.told(to, exchange)?;
        if let Some(told) = &told {
            // Measured from the first request: too long rather than too short.
            self.rto = self
                .rto
                .max(2 * (told.exchange.ended - told.exchange.begun));
        }
        Ok(told)
    }

    /// The same from a fresh socket to the server's primary address and port, nothing special
    /// asked: makes the mapping that the tests after it are about.
    pub(super) fn first_test(
        &mut self,
        test: &'static str,
        from: SocketAddr,
    ) -> Result<Option<Told>, DiscoverError> {
        let told = self.test(test, from, self.server, BindingRequest::default())?;
        if let Some(told) = &told {
            self.preserved
                .push(told.response.mapped.port() == from.port());
        }
        Ok(told)
    }

    /// A plain request to the server, answered at the first try, so that it is certain when the
    /// mapping was refreshed last: tried until it is.
    pub(super) fn refresh(&mut self, from: SocketAddr) -> Result<Told, DiscoverError> {
        for _ in 0..PLAIN_TRIES {
            let request = BindingRequest::default();
            let exchange = self.exchange(from, self.server, request, self.once())?;
            if let Some(told) = self.told(self.server, exchange)? {
                return Ok(told);
            }
        }
        Err(DiscoverError::FellSilent {
            server: self.server,
            tries: PLAIN_TRIES,
        })
    }

    /// Lets time pass.
    pub(super) fn wait_until(&mut self, time: Time) -> Result<(), DiscoverError> {
        Ok(self.net.run_until(time)?)
    }

    /// Reads an exchange: silence is an answer too, but an error response is none that a test can
    /// go on from.
    pub(super) fn told(
        &self,
        server: SocketAddr,
        exchange: Exchange,
    ) -> Result<Option<Told>, DiscoverError> {
        let Came::End { on, outcome } = exchange.came else {
            return Ok(None);
        };
        let why = match outcome {
            BindingOutcome::Success(response) => {
                return Ok(Some(Told {
                    response,
                    on,
                    exchange,
                }));
            }
            BindingOutcome::TimedOut => return Ok(None),
            BindingOutcome::Error(_) => "refuses what discovery asks for",
            BindingOutcome::Unusable => "answers what cannot be understood",
            BindingOutcome::Unreachable => "is no STUN server, as ICMP reports",
        };
        Err(DiscoverError::Unfit { server, why })
    }

    /// Puts a test on the log.
    pub(super) fn note(
        &mut self,
        test: &'static str,
        from: SocketAddr,
        to: SocketAddr,
        request: BindingRequest,
        exchange: Exchange,
    ) {
        let (on, source, mapped) = match exchange.came {
            Came::End { on, outcome } => match outcome {
                BindingOutcome::Success(response) => {
                    (on, Some(response.from), Some(response.mapped))
                }
                _ => (on, None, None),
            },
            Came::Request { on, from } => (on, Some(from), None),
        };
        let answer = source.map(|source| Answer {
            at: exchange.ended,
            on,
            from: source,
            mapped,
        });
        self.log.push(Step {
            test,
            at: exchange.begun,
            from,
            to,
            request,
            requests: exchange.requests,
            answer,
            conclusion: String::new(),
        });
    }

    /// Says what the last test on the log means.
    pub(super) fn conclude(&mut self, conclusion: impl Into<String>) {
        if let Some(step) = self.log.last_mut() {
            step.conclusion = conclusion.into();
        }
    }
}
