//! Which criteria a case meets. RFC 8867 says in words what is expected: that a controller finds the
//! capacity, doesn't oscillate, keeps delay and loss low, shares fairly. RFC 8868 §3 gives a number
//! for fairness: each flow gets between a third and three times its share. The others' are ours, and
//! stand here.
//!
//! They look at the second half of each [phase](super::Case::phases), when the controller had time to
//! settle; phases of less than five seconds are passed over. Loss is that of the whole run.

use std::time::Duration;

use pinhole::Time;

use super::case::MAX_BPS;
use super::outcome::{CaseOutcome, FlowSeries, Sample, mean};

/// The least share of what the flows could use that they must get, mean over phases.
pub const LEAST_USE: f64 = 0.6;
/// The most of a 300 ms queue that may stand, mean over a phase, jitter's 15 ms included.
pub const MOST_QUEUEING_MS: f64 = 100.0;
/// The largest share of packets that may be lost.
pub const MOST_LOSS: f64 = 0.02;
/// How much a flow's rate may scatter around its mean: the standard deviation of seconds.
pub const MOST_SCATTER: f64 = 0.25;
/// How far a flow's share may lie from the fair one (RFC 8868 §3: the ratio between flows).
pub const FAIR: std::ops::RangeInclusive<f64> = 1.0 / 3.0..=3.0;
/// How long a flow may take after a pause to get half of its fair share.
pub const COMES_BACK: Duration = Duration::from_secs(15);

const SHORTEST: Duration = Duration::from_secs(5);

/// One thing that is expected.
#[derive(Clone, PartialEq, Debug)]
pub struct Criterion {
    /// What it asks: `uses`, `queue`, `loss`, `steady`, `fair`, `resumes`.
    pub name: &'static str,
    /// What was seen, at the worst.
    pub seen: f64,
    /// Where the worst was seen.
    pub place: String,
    /// Whether it was met.
    pub met: bool,
    /// What it asks, in words with its number.
    pub asked: &'static str,
}

/// What a case came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Everything that was asked.
    pub criteria: Vec<Criterion>,
}

impl Verdict {
    /// Whether everything was met.
    pub fn is_met(&self) -> bool {
        self.criteria.iter().all(|criterion| criterion.met)
    }
}

/// The worst of what was seen, by how far it lies from what is right.
#[derive(Default)]
struct Worst(Option<(f64, f64, String)>);

impl Worst {
    fn see(&mut self, badness: f64, seen: f64, place: impl FnOnce() -> String) {
        if self.0.as_ref().is_none_or(|(worst, ..)| badness > *worst) {
            self.0 = Some((badness, seen, place()));
        }
    }

    fn judge(
        self,
        name: &'static str,
        asked: &'static str,
        met: impl FnOnce(f64) -> bool,
    ) -> Option<Criterion> {
        let (_, seen, place) = self.0?;
        Some(Criterion {
            name,
            seen,
            place,
            met: met(seen),
            asked,
        })
    }
}

