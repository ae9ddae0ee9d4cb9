//! `[[expect]]` of a conference: what must come of it, and whether it did.

use std::time::Duration;

use super::super::fields::names;
use super::super::read::{description, milliseconds, whole};
use super::fields::EXPECT;
use super::read::participant;
use crate::conference::{ConferenceOutcome, Fidelity, Plan, quality};
use crate::file::{Field, FileError};

/// What must come of a conference, and why.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Why it must be so.
    pub description: String,
    /// Of whom what concerns participants is said; `None` is everybody.
    who: Option<Vec<usize>>,
    /// What must be, all of it, each with the line it stands on.
    checks: Vec<(Check, Option<usize>)>,
}

/// Two are the same that ask the same, wherever they are written.
impl PartialEq for Demand {
    fn eq(&self, other: &Self) -> bool {
        let checks = |it: &Self| -> Vec<Check> {
            let checks = it.checks.iter();
            checks.map(|(check, _)| *check).collect()
        };
        (&self.description, &self.who) == (&other.description, &other.who)
            && checks(self) == checks(other)
    }
}

/// A demand held against a conference.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Why it must be so.
    pub description: String,
    /// What isn't as it must be, each with what is and the line of the file; empty if all is.
    pub unmet: Vec<(String, Option<usize>)>,
}

impl Verdict {
    /// Whether everything is as it must be.
    pub fn holds(&self) -> bool {
        self.unmet.is_empty()
    }
}

/// One thing that must be so.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Check {
    Connections(u64),
    Relayed(u64),
    SeenWithin(Duration),
    SeenAtTheEnd(bool),
    Lost(Bound),
    ServerOut(Bound),
    /// Of every participant who is meant.
    Each(Measure, Bound),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What a bound is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Measure {
    Up,
    Down,
    VideoShare,
    Freezes,
    Queueing,
    Delay,
    Loss,
}

impl Measure {
    /// Its name, its unit, and what it is multiplied by to be told.
    const fn words(self) -> (&'static str, &'static str, f64) {
        match self {
            Measure::Up => ("sends", " kbit/s", 1.0),
            Measure::Down => ("gets", " kbit/s", 1.0),
            Measure::VideoShare => ("gets of the full video", " %", 100.0),
            Measure::Freezes => ("sees freezes:", "", 1.0),
            Measure::Queueing => ("has 95 % of packets queue", " ms", 1.0),
            Measure::Delay => ("has 95 % of packets late by", " ms", 1.0),
            Measure::Loss => ("loses on the way down", " %", 100.0),
        }
    }

    /// Whether it needs time to pass.
    const fn is_timed(self) -> bool {
        matches!(self, Measure::Freezes | Measure::Queueing)
    }

    fn of(self, plan: &Plan, outcome: &ConferenceOutcome, number: usize) -> Option<f64> {
        let it = &outcome.participants[number];
        Some(match self {
            Measure::Up => it.up.total(),
            Measure::Down => it.down.total(),
            Measure::VideoShare => return quality::share_of_video(plan, outcome, number),
            Measure::Freezes => f64::from(it.freezes()),
            Measure::Queueing => it.queueing.p95_ms,
            Measure::Delay => it.delay.p95_ms,
            Measure::Loss => it.loss,
        })
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }

    fn words(self, unit: &str, times: f64) -> String {
        match self {
            Bound::AtLeast(least) => format!("at least {}{unit}", number(least * times)),
            Bound::AtMost(most) => format!("at most {}{unit}", number(most * times)),
        }
    }
}

/// A number with no more digits than anybody reads.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Reads a demand on a conference.
pub(super) fn read(
    field: &Field<'_>,
    plan: &Plan,
    fidelity: Fidelity,
) -> Result<Demand, FileError> {
    let table = field.table(&names(EXPECT))?;
    let why = "description = \"Everybody is connected to everybody\"";
    let description = description(&table.require("description", why)?)?;
    let who = match table.get("who") {
        None => None,
        Some(field) if field.is_text() => Some(vec![participant(&field, plan.participants())?]),
        Some(field) => {
            let entries = field.list()?;
            if entries.is_empty() {
                return Err(field.error("this lists nobody, of whom everything would be true"));
            }
            let places = entries
                .iter()
                .map(|it| participant(it, plan.participants()));
            Some(places.collect::<Result<_, _>>()?)
        }
    };
    let mut checks = Vec::new();
    for (name, ..) in EXPECT.iter().skip(2) {
        let Some(field) = table.get(name) else {
            continue;
        };
        let check = check(name, &field)?;
        if check.is_timed() && fidelity == Fidelity::Formula {
            return Err(field.error("a formula has no time in which this could happen"));
        }
        checks.push((check, field.error("").line()));
    }
    if checks.is_empty() {
        return Err(table.error("nothing is expected here; for example: connections = 10"));
    }
    if let Some(field) = table.get("who")
        && !checks
            .iter()
            .any(|(check, _)| matches!(check, Check::Each(..)))
    {
        return Err(field.error("nothing here is said of participants; leave this out"));
    }
    Ok(Demand {
        description,
        who,
        checks,
    })
}

