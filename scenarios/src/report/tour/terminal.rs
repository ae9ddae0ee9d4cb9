//! The tour on the terminal, as JSON, and as CSV.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::{Told, Tour, ending};
use crate::call::PathClass;
use crate::grouped::grouped;
use crate::report::style::{BOLD, CLASSES, DIM, look};
use crate::report::survey::beside_it;
use crate::report::{Format, matrix, print_json};
use crate::survey::Interval;
use crate::survey::against::{Beside, Verdict};

/// Prints a tour. `files` are where its page and its drawing were written.
///
/// # Errors
///
/// `out` can't be written to.
pub fn tour(out: &mut dyn Write, format: Format, tour: &Tour, files: &[&Path]) -> io::Result<()> {
    match format {
        Format::Table => table(out, tour, files),
        Format::Json => print_json(out, &Document::new(tour, files)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["run", "command", "digest"])?;
            for (run, command, digest) in tour.runs() {
                csv.write_record([run, command, digest])?;
            }
            csv.flush()
        }
    }
}

fn table(out: &mut dyn Write, tour: &Tour, files: &[&Path]) -> io::Result<()> {
    if let Some((call, made)) = &tour.matrix {
        matrix(out, Format::Table, call, made)?;
        writeln!(out)?;
    }
    if !tour.populations.is_empty() {
        populations(out, tour)?;
        record(out, tour)?;
    }
    if let Some(groups) = &tour.groups {
        groups.print(out)?;
    }
    writeln!(out, "{BOLD}Calls to look at{BOLD:#}")?;
    for told in &tour.told {
        writeln!(out, "{:<56}{}", told.title, ending(&told.outcome))?;
        writeln!(out, "  {DIM}{} --explain{DIM:#}", told.command())?;
    }
    if !tour.complete {
        writeln!(out, "\nInterrupted: this is what was run until then.")?;
    }
    writeln!(out)?;
    for (what, file) in ["the page:", "at a glance:"].iter().zip(files) {
        writeln!(out, "{DIM}{what:<12}{DIM:#} {}", file.display())?;
    }
    Ok(())
}

