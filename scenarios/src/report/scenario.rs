//! What came of scenarios.

use std::io::{self, Write};

use serde::Serialize;

use super::json::{CallRow, DropRow, Packets};
use super::story::story;
use super::style::{BOLD, DIM};
use super::text::wrap;
use super::{Format, meeting, print_json};
use crate::scenario::{Meeting, Met, Ran, Result, Scenario};

/// A scenario that was run, and what came of it.
#[derive(Clone, Debug)]
pub enum Ended {
    /// A call.
    Call(Box<Scenario>, Box<Ran>),
    /// A conference.
    Conference(Box<Meeting>, Box<Met>),
}

impl Ended {
    /// Whether all is as it must be.
    pub fn holds(&self) -> bool {
        match self {
            Ended::Call(_, ran) => ran.holds(),
            Ended::Conference(_, met) => met.holds(),
        }
    }
}

/// Columns of a story.
const STORY_WIDTH: usize = 100;

#[derive(Serialize)]
struct Document<'e> {
    passed: usize,
    failed: usize,
    scenarios: Vec<Either<'e>>,
}

/// What either sort of scenario came to.
#[derive(Serialize)]
#[serde(untagged)]
enum Either<'e> {
    Call(Box<Row>),
    Conference(Box<meeting::MeetingRow<'e>>),
}

#[derive(Serialize)]
struct Row {
    name: String,
    description: String,
    passed: bool,
    expectations: Vec<ExpectationRow>,
    /// Why the call was stopped, if it was.
    stopped: Option<String>,
    /// What was measured until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_stopped: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Measured {
    packets: Packets,
    drops: Vec<DropRow>,
}

#[derive(Serialize)]
struct ExpectationRow {
    description: String,
    passed: bool,
    unmet: Vec<String>,
    /// The lines of the file on which these are.
    lines: Vec<Option<usize>>,
}

/// Prints what came of scenarios, in their order.
///
/// # Errors
///
/// `out` can't be written to.
pub fn scenarios(out: &mut dyn Write, format: Format, all: &[Ended]) -> io::Result<()> {
    let failed = all.iter().filter(|ended| !ended.holds()).count();
    match format {
        Format::Table => {
            for ended in all {
                match ended {
                    Ended::Call(scenario, ran) => table(out, scenario, ran)?,
                    Ended::Conference(meeting, met) => meeting::table(out, meeting, met)?,
                }
            }
            let passed = all.len() - failed;
            writeln!(out, "\n{BOLD}{passed} passed, {failed} failed{BOLD:#}")
        }
        Format::Json => {
            let document = Document {
                passed: all.len() - failed,
                failed,
                scenarios: all
                    .iter()
                    .map(|ended| match ended {
                        Ended::Call(scenario, ran) => Either::Call(Box::new(row(scenario, ran))),
                        Ended::Conference(meeting, met) => {
                            Either::Conference(Box::new(meeting::MeetingRow::new(meeting, met)))
                        }
                    })
                    .collect(),
            };
            print_json(out, &document)
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["scenario", "expectation", "passed", "unmet"])?;
            for ended in all {
                let (scenario, ran) = match ended {
                    Ended::Call(scenario, ran) => (scenario, ran),
                    Ended::Conference(meeting, met) => {
                        meeting::csv(&mut csv, meeting, met)?;
                        continue;
                    }
                };
                for judged in &ran.judged {
                    let passed = judged.holds().to_string();
                    let unmet: Vec<&str> = judged.unmet.iter().map(|it| &*it.what).collect();
                    let unmet = unmet.join("; ");
                    csv.write_record([&scenario.name, &judged.description, &passed, &unmet])?;
                }
            }
            csv.flush()
        }
    }
}

/// What failed in a scenario, and what happened, as lines of text without colours.
pub fn scenario_failure(scenario: &Scenario, ran: &Ran) -> String {
    let mut out = Vec::new();
    let about = format!("{}: {}\n\n", scenario.name, scenario.description);
    out.extend(about.into_bytes());
    failure(&mut out, scenario, ran).expect("memory takes any text");
    String::from_utf8_lossy(&out).into_owned()
}

fn table(out: &mut dyn Write, scenario: &Scenario, ran: &Ran) -> io::Result<()> {
    let word = if ran.holds() { "ok    " } else { "FAILED" };
    let (name, about) = (&scenario.name, &scenario.description);
    writeln!(out, "{word} {BOLD}{name}{BOLD:#}  {DIM}{about}{DIM:#}")?;
    if ran.holds() {
        return match &ran.story {
            Some(told) => {
                writeln!(out)?;
                for line in story(told, STORY_WIDTH) {
                    writeln!(out, "{line}")?;
                }
                Ok(())
            }
            None => Ok(()),
        };
    }
    writeln!(out)?;
    failure(out, scenario, ran)
}

fn failure(out: &mut dyn Write, scenario: &Scenario, ran: &Ran) -> io::Result<()> {
    for judged in &ran.judged {
        for unmet in &judged.unmet {
            writeln!(out, "{}", unmet.place)?;
        }
        if !judged.holds() {
            let why = format!("The file says why it must be so: {}", judged.description);
            for line in wrap(&why, STORY_WIDTH) {
                writeln!(out, "{line}")?;
            }
            writeln!(out)?;
        }
    }
    if let Result::Stopped(stopped) = &ran.result {
        let counts = stopped.packets;
        writeln!(
            out,
            "  until it was stopped: {} packets sent, {} delivered, {} dropped",
            counts.sent, counts.delivered, counts.dropped
        )?;
        for drop in &stopped.drops {
            writeln!(
                out,
                "    {} × {} at {}",
                drop.count, drop.reason, drop.place
            )?;
        }
    }
    if let Some(told) = &ran.story {
        let seed = scenario.call.seed;
        writeln!(
            out,
            "What happened (seed {seed}; times are since the start)\n"
        )?;
        for line in story(told, STORY_WIDTH) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn row(scenario: &Scenario, ran: &Ran) -> Row {
    let (call, stopped, until_stopped) = match &ran.result {
        Result::Ended(outcome) => {
            let row = CallRow::new(&scenario.call, outcome).with_seed(scenario.call.seed);
            (Some(row), None, None)
        }
        Result::Stopped(stopped) => {
            let measured = Measured {
                packets: Packets::of(&stopped.packets),
                drops: stopped.drops.iter().map(DropRow::of).collect(),
            };
            (None, Some(stopped.why.clone()), Some(measured))
        }
    };
    let expectations = ran.judged.iter().map(|judged| ExpectationRow {
        description: judged.description.clone(),
        passed: judged.holds(),
        unmet: judged.unmet.iter().map(|it| it.what.clone()).collect(),
        lines: judged.unmet.iter().map(|it| it.place.line()).collect(),
    });
    Row {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        passed: ran.holds(),
        expectations: expectations.collect(),
        stopped,
        until_stopped,
        call,
        story: ran.story.as_ref().map(|told| story(told, STORY_WIDTH)),
    }
}
