//! The table from which the shares of any population follow: what came of calls between every two
//! sorts of endpoints.

use pinhole::Stream;
use pinhole::topology::Kind;
use rayon::prelude::*;

use super::{Claim, Parameters, Shares};
use crate::call::{CallConfig, CallError, Caller, Neighbourhood};
use crate::survey::population::{Class, Population};
use crate::survey::run::one_call;
use crate::survey::tally::{CLASSES, Tally};

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

/// What came of calls between every two sorts of endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    pub(super) base: Population,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::presets;

    #[test]
    fn shares_to_be_expected_are_shares() {
        let base = presets::named(presets::DEFAULT).unwrap();
        let table = Table::measure(&base, 1).unwrap();
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
}
