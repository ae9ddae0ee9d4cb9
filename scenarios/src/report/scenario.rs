//! What came of scenarios.

use std::io::{self, Write};

use serde::Serialize;

use super::json::CallRow;
use super::story::story;
use super::style::{BOLD, DIM};
use super::{Format, print_json};
use crate::call::{Course, Milestone, PathClass};
use crate::scenario::{Ran, Result, Scenario};

/// Columns of a story.
const STORY_WIDTH: usize = 100;

#[derive(Serialize)]
struct Document {
    passed: usize,
    failed: usize,
    scenarios: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    description: String,
    passed: bool,
    expectations: Vec<ExpectationRow>,
    /// Why the call was stopped, if it was.
    stopped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallRow>,
    /// How it went on, if things went wrong in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    course: Option<CourseRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Vec<String>>,
}

#[derive(Serialize)]
struct CourseRow {
    before: &'static str,
    after: &'static str,
    interruptions: Vec<InterruptionRow>,
    /// The longest of them; null if one has no end.
    longest_ms: Option<f64>,
    events: Vec<EventRow>,
}

#[derive(Serialize)]
struct InterruptionRow {
    sender: &'static str,
    from_ms: f64,
    to_ms: Option<f64>,
    length_ms: Option<f64>,
}

#[derive(Serialize)]
struct EventRow {
    at_ms: f64,
    side: &'static str,
    event: &'static str,
}

#[derive(Serialize)]
struct ExpectationRow {
    description: String,
    passed: bool,
    unmet: Vec<String>,
}

/// Prints what came of scenarios, in their order.
///
/// # Errors
///
/// `out` can't be written to.
pub fn scenarios(out: &mut dyn Write, format: Format, all: &[(Scenario, Ran)]) -> io::Result<()> {
    let failed = all.iter().filter(|(_, ran)| !ran.holds()).count();
    match format {
        Format::Table => {
            for (scenario, ran) in all {
                table(out, scenario, ran)?;
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
                    .map(|(scenario, ran)| row(scenario, ran))
                    .collect(),
            };
            print_json(out, &document)
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["scenario", "expectation", "passed", "unmet"])?;
            for (scenario, ran) in all {
                for judged in &ran.judged {
                    let passed = judged.holds().to_string();
                    let unmet = judged.unmet.join("; ");
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
    writeln!(out, "{}: {}\n", scenario.name, scenario.description)?;
    for judged in &ran.judged {
        for unmet in &judged.unmet {
            writeln!(out, "  {unmet}")?;
        }
        if !judged.holds() {
            writeln!(out, "    because: {}\n", judged.description)?;
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
        writeln!(out, "What happened\n")?;
        for line in story(told, STORY_WIDTH) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn row(scenario: &Scenario, ran: &Ran) -> Row {
    let course = match &ran.result {
        Result::Ended(outcome) => outcome.course.as_ref().map(CourseRow::new),
        Result::Stopped(_) => None,
    };
    let (call, stopped) = match &ran.result {
        Result::Ended(outcome) => {
            let row = CallRow::new(&scenario.call, outcome).with_seed(scenario.call.seed);
            (Some(row), None)
        }
        Result::Stopped(stopped) => (None, Some(stopped.why.clone())),
    };
    let expectations = ran.judged.iter().map(|judged| ExpectationRow {
        description: judged.description.clone(),
        passed: judged.holds(),
        unmet: judged.unmet.clone(),
    });
    Row {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        passed: ran.holds(),
        expectations: expectations.collect(),
        stopped,
        call,
        course,
        story: ran.story.as_ref().map(|told| story(told, STORY_WIDTH)),
    }
}

impl CourseRow {
    fn new(course: &Course) -> Self {
        let class = |class: Option<PathClass>| class.map_or("none", PathClass::name);
        let millis = |length: std::time::Duration| length.as_secs_f64() * 1000.0;
        let all = &course.interruptions;
        let longest = all.iter().map(|one| one.length()).max_by_key(|length| {
            // One without an end is the longest.
            (length.is_none(), *length)
        });
        CourseRow {
            before: class(course.before),
            after: class(course.after),
            interruptions: all
                .iter()
                .map(|one| InterruptionRow {
                    sender: one.sender.name(),
                    from_ms: one.from.as_millis_f64(),
                    to_ms: one.to.map(|to| to.as_millis_f64()),
                    length_ms: one.length().map(millis),
                })
                .collect(),
            longest_ms: longest.map_or(Some(0.0), |length| length.map(millis)),
            events: course
                .events
                .iter()
                .filter_map(|(time, side, milestone)| {
                    let event = match milestone {
                        Milestone::Selected { .. } => "selected",
                        Milestone::Disconnected => "disconnected",
                        Milestone::Failed => "failed",
                        Milestone::NetworkChanged => "network_changed",
                        Milestone::AskedForRestart => "asked_for_restart",
                        Milestone::Restarted => "restarted",
                        _ => return None,
                    };
                    Some(EventRow {
                        at_ms: time.as_millis_f64(),
                        side: side.name(),
                        event,
                    })
                })
                .collect(),
        }
    }
}
