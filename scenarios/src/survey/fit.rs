//! Which population would make a claim true?
//!
//! What comes of a call depends on the pair, hardly on the call. So every pair of classes is called
//! a few times, once; from that table the shares of any population follow by arithmetic, and a
//! search over its parameters costs nothing. What it finds is then surveyed call by call: the
//! arithmetic is a guide, never the answer.

use std::fmt;
use std::str::FromStr;

use pinhole::Stream;
use pinhole::topology::Kind;
use rayon::prelude::*;

use super::population::{Class, Population};
use super::record::{Figure, Measure, figures};
use super::run::one_call;
use super::tally::{CLASSES, Tally};
use crate::call::{CallConfig, CallError, Caller, Neighbourhood, PathClass};

/// Shares of all calls that somebody claims; what they leave are calls that don't connect.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim {
    /// Direct ones.
    pub direct: f64,
    /// Reflexive ones.
    pub reflexive: f64,
    /// Relayed ones.
    pub relayed: f64,
}

/// A claim that can't be.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error(
    "the shares that are claimed come to {0}, which is above 1; what they leave of 1 is the share \
     of calls that don't connect"
)]
pub struct TooMuch(f64);

impl Claim {
    /// A claim.
    ///
    /// # Errors
    ///
    /// It adds up to more than everything.
    pub fn new(direct: f64, reflexive: f64, relayed: f64) -> Result<Self, TooMuch> {
        let sum = direct + reflexive + relayed;
        // 0.7 + 0.25 + 0.05 is not quite 1 in binary.
        if sum > 1.0 + 1e-9 {
            return Err(TooMuch(sum));
        }
        Ok(Claim {
            direct,
            reflexive,
            relayed,
        })
    }

    /// The shares in the order of [`Tally::class_place`].
    pub fn shares(&self) -> [f64; CLASSES] {
        let none = 1.0 - self.direct - self.reflexive - self.relayed;
        [self.direct, self.reflexive, self.relayed, none.max(0.0)]
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (share * 1e6).round() / 1e4;
        write!(
            f,
            "{}/{}/{}",
            percent(self.direct),
            percent(self.reflexive),
            percent(self.relayed)
        )
    }
}

/// What the search may choose of a population.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parameters {
    /// The share of endpoints behind NATs whose mappings depend on the destination.
    pub symmetric: f64,
    /// The share of endpoints on networks that block UDP.
    pub udp_blocked: f64,
    /// The share of endpoints with IPv6.
    pub ipv6: f64,
    /// The share of pairs on one LAN.
    pub same_lan: f64,
}

impl Parameters {
    /// How results call them, in the order of [`values`](Parameters::values).
    pub const NAMES: [&'static str; 4] = ["symmetric", "udp_blocked", "ipv6", "same_lan"];

    /// The four in a row.
    pub fn values(&self) -> [f64; 4] {
        [self.symmetric, self.udp_blocked, self.ipv6, self.same_lan]
    }

    fn from_values([symmetric, udp_blocked, ipv6, same_lan]: [f64; 4]) -> Self {
        Parameters {
            symmetric,
            udp_blocked,
            ipv6,
            same_lan,
        }
    }

    /// A population's.
    pub fn of(population: &Population) -> Self {
        let of = |measure: Measure| measure.of_population(population).unwrap_or(0.0);
        Parameters {
            symmetric: of(Measure::Symmetric),
            udp_blocked: of(Measure::UdpBlocked),
            ipv6: of(Measure::Ipv6),
            same_lan: population.same_lan,
        }
    }

    /// Rounded to what a file should say.
    fn rounded(&self) -> Self {
        let round = |value: f64| (value * 1e4).round() / 1e4;
        Parameters::from_values(self.values().map(round))
    }
}

/// From where to where a parameter may go: `0..0.4`, or `0.1` for that alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    low: f64,
    high: f64,
}

/// A text that is no range of shares.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no range of shares; write 0..0.4, or 0.1 for that alone")]
pub struct ParseRangeError(String);

impl FromStr for Range {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = |text: &str| {
            let share: Option<f64> = text.trim().parse().ok();
            share.filter(|share| (0.0..=1.0).contains(share))
        };
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        match (share(low), share(high)) {
            (Some(low), Some(high)) if low <= high => Ok(Range { low, high }),
            _ => Err(ParseRangeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.low, self.high)
    }
}

/// Bounds of the four parameters, in their order.
pub type Bounds = [Range; 4];

/// Where endpoints stand to each other and to the parameters: without and with dependent
/// mappings, without UDP.
const SORTS: usize = 3;

