//! A survey as JSON. Field names are a contract.

use std::collections::BTreeMap;

use serde::Serialize;

use super::notes;
use crate::call::{PathClass, TurnTransport};
use crate::histogram::Histogram;
use crate::survey::{Bitrate, Interval, PairCount, Population, Survey, gigabytes};

#[derive(Serialize)]
pub(super) struct SurveyDocument {
    population: String,
    basis: Option<String>,
    calls: u64,
    calls_asked: u64,
    seed: u64,
    shard: String,
    complete: bool,
    stacks_a: String,
    stacks_b: String,
    turn: Vec<&'static str>,
    shares: Shares,
    relayed_by_transport: BTreeMap<&'static str, Option<Share>>,
    same_lan: Option<Share>,
    connect_ms: Curve,
    connect_ms_by_class: BTreeMap<&'static str, Quantiles>,
    turn_gb_per_1000_call_minutes: Vec<Cost>,
    by_pair: Vec<Pair>,
    stopped: u64,
    panicked: u64,
    notes: Vec<String>,
    digest: String,
}

#[derive(Serialize)]
pub(super) struct Share {
    share: f64,
    low: f64,
    high: f64,
    calls: u64,
}

/// Shares by path class, from the best to none.
#[derive(Serialize)]
pub(super) struct Shares {
    direct: Option<Share>,
    reflexive: Option<Share>,
    relayed: Option<Share>,
    none: Option<Share>,
}

#[derive(Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Quantiles, and the whole distribution.
#[derive(Serialize)]
struct Curve {
    #[serde(flatten)]
    quantiles: Quantiles,
    /// By which time, in milliseconds, which share of the connected calls was connected: in steps
    /// of half a percent or more.
    curve: Vec<(f64, f64)>,
}

#[derive(Serialize)]
struct Cost {
    bitrate: &'static str,
    kbps: f64,
    gb: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
struct Pair {
    a: String,
    b: String,
    same_lan: bool,
    calls: u64,
    path_class: Shares,
}

impl Share {
    pub(super) fn of(interval: Interval) -> Self {
        Share {
            share: rounded(interval.share),
            low: rounded(interval.low),
            high: rounded(interval.high),
            calls: interval.count,
        }
    }
}

/// A share to eight places: more than any number of calls can show.
fn rounded(share: f64) -> f64 {
    (share * 1e8).round() / 1e8
}

impl Shares {
    pub(super) fn by(share: impl Fn(Option<PathClass>) -> Option<Interval>) -> Self {
        let share = |class| share(class).map(Share::of);
        Shares {
            direct: share(Some(PathClass::Direct)),
            reflexive: share(Some(PathClass::Reflexive)),
            relayed: share(Some(PathClass::Relayed)),
            none: share(None),
        }
    }

    pub(super) fn of(survey: &Survey) -> Self {
        Shares::by(|class| survey.tally.share(class))
    }
}

impl Quantiles {
    fn of(histogram: &Histogram) -> Self {
        let at = |share| Some((histogram.quantile(share)?.round()) / 1_000.0);
        Quantiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

impl Curve {
    /// How much higher a step is at least than the one before.
    const STEP: f64 = 0.005;

    fn of(histogram: &Histogram) -> Self {
        let mut curve: Vec<(f64, f64)> = Vec::new();
        for (micros, share) in histogram.steps() {
            let before = curve.last().map_or(0.0, |(_, share)| *share);
            if share - before >= Self::STEP || share >= 1.0 {
                curve.push((micros.round() / 1_000.0, rounded(share)));
            }
        }
        Curve {
            quantiles: Quantiles::of(histogram),
            curve,
        }
    }
}

impl Pair {
    fn of(survey: &Survey, pair: &PairCount) -> Self {
        let [a, b] = pair
            .kinds
            .map(|place| survey.kinds.kinds[place].to_string());
        Pair {
            a,
            b,
            same_lan: pair.same_lan,
            calls: pair.calls(),
            path_class: Shares::by(|class| Interval::wilson(pair.of(class), pair.calls())),
        }
    }
}

impl SurveyDocument {
    pub(super) fn new(survey: &Survey) -> Self {
        let (config, tally) = (&survey.config, &survey.tally);
        let population = &config.population;
        let transports = population.call.turn.transports();
        let relayed = tally.share(Some(PathClass::Relayed));
        let cost = |relayed: Interval| {
            Bitrate::ALL.iter().map(move |bitrate| Cost {
                bitrate: bitrate.name,
                kbps: bitrate.wire_kbps(false),
                gb: gigabytes(relayed.share, bitrate),
                low: gigabytes(relayed.low, bitrate),
                high: gigabytes(relayed.high, bitrate),
            })
        };
        SurveyDocument {
            population: population.name.clone(),
            basis: population.basis.clone(),
            calls: tally.calls(),
            calls_asked: config.calls,
            seed: config.seed,
            shard: config.shard.to_string(),
            complete: survey.complete,
            stacks_a: population.stacks[0].to_string(),
            stacks_b: population.stacks[1].to_string(),
            turn: transports.iter().map(|it| it.name()).collect(),
            shares: Shares::of(survey),
            relayed_by_transport: TurnTransport::ALL
                .into_iter()
                .map(|it| (it.name(), tally.relayed_by(it).map(Share::of)))
                .collect(),
            same_lan: tally.same_lan().map(Share::of),
            connect_ms: Curve::of(tally.connect()),
            connect_ms_by_class: PathClass::ALL
                .into_iter()
                .map(|class| (class.name(), Quantiles::of(tally.connect_over(class))))
                .collect(),
            turn_gb_per_1000_call_minutes: relayed.into_iter().flat_map(cost).collect(),
            by_pair: tally.pairs().map(|pair| Pair::of(survey, &pair)).collect(),
            stopped: tally.stopped(),
            panicked: tally.panicked(),
            notes: notes(survey),
            digest: survey.digest.to_string(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PopulationRow<'p> {
    population: &'p str,
    basis: Option<&'p str>,
    same_lan: f64,
    classes: Vec<ClassRow<'p>>,
}

#[derive(Serialize)]
struct ClassRow<'p> {
    name: &'p str,
    network: String,
    share: f64,
    ipv6: f64,
}

pub(super) fn populations(all: &[Population]) -> Vec<PopulationRow<'_>> {
    all.iter()
        .map(|population| PopulationRow {
            population: &population.name,
            basis: population.basis.as_deref(),
            same_lan: population.same_lan,
            classes: population
                .classes
                .iter()
                .zip(population.shares())
                .map(|(class, share)| ClassRow {
                    name: &class.name,
                    network: class.kind.to_string(),
                    share: rounded(share),
                    ipv6: class.ipv6,
                })
                .collect(),
        })
        .collect()
}
