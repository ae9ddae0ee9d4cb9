//! The search for populations that come near a claim.

use super::{Bounds, Claim, Parameters, Shares, Table};

/// A population that comes near a claim.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Why it was chosen among those that come as near.
    pub reason: &'static str,
    /// Its parameters.
    pub parameters: Parameters,
    /// The shares that are to be expected of it.
    pub expected: Shares,
    /// The farthest that one of them is from the claim.
    pub distance: f64,
}

/// What the search came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// The claim.
    pub claim: Claim,
    /// Whether any population within the bounds comes within the tolerance.
    pub exists: bool,
    /// Populations that do, or else the one that comes nearest. Never empty.
    pub answers: Vec<Answer>,
}

/// Steps of the first search along each parameter.
const GRID: usize = 16;
/// Grid points from which the search goes on.
const STARTS: usize = 48;

/// Searches the populations within the bounds that come nearest a claim.
///
/// A claim has three independent shares and a population four parameters: where there is one
/// answer there are many. Shown are the nearest to the base population, and those that need the
/// least IPv6 and the fewest shared networks.
pub fn search(table: &Table, claim: &Claim, bounds: &Bounds, tolerance: f64) -> Fit {
    let target = claim.shares();
    let possible = |values: &[f64; 4]| values[0] + values[1] <= 1.0;
    let distance = |values: &[f64; 4]| {
        let expected = table.expected(&Parameters::from_values(*values));
        let each = expected
            .iter()
            .zip(target)
            .map(|(one, other)| (one - other).abs());
        each.fold(0.0, f64::max)
    };
    let mut starts: Vec<(f64, [f64; 4])> = Vec::new();
    for place in 0..GRID.pow(4) {
        let mut rest = place;
        let values = bounds.map(|range| {
            let step = rest % GRID;
            rest /= GRID;
            range.low + (range.high - range.low) * step as f64 / (GRID - 1) as f64
        });
        if possible(&values) {
            starts.push((distance(&values), values));
        }
    }
    let by_cost = |one: &(f64, [f64; 4]), other: &(f64, [f64; 4])| one.0.total_cmp(&other.0);
    starts.sort_by(by_cost);
    // Bounds of one point give the same start many times.
    starts.dedup_by(|one, other| one.1 == other.1);
    starts.truncate(STARTS);
    if starts.is_empty() {
        // The bounds ask for more than all endpoints; the nearest that can be is the lower ends.
        let values = bounds.map(|range| range.low);
        starts.push((distance(&values), values));
    }
    let refined: Vec<(f64, [f64; 4])> = starts
        .iter()
        .map(|(_, start)| {
            descend(*start, bounds, &|values| match possible(values) {
                true => distance(values),
                false => f64::INFINITY,
            })
        })
        .collect();
    let nearest = refined
        .iter()
        .copied()
        .min_by(by_cost)
        .expect("there is a start");
    let answer = |reason, values: [f64; 4]| {
        let parameters = Parameters::from_values(values).rounded();
        Answer {
            reason,
            expected: table.expected(&parameters),
            distance: distance(&parameters.values()),
            parameters,
        }
    };
    if nearest.0 > tolerance {
        return Fit {
            claim: *claim,
            exists: false,
            answers: vec![answer("the nearest there is within the bounds", nearest.1)],
        };
    }
    let base = Parameters::of(&table.base).values();
    let from_base = |values: &[f64; 4]| {
        let each = values
            .iter()
            .zip(base)
            .map(|(one, other)| (one - other).powi(2));
        each.sum::<f64>().sqrt()
    };
    type Wish<'w> = (&'static str, &'w dyn Fn(&[f64; 4]) -> f64);
    let wishes: [Wish<'_>; 3] = [
        ("the nearest to the base population", &from_base),
        ("with the least IPv6", &|values| values[2]),
        ("with the fewest pairs on one LAN", &|values| values[3]),
    ];
    let mut answers: Vec<Answer> = Vec::new();
    for (reason, wish) in wishes {
        // Nearness to the claim comes first; among the near ones the wish decides.
        let near = nearest.0.max(tolerance / 5.0);
        let cost = |values: &[f64; 4]| match possible(values) {
            true => 1e3 * (distance(values) - near).max(0.0) + wish(values),
            false => f64::INFINITY,
        };
        let best = refined
            .iter()
            .map(|(_, start)| descend(*start, bounds, &cost));
        let (_, values) = best.min_by(by_cost).expect("there is a start");
        let found = answer(reason, values);
        let alike = |other: &Answer| {
            let pairs = other
                .parameters
                .values()
                .into_iter()
                .zip(found.parameters.values());
            pairs
                .into_iter()
                .all(|(one, other)| (one - other).abs() < 0.01)
        };
        if found.distance <= tolerance && !answers.iter().any(alike) {
            answers.push(found);
        }
    }
    if answers.is_empty() {
        answers.push(answer("the nearest to the claim", nearest.1));
    }
    Fit {
        claim: *claim,
        exists: true,
        answers,
    }
}

/// Goes down from a start, along every combination of parameters, in steps that get smaller.
fn descend(start: [f64; 4], bounds: &Bounds, cost: &dyn Fn(&[f64; 4]) -> f64) -> (f64, [f64; 4]) {
    let mut best = (cost(&start), start);
    let mut step = 1.0 / GRID as f64;
    while step > 1e-5 {
        let mut better = best;
        for direction in 0..3_usize.pow(4) {
            let mut rest = direction;
            let mut values = best.1;
            for (value, range) in values.iter_mut().zip(bounds) {
                let way = [-1.0, 0.0, 1.0][rest % 3];
                rest /= 3;
                *value = (*value + way * step).clamp(range.low, range.high);
            }
            let cost = cost(&values);
            if cost < better.0 {
                better = (cost, values);
            }
        }
        if better.0 < best.0 {
            best = better;
        } else {
            step /= 2.0;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Population;
    use crate::survey::presets;

    #[test]
    fn what_a_population_gives_leads_back_to_one_that_gives_it() {
        let base = presets::named(presets::DEFAULT).unwrap();
        let table = Table::measure(&base, 1).unwrap();
        let bounds = ["0..0.5", "0..0.3", "0..1", "0..0.5"].map(|it| it.parse().unwrap());
        for values in [[0.1, 0.0, 0.8, 0.17], [0.3, 0.1, 0.2, 0.05]] {
            let [direct, reflexive, relayed, _] = table.expected(&Parameters::from_values(values));
            let claim = Claim::new(direct, reflexive, relayed).unwrap();
            let found = search(&table, &claim, &bounds, 0.005);
            assert!(found.exists);
            assert!(found.answers.iter().all(|answer| answer.distance <= 0.005));
            for answer in &found.answers {
                let population = table.population(&answer.parameters, &claim);
                let read = Population::parse("fit", &population.to_toml()).unwrap();
                assert_eq!(read, population);
                let again = Parameters::of(&population).values();
                for (one, other) in again.into_iter().zip(answer.parameters.values()) {
                    assert!((one - other).abs() < 1e-6, "{again:?}");
                }
            }
        }
        let impossible = Claim::new(0.0, 0.0, 1.0).unwrap();
        let found = search(&table, &impossible, &bounds, 0.005);
        assert!(!found.exists);
        assert_eq!(found.answers.len(), 1);
    }
}