fn sort(class: &Class) -> usize {
    if !class.kind.passes_udp() {
        2
    } else if class.is_symmetric() {
        1
    } else {
        0
    }
}

/// Shares of outcomes by [`Tally::class_place`].
type Shares = [f64; CLASSES];

/// What came of calls between every two sorts of endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    base: Population,
    /// By the sorts of A and B, and by who has IPv6: nobody, B, A, both.
    apart: [[[Shares; 4]; SORTS]; SORTS],
    /// By the sort of the shared edge, without and with IPv6.
    same_lan: [[Shares; 2]; SORTS],
    calls: usize,
}

/// Calls between any two classes: enough for lost packets to show.
const REPEATS: usize = 6;

impl Table {
    /// Calls every pair of classes. `base` is the population whose parameters are to be changed;
    /// what has no class of its own in it gets one.
    ///
    /// # Errors
    ///
    /// A network makes no sense.
    pub fn measure(base: &Population, seed: u64) -> Result<Table, CallError> {
        let base = completed(base);
        let within = shares_within(&base);
        let mut table = Table {
            apart: [[[[0.0; CLASSES]; 4]; SORTS]; SORTS],
            same_lan: [[[0.0; CLASSES]; 2]; SORTS],
            calls: 0,
            base,
        };
        let classes = &table.base.classes;
        let mut cells = Vec::new();
        for a in 0..classes.len() {
            for ipv6 in [false, true] {
                cells.push(([a, a], [ipv6; 2], true));
            }
            for b in 0..classes.len() {
                for ipv6 in [[false, false], [false, true], [true, false], [true, true]] {
                    cells.push(([a, b], ipv6, false));
                }
            }
        }
        let base = &table.base;
        let measured: Result<Vec<Shares>, CallError> = cells
            .par_iter()
            .enumerate()
            .map_init(Caller::new, |caller, (place, (pair, ipv6, same_lan))| {
                let mut stream = Stream::new(Stream::new(seed, "fit").next_u64(), "cell");
                // Each cell has numbers of its own.
                let mut stream = Stream::new(stream.next_u64().wrapping_add(place as u64), "cell");
                let mut shares = [0.0; CLASSES];
                for _ in 0..REPEATS {
                    let config = cell_call(base, *pair, *ipv6, *same_lan, &mut stream);
                    let (record, _) = one_call(caller, &config)?;
                    shares[Tally::class_place(record.path)] += 1.0 / REPEATS as f64;
                }
                Ok(shares)
            })
            .collect();
        let measured = measured?;
        table.calls = measured.len() * REPEATS;
        for (([a, b], ipv6, same_lan), shares) in cells.into_iter().zip(measured) {
            let sorts = [a, b].map(|class| sort(&table.base.classes[class]));
            let (into, weight) = if same_lan {
                (
                    &mut table.same_lan[sorts[0]][usize::from(ipv6[0])],
                    within[a],
                )
            } else {
                let who = usize::from(ipv6[0]) * 2 + usize::from(ipv6[1]);
                (
                    &mut table.apart[sorts[0]][sorts[1]][who],
                    within[a] * within[b],
                )
            };
            for (into, share) in into.iter_mut().zip(shares) {
                *into += weight * share;
            }
        }
        Ok(table)
    }

    /// How many calls were made for it.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// The shares to be expected of a population with these parameters.
    pub fn expected(&self, parameters: &Parameters) -> Shares {
        let Parameters {
            symmetric,
            udp_blocked,
            ipv6,
            same_lan,
        } = *parameters;
        let sorts = [1.0 - symmetric - udp_blocked, symmetric, udp_blocked];
        let has = [1.0 - ipv6, ipv6];
        let mut expected = [0.0; CLASSES];
        let mut add = |weight: f64, shares: &Shares| {
            for (sum, share) in expected.iter_mut().zip(shares) {
                *sum += weight * share;
            }
        };
        for a in 0..SORTS {
            for (with, shares) in self.same_lan[a].iter().enumerate() {
                add(same_lan * sorts[a] * has[with], shares);
            }
            for b in 0..SORTS {
                for (who, shares) in self.apart[a][b].iter().enumerate() {
                    let ipv6 = has[who / 2] * has[who % 2];
                    add((1.0 - same_lan) * sorts[a] * sorts[b] * ipv6, shares);
                }
            }
        }
        expected
    }

