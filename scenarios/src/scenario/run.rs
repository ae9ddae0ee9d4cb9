//! A scenario's call is made, and held against what is expected of it.

use pinhole::trace::Counts;

use super::{Judged, Scenario};
use crate::call::{Call, CallError, CallOutcome, Caller, Dropped};
use crate::explain::{Story, explain};

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The expectations, in the file's order.
    pub judged: Vec<Judged>,
    /// How the call ended.
    pub result: Result,
    /// What happened, if it was asked for or an expectation doesn't hold, and the call came to an
    /// end.
    pub story: Option<Story>,
}

/// How a scenario's call ended.
#[derive(Clone, Debug)]
pub enum Result {
    /// It came to an end.
    Ended(Box<CallOutcome>),
    /// It had spent what it may.
    Stopped(Stopped),
}

/// A call that never came to an end, and what was measured until it was stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// What it had spent.
    pub why: String,
    /// What had become of the packets.
    pub packets: Counts,
    /// Why packets were dropped, and where.
    pub drops: Vec<Dropped>,
}

impl Ran {
    /// Whether every expectation holds.
    pub fn holds(&self) -> bool {
        self.judged.iter().all(Judged::holds)
    }
}

impl Scenario {
    /// Makes the call. One that fails is made once more and recorded, so that its story can be
    /// told: it is the same call.
    ///
    /// # Errors
    ///
    /// The network or a fault makes no sense. A scenario that was read from a file has been asked.
    pub fn run(&self) -> std::result::Result<Ran, CallError> {
        self.run_and(false)
    }

    /// The same, with its story whether it fails or not.
    ///
    /// # Errors
    ///
    /// As those of [`Scenario::run`].
    pub fn run_telling(&self) -> std::result::Result<Ran, CallError> {
        self.run_and(true)
    }

    fn run_and(&self, tell: bool) -> std::result::Result<Ran, CallError> {
        let mut caller = Caller::new();
        let call = match caller.call(&self.call) {
            Ok(call) => call,
            Err(CallError::Budget(spent)) => return Ok(self.stopped(&caller, &spent.to_string())),
            Err(error) => return Err(error),
        };
        let judged = self.judge(&call);
        let outcome = call.outcome.clone();
        let holds = judged.iter().all(Judged::holds);
        let story = if holds && !tell {
            None
        } else {
            let mut caller = Caller::recording();
            Some(explain(&caller.call(&self.call)?))
        };
        Ok(Ran {
            judged,
            result: Result::Ended(Box::new(outcome)),
            story,
        })
    }

    fn judge(&self, call: &Call<'_>) -> Vec<Judged> {
        let expectations = self.expectations.iter();
        call.wire.read(|wire| {
            expectations
                .map(|it| it.judge(&self.call, &call.outcome, wire))
                .collect()
        })
    }

    fn stopped(&self, caller: &Caller, why: &str) -> Ran {
        let net = caller.internet();
        let trace = net.trace();
        let drops = trace.drops().iter().map(|drop| Dropped {
            reason: drop.example.code(),
            place: net.place_name(drop.example.place()),
            count: drop.count,
        });
        let untold = format!("the call was stopped: {why}");
        Ran {
            judged: self
                .expectations
                .iter()
                .map(|it| it.untold(&untold))
                .collect(),
            result: Result::Stopped(Stopped {
                why: why.to_owned(),
                packets: trace.counts(),
                drops: drops.collect(),
            }),
            story: None,
        }
    }
}
