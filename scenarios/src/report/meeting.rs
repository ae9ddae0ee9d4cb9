//! What came of a conference's scenario.

use std::io::{self, Write};

use serde::Serialize;

use super::conference::{Document, Held};
use super::style::{BOLD, DIM};
use super::text::wrap;
use crate::conference::Prices;
use crate::scenario::{Meeting, Met};

/// Columns that sentences have.
const WIDTH: usize = 100;

#[derive(Serialize)]
pub(super) struct MeetingRow<'m> {
    name: &'m str,
    description: &'m str,
    passed: bool,
    expectations: Vec<ExpectationRow<'m>>,
    conference: Document<'m>,
}

#[derive(Serialize)]
struct ExpectationRow<'m> {
    description: &'m str,
    passed: bool,
    unmet: Vec<&'m str>,
    /// The lines of the file on which these are.
    lines: Vec<Option<usize>>,
}

impl<'m> MeetingRow<'m> {
    pub(super) fn new(meeting: &'m Meeting, met: &'m Met) -> Self {
        let expectations = met.verdicts.iter().map(|verdict| ExpectationRow {
            description: &verdict.description,
            passed: verdict.holds(),
            unmet: verdict.unmet.iter().map(|(what, _)| &**what).collect(),
            lines: verdict.unmet.iter().map(|(_, line)| *line).collect(),
        });
        MeetingRow {
            name: &meeting.name,
            description: &meeting.description,
            passed: met.holds(),
            expectations: expectations.collect(),
            conference: Document::new(&held(met)),
        }
    }
}

fn held(met: &Met) -> Held<'_> {
    Held {
        plan: &met.plan,
        outcome: &met.outcome,
        prices: Prices::default(),
        warnings: &[],
    }
}

/// What failed in a conference's scenario, and what was measured, as lines of text without colours.
pub fn meeting_failure(meeting: &Meeting, met: &Met) -> String {
    let mut out = Vec::new();
    out.extend(format!("{}: {}\n\n", meeting.name, meeting.description).into_bytes());
    failure(&mut out, meeting, met).expect("memory takes any text");
    let text = String::from_utf8_lossy(&out).into_owned();
    anstream::adapter::strip_str(&text).to_string()
}

pub(super) fn table(out: &mut dyn Write, meeting: &Meeting, met: &Met) -> io::Result<()> {
    let word = if met.holds() { "ok    " } else { "FAILED" };
    let (name, about) = (&meeting.name, &meeting.description);
    writeln!(out, "{word} {BOLD}{name}{BOLD:#}  {DIM}{about}{DIM:#}")?;
    if met.holds() {
        return Ok(());
    }
    writeln!(out)?;
    failure(out, meeting, met)
}

fn failure(out: &mut dyn Write, meeting: &Meeting, met: &Met) -> io::Result<()> {
    for verdict in &met.verdicts {
        for (unmet, line) in &verdict.unmet {
            let line = line.map_or(String::new(), |line| format!(", line {line}"));
            writeln!(out, "{}.toml{line}: {unmet}", meeting.name)?;
        }
        if !verdict.holds() {
            let why = &verdict.description;
            for line in wrap(&format!("The file says why it must be so: {why}"), WIDTH) {
                writeln!(out, "{line}")?;
            }
            writeln!(out)?;
        }
    }
    writeln!(out, "What was measured\n")?;
    super::conference(out, super::Format::Table, &held(met))?;
    writeln!(out)
}

pub(super) fn csv(
    csv: &mut csv::Writer<&mut dyn Write>,
    meeting: &Meeting,
    met: &Met,
) -> io::Result<()> {
    for verdict in &met.verdicts {
        let unmet: Vec<&str> = verdict.unmet.iter().map(|(what, _)| &**what).collect();
        csv.write_record([
            &meeting.name,
            &verdict.description,
            &verdict.holds().to_string(),
            &unmet.join("; "),
        ])?;
    }
    Ok(())
}
