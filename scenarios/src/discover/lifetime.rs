//! How long a mapping lives (RFC 5780 §4.6): one socket makes a mapping and falls silent; later
//! another socket has the server send an answer there. Which silence is the longest that the
//! mapping survives is found by doubling and then halving.
//!
//! What counts is the mapping's age at the device when the answer gets there, and the client is
//! not at the device. With `d` between client and device, `e` between device and server, and the
//! second request sent `s` after the first:
//!
//! ```text
//!   mapping refreshed at   d              by the first request
//!   answer at the device   s + d + 2 e    client to server and back to the device
//!   age                    s + 2 e  =  s + RTT − 2 d
//! ```
//!
//! The RTT is known from the first request's own answer. Sent at `s = T − RTT − r/2`, the answer
//! meets a mapping of age `T − 2 d − r/2`: with steps of `r` ([`RESOLUTION`]), half a step early, so that neither
//! `d` nor jitter matter while they are small beside half a step. A lifetime of `T` passes the test
//! for `T` and fails the one for `T + r`.
//!
//! The server answers to the address that the second request seems to come from. Where the device
//! has several and gives them out as it likes (RFC 4787 §4.1, arbitrary pooling), a second socket
//! is sought whose requests leave from the first one's address.
//!
//! An answer that comes while the mapping lives may refresh it; it doesn't matter, each test begins
//! with a request of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::Time;

use super::session::{Session, TRIES};
use super::{DiscoverError, Lifetime, RESOLUTION};
use crate::stun_client::BindingRequest;

/// The first lifetime that is tried, in steps: a second.
const FIRST: u32 = 10;

/// How many round trips before its turn the search begins for a socket that leaves from a certain
/// address: as many sockets are tried.
const SEARCH: u32 = 16;
/// How often a search that found none begins anew, from a mapping that may have another address.
const SEARCHES: usize = 8;

/// Finds the lifetime, waiting no longer than `longest`.
pub(super) fn find(
    session: &mut Session<'_>,
    longest: Duration,
) -> Result<Lifetime, DiscoverError> {
    let mut probe = Probe::begin(session)?;
    let longest = steps(longest);
    // It lives as long as it takes the server to answer, or there would be no mapping to speak of.
    let mut alive = steps(probe.rtt);
    let mut dead = loop {
        let next = (2 * alive).max(FIRST).max(probe.shortest()).min(longest);
        if !probe.survives(next)? {
            break next;
        }
        alive = next;
        if alive == longest {
            return Ok(Lifetime::Outlives(longest * RESOLUTION));
        }
    };
    while dead > alive + 1 {
        let middle = alive.midpoint(dead).max(probe.shortest());
        if middle >= dead {
            break;
        }
        if probe.survives(middle)? {
            alive = middle;
        } else {
            dead = middle;
        }
    }
    Ok(Lifetime::Expires(alive.min(dead) * RESOLUTION))
}

/// Whole steps in a span, at most a hundred years' worth.
fn steps(span: Duration) -> u32 {
    let steps = span.as_nanos() / RESOLUTION.as_nanos();
    u32::try_from(steps)
        .unwrap_or(u32::MAX / 4)
        .min(u32::MAX / 4)
}

struct Probe<'s, 'n> {
    session: &'s mut Session<'n>,
    /// The socket whose mapping is tested.
    silent: SocketAddr,
    /// The sockets that ask for the answer: the first, unless addresses differ.
    asking: Vec<SocketAddr>,
    rtt: Duration,
}

impl<'s, 'n> Probe<'s, 'n> {
    fn begin(session: &'s mut Session<'n>) -> Result<Self, DiscoverError> {
        let silent = session.socket()?;
        let asking = session.socket()?;
        if session.first_test("lifetime I", silent)?.is_some() {
            session.conclude("the mapping whose lifetime is tested");
        }
        let told = session.refresh(silent)?;
        let rtt = told.exchange.ended - told.exchange.begun;
        Ok(Probe {
            session,
            silent,
            asking: vec![asking],
            rtt,
        })
    }

    /// The least that can be tested: the first answer must be in before the second request leaves.
    fn shortest(&self) -> u32 {
        let search = match self.session.addresses_differ() {
            true => SEARCH * self.rtt,
            false => Duration::ZERO,
        };
        steps(2 * self.rtt + RESOLUTION / 2 + search) + 1
    }

    /// Refreshes the silent mapping and lets so much silence pass. Returns the endpoint that is
    /// tested, and the socket to ask from.
    fn fall_silent(&mut self, span: Duration) -> Result<(SocketAddr, SocketAddr), DiscoverError> {
        let mut searches = SEARCHES;
        loop {
            let told = self.session.refresh(self.silent)?;
            self.rtt = told.exchange.ended - told.exchange.begun;
            let early = self.rtt + RESOLUTION / 2;
            let due = told.exchange.begun + span.saturating_sub(early);
            let due = due.max(told.exchange.ended);
            let mapped = told.response.mapped;
            let found = match self.session.addresses_differ() {
                true => self.search(mapped.ip(), due)?,
                false => self.asking.first().copied(),
            };
            let from = match found {
                Some(from) => from,
                None if searches > 0 => {
                    searches -= 1;
                    continue;
                }
                None => self.session.socket()?,
            };
            self.session.wait_until(due)?;
            return Ok((mapped, from));
        }
    }

    /// A socket whose requests leave from this address, found shortly before `due`.
    fn search(&mut self, address: IpAddr, due: Time) -> Result<Option<SocketAddr>, DiscoverError> {
        let before = due.saturating_since(Time::ZERO);
        let begin = Time::ZERO + before.saturating_sub(SEARCH * self.rtt);
        self.session.wait_until(begin)?;
        for place in 0.. {
            if self.session.now() + self.rtt > due {
                break;
            }
            if place == self.asking.len() {
                let another = self.session.socket()?;
                self.asking.push(another);
            }
            let from = self.asking[place];
            if self.session.refresh(from)?.response.mapped.ip() == address {
                return Ok(Some(from));
            }
        }
        // Those have shown other addresses, and will again while they are remembered.
        self.asking.clear();
        Ok(None)
    }

    /// Whether a mapping survives so many steps of silence. Silence proves nothing on a path that
    /// loses packets, so it must repeat itself.
    fn survives(&mut self, steps: u32) -> Result<bool, DiscoverError> {
        let span = steps * RESOLUTION;
        for last in (0..TRIES).rev() {
            let (mapped, from) = self.fall_silent(span)?;
            let session = &mut *self.session;
            let request = BindingRequest {
                change: None,
                response_port: Some(mapped.port()),
            };
            let to = session.server();
            let exchange = session.exchange(from, to, request, session.once())?;
            // The port may be another mapping's by now.
            let survived = session
                .told(to, exchange)?
                .is_some_and(|told| told.on == self.silent);
            if survived || last == 0 {
                session.note(super::LIFETIME_SEARCH, from, to, request, exchange);
                let what = if survived { "alive" } else { "dead" };
                session.conclude(format!("after {:.1} s: {what}", span.as_secs_f64()));
            }
            if survived {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
