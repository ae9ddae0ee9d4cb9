//! `[[expect]]`: what must come of a call, and whether it did.

use std::time::Duration;

use pinhole::trace::DropReason;
use pinhole::{Time, Topology};

use super::fields::{CLASSES, EXPECT, TYPES, names};
use super::read::{choose, description, milliseconds};
use crate::call::{
    CallConfig, CallOutcome, Conflict, Dropped, Interruption, PathClass, Side, TurnTransport, Wire,
};
use crate::file::{self, Field, FileError};

/// What must come of a call, and why.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Why it must be so.
    pub description: String,
    /// What must be, all of it, and where it is written.
    checks: Vec<(Check, FileError)>,
}

/// Two are the same that ask the same, wherever they are written.
impl PartialEq for Expectation {
    fn eq(&self, other: &Self) -> bool {
        let checks = |it: &Self| -> Vec<Check> {
            let checks = it.checks.iter();
            checks.map(|(check, _)| check.clone()).collect()
        };
        self.description == other.description && checks(self) == checks(other)
    }
}

/// An expectation held against a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Why it must be so.
    pub description: String,
    /// What isn't as it must be; empty if all is.
    pub unmet: Vec<Unmet>,
}

/// Something that isn't as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unmet {
    /// What must be, and what is.
    pub what: String,
    /// The same with file, line and field.
    pub place: FileError,
}

impl Unmet {
    fn new(what: String, place: &FileError) -> Self {
        // What it says until now is the field's name.
        let place = place.saying(format!("{}{what}", place.message()));
        Unmet { what, place }
    }
}

/// One thing that must be so.
#[derive(Clone, PartialEq, Debug)]
enum Check {
    Connected(bool),
    PathClass(Vec<Option<PathClass>>),
    RelayTransport(TurnTransport),
    Within(Duration),
    NotBefore(Duration),
    GivesUpWithin(Duration),
    Type(Side, End, &'static str),
    Drops(Drops),
    NeverDrops(Drops),
    NeverPath(PathClass),
    Before(Vec<Option<PathClass>>),
    After(Vec<Option<PathClass>>),
    InterruptionBelow(Duration),
    InterruptionAbove(Duration),
    ReconnectsWithin(Duration),
    RoleConflict(Conflict),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Local,
    Remote,
}

/// Drops for a reason, wherever or at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Drops {
    reason: &'static str,
    place: Option<String>,
}

/// What a call tells of beside its connection.
#[derive(Clone, Copy)]
pub(super) struct Tells {
    /// How it went on: it has faults.
    pub(super) course: bool,
    /// What became of roles: it begins with other ones than it should.
    pub(super) roles: bool,
}

/// Reads an expectation of a call that tells so much.
pub(super) fn read(
    field: &Field<'_>,
    topology: &Topology,
    tells: Tells,
) -> Result<Expectation, FileError> {
    let table = field.table(&names(EXPECT))?;
    let why = "description = \"Both NATs filter, but each has sent to the other first\"";
    let description = description(&table.require("description", why)?)?;
    let mut checks = Vec::new();
    for (name, ..) in EXPECT.iter().skip(1) {
        let Some(field) = table.get(name) else {
            continue;
        };
        let of_the_course = matches!(
            *name,
            "before"
                | "after"
                | "interruption_below_ms"
                | "interruption_above_ms"
                | "reconnects_within_ms"
        );
        if of_the_course && !tells.course {
            return Err(field.error("only a call with a [[fault]] goes on long enough for this"));
        }
        if *name == "role_conflict" && !tells.roles {
            return Err(field.error(
                "only a call with roles can have one; for example: roles = \"both-controlling\"",
            ));
        }
        if tells.course && *name == "gives_up_within_ms" {
            return Err(field.error("a call with a [[fault]] goes on to its end"));
        }
        checks.push((check(name, &field, topology)?, field.error("")));
    }
    if checks.is_empty() {
        return Err(
            table.error("nothing is expected here; for example: path_class = \"reflexive\"")
        );
    }
    Ok(Expectation {
        description,
        checks,
    })
}