pub(super) fn of(outcome: &CaseOutcome) -> Verdict {
    let case = &outcome.case;
    let [
        mut uses,
        mut queue,
        mut loss,
        mut steady,
        mut fair,
        mut back,
    ]: [Worst; 6] = Default::default();
    let (mut used, mut usable) = (0.0, 0.0);
    for backward in [false, true] {
        for (from, until) in case.phases(backward) {
            let sending = sending(outcome, backward, from, until);
            if sending.is_empty() || until - from < SHORTEST {
                continue;
            }
            let settled = from + (until - from) / 2;
            let capacity = case.capacity(backward, from) as f64 / 1_000.0;
            let most = MAX_BPS as f64 / 1_000.0;
            let share = (capacity / sending.len() as f64).min(most);
            let offered = share * sending.len() as f64;
            let span = (until - settled).as_secs_f64();
            let named = |flow: &FlowSeries| {
                let (from, until) = (settled.as_millis_f64(), until.as_millis_f64());
                format!("{}, {:.0} to {:.0} s", flow.name, from / 1e3, until / 1e3)
            };
            let mut got = 0.0;
            for flow in &sending {
                let samples: Vec<&Sample> = flow.within(settled, until).collect();
                let rate = mean(samples.iter().map(|sample| sample.received_kbps));
                got += rate;
                let delay = mean(samples.iter().filter_map(|sample| sample.queueing_ms));
                queue.see(delay, delay, || named(flow));
                let scatter = scatter(&samples);
                steady.see(scatter, scatter, || named(flow));
                if sending.len() > 1 {
                    let ratio = rate / share;
                    let badness = ratio.max(1.0 / ratio.max(1e-9));
                    fair.see(badness, ratio, || named(flow));
                }
            }
            used += got * span;
            usable += offered * span;
            let ratio = got / offered;
            uses.see(1.0 - ratio, ratio, || named(sending[0]));
        }
    }
    // The mean is judged; the place is that of the worst phase.
    if let Some((_, seen, _)) = &mut uses.0 {
        *seen = used / usable;
    }
    for flow in &outcome.flows {
        // Of all of it: what a change costs counts.
        let (lost, ended) = (flow.lost as f64, (flow.lost + flow.received) as f64);
        let share = lost / ended.max(1.0);
        loss.see(share, share, || flow.name.clone());
    }
    resumptions(outcome, &mut back);
    let criteria = [
        uses.judge(
            "uses",
            "at least 60 % of what the flows could use",
            |seen| seen >= LEAST_USE,
        ),
        queue.judge(
            "queue",
            "at most 100 ms of mean queueing and jitter",
            |seen| seen <= MOST_QUEUEING_MS,
        ),
        loss.judge("loss", "at most 2 % lost", |seen| seen <= MOST_LOSS),
        steady.judge("steady", "rates scatter by at most a quarter", |seen| {
            seen <= MOST_SCATTER
        }),
        fair.judge("fair", "each flow within 1/3 and 3 of its share", |seen| {
            FAIR.contains(&seen)
        }),
        back.judge("resumes", "half its share within 15 s of a pause", |seen| {
            seen <= COMES_BACK.as_secs_f64()
        }),
    ];
    Verdict {
        criteria: criteria.into_iter().flatten().collect(),
    }
}

/// The flows that send one way during all of a span.
fn sending(outcome: &CaseOutcome, backward: bool, from: Time, until: Time) -> Vec<&FlowSeries> {
    let flows = outcome.case.flows.iter().zip(&outcome.flows);
    let sending = flows.filter(|(flow, _)| {
        let covers = |span: &(Time, Time)| span.0 <= from && until <= span.1;
        flow.backward == backward && flow.active.iter().any(covers)
    });
    sending.map(|(_, series)| series).collect()
}

/// The standard deviation of a rate over its mean, in means of five samples: of one second.
fn scatter(samples: &[&Sample]) -> f64 {
    let seconds: Vec<f64> = samples
        .chunks_exact(5)
        .map(|second| mean(second.iter().map(|sample| sample.received_kbps)))
        .collect();
    let middle = mean(seconds.iter().copied());
    if middle == 0.0 {
        return 0.0;
    }
    let variance = mean(seconds.iter().map(|rate| (rate - middle).powi(2)));
    variance.sqrt() / middle
}

/// How long flows took after a pause until they had half their share for a second.
fn resumptions(outcome: &CaseOutcome, back: &mut Worst) {
    let case = &outcome.case;
    for (flow, series) in case.flows.iter().zip(&outcome.flows) {
        for (from, until) in flow.active.iter().skip(1) {
            let beside = sending(outcome, flow.backward, *from, *from + SHORTEST).len();
            let capacity = case.capacity(flow.backward, *from) as f64 / 1_000.0;
            let share = (capacity / beside.max(1) as f64).min(MAX_BPS as f64 / 1_000.0);
            let samples: Vec<&Sample> = series.within(*from, *until).collect();
            let reached = samples.windows(5).find(|second| {
                mean(second.iter().map(|sample| sample.received_kbps)) >= share / 2.0
            });
            let end = reached.map_or(*until, |second| second[0].from);
            let took = (end - *from).as_secs_f64();
            let name = &series.name;
            back.see(took, took, || {
                format!("{name}, from {:.0} s", from.as_millis_f64() / 1e3)
            });
        }
    }
}
