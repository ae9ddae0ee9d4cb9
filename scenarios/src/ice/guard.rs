//! A stack that panics is a finding, not a crash of the run.

use std::cell::Cell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pinhole::Time;

use super::{Candidate, Credentials, IceAgent, IceEvent, SignaledCandidate, Transmit};

thread_local! {
    static IN_A_STACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a guarded stack: a panic now is that stack's, and will be told as
/// a finding.
pub fn is_in_a_stack() -> bool {
    IN_A_STACK.get()
}

/// Calls into a stack. When that panics, what it said is the error, and what the call touched is not to
/// be used any more.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    IN_A_STACK.set(true);
    let answer = catch_unwind(AssertUnwindSafe(call));
    IN_A_STACK.set(false);
    answer.map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked without a message").to_owned()
    })
}

/// An agent whose panics are caught. After the first it is dead: it takes anything and does
/// nothing.
pub struct Guarded {
    agent: Option<Box<dyn IceAgent>>,
    local: Credentials,
    panic: Option<String>,
}

impl Guarded {
    /// Guards this agent.
    pub fn new(agent: Box<dyn IceAgent>) -> Self {
        let local = agent.local_credentials();
        Guarded {
            agent: Some(agent),
            local,
            panic: None,
        }
    }

    /// What the stack said when it panicked, if it did.
    pub fn panic(&self) -> Option<&str> {
        self.panic.as_deref()
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut dyn IceAgent) -> R) -> Option<R> {
        let agent = self.agent.as_mut()?;
        // The agent is dropped when it panics, so nobody sees the state it was left in.
        match guarded(|| call(&mut **agent)) {
            Ok(answer) => Some(answer),
            Err(panic) => {
                self.agent = None;
                self.panic = Some(panic);
                None
            }
        }
    }
}

impl IceAgent for Guarded {
    fn local_credentials(&self) -> Credentials {
        self.local.clone()
    }

    fn start(&mut self, now: Time, remote: &Credentials) {
        self.call(|agent| agent.start(now, remote));
    }

    fn restart(&mut self, now: Time) {
        let restarted = self.call(|agent| {
            agent.restart(now);
            agent.local_credentials()
        });
        if let Some(local) = restarted {
            self.local = local;
        }
    }

    fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.agent.as_ref()?.selected_pair()
    }

    fn add_local_candidate(
        &mut self,
        now: Time,
        candidate: Candidate,
    ) -> Option<SignaledCandidate> {
        self.call(|agent| agent.add_local_candidate(now, candidate))
            .flatten()
    }

    fn add_remote_candidate(&mut self, now: Time, candidate: SignaledCandidate) {
        self.call(|agent| agent.add_remote_candidate(now, candidate));
    }

    fn handle_datagram(
        &mut self,
        now: Time,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) {
        self.call(|agent| agent.handle_datagram(now, local, remote, payload));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.call(|agent| agent.handle_timeout(now));
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.call(|agent| agent.poll_transmit()).flatten()
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        self.call(|agent| agent.poll_event()).flatten()
    }

    fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        self.call(|agent| agent.poll_timeout(now)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fragile;

    impl IceAgent for Fragile {
        fn local_credentials(&self) -> Credentials {
            Credentials {
                ufrag: "u".to_owned(),
                password: "p".to_owned(),
            }
        }
        fn start(&mut self, _: Time, _: &Credentials) {
            panic!("{} pairs are too many", 7)
        }
        fn restart(&mut self, _: Time) {}
        fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)> {
            None
        }
        fn add_local_candidate(&mut self, _: Time, _: Candidate) -> Option<SignaledCandidate> {
            None
        }
        fn add_remote_candidate(&mut self, _: Time, _: SignaledCandidate) {}
        fn handle_datagram(&mut self, _: Time, _: SocketAddr, _: SocketAddr, _: &[u8]) {}
        fn handle_timeout(&mut self, _: Time) {}
        fn poll_transmit(&mut self) -> Option<Transmit> {
            None
        }
        fn poll_event(&mut self) -> Option<IceEvent> {
            None
        }
        fn poll_timeout(&mut self, now: Time) -> Option<Time> {
            Some(now)
        }
    }

    #[test]
    fn a_panic_is_kept_and_ends_the_agent() {
        let mut agent = Guarded::new(Box::new(Fragile));
        assert_eq!(agent.poll_timeout(Time::ZERO), Some(Time::ZERO));
        let remote = agent.local_credentials();
        agent.start(Time::ZERO, &remote);
        assert_eq!(agent.panic(), Some("7 pairs are too many"));
        assert_eq!(agent.poll_timeout(Time::ZERO), None);
    }
}