fn check(name: &str, field: &Field<'_>, topology: &Topology) -> Result<Check, FileError> {
    let duration = || milliseconds(field);
    let of_type = |side, end| -> Result<Check, FileError> {
        let types: Vec<(&str, &'static str)> = TYPES.iter().map(|it| (*it, *it)).collect();
        Ok(Check::Type(side, end, choose(field, &types)?))
    };
    Ok(match name {
        "connected" => Check::Connected(field.flag()?),
        "path_class" => Check::PathClass(classes(field)?),
        "before" => Check::Before(classes(field)?),
        "after" => Check::After(classes(field)?),
        "relay_transport" => {
            let transports = TurnTransport::ALL.map(|it| (it.name(), it));
            Check::RelayTransport(choose(field, &transports)?)
        }
        "within_ms" => Check::Within(duration()?),
        "not_before_ms" => Check::NotBefore(duration()?),
        "gives_up_within_ms" => Check::GivesUpWithin(duration()?),
        "a_local" => of_type(Side::A, End::Local)?,
        "a_remote" => of_type(Side::A, End::Remote)?,
        "b_local" => of_type(Side::B, End::Local)?,
        "b_remote" => of_type(Side::B, End::Remote)?,
        "drops" => Check::Drops(drops(field, topology)?),
        "never" => match PathClass::ALL
            .into_iter()
            .find(|it| field.text() == Ok(it.name()))
        {
            Some(class) => Check::NeverPath(class),
            None => Check::NeverDrops(drops(field, topology)?),
        },
        "interruption_below_ms" => Check::InterruptionBelow(duration()?),
        "interruption_above_ms" => Check::InterruptionAbove(duration()?),
        "reconnects_within_ms" => Check::ReconnectsWithin(duration()?),
        "role_conflict" => {
            let all = Conflict::ALL.map(|conflict| (conflict.name(), conflict));
            Check::RoleConflict(choose(field, &all)?)
        }
        other => unreachable!("{other} is in the table of fields, and nobody reads it"),
    })
}

/// One class, or one of several.
fn classes(field: &Field<'_>) -> Result<Vec<Option<PathClass>>, FileError> {
    let named = |name: &str| {
        PathClass::ALL
            .into_iter()
            .find(|class| class.name() == name)
    };
    let choices: Vec<_> = CLASSES.iter().map(|name| (*name, named(name))).collect();
    if field.is_text() {
        return Ok(vec![choose(field, &choices)?]);
    }
    let entries = field.list()?;
    if entries.is_empty() {
        return Err(field.error("this lists no class, so none would be right"));
    }
    entries.iter().map(|it| choose(it, &choices)).collect()
}

/// `filtered_by_nat`, or `filtered_by_nat at a.nat`.
fn drops(field: &Field<'_>, topology: &Topology) -> Result<Drops, FileError> {
    let text = field.text()?;
    let (reason, place) = match text.split_once(" at ") {
        Some((reason, place)) => (reason.trim(), Some(place.trim())),
        None => (text, None),
    };
    let Some(reason) = DropReason::CODES.into_iter().find(|code| *code == reason) else {
        let instead = file::instead(reason, &DropReason::CODES);
        return Err(field.error(format!("no packet is dropped for {reason:?}; {instead}")));
    };
    if let Some(place) = place {
        let ends: Vec<&str> = place.split('>').collect();
        for end in &ends {
            if topology.find(end).is_none() {
                let known: Vec<&str> = topology.nodes().map(|it| topology.name(it)).collect();
                let instead = file::instead(end, &known);
                return Err(field.error(format!("no node is called {end:?}; {instead}")));
            }
        }
    }
    let place = place.map(str::to_owned);
    Ok(Drops { reason, place })
}

impl Expectation {
    /// Holds it against what came of a call.
    pub(super) fn judge(&self, call: &CallConfig, outcome: &CallOutcome, wire: &Wire) -> Judged {
        let checks = self.checks.iter();
        let unmet = checks.filter_map(|(check, place)| {
            let what = check.unmet(call, outcome, wire).err()?;
            Some(Unmet::new(what, place))
        });
        Judged {
            description: self.description.clone(),
            unmet: unmet.collect(),
        }
    }

    /// What it comes to if the call was stopped before anybody could tell.
    pub(super) fn untold(&self, why: &str) -> Judged {
        Judged {
            description: self.description.clone(),
            unmet: self
                .checks
                .iter()
                .map(|(_, place)| Unmet::new(why.to_owned(), place))
                .collect(),
        }
    }
}

impl Judged {
    /// Whether everything is as it must be.
    pub fn holds(&self) -> bool {
        self.unmet.is_empty()
    }
}

impl Check {
    /// What is, in place of what must be.
    fn unmet(&self, call: &CallConfig, outcome: &CallOutcome, wire: &Wire) -> Result<(), String> {
        let hold = |holds: bool, right: String, found: String| {
            if holds {
                Ok(())
            } else {
                Err(format!("expected {right}, found {found}"))
            }
        };
        let connection = outcome.connection.as_ref();
        let at = connection.map(|connection| connection.at - Time::ZERO);
        let when = at.map_or("no connection".to_owned(), |at| {
            format!("a connection after {}", millis(at))
        });
        let course = outcome.course.as_ref();
        match self {
            Check::Connected(right) => {
                let word = |is: bool| if is { "a connection" } else { "none" }.to_owned();
                let is = outcome.is_connected();
                hold(is == *right, word(*right), word(is))
            }
            Check::PathClass(right) => {
                let is = outcome.path_class();
                hold(
                    right.contains(&is),
                    format!("path class {}", list(right)),
                    class(is).to_owned(),
                )
            }
            Check::RelayTransport(right) => {
                let is = connection.and_then(|connection| connection.relay_transport);
                let found = is.map_or("no relay", TurnTransport::name);
                hold(
                    is == Some(*right),
                    format!("a relay over {}", right.name()),
                    found.to_owned(),
                )
            }
            Check::Within(most) => {
                let right = format!("a connection within {}", millis(*most));
                hold(at.is_some_and(|at| at <= *most), right, when)
            }
            Check::NotBefore(least) => {
                let right = format!("a connection not before {}", millis(*least));
                hold(at.is_some_and(|at| at >= *least), right, when)
            }
            Check::GivesUpWithin(most) => {
                let is = outcome.failed_at.map(|at| at - Time::ZERO);
                let found = is.map_or(when, |at| format!("that they did after {}", millis(at)));
                let right = format!("that both stacks give up within {}", millis(*most));
                hold(is.is_some_and(|at| at <= *most), right, found)
            }
            Check::Type(side, end, right) => {
                let types = connection.map(|connection| connection.types[side.index()]);
                let is = types.map_or("no connection", |types| match end {
                    End::Local => types.local.token(),
                    End::Remote => types.remote.token(),
                });
                let word = match end {
                    End::Local => "from its own",
                    End::Remote => "to the other's",
                };
                let right_words = format!("that {} sends {word} {right} candidate", side.name());
                hold(is == *right, right_words, is.to_owned())
            }
            Check::Drops(drops) => hold(
                drops.count(outcome) > 0,
                format!("drops: {drops}"),
                all_drops(outcome),
            ),
            Check::NeverDrops(drops) => hold(
                drops.count(outcome) == 0,
                format!("no drop: {drops}"),
                list_of_drops(outcome.drops.iter().filter(|drop| drops.covers(drop))),
            ),
            Check::NeverPath(never) => {
                let past = wire.flows.iter().flat_map(|flow| &flow.classes);
                let since = past.filter(|(_, class)| class == never).map(|(at, _)| *at);
                let in_the_end = connection.filter(|is| is.path_class == *never);
                let since = since.chain(in_the_end.map(|is| is.at)).min();
                let right = format!("that no data ever takes a {} path", never.name());
                let found = since.map_or_else(String::new, |at| {
                    format!("that some did, at {:.0} ms", at.as_millis_f64())
                });
                hold(since.is_none(), right, found)
            }
            Check::Before(right) => {
                let is = course.and_then(|course| course.before);
                let right_words = format!("path class {} before the first fault", list(right));
                hold(right.contains(&is), right_words, class(is).to_owned())
            }
            Check::After(right) => {
                let is = course.and_then(|course| course.after);
                let right_words = format!("path class {} at the end", list(right));
                hold(right.contains(&is), right_words, class(is).to_owned())
            }
            Check::InterruptionBelow(most) => {
                let all = course.map_or(&[][..], |course| &course.interruptions);
                let short = |one: &Interruption| one.length().is_some_and(|length| length < *most);
                let holds = outcome.is_connected() && all.iter().all(short);
                let right = format!("interruptions shorter than {} only", millis(*most));
                hold(holds, right, interruptions(all, outcome))
            }
            Check::InterruptionAbove(least) => {
                let all = course.map_or(&[][..], |course| &course.interruptions);
                let long = |one: &Interruption| one.length().is_none_or(|length| length > *least);
                let right = format!("an interruption longer than {}", millis(*least));
                hold(all.iter().any(long), right, interruptions(all, outcome))
            }
            Check::RoleConflict(right) => {
                let is = outcome.role_conflict.unwrap_or_default();
                let found = match is.stands() {
                    Conflict::None => "none".to_owned(),
                    other => format!("a {} one ({} checks refused)", other.name(), is.refusals),
                };
                let word = match right {
                    Conflict::None => "no role conflict".to_owned(),
                    other => format!("a {} role conflict", other.name()),
                };
                hold(is.stands() == *right, word, found)
            }
            Check::ReconnectsWithin(most) => {
                let all = course.map_or(&[][..], |course| &course.interruptions);
                let first = call.faults.iter().map(|(at, _)| *at).min();
                let by = first.unwrap_or(Time::ZERO) + *most;
                let ends = |one: &Interruption| one.to.is_some_and(|to| to <= by);
                let goes_on = course.is_some_and(|course| course.after.is_some());
                let right = format!("data both ways for good by {:.0} ms", by.as_millis_f64());
                hold(
                    goes_on && all.iter().all(ends),
                    right,
                    interruptions(all, outcome),
                )
            }
        }
    }
}

impl Drops {
    fn count(&self, outcome: &CallOutcome) -> u64 {
        let mine = outcome.drops.iter().filter(|drop| self.covers(drop));
        mine.map(|drop| drop.count).sum()
    }

    fn covers(&self, drop: &Dropped) -> bool {
        let here = |own: &String| *own == drop.place;
        drop.reason == self.reason && self.place.as_ref().is_none_or(here)
    }
}

impl std::fmt::Display for Drops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason)?;
        match &self.place {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
}