fn populations(out: &mut dyn Write, tour: &Tour) -> io::Result<()> {
    let calls = grouped(tour.calls);
    writeln!(out, "{BOLD}How calls connect{BOLD:#}")?;
    writeln!(
        out,
        "{DIM}{calls} calls of each population · percent, 95 % intervals · seed {}{DIM:#}\n",
        tour.seed
    )?;
    write!(out, "{:<17}", "")?;
    for class in CLASSES {
        write!(out, "{DIM}{:<16}{DIM:#}", look(class).word)?;
    }
    writeln!(out)?;
    for beside in &tour.populations {
        let survey = &beside.survey;
        write!(out, "{:<17}", survey.config.population.name)?;
        for class in CLASSES {
            let look = look(class);
            let shown = survey.tally.share(class).map_or(String::new(), |share| {
                let (low, high) = (share.low * 100.0, share.high * 100.0);
                format!("{:.1} {low:.1}–{high:.1}", share.share * 100.0)
            });
            // The last column is not filled up: the line would be wider than a terminal.
            let width = if class.is_some() { 15 } else { 0 };
            write!(out, "{0} {0:#}{shown:<width$}", look.block)?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn record(out: &mut dyn Write, tour: &Tour) -> io::Result<()> {
    writeln!(out, "{BOLD}Against the record{BOLD:#}")?;
    for beside in &tour.populations {
        for (place, comparison) in beside.comparisons.iter().enumerate() {
            if place == 0 {
                writeln!(out, "{DIM}{}{DIM:#}", beside.survey.config.population.name)?;
            }
            let (surveyed, verdict) = beside_it(comparison);
            writeln!(
                out,
                "  {:<34}{surveyed:<26} {BOLD}{verdict:<6}{BOLD:#}{DIM}{}{DIM:#}",
                comparison.figure.measure.words(),
                comparison.figure.shown
            )?;
        }
    }
    writeln!(
        out,
        "{DIM}sources and reasons: {}{DIM:#}\n",
        tour.against_command()
    )
}

#[derive(Serialize)]
struct Document {
    seed: u64,
    calls_of_each: u64,
    complete: bool,
    files: Vec<String>,
    command: String,
    calls: Vec<CallRow>,
    matrix: Option<MatrixRow>,
    populations: Vec<PopulationRow>,
    comparison: Option<super::groups::GroupsRow>,
}

#[derive(Serialize)]
struct CallRow {
    a: String,
    b: String,
    path_class: &'static str,
    connect_ms: Option<f64>,
    command: String,
    digest: String,
}

#[derive(Serialize)]
struct MatrixRow {
    kinds: Vec<String>,
    pairs: usize,
    direct: usize,
    reflexive: usize,
    relayed: usize,
    none: usize,
    complete: bool,
    command: String,
    digest: String,
}

#[derive(Serialize)]
struct PopulationRow {
    population: String,
    calls: u64,
    complete: bool,
    shares: SharesRow,
    figures_in: usize,
    figures: usize,
    command: String,
    digest: String,
}

#[derive(Serialize)]
struct SharesRow {
    direct: Option<ShareRow>,
    reflexive: Option<ShareRow>,
    relayed: Option<ShareRow>,
    none: Option<ShareRow>,
}

#[derive(Serialize)]
struct ShareRow {
    share: f64,
    low: f64,
    high: f64,
}

impl Document {
    fn new(tour: &Tour, files: &[&Path]) -> Self {
        Document {
            seed: tour.seed,
            calls_of_each: tour.calls,
            complete: tour.complete,
            files: files.iter().map(|it| it.display().to_string()).collect(),
            command: tour.report_command(),
            calls: tour.told.iter().map(CallRow::new).collect(),
            matrix: tour.matrix.as_ref().map(|(_, matrix)| {
                let count = |class: Option<PathClass>| {
                    let cells = matrix.cells.iter();
                    cells.filter(|it| it.outcome.path_class() == class).count()
                };
                MatrixRow {
                    kinds: matrix.kinds.iter().map(ToString::to_string).collect(),
                    pairs: matrix.cells.len(),
                    direct: count(Some(PathClass::Direct)),
                    reflexive: count(Some(PathClass::Reflexive)),
                    relayed: count(Some(PathClass::Relayed)),
                    none: count(None),
                    complete: matrix.complete,
                    command: tour.matrix_command(),
                    digest: matrix.digest.to_string(),
                }
            }),
            populations: tour
                .populations
                .iter()
                .map(|beside| PopulationRow::new(tour, beside))
                .collect(),
            comparison: tour.groups.as_ref().map(super::Groups::row),
        }
    }
}

impl CallRow {
    fn new(told: &Told) -> Self {
        let [a, b] = &told.config.kinds;
        let connection = told.outcome.connection;
        CallRow {
            a: a.to_string(),
            b: b.to_string(),
            path_class: connection.map_or("none", |it| it.path_class.name()),
            connect_ms: connection.map(|it| it.at.as_millis_f64()),
            command: told.command(),
            digest: told.outcome.digest.to_string(),
        }
    }
}

impl PopulationRow {
    fn new(tour: &Tour, beside: &Beside) -> Self {
        let survey = &beside.survey;
        let share = |class| {
            let share: Interval = survey.tally.share(class)?;
            Some(ShareRow {
                share: share.share,
                low: share.low,
                high: share.high,
            })
        };
        let within = |it: &&crate::survey::against::Comparison| it.verdict == Verdict::In;
        PopulationRow {
            population: survey.config.population.name.clone(),
            calls: survey.tally.calls(),
            complete: survey.complete,
            shares: SharesRow {
                direct: share(Some(PathClass::Direct)),
                reflexive: share(Some(PathClass::Reflexive)),
                relayed: share(Some(PathClass::Relayed)),
                none: share(None),
            },
            figures_in: beside.comparisons.iter().filter(within).count(),
            figures: beside.comparisons.len(),
            command: tour.survey_command(survey),
            digest: survey.digest.to_string(),
        }
    }
}
