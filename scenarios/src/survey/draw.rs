//! Who calls whom, call by call. Call number *i* of a seed is the same however many calls are
//! made, by how many threads and in how many parts.

use pinhole::Stream;
use pinhole::link::Link;

use super::population::Population;
use super::weighted::Weighted;
use crate::call::{CallConfig, Neighbourhood};

/// Draws the calls of a survey.
pub struct Draws<'p> {
    population: &'p Population,
    base: u64,
    everybody: Weighted<usize>,
    /// Each group's share with those of the groups before it, and its members.
    groups: Vec<(f64, Weighted<usize>)>,
}

/// Who makes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The places of A's and B's class.
    pub classes: [usize; 2],
    /// Whether both are on A's local network.
    pub same_lan: bool,
}

impl<'p> Draws<'p> {
    /// The draws of a population with a seed.
    pub fn new(population: &'p Population, seed: u64) -> Self {
        let choice = |places: &mut dyn Iterator<Item = usize>| {
            let entries = places.map(|place| (place, population.classes[place].weight));
            Weighted::new(entries.collect()).expect("a population's weights make a choice")
        };
        let mut so_far = 0.0;
        let groups = population.groups.iter().map(|group| {
            so_far += group.share;
            (so_far, choice(&mut group.classes.iter().copied()))
        });
        Draws {
            population,
            base: Stream::new(seed, "survey").next_u64(),
            everybody: choice(&mut (0..population.classes.len())),
            groups: groups.collect(),
        }
    }

    /// Draws call number `index` into `config`, whose other fields are the population's.
    ///
    /// Every call draws the same numbers in the same order, used or not: changing one parameter of a
    /// population changes only what depends on it.
    pub fn draw(&self, index: u64, config: &mut CallConfig) -> Drawn {
        let mut stream = Stream::new(self.base.wrapping_add(index), "call");
        let [lan, group] = [stream.unit(), stream.unit()];
        let who = [stream.unit(), stream.unit()];
        let ipv6 = [stream.unit(), stream.unit()];
        let access = [stream.unit(), stream.unit()];
        let stacks = [stream.unit(), stream.unit()];
        config.seed = stream.next_u64();

        let same_lan = lan < self.population.same_lan;
        let of = self.groups.iter().find(|(so_far, _)| group < *so_far);
        let of = of.map_or(&self.everybody, |(_, members)| members);
        let mut classes = who.map(|unit| *of.at(unit));
        if same_lan {
            // Behind A's edge everybody has what A's edge gives.
            classes[1] = classes[0];
        }
        for side in 0..2 {
            let class = &self.population.classes[classes[side]];
            let own = if same_lan { 0 } else { side };
            config.kinds[side].clone_from(&class.kind);
            config.ipv6[side] = ipv6[own] < class.ipv6;
            let profile = class.access.as_ref().map(|mix| mix.at(access[own]));
            config.access[side] = profile.map(|profile| -> Link { profile.link() });
            config.stacks[side] = self.population.stacks[side].at(stacks[side]);
        }
        config.neighbourhood = if same_lan {
            Neighbourhood::SameLan
        } else {
            Neighbourhood::Apart
        };
        Drawn { classes, same_lan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
        name = "two"
        same_lan = 0.25
        stacks = { is = 1, rtc-ice = 1 }
        [[class]]
        network = "open"
        weight = 1
        ipv6 = 0.5
        [[class]]
        network = "nat:eim/apdf"
        weight = 3
        access = "adsl"
        [[group]]
        name = "hosts"
        share = 0.5
        classes = ["open"]
    "#;

    fn counted(toml: &str, seed: u64, calls: u64, is: impl Fn(&CallConfig, Drawn) -> bool) -> f64 {
        let population = Population::parse("two", toml).unwrap();
        let draws = Draws::new(&population, seed);
        let mut config = population.call.clone();
        let hits = (0..calls).filter(|index| {
            let drawn = draws.draw(*index, &mut config);
            is(&config, drawn)
        });
        hits.count() as f64 / calls as f64
    }

    #[test]
    fn shares_come_out_as_the_file_says() {
        let near = |share: f64, expected: f64| {
            // Five standard deviations of 40,000 draws.
            assert!((share - expected).abs() < 0.0125, "{share} for {expected}");
        };
        let share = |is: &dyn Fn(&CallConfig, Drawn) -> bool| counted(TOML, 3, 40_000, is);
        near(share(&|_, drawn| drawn.same_lan), 0.25);
        // Half of all pairs are of the group, the others' first endpoints open by weight.
        near(share(&|_, drawn| drawn.classes[0] == 0), 0.5 + 0.5 * 0.25);
        let both = |_: &CallConfig, drawn: Drawn| drawn.classes == [0, 0];
        // Apart: the group, or twice by weight; on one network the first decides.
        near(share(&both), 0.75 * (0.5 + 0.5 / 16.0) + 0.25 * 0.625);
        near(share(&|config, _| config.ipv6[0]), 0.625 * 0.5);
        near(share(&|config, _| config.access[0].is_some()), 0.375);
        near(
            share(&|config, _| config.stacks[0] == config.stacks[1]),
            0.5,
        );
        let alone =
            |config: &CallConfig, drawn: Drawn| drawn.same_lan && config.ipv6[0] != config.ipv6[1];
        assert_eq!(share(&alone), 0.0);
    }

    #[test]
    fn a_call_is_the_same_whatever_was_drawn_before_it() {
        let population = Population::parse("two", TOML).unwrap();
        let draws = Draws::new(&population, 9);
        let mut forth = population.call.clone();
        let mut back = population.call.clone();
        let there: Vec<_> = (0..50)
            .map(|index| (draws.draw(index, &mut forth), forth.clone()))
            .collect();
        for index in (0..50).rev() {
            let drawn = draws.draw(index, &mut back);
            assert_eq!((drawn, back.clone()), there[index as usize]);
        }
    }

    #[test]
    fn a_parameter_disturbs_nothing_that_does_not_depend_on_it() {
        let more = TOML.replace("ipv6 = 0.5", "ipv6 = 0.6");
        let classes = |toml: &str| {
            let population = Population::parse("two", toml).unwrap();
            let draws = Draws::new(&population, 1);
            let mut config = population.call.clone();
            let drawn: Vec<_> = (0..100)
                .map(|i| (draws.draw(i, &mut config), config.seed))
                .collect();
            drawn
        };
        assert_eq!(classes(TOML), classes(&more));
    }
}