fn check(name: &str, field: &Field<'_>) -> Result<Check, FileError> {
    use Bound::{AtLeast, AtMost};
    let rate = || -> Result<f64, FileError> { Ok(whole(field, 0, 1_000_000_000)? as f64) };
    let millis = || -> Result<f64, FileError> { Ok(milliseconds(field)?.as_secs_f64() * 1_000.0) };
    let count = || whole(field, 0, 1_000_000_000);
    Ok(match name {
        "connections" => Check::Connections(count()?),
        "relayed" => Check::Relayed(count()?),
        "everybody_seen_within_ms" => Check::SeenWithin(milliseconds(field)?),
        "seen_at_the_end" => Check::SeenAtTheEnd(field.flag()?),
        "lost_at_least_ms" => Check::Lost(AtLeast(millis()?)),
        "lost_at_most_ms" => Check::Lost(AtMost(millis()?)),
        "up_at_least_kbps" => Check::Each(Measure::Up, AtLeast(rate()?)),
        "up_at_most_kbps" => Check::Each(Measure::Up, AtMost(rate()?)),
        "down_at_least_kbps" => Check::Each(Measure::Down, AtLeast(rate()?)),
        "down_at_most_kbps" => Check::Each(Measure::Down, AtMost(rate()?)),
        "video_share_at_least" => Check::Each(Measure::VideoShare, AtLeast(field.share()?)),
        "video_share_at_most" => Check::Each(Measure::VideoShare, AtMost(field.share()?)),
        "freezes_at_least" => Check::Each(Measure::Freezes, AtLeast(rate()?)),
        "freezes_at_most" => Check::Each(Measure::Freezes, AtMost(rate()?)),
        "queueing_p95_at_least_ms" => Check::Each(Measure::Queueing, AtLeast(millis()?)),
        "queueing_p95_at_most_ms" => Check::Each(Measure::Queueing, AtMost(millis()?)),
        "delay_p95_at_most_ms" => Check::Each(Measure::Delay, AtMost(millis()?)),
        "loss_at_most" => Check::Each(Measure::Loss, AtMost(field.share()?)),
        "server_out_at_least_kbps" => Check::ServerOut(AtLeast(rate()?)),
        "server_out_at_most_kbps" => Check::ServerOut(AtMost(rate()?)),
        other => unreachable!("{other} is in the table of fields, and nobody reads it"),
    })
}

impl Demand {
    /// Holds it against what came of a conference.
    pub(super) fn judge(&self, plan: &Plan, outcome: &ConferenceOutcome) -> Verdict {
        let mut unmet = Vec::new();
        for (check, line) in &self.checks {
            let found = check.unmet(plan, outcome, self.who.as_deref());
            unmet.extend(found.into_iter().map(|what| (what, *line)));
        }
        Verdict {
            description: self.description.clone(),
            unmet,
        }
    }
}

impl Check {
    const fn is_timed(self) -> bool {
        match self {
            Check::SeenWithin(_) | Check::SeenAtTheEnd(_) | Check::Lost(_) => true,
            Check::Each(measure, _) => measure.is_timed(),
            Check::Connections(_) | Check::Relayed(_) | Check::ServerOut(_) => false,
        }
    }

    /// What is, in place of what must be.
    fn unmet(self, plan: &Plan, outcome: &ConferenceOutcome, who: Option<&[usize]>) -> Vec<String> {
        let hold = |holds: bool, right: String, found: String| {
            let unmet = (!holds).then(|| format!("expected {right}, found {found}"));
            unmet.into_iter().collect()
        };
        match self {
            Check::Connections(right) => {
                let is = outcome.connections as u64;
                hold(is == right, format!("{right} connections"), is.to_string())
            }
            Check::Relayed(right) => {
                let all = outcome.connections as f64;
                let is = (outcome.turn.relayed_share * all).round() as u64;
                hold(
                    is == right,
                    format!("{right} connections over TURN"),
                    is.to_string(),
                )
            }
            Check::SeenWithin(most) => {
                let at = outcome.all_seen.map(|at| at.as_millis_f64());
                let most = most.as_secs_f64() * 1_000.0;
                let found = at.map_or("that not everybody ever was".to_owned(), |at| {
                    format!("after {at:.0} ms")
                });
                let holds = at.is_some_and(|at| at <= most);
                hold(holds, format!("everybody seen within {most:.0} ms"), found)
            }
            Check::SeenAtTheEnd(right) => {
                let open = outcome.gaps.iter().filter(|gap| gap.to.is_none()).count();
                let is = outcome.all_seen.is_some() && open == 0;
                let words = |is: bool| {
                    let words = if is { "everybody" } else { "not everybody" };
                    format!("that {words} has everybody at the end")
                };
                hold(is == right, words(right), words(is))
            }
            Check::Lost(bound) => {
                let lost = quality::time_lost(plan, outcome).as_secs_f64() * 1_000.0;
                let found = if outcome.all_seen.is_some() {
                    format!("{lost:.0} ms")
                } else {
                    "that not everybody ever had everybody".to_owned()
                };
                let holds = outcome.all_seen.is_some() && bound.holds(lost);
                let right = bound.words(" ms", 1.0);
                hold(
                    holds,
                    format!("somebody to lack somebody for {right}"),
                    found,
                )
            }
            Check::ServerOut(bound) => {
                let is = outcome.server_out_kbps();
                let right = bound.words(" kbit/s", 1.0);
                hold(
                    bound.holds(is),
                    format!("servers to send {right}"),
                    format!("{is:.0} kbit/s"),
                )
            }
            Check::Each(measure, bound) => {
                let all: Vec<usize> = (0..outcome.participants.len()).collect();
                let (words, unit, times) = measure.words();
                let mut unmet = Vec::new();
                for number in who.unwrap_or(&all) {
                    let name = &outcome.participants[*number].name;
                    let right = format!("that {name} {words} {}", bound.words(unit, times));
                    match measure.of(plan, outcome, *number) {
                        Some(is) if bound.holds(is) => {}
                        Some(is) => unmet.push(format!(
                            "expected {right}, found {}{unit}",
                            self::number(is * times)
                        )),
                        None => unmet.push(format!("expected {right}, found no picture to get")),
                    }
                }
                unmet
            }
        }
    }
}
