//! The cases of congestion control: verdicts in a table, every sample in JSON and CSV, curves.

mod plot;

pub use plot::plot;

use std::io::{self, Write};

use serde::Serialize;

use super::style::{BOLD, DIM};
use super::{Format, print_json};
use crate::congestion::cases::{CaseOutcome, Criterion, FlowSeries, Sample};
use crate::grouped::grouped;

/// Prints what came of cases.
///
/// # Errors
///
/// `out` can't be written to.
pub fn congestion(
    out: &mut dyn Write,
    format: Format,
    seed: u64,
    outcomes: &[CaseOutcome],
) -> io::Result<()> {
    match format {
        Format::Table => table(out, seed, outcomes),
        Format::Json => print_json(out, &Document::new(seed, outcomes)),
        Format::Csv => rows(out, outcomes),
    }
}

/// A number of a criterion, as people read it.
fn seen(criterion: &Criterion) -> String {
    let seen = criterion.seen;
    match criterion.name {
        "queue" => format!("{seen:.0} ms"),
        "fair" => format!("{seen:.2}"),
        "resumes" => format!("{seen:.1} s"),
        "loss" => format!("{:.1} %", seen * 100.0),
        _ => format!("{:.0} %", seen * 100.0),
    }
}

fn table(out: &mut dyn Write, seed: u64, outcomes: &[CaseOutcome]) -> io::Result<()> {
    let controller = outcomes.first().map_or("", |outcome| outcome.contender);
    writeln!(
        out,
        "{BOLD}How {controller} does in the cases of RFC 8867{BOLD:#}"
    )?;
    writeln!(out, "{DIM}seed {seed}{DIM:#}")?;
    for outcome in outcomes {
        let (case, verdict) = (&outcome.case, outcome.verdict());
        let word = if verdict.is_met() { "met" } else { "not met" };
        writeln!(
            out,
            "\n{BOLD}{} {}{BOLD:#}  {word}",
            case.section, case.title
        )?;
        for flow in &outcome.flows {
            let all = (flow.received + flow.lost).max(1);
            let lost = flow.lost as f64 / all as f64 * 100.0;
            let rate = grouped(format_args!("{:.0}", mean_while_sending(flow)));
            writeln!(
                out,
                "  {:<8}{:>6} kbit/s while sending, {lost:.1} % lost",
                flow.name, rate
            )?;
        }
        for criterion in &verdict.criteria {
            let mark = if criterion.met { "yes" } else { "NO " };
            writeln!(
                out,
                "  {mark} {:<8}{:>8}  {DIM}{} (worst: {}){DIM:#}",
                criterion.name,
                seen(criterion),
                criterion.asked,
                criterion.place
            )?;
        }
        for (flow, panic) in &outcome.findings {
            writeln!(out, "  {flow}: the stack panicked: {panic}")?;
        }
        writeln!(out, "  {DIM}digest {}{DIM:#}", outcome.digest)?;
    }
    let met = outcomes.iter().filter(|it| it.verdict().is_met()).count();
    writeln!(out, "\n{met} of {} cases met.", outcomes.len())
}

fn mean_while_sending(flow: &FlowSeries) -> f64 {
    let sending = flow.samples.iter().filter(|it| it.sent_kbps > 0.0);
    let (count, sum) = sending.fold((0u32, 0.0), |(count, sum), it| {
        (count + 1, sum + it.received_kbps)
    });
    sum / f64::from(count.max(1))
}

fn rows(out: &mut dyn Write, outcomes: &[CaseOutcome]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "case",
        "controller",
        "flow",
        "from_ms",
        "sent_kbps",
        "received_kbps",
        "target_kbps",
        "delay_ms",
        "queueing_ms",
        "loss",
        "skipped",
    ])?;
    let maybe = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
    for outcome in outcomes {
        for flow in &outcome.flows {
            for sample in &flow.samples {
                csv.write_record([
                    outcome.case.section.to_owned(),
                    outcome.contender.to_owned(),
                    flow.name.clone(),
                    format!("{:.0}", sample.from.as_millis_f64()),
                    format!("{:.3}", sample.sent_kbps),
                    format!("{:.3}", sample.received_kbps),
                    maybe(sample.target_kbps),
                    maybe(sample.delay_ms),
                    maybe(sample.queueing_ms),
                    format!("{:.5}", sample.loss),
                    sample.skipped.to_string(),
                ])?;
            }
        }
    }
    csv.flush()
}

#[derive(Serialize)]
struct Document<'a> {
    seed: u64,
    controller: &'a str,
    cases: Vec<CaseDocument<'a>>,
}

#[derive(Serialize)]
struct CaseDocument<'a> {
    case: &'a str,
    title: &'a str,
    met: bool,
    criteria: Vec<CriterionDocument>,
    flows: Vec<FlowDocument<'a>>,
    findings: Vec<FindingDocument<'a>>,
    digest: String,
}

#[derive(Serialize)]
struct CriterionDocument {
    name: &'static str,
    asked: &'static str,
    seen: f64,
    worst: String,
    met: bool,
}

#[derive(Serialize)]
struct FindingDocument<'a> {
    flow: &'a str,
    panic: &'a str,
}

#[derive(Serialize)]
struct FlowDocument<'a> {
    name: &'a str,
    /// What arrived of it while it was sending.
    mean_kbps: f64,
    packets_received: u64,
    packets_lost: u64,
    samples: Vec<SampleDocument>,
}

#[derive(Serialize)]
struct SampleDocument {
    from_ms: f64,
    sent_kbps: f64,
    received_kbps: f64,
    target_kbps: Option<f64>,
    delay_ms: Option<f64>,
    queueing_ms: Option<f64>,
    loss: f64,
    skipped: u64,
}

impl From<&Sample> for SampleDocument {
    fn from(sample: &Sample) -> Self {
        SampleDocument {
            from_ms: sample.from.as_millis_f64(),
            sent_kbps: sample.sent_kbps,
            received_kbps: sample.received_kbps,
            target_kbps: sample.target_kbps,
            delay_ms: sample.delay_ms,
            queueing_ms: sample.queueing_ms,
            loss: sample.loss,
            skipped: sample.skipped,
        }
    }
}

impl<'a> Document<'a> {
    fn new(seed: u64, outcomes: &'a [CaseOutcome]) -> Self {
        Document {
            seed,
            controller: outcomes.first().map_or("", |outcome| outcome.contender),
            cases: outcomes.iter().map(CaseDocument::new).collect(),
        }
    }
}

impl<'a> CaseDocument<'a> {
    fn new(outcome: &'a CaseOutcome) -> Self {
        let verdict = outcome.verdict();
        CaseDocument {
            case: outcome.case.section,
            title: outcome.case.title,
            met: verdict.is_met(),
            criteria: verdict
                .criteria
                .into_iter()
                .map(|it| CriterionDocument {
                    name: it.name,
                    asked: it.asked,
                    seen: it.seen,
                    worst: it.place,
                    met: it.met,
                })
                .collect(),
            flows: outcome
                .flows
                .iter()
                .map(|flow| FlowDocument {
                    name: &flow.name,
                    mean_kbps: mean_while_sending(flow),
                    packets_received: flow.received,
                    packets_lost: flow.lost,
                    samples: flow.samples.iter().map(SampleDocument::from).collect(),
                })
                .collect(),
            findings: outcome
                .findings
                .iter()
                .map(|(flow, panic)| FindingDocument { flow, panic })
                .collect(),
            digest: outcome.digest.to_string(),
        }
    }
}
