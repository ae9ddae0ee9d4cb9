//! Against the record: the presets, surveyed, beside what has been published.

use super::interval::Interval;
use super::presets;
use super::record::{Figure, figures};
use super::run::Survey;

/// A preset's survey, and the figures that it is held beside.
#[derive(Clone, PartialEq, Debug)]
pub struct Beside {
    /// The survey.
    pub survey: Survey,
    /// What was published of the same.
    pub comparisons: Vec<Comparison>,
}

/// A figure, and what the survey says of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// What was published.
    pub figure: &'static Figure,
    /// What was surveyed.
    pub surveyed: Interval,
    /// How the two stand to each other.
    pub verdict: Verdict,
    /// What explains a difference, where there is one.
    pub explanation: Option<String>,
}

/// Where a survey's interval lies beside a figure's range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// They meet.
    In,
    /// All of it is above.
    Above,
    /// All of it is below.
    Below,
}

impl Verdict {
    /// The word in results.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::In => "in",
            Verdict::Above => "above",
            Verdict::Below => "below",
        }
    }
}

/// The presets that figures are held beside, in the order of the presets.
pub fn presets() -> Vec<&'static str> {
    let held = |name: &&str| {
        let mut all = figures().iter().flat_map(|figure| &figure.presets);
        all.any(|preset| preset == name)
    };
    presets::names().into_iter().filter(held).collect()
}

/// Holds a preset's survey beside what was published of it.
pub fn beside(survey: Survey) -> Beside {
    let population = &survey.config.population;
    let of_it = figures()
        .iter()
        .filter(|figure| figure.presets.contains(&population.name));
    let comparisons = of_it
        .filter_map(|figure| {
            let surveyed = figure.measure.of(&survey)?;
            let verdict = if surveyed.meets(figure.low, figure.high) {
                Verdict::In
            } else if surveyed.low > figure.high {
                Verdict::Above
            } else {
                Verdict::Below
            };
            let explanation = figure.why.clone().filter(|_| verdict != Verdict::In);
            Some(Comparison {
                figure,
                surveyed,
                verdict,
                explanation,
            })
        })
        .collect();
    Beside {
        comparisons,
        survey,
    }
}
