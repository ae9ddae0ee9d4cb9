//! What the drawing shows, from the top to the bottom, and how far apart the lanes must stand.

use std::collections::HashMap;
use std::time::Duration;

use pinhole::Time;

use super::canvas::{MONO, NOTE};
use super::flight::{Flight, Spot};
use super::fold::Fold;
use super::moments::Moment;
use crate::call::{Call, PathClass};
use crate::explain;

/// One row of the drawing.
pub(super) struct Step<'a> {
    pub(super) time: Time,
    pub(super) what: What<'a>,
}

/// What a row shows.
#[derive(Clone)]
pub(super) enum What<'a> {
    /// A flight's points from this one up to and with that one.
    Flight {
        flight: usize,
        from: usize,
        to: usize,
    },
    /// Something inside an endpoint.
    Moment(&'a Moment),
    /// Flights that are counted, sent until this time.
    Note { flights: Vec<usize>, until: Time },
    /// Nothing happens for this long.
    Pause(Duration),
    /// The call's outcome is settled, or something goes wrong.
    Verdict { words: String, good: bool },
}

/// Points that are this close in time stand in one row: a local network's hop.
const CLOSE: Duration = Duration::from_millis(2);

/// From here on a time without events is worth a row.
const PAUSE: Duration = Duration::from_millis(200);

/// What comes first of what happens at one time: by the place among all records, and then moments
/// before flights.
type Rank = (Time, usize, u8);

/// Every row. A flight that a note would count alone is drawn instead.
pub(super) fn steps<'a>(
    call: &Call<'_>,
    flights: &[Flight],
    fold: &mut Fold,
    moments: &'a [Moment],
) -> Vec<Step<'a>> {
    let mut others: Vec<(Rank, What<'a>)> = moments
        .iter()
        .map(|moment| ((moment.time, moment.order, 0), What::Moment(moment)))
        .collect();
    others.extend(verdict(call).map(|(time, what)| ((time, usize::MAX, 2), what)));
    others.extend(call.net.inflicted().iter().map(|inflicted| {
        let words = explain::fault(call.net, inflicted);
        let what = What::Verdict { words, good: false };
        ((inflicted.time, usize::MAX, 3), what)
    }));
    let with_others = |mut rows: Vec<(Rank, What<'a>)>| {
        rows.extend(others.iter().cloned());
        ordered(rows)
    };
    for step in with_others(rows(flights, fold)) {
        if let What::Note { flights, .. } = step.what
            && let [alone] = flights[..]
        {
            fold.draw(alone);
        }
    }
    with_pauses(with_others(rows(flights, fold)))
}

/// The rows of every flight, in no order: counted ones have a note each.
fn rows<'a>(flights: &[Flight], fold: &Fold) -> Vec<(Rank, What<'a>)> {
    let mut ranked = Vec::new();
    let visits = visits(flights, fold);
    for (number, flight) in flights.iter().enumerate() {
        if !fold.is_drawn(number) {
            let (time, order) = flight.sent();
            let what = What::Note {
                flights: vec![number],
                until: time,
            };
            ranked.push(((time, order, 1), what));
            continue;
        }
        let mut from = 0;
        while from < flight.points.len() {
            let mut to = from;
            while to + 1 < flight.points.len() && joins(flight, from, to + 1, &visits) {
                to += 1;
            }
            let first = &flight.points[from];
            let what = What::Flight {
                flight: number,
                from,
                to,
            };
            ranked.push(((first.time, first.order, 1), what));
            from = to + 1;
        }
    }
    ranked
}

/// When drawn flights were on which lane.
type Visits = HashMap<usize, Vec<Visit>>;

struct Visit {
    at: (Time, usize),
    /// Where the row begins that the visit stands in, unless something keeps it apart.
    row: (Time, usize),
}

fn visits(flights: &[Flight], fold: &Fold) -> Visits {
    let mut visits = Visits::new();
    let drawn = flights
        .iter()
        .enumerate()
        .filter(|(number, _)| fold.is_drawn(*number));
    for (_, flight) in drawn {
        let mut row = flight.sent();
        for pair in flight.points.windows(2) {
            let at = (pair[1].time, pair[1].order);
            if pair[1].time - pair[0].time > CLOSE {
                row = at;
            }
            if let Spot::Lane(lane) = pair[1].spot {
                visits.entry(lane).or_default().push(Visit { at, row });
            }
        }
    }
    visits
}