fn class(class: Option<PathClass>) -> &'static str {
    class.map_or("none", PathClass::name)
}

fn list(classes: &[Option<PathClass>]) -> String {
    let names: Vec<&str> = classes.iter().map(|it| class(*it)).collect();
    names.join(" or ")
}

fn millis(duration: Duration) -> String {
    let text = format!("{:.1}", duration.as_secs_f64() * 1000.0);
    format!("{} ms", text.strip_suffix(".0").unwrap_or(&text))
}

fn all_drops(outcome: &CallOutcome) -> String {
    if outcome.drops.is_empty() {
        return "no drop at all".to_owned();
    }
    list_of_drops(&outcome.drops)
}

fn list_of_drops<'d>(drops: impl IntoIterator<Item = &'d Dropped>) -> String {
    let each = drops
        .into_iter()
        .map(|drop| format!("{} × {} at {}", drop.count, drop.reason, drop.place));
    each.collect::<Vec<_>>().join(", ")
}

fn interruptions(all: &[Interruption], outcome: &CallOutcome) -> String {
    if !outcome.is_connected() {
        return "no connection".to_owned();
    }
    if all.is_empty() {
        return "no interruption".to_owned();
    }
    let told = all.iter().map(|one| {
        let (who, from) = (one.sender.name(), one.from.as_millis_f64());
        match one.length() {
            Some(length) => format!(
                "{who}'s data missing for {} from {from:.0} ms",
                millis(length)
            ),
            None => format!("{who}'s data missing from {from:.0} ms to the end"),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}
