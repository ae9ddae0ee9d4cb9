//! What came of a case: RFC 8868's measures, a sample every 200 ms.

use std::time::Duration;

use pinhole::Time;
use pinhole::trace::Digest;

use super::{Case, FlowSpec, Told, Verdict, verdict};

/// How often the measures are logged (RFC 8868 §3: every 200 ms).
pub const LOG_INTERVAL: Duration = Duration::from_millis(200);

/// What the meter counted of a flow in one interval.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counted {
    pub(super) sent_bytes: u64,
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    pub(super) lost: u64,
    pub(super) delay: Duration,
    pub(super) queueing: Duration,
}

/// One interval of a flow. Rates are of IP packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// When the interval began.
    pub from: Time,
    /// What was sent.
    pub sent_kbps: f64,
    /// What arrived.
    pub received_kbps: f64,
    /// The rate that the controller gave at the interval's end.
    pub target_kbps: Option<f64>,
    /// The mean one-way delay of what arrived; `None` where nothing did.
    pub delay_ms: Option<f64>,
    /// Of that, what isn't propagation: the bottleneck's queue, and jitter.
    pub queueing_ms: Option<f64>,
    /// The share of the packets that ended in this interval which were dropped.
    pub loss: f64,
    /// Frames that the encoder skipped.
    pub skipped: u64,
}

/// A flow over time.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowSeries {
    /// Its name.
    pub name: String,
    /// Its intervals, one after the other.
    pub samples: Vec<Sample>,
    /// Packets that arrived, in all.
    pub received: u64,
    /// Packets that were dropped, in all.
    pub lost: u64,
    skipped: u64,
}

impl FlowSeries {
    pub(super) fn new(spec: &FlowSpec) -> Self {
        FlowSeries {
            name: spec.name.clone(),
            samples: Vec::new(),
            received: 0,
            lost: 0,
            skipped: 0,
        }
    }

    pub(super) fn push(&mut self, from: Time, until: Time, counted: Counted, told: Told) {
        let span = (until - from).as_secs_f64();
        let kbps = |bytes: u64| bytes as f64 * 8.0 / 1_000.0 / span;
        let mean = |sum: Duration| {
            let count = counted.received as f64;
            (counted.received > 0).then(|| sum.as_secs_f64() * 1_000.0 / count)
        };
        let ended = counted.received + counted.lost;
        self.received += counted.received;
        self.lost += counted.lost;
        self.samples.push(Sample {
            from,
            sent_kbps: kbps(counted.sent_bytes),
            received_kbps: kbps(counted.received_bytes),
            target_kbps: told.target_bps.map(|bps| bps as f64 / 1_000.0),
            delay_ms: mean(counted.delay),
            queueing_ms: mean(counted.queueing),
            loss: if ended == 0 {
                0.0
            } else {
                counted.lost as f64 / ended as f64
            },
            skipped: told.skipped - self.skipped,
        });
        self.skipped = told.skipped;
    }

    /// The samples that lie within a span.
    pub fn within(&self, from: Time, until: Time) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.from >= from && sample.from + LOG_INTERVAL <= until)
    }

    /// The mean rate at which it arrived within a span.
    pub fn mean_kbps(&self, from: Time, until: Time) -> f64 {
        mean(self.within(from, until).map(|sample| sample.received_kbps))
    }
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseOutcome {
    /// The case.
    pub case: Case,
    /// The controller's name.
    pub contender: &'static str,
    /// What everything random was drawn from.
    pub seed: u64,
    /// Stacks that panicked: the flow's name, and what was said.
    pub findings: Vec<(String, String)>,
    /// The flows, in the case's order.
    pub flows: Vec<FlowSeries>,
    /// The run's digest.
    pub digest: Digest,
}

impl CaseOutcome {
    /// Which criteria the case meets.
    pub fn verdict(&self) -> Verdict {
        verdict::of(self)
    }
}