    /// The base population with these parameters.
    pub fn population(&self, parameters: &Parameters, claim: &Claim) -> Population {
        let sorts = [
            1.0 - parameters.symmetric - parameters.udp_blocked,
            parameters.symmetric,
            parameters.udp_blocked,
        ];
        let within = shares_within(&self.base);
        let mut population = self.base.clone();
        for (class, within) in population.classes.iter_mut().zip(within) {
            class.weight = ((sorts[sort(class)] * within) * 1e8).round() / 1e8;
            class.ipv6 = parameters.ipv6;
        }
        population.classes.retain(|class| class.weight > 0.0);
        population.groups.clear();
        population.same_lan = parameters.same_lan;
        population.name = format!("fit of {claim}");
        population.basis = Some(format!(
            "fitted to the claim of {claim} % direct, reflexive and relayed, starting from {}; it \
             shows what would have to be so, not what is",
            self.base.name
        ));
        population
    }
}

/// The population with a class of every sort.
fn completed(base: &Population) -> Population {
    let mut population = base.clone();
    for (missing, kind) in [
        (0, "nat:eim/apdf"),
        (1, "nat:apdm/apdf"),
        (2, "udp-blocked"),
    ] {
        if population
            .classes
            .iter()
            .all(|class| sort(class) != missing)
        {
            let kind: Kind = kind.parse().expect("a kind that there is");
            population.classes.push(Class {
                name: kind.to_string(),
                kind,
                weight: 0.0,
                ipv6: 0.0,
                access: base.classes[0].access.clone(),
            });
        }
    }
    population
}

/// Each class's share of its sort.
fn shares_within(population: &Population) -> Vec<f64> {
    let mut sums = [0.0; SORTS];
    let mut counts = [0.0; SORTS];
    for class in &population.classes {
        sums[sort(class)] += class.weight;
        counts[sort(class)] += 1.0;
    }
    let share = |class: &Class| match sort(class) {
        sort if sums[sort] > 0.0 => class.weight / sums[sort],
        sort => 1.0 / counts[sort],
    };
    population.classes.iter().map(share).collect()
}

fn cell_call(
    base: &Population,
    pair: [usize; 2],
    ipv6: [bool; 2],
    same_lan: bool,
    stream: &mut Stream,
) -> CallConfig {
    let mut config = base.call.clone();
    config.ipv6 = ipv6;
    config.neighbourhood = if same_lan {
        Neighbourhood::SameLan
    } else {
        Neighbourhood::Apart
    };
    for (side, class) in pair.into_iter().enumerate() {
        let class = &base.classes[class];
        config.kinds[side] = class.kind.clone();
        let (access, stack) = (stream.unit(), stream.unit());
        config.access[side] = class.access.as_ref().map(|mix| mix.at(access).link());
        config.stacks[side] = base.stacks[side].at(stack);
    }
    config.seed = stream.next_u64();
    config
}

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

/// Whether a surveyed share of calls is what was claimed, up to the tolerance.
pub fn confirms(tally: &Tally, claim: &Claim, tolerance: f64) -> bool {
    let mut classes = PathClass::ALL.into_iter().map(Some).chain([None]);
    classes.all(|class| {
        let share = claim.shares()[Tally::class_place(class)];
        let interval = tally.share(class);
        interval.is_some_and(|it| it.meets(share - tolerance, share + tolerance))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::presets;

    fn table() -> Table {
        let base = presets::named(presets::DEFAULT).unwrap();
        Table::measure(&base, 1).unwrap()
    }

    #[test]
    fn shares_to_be_expected_are_shares() {
        let table = table();
        for values in [[0.0; 4], [0.15, 0.03, 0.45, 0.03], [1.0, 0.0, 1.0, 1.0]] {
            let expected = table.expected(&Parameters::from_values(values));
            let sum: f64 = expected.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{expected:?}");
        }
        // On one LAN nothing stands between two hosts, whatever their edge.
        let together = table.expected(&Parameters::from_values([0.3, 0.3, 0.5, 1.0]));
        assert!((together[0] - 1.0).abs() < 1e-9, "{together:?}");
        // Where nobody has UDP nothing gets through but by a relay.
        let alone = table.expected(&Parameters::from_values([0.0, 1.0, 0.5, 0.0]));
        assert_eq!(alone[0] + alone[1], 0.0, "{alone:?}");
    }

    #[test]
    fn what_a_population_gives_leads_back_to_one_that_gives_it() {
        let table = table();
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

    #[test]
    fn claims_and_ranges_that_cannot_be_are_refused() {
        assert!(Claim::new(0.7, 0.25, 0.05).is_ok());
        assert!(Claim::new(0.7, 0.25, 0.06).is_err());
        for text in ["", "a", "0.5..0.1", "-1..0", "0..2", "0..0.1..0.2", "nan"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
        let one: Range = "0.3".parse().unwrap();
        assert_eq!(one.to_string(), "0.3..0.3");
    }
}
