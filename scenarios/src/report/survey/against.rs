//! Presets beside the record.

use std::io::{self, Write};

use serde::Serialize;

use super::document::Share;
use super::{WIDTH, notes, wrap};
use crate::grouped::grouped;
use crate::report::style::{BOLD, DIM};
use crate::report::text::{percent, range};
use crate::report::{Format, print_json};
use crate::survey::against::{Beside, Comparison, Verdict};

/// Prints the presets' surveys beside what has been published.
///
/// # Errors
///
/// `out` can't be written to.
pub fn against(out: &mut dyn Write, format: Format, all: &[Beside]) -> io::Result<()> {
    match format {
        Format::Table => table(out, all),
        Format::Json => {
            let all: Vec<_> = all.iter().map(Document::new).collect();
            print_json(out, &all)
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record([
                "population",
                "calls",
                "seed",
                "measure",
                "share",
                "low",
                "high",
                "published",
                "published_low",
                "published_high",
                "verdict",
                "of",
                "source",
                "explanation",
                "note",
                "digest",
            ])?;
            for beside in all {
                let config = &beside.survey.config;
                for comparison in &beside.comparisons {
                    let (figure, surveyed) = (comparison.figure, comparison.surveyed);
                    csv.write_record([
                        &config.population.name,
                        &beside.survey.tally.calls().to_string(),
                        &config.seed.to_string(),
                        figure.measure.name(),
                        &surveyed.share.to_string(),
                        &surveyed.low.to_string(),
                        &surveyed.high.to_string(),
                        &figure.shown,
                        &figure.low.to_string(),
                        &figure.high.to_string(),
                        comparison.verdict.name(),
                        &figure.population,
                        &figure.source,
                        comparison.explanation.as_deref().unwrap_or_default(),
                        figure.note.as_deref().unwrap_or_default(),
                        &beside.survey.digest.to_string(),
                    ])?;
                }
            }
            csv.flush()
        }
    }
}

#[derive(Serialize)]
struct Document<'b> {
    population: &'b str,
    calls: u64,
    seed: u64,
    digest: String,
    notes: Vec<String>,
    comparisons: Vec<Row<'b>>,
}

#[derive(Serialize)]
struct Row<'b> {
    measure: &'static str,
    surveyed: Share,
    published: &'b str,
    published_low: f64,
    published_high: f64,
    verdict: &'static str,
    of: &'b str,
    source: &'b str,
    explanation: Option<&'b str>,
    note: Option<&'b str>,
}

impl<'b> Document<'b> {
    fn new(beside: &'b Beside) -> Self {
        let survey = &beside.survey;
        Document {
            population: &survey.config.population.name,
            calls: survey.tally.calls(),
            seed: survey.config.seed,
            digest: survey.digest.to_string(),
            notes: notes(survey),
            comparisons: beside.comparisons.iter().map(Row::new).collect(),
        }
    }
}

impl<'b> Row<'b> {
    fn new(comparison: &'b Comparison) -> Self {
        let figure = comparison.figure;
        Row {
            measure: figure.measure.name(),
            surveyed: Share::of(comparison.surveyed),
            published: &figure.shown,
            published_low: figure.low,
            published_high: figure.high,
            verdict: comparison.verdict.name(),
            of: &figure.population,
            source: &figure.source,
            explanation: comparison.explanation.as_deref(),
            note: figure.note.as_deref(),
        }
    }
}

fn table(out: &mut dyn Write, all: &[Beside]) -> io::Result<()> {
    writeln!(out, "{BOLD}Against the record{BOLD:#}")?;
    for beside in all {
        let survey = &beside.survey;
        let population = &survey.config.population;
        writeln!(
            out,
            "\n{BOLD}{}{BOLD:#}{DIM} · {} calls · TURN {} · seed {}\n  digest {}{DIM:#}",
            population.name,
            grouped(survey.tally.calls()),
            population.call.turn,
            survey.config.seed,
            survey.digest
        )?;
        for note in notes(survey) {
            for line in wrap(&format!("Note: {note}."), WIDTH - 2) {
                writeln!(out, "  {line}")?;
            }
        }
        for comparison in &beside.comparisons {
            row(out, comparison)?;
        }
    }
    Ok(())
}

/// What was surveyed, with its interval, and how it lies to what was published.
pub(in crate::report) fn beside_it(comparison: &Comparison) -> (String, &'static str) {
    let surveyed = comparison.surveyed;
    let share = percent(surveyed.share);
    // A number of the population itself has no interval.
    let shown = if surveyed.low == surveyed.high {
        share
    } else {
        format!("{share} ({})", range(&surveyed))
    };
    let verdict = match comparison.verdict {
        Verdict::In => "in",
        Verdict::Above => "ABOVE",
        Verdict::Below => "BELOW",
    };
    (shown, verdict)
}

fn row(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    let figure = comparison.figure;
    let (surveyed, verdict) = beside_it(comparison);
    writeln!(
        out,
        "  {:<34}{surveyed:<26} {BOLD}{verdict}{BOLD:#}",
        figure.measure.words(),
    )?;
    let published = format!(
        "published: {} ({}) — {}",
        figure.shown, figure.population, figure.source
    );
    for line in wrap(&published, WIDTH - 4) {
        writeln!(out, "    {DIM}{line}{DIM:#}")?;
    }
    if let Some(explanation) = &comparison.explanation {
        for line in wrap(&format!("why: {explanation}"), WIDTH - 4) {
            writeln!(out, "    {line}")?;
        }
    }
    if let Some(note) = &figure.note {
        for line in wrap(&format!("note: {note}"), WIDTH - 4) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}
