//! Published figures that a claim, or a population of which it is true, is at odds with.

use super::Claim;
use crate::survey::population::Population;
use crate::survey::record::{Figure, Measure, figures};

/// A figure that a population doesn't meet.
#[derive(Clone, PartialEq, Debug)]
pub struct Contradiction {
    /// What was published.
    pub figure: &'static Figure,
    /// What the population has instead.
    pub value: f64,
}

impl Contradiction {
    /// Whether it is the claim that is at odds, whatever the population.
    pub fn is_of_claim(&self) -> bool {
        matches!(self.figure.measure, Measure::Relayed | Measure::Unrelayed)
    }
}

/// How far from what has been published a value may be, either way, and not contradict it: another
/// population is another population.
const LEEWAY: f64 = 1.25;

/// The published figures that a population and its claim are at odds with: those of which all of one
/// measure are below or above the value by more than a quarter.
pub fn contradictions(population: &Population, claim: &Claim) -> Vec<Contradiction> {
    let value = |measure: Measure| match measure {
        Measure::Relayed => Some(claim.relayed),
        Measure::Unrelayed => Some(claim.direct + claim.reflexive),
        measure => measure.of_population(population),
    };
    let of_measure = |measure: Measure| figures().iter().filter(move |it| it.measure == measure);
    let at_odds = |measure: Measure, value: f64| {
        let low = of_measure(measure).map(|it| it.low).fold(1.0, f64::min);
        let high = of_measure(measure).map(|it| it.high).fold(0.0, f64::max);
        value < low / LEEWAY || value > high * LEEWAY
    };
    figures()
        .iter()
        .filter_map(|figure| Some((figure, value(figure.measure)?)))
        .filter(|(figure, value)| at_odds(figure.measure, *value))
        .map(|(figure, value)| Contradiction { figure, value })
        .collect()
}
