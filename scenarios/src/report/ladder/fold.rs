//! Which packets are drawn, and which are counted: see the rule in the [module's
//! documentation](super).

use std::collections::HashSet;

use pinhole::Time;

use super::flight::{End, Flight, Kind, Spot};

/// The rule, as the drawing states it.
pub(super) const RULE: &str = "Of packets that are alike (same sender, addresses, message and end) \
     the first is drawn, and every one that makes a mapping or opens a pinhole; the others are \
     counted in grey notes, unless a note would count but one. Once data has flowed both ways, only data of a new kind is drawn.";

/// A call of so few packets is drawn whole.
const WHOLE: usize = 30;

/// For every flight, whether it is drawn.
pub(super) struct Fold {
    drawn: Vec<bool>,
}

impl Fold {
    /// Whether this flight is drawn.
    pub(super) fn is_drawn(&self, flight: usize) -> bool {
        self.drawn[flight]
    }

    /// Draws this flight after all.
    pub(super) fn draw(&mut self, flight: usize) {
        self.drawn[flight] = true;
    }

    /// How many flights are drawn.
    pub(super) fn drawn(&self) -> usize {
        self.drawn.iter().filter(|drawn| **drawn).count()
    }
}

/// Decides over every flight.
pub(super) fn fold(flights: &[Flight], connected_at: Option<Time>) -> Fold {
    if flights.len() <= WHOLE {
        return Fold {
            drawn: vec![true; flights.len()],
        };
    }
    let mut seen = HashSet::new();
    let drawn = flights
        .iter()
        .map(|flight| {
            let start = &flight.points[0];
            let alike = (
                start.spot.lane(),
                start.source,
                start.destination,
                &flight.label,
                &flight.end,
            );
            let is_first = seen.insert(alike);
            let is_over = connected_at.is_some_and(|at| start.time > at);
            if is_over {
                is_first && flight.kind == Kind::Data
            } else {
                is_first || flight.leaves_a_mark()
            }
        })
        .collect();
    Fold { drawn }
}

/// What a note says of the flights it counts: one line for each sort of them, the most frequent
/// first.
pub(super) fn count(flights: &[&Flight], name: impl Fn(usize) -> String) -> Vec<(usize, String)> {
    let mut sorts: Vec<(usize, String)> = Vec::new();
    for flight in flights {
        let from = match flight.points[0].spot {
            Spot::Lane(lane) | Spot::Beyond(lane, _) => name(lane),
        };
        let end = match &flight.end {
            End::Delivered(to) => format!("delivered to {}", name(*to)),
            End::Dropped { place, brief, .. } => format!("dropped by {place}: {brief}"),
            End::UnderWay => "still on the way".to_owned(),
        };
        let sort = format!("{} from {from}, {end}", flight.brief);
        match sorts.iter_mut().find(|(_, known)| *known == sort) {
            Some((count, _)) => *count += 1,
            None => sorts.push((1, sort)),
        }
    }
    // Stable: of equally many, what was sent first comes first.
    sorts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    sorts
}
