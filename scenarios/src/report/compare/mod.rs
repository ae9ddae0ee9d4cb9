//! Mesh, SFU, cascade and MCU beside each other, and where the lines cross.

mod document;
mod plots;
mod words;

pub use plots::{Plot, plots};
pub(super) use words::{crossover, summary};

use std::io::{self, Write};

use super::style::{BOLD, DIM};
use super::{Format, print_json};
use crate::conference::Prices;
use crate::conference::compare::{CompareConfig, Comparison, Row};

use document::{Document, rounded};

/// A comparison, and what is told with it.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'c> {
    /// What was compared.
    pub config: &'c CompareConfig,
    /// What came of it.
    pub comparison: &'c Comparison,
    /// What things cost.
    pub prices: Prices,
    /// The command that repeats it.
    pub command: &'c str,
}

/// Prints a comparison.
///
/// # Errors
///
/// `out` can't be written to.
pub fn compare(out: &mut dyn Write, format: Format, compared: &Compared<'_>) -> io::Result<()> {
    match format {
        Format::Table => table(out, compared),
        Format::Json => print_json(out, &Document::new(compared)),
        Format::Csv => csv(out, compared),
    }
}

/// Columns of one measure: its name, how it is read from a row, and whether meshes have it.
type Measure = (&'static str, usize, fn(&Row) -> String, bool);

fn table(out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
    let comparison = compared.comparison;
    writeln!(out, "{BOLD}Mesh, SFU, cascade, MCU{BOLD:#}")?;
    writeln!(out, "{DIM}{}{DIM:#}\n", subtitle(compared))?;
    measures(
        out,
        compared,
        &[
            ("up, Mbit/s each", 6, |row| megabit(row.up_kbps), true),
            ("down, Mbit/s each", 6, |row| megabit(row.down_kbps), true),
            (
                "servers send, Mbit/s",
                7,
                |row| megabit(row.server_out_kbps),
                false,
            ),
        ],
    )?;
    writeln!(out)?;
    let share: fn(&Row) -> String = |row| {
        row.video_share
            .map_or("–".to_owned(), |share| format!("{:.0}", share * 100.0))
    };
    let connections: Measure = ("connections", 6, |row| row.connections.to_string(), true);
    let full: Measure = ("video, % of full", 6, share, true);
    if comparison.fidelity == crate::conference::Fidelity::Formula {
        measures(out, compared, &[full, connections])?;
    } else {
        measures(
            out,
            compared,
            &[
                full,
                (
                    "freezes a minute",
                    6,
                    |row| format!("{:.1}", row.freezes_per_minute),
                    true,
                ),
                (
                    "queue, 95 %, ms",
                    6,
                    |row| format!("{:.0}", row.queueing_p95_ms),
                    true,
                ),
                connections,
            ],
        )?;
    }
    if !comparison.complete {
        writeln!(out, "\nInterrupted: this is what was run until then.")?;
    }
    writeln!(out, "\n{BOLD}Where the lines cross{BOLD:#}")?;
    for line in words::crossovers(compared) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n{DIM}digest {}{DIM:#}", comparison.digest)
}

fn megabit(kbps: f64) -> String {
    let megabits = kbps / 1_000.0;
    if megabits < 99.95 {
        format!("{megabits:.1}")
    } else {
        format!("{megabits:.0}")
    }
}

/// A line for each size; for each measure a column for each topology.
fn measures(out: &mut dyn Write, compared: &Compared<'_>, measures: &[Measure]) -> io::Result<()> {
    let Compared {
        config, comparison, ..
    } = *compared;
    let topologies = |with_mesh: bool| {
        let all = config.topologies.iter().copied();
        all.filter(move |it| with_mesh || it.servers() > 0)
    };
    let width = |measure: &Measure| topologies(measure.3).count() * measure.1;
    write!(out, "{:3}", "")?;
    for measure in measures {
        write!(out, "{DIM}  {:^1$}{DIM:#}", measure.0, width(measure))?;
    }
    write!(out, "\n{DIM}{:>3}", "N")?;
    for measure in measures {
        write!(out, "  ")?;
        for topology in topologies(measure.3) {
            let name = topology.to_string();
            // "cascade:2" is too long for a column of numbers.
            let name: String = name.chars().take(4).collect();
            write!(out, "{name:>0$}", measure.1)?;
        }
    }
    writeln!(out, "{DIM:#}")?;
    for size in &config.sizes {
        if !comparison.rows.iter().any(|row| row.participants == *size) {
            continue;
        }
        write!(out, "{BOLD}{size:>3}{BOLD:#}")?;
        for measure in measures {
            write!(out, "  ")?;
            for topology in topologies(measure.3) {
                let row = comparison.row(topology, *size);
                let shown = row.map_or(String::new(), measure.2);
                write!(out, "{shown:>0$}", measure.1)?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// How it was compared, in a line.
pub(super) fn subtitle(compared: &Compared<'_>) -> String {
    let base = &compared.config.base;
    let access = base.participants.iter().map(|it| it.access);
    let access: Vec<&str> = access.map(|it| it.map_or("none", |it| it.name)).collect();
    let video = base.video.as_ref().map_or("off", |it| &*it.name);
    let chosen = base
        .last_n
        .map_or(String::new(), |most| format!(" · the last {most} speakers"));
    let mut access = access;
    access.dedup();
    format!(
        "{} · access {} · video {video}{chosen} · {} s after {} s · seed {}",
        compared.comparison.fidelity,
        access.join(","),
        base.measured.as_secs(),
        base.warmup.as_secs(),
        base.seed
    )
}

fn csv(out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "participants",
        "topology",
        "connections",
        "up_kbps",
        "down_kbps",
        "server_out_kbps",
        "turn_kbps",
        "video_share",
        "freezes_per_minute",
        "queueing_p95_ms",
        "delay_p95_ms",
        "up_loss",
        "month_cost",
        "digest",
    ])?;
    for row in &compared.comparison.rows {
        let bill = compared
            .prices
            .bill_for(row.servers, row.server_out_kbps, row.turn_kbps);
        let number = |value: f64| rounded(value).to_string();
        csv.write_record([
            row.participants.to_string(),
            row.topology.to_string(),
            row.connections.to_string(),
            number(row.up_kbps),
            number(row.down_kbps),
            number(row.server_out_kbps),
            number(row.turn_kbps),
            row.video_share.map(number).unwrap_or_default(),
            number(row.freezes_per_minute),
            number(row.queueing_p95_ms),
            number(row.delay_p95_ms),
            number(row.up_loss),
            number(bill.total()),
            row.digest.to_string(),
        ])?;
    }
    csv.flush()
}