/// Whether a point may stand in the row that begins at point `from` of its flight: not if something
/// that came to its lane before it would then stand below it, and not if the flight turns back
/// there, for its way in and its way out would lie on each other.
fn joins(flight: &Flight, from: usize, point: usize, visits: &Visits) -> bool {
    let (start, before, here) = (
        &flight.points[from],
        &flight.points[point - 1],
        &flight.points[point],
    );
    let Spot::Lane(lane) = here.spot else {
        return false;
    };
    if here.time - before.time > CLOSE || turns_back(flight, point) {
        return false;
    }
    let row = (start.time, start.order);
    let mine = (here.time, here.order);
    !visits
        .get(&lane)
        .into_iter()
        .flatten()
        .any(|other| other.at < mine && other.row > row)
}

fn turns_back(flight: &Flight, point: usize) -> bool {
    let Some([before, here, after]) = flight.points.get(point - 1..point + 2) else {
        return false;
    };
    before.spot.lane().cmp(&here.spot.lane()) == after.spot.lane().cmp(&here.spot.lane())
}

/// When the call's outcome was settled, in words.
fn verdict<'a>(call: &Call<'_>) -> Option<(Time, What<'a>)> {
    let outcome = &call.outcome;
    if let Some(connection) = &outcome.connection {
        let class = connection.path_class.name();
        let words = format!("connected: data has arrived on both sides ({class})");
        return Some((connection.at, What::Verdict { words, good: true }));
    }
    let words = "no connection: both sides have given up".to_owned();
    let verdict = What::Verdict { words, good: false };
    outcome.failed_at.map(|at| (at, verdict))
}

/// A path class, for those who meet the word for the first time.
pub(super) fn path(class: PathClass) -> &'static str {
    match class {
        PathClass::Direct => "untranslated from end to end (direct)",
        PathClass::Reflexive => "translated, not relayed (reflexive)",
        PathClass::Relayed => "through the TURN server (relayed)",
    }
}

/// The rows in their order, with one note made of those that only arrivals stand between.
fn ordered(mut ranked: Vec<(Rank, What<'_>)>) -> Vec<Step<'_>> {
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut open: Option<usize> = None;
    for ((time, ..), what) in ranked {
        if let What::Note { flights, until } = &what
            && let Some(open) = open
            && let What::Note {
                flights: counted,
                until: end,
            } = &mut steps[open].what
        {
            counted.extend(flights);
            *end = *until;
            continue;
        }
        open = match what {
            What::Note { .. } => Some(steps.len()),
            What::Flight { from: 1.., .. } => open,
            _ => None,
        };
        steps.push(Step { time, what });
    }
    steps
}

fn with_pauses(steps: Vec<Step<'_>>) -> Vec<Step<'_>> {
    let mut all = Vec::with_capacity(steps.len());
    let mut now = Time::ZERO;
    for step in steps {
        let passed = step.time.saturating_since(now);
        if passed >= PAUSE {
            all.push(Step {
                time: now,
                what: What::Pause(passed),
            });
        }
        now = now.max(match &step.what {
            What::Note { until, .. } => *until,
            _ => step.time,
        });
        all.push(step);
    }
    all
}

/// A point's addresses, as they stand on the arrow.
pub(super) fn addresses(flight: &Flight, point: usize) -> String {
    let point = &flight.points[point];
    format!("{} → {}", point.source, point.destination)
}

/// Room around a text that stands between two lanes.
const AROUND: f64 = 18.0;

/// How far apart lanes must stand for the addresses on the arrows between them.
pub(super) fn gap(flights: &[Flight], fold: &Fold) -> f64 {
    let mut gap: f64 = 160.0;
    let drawn = flights
        .iter()
        .enumerate()
        .filter(|(number, _)| fold.is_drawn(*number));
    for (_, flight) in drawn {
        for (place, pair) in flight.points.windows(2).enumerate() {
            let (Spot::Lane(from), Spot::Lane(to)) = (pair[0].spot, pair[1].spot) else {
                continue;
            };
            let lanes = from.abs_diff(to).max(1) as f64;
            if place == 0 || pair[0].is_translated() {
                let width = MONO.width(&addresses(flight, place));
                gap = gap.max((width + AROUND) / lanes);
            }
            if let Some(note) = &pair[1].note {
                gap = gap.max((NOTE.width(note) + AROUND) / lanes);
            }
        }
    }
    gap.ceil()
}
