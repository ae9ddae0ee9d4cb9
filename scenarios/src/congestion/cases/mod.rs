//! The test cases of RFC 8867, sections 5.1 to 5.5 and 5.8, for any controller of media, and what
//! RFC 8868 has measured in them.
//!
//! A [`Case`] is data: how much the bottleneck carries and when that changes, which flows there are.
//! [`run`] lays it out on the virtual internet, lets a [`Contender`] put its senders and receivers
//! onto it, and reads rates, delays and losses from the wire, the same way for everybody. A
//! [`Verdict`] says which criteria were met.
//!
//! RFC 8867 describes what is expected in words; the numbers that turn words into
//! [criteria](verdict) are ours. Its cases with TCP in the same queue (5.6, 5.7) aren't here, nor
//! those of sections 6 and later.

mod case;
mod flow;
mod outcome;
mod path;
mod source;
mod stack;
pub mod verdict;

pub use case::{Case, Flow, MAX_BPS, MIN_BPS, START_BPS, Step};
pub use flow::GoogCc;
pub use outcome::{CaseOutcome, FlowSeries, LOG_INTERVAL, Sample};
pub use source::Source;
pub use stack::Str0m;
pub use verdict::{Criterion, Verdict};

use std::net::SocketAddr;

use pinhole::{BudgetExceeded, Internet, NodeId, Time};

/// Where one flow is to run, and when.
#[derive(Clone, Debug)]
pub struct FlowSpec {
    /// Its name in results.
    pub name: String,
    /// The host that sends media.
    pub sender: NodeId,
    /// The host that receives it.
    pub receiver: NodeId,
    /// Where the sender may listen: an address of its host, and a port that is free.
    pub sender_at: SocketAddr,
    /// Where the receiver may.
    pub receiver_at: SocketAddr,
    /// When it sends: from, until; pauses lie between.
    pub active: Vec<(Time, Time)>,
    /// What everything random of it is drawn from.
    pub seed: u64,
}

impl FlowSpec {
    /// Whether it sends at that time.
    pub fn is_active(&self, now: Time) -> bool {
        self.active
            .iter()
            .any(|(from, until)| (*from..*until).contains(&now))
    }

    /// When it next begins or stops to send.
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let ends = self.active.iter().flat_map(|(from, until)| [*from, *until]);
        ends.filter(|time| *time > now).min()
    }
}

/// What a sender says of itself: beside what the wire shows, never in its place.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Told {
    /// The rate that its controller gives, in bits per second of IP packets; `None` before it has
    /// one.
    pub target_bps: Option<u64>,
    /// Frames that it skipped so far.
    pub skipped: u64,
}

/// A controller under test, with all that it takes to send media under it.
pub trait Contender {
    /// Its name in results and on the command line.
    fn name(&self) -> &'static str;

    /// Puts a flow's sender and receiver onto their hosts. The sender encodes what [`Source`] does,
    /// at the rate that the controller gives.
    fn attach(&self, net: &mut Internet, flow: &FlowSpec) -> Box<dyn Attached>;
}

/// The contender of that name.
///
/// # Errors
///
/// There is none; this names those that there are.
pub fn contender(name: &str) -> Result<Box<dyn Contender>, UnknownContender> {
    let mut all = contenders().into_iter();
    let known = all.find(|contender| contender.name() == name);
    known.ok_or_else(|| UnknownContender(name.to_owned()))
}

/// Every contender.
fn contenders() -> Vec<Box<dyn Contender>> {
    vec![Box::new(GoogCc), Box::new(Str0m)]
}

/// No contender is called so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no controller is called {0:?}; there are {known}", known = contenders().iter().map(|it| it.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownContender(pub String);

/// A flow at work.
pub trait Attached {
    /// What its sender says now.
    fn told(&self, net: &Internet) -> Told;

    /// What the stack said when it panicked, if it did.
    fn finding(&self, net: &Internet) -> Option<String>;
}

/// Runs a case.
///
/// # Errors
///
/// The run spent its budget: two stacks that storm at each other.
pub fn run(
    case: &Case,
    contender: &dyn Contender,
    seed: u64,
) -> Result<CaseOutcome, BudgetExceeded> {
    let mut path = path::Path::lay_out(case, seed);
    let attached: Vec<Box<dyn Attached>> = path
        .flows
        .iter()
        .map(|spec| contender.attach(&mut path.net, spec))
        .collect();
    let mut series: Vec<FlowSeries> = path.flows.iter().map(FlowSeries::new).collect();
    let end = Time::ZERO + case.duration;
    let mut now = Time::ZERO;
    while now < end {
        let from = now;
        now = (now + outcome::LOG_INTERVAL).min(end);
        path.net.run_until(now)?;
        for (place, attached) in attached.iter().enumerate() {
            let told = attached.told(&path.net);
            let counted = path.meter.take(place);
            series[place].push(from, now, counted, told);
        }
    }
    let findings = attached.iter().zip(&path.flows).filter_map(|(flow, spec)| {
        let panic = flow.finding(&path.net)?;
        Some((spec.name.clone(), panic))
    });
    Ok(CaseOutcome {
        case: case.clone(),
        contender: contender.name(),
        seed,
        findings: findings.collect(),
        flows: series,
        digest: path.net.trace().digest(),
    })
}

#[cfg(test)]
mod tests;
