//! The record: what has been published, and how a survey measures the same.

use std::sync::LazyLock;

use super::interval::Interval;
use super::population::Population;
use super::run::Survey;
use super::tally::PairCount;
use crate::call::{PathClass, TurnTransport};
use crate::file::{self, Document, Field, FileError};

/// Something that was published about a population's networks or calls.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// What it is a share of what.
    pub measure: Measure,
    /// As it was published.
    pub shown: String,
    /// The figure's range: its own, or what rounds to it.
    pub low: f64,
    /// The range's upper end.
    pub high: f64,
    /// The presets that are held beside it.
    pub presets: Vec<String>,
    /// Of whom.
    pub population: String,
    /// Where.
    pub source: String,
    /// What explains a difference.
    pub why: Option<String>,
    /// What must be said whether there is a difference or not.
    pub note: Option<String>,
}

/// A share that can be published and surveyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Calls over a relay.
    Relayed,
    /// Calls over a relay whose client reaches it by this transport.
    RelayedBy(&'static str),
    /// Calls that connected without a relay.
    Unrelayed,
    /// Endpoints behind a NAT whose mappings depend on the destination.
    Symmetric,
    /// Pairs of which one endpoint is behind such a NAT.
    OneSymmetric,
    /// Pairs of which both are.
    BothSymmetric,
    /// Pairs between two NATs that pass UDP, that connected without a relay.
    HolePunching,
    /// The same, between NATs whose mappings depend on nothing.
    Punched,
    /// Endpoints on networks that block UDP.
    UdpBlocked,
    /// Endpoints with IPv6.
    Ipv6,
}

impl Measure {
    const ALL: [(&'static str, Measure); 12] = [
        ("relayed", Measure::Relayed),
        ("relayed-udp", Measure::RelayedBy("udp")),
        ("relayed-tcp", Measure::RelayedBy("tcp")),
        ("relayed-tls", Measure::RelayedBy("tls")),
        ("unrelayed", Measure::Unrelayed),
        ("symmetric", Measure::Symmetric),
        ("one-symmetric", Measure::OneSymmetric),
        ("both-symmetric", Measure::BothSymmetric),
        ("hole-punching", Measure::HolePunching),
        ("punched", Measure::Punched),
        ("udp-blocked", Measure::UdpBlocked),
        ("ipv6", Measure::Ipv6),
    ];

    /// The name in files and results.
    pub fn name(self) -> &'static str {
        let known = Measure::ALL.iter().find(|(_, measure)| *measure == self);
        known.expect("every measure has a name").0
    }

    /// What it counts, in words.
    pub fn words(self) -> &'static str {
        match self {
            Measure::Relayed => "calls relayed",
            Measure::RelayedBy("udp") => "calls relayed, TURN over UDP",
            Measure::RelayedBy("tcp") => "calls relayed, TURN over TCP",
            Measure::RelayedBy(_) => "calls relayed, TURN over TLS",
            Measure::Unrelayed => "calls without a relay",
            Measure::Symmetric => "endpoints behind symmetric NATs",
            Measure::OneSymmetric => "pairs, one of them symmetric",
            Measure::BothSymmetric => "pairs, both symmetric",
            Measure::HolePunching => "unrelayed between two NATs",
            Measure::Punched => "unrelayed between two eim NATs",
            Measure::UdpBlocked => "endpoints that block UDP",
            Measure::Ipv6 => "endpoints with IPv6",
        }
    }

    /// What a survey says of it; `None` if it counted nothing of the kind.
    pub fn of(self, survey: &Survey) -> Option<Interval> {
        let tally = &survey.tally;
        let kinds = &survey.kinds.kinds;
        let classes = &survey.config.population.classes;
        let symmetric: Vec<bool> = kinds
            .iter()
            .map(|kind| {
                let mut of_kind = classes.iter().filter(|class| class.kind == *kind);
                of_kind.any(super::Class::is_symmetric)
            })
            .collect();
        let pairs = |is: &dyn Fn(&PairCount) -> bool| -> u64 {
            let pairs = tally.pairs().filter(is);
            pairs.map(|pair| pair.calls()).sum()
        };
        let endpoints = |is: &dyn Fn(usize) -> bool| {
            let each = tally.pairs().map(|pair| {
                let [a, b] = pair.kinds.map(|kind| u64::from(is(kind)));
                pair.calls() * (a + b)
            });
            Interval::wilson(each.sum(), 2 * tally.calls())
        };
        let unrelayed_of = |is: &dyn Fn(&PairCount) -> bool| {
            let (mut connected, mut all) = (0, 0);
            for pair in tally.pairs().filter(is) {
                all += pair.calls();
                connected += pair.of(Some(PathClass::Direct)) + pair.of(Some(PathClass::Reflexive));
            }
            Interval::wilson(connected, all)
        };
        let both = |pair: &PairCount, is: &dyn Fn(usize) -> bool| pair.kinds.into_iter().all(is);
        let how_many =
            |pair: &PairCount| pair.kinds.iter().filter(|kind| symmetric[**kind]).count();
        let punches = |kind: usize| kinds[kind].translates() && kinds[kind].passes_udp();
        match self {
            Measure::Relayed => tally.share(Some(PathClass::Relayed)),
            Measure::RelayedBy(name) => {
                let mut known = TurnTransport::ALL.into_iter();
                match known.find(|transport| transport.name() == name) {
                    Some(transport) => tally.relayed_by(transport),
                    None => Interval::wilson(0, tally.calls()),
                }
            }
            Measure::Unrelayed => unrelayed_of(&|_| true),
            Measure::Symmetric => endpoints(&|kind| symmetric[kind]),
            Measure::OneSymmetric => {
                Interval::wilson(pairs(&|pair| how_many(pair) == 1), tally.calls())
            }
            Measure::BothSymmetric => {
                Interval::wilson(pairs(&|pair| how_many(pair) == 2), tally.calls())
            }
            Measure::HolePunching => unrelayed_of(&|pair| !pair.same_lan && both(pair, &punches)),
            Measure::Punched => unrelayed_of(&|pair| {
                !pair.same_lan && both(pair, &|kind| punches(kind) && !symmetric[kind])
            }),
            Measure::UdpBlocked => endpoints(&|kind| !kinds[kind].passes_udp()),
            Measure::Ipv6 => self
                .of_population(&survey.config.population)
                .map(|share| Interval {
                    count: 0,
                    share,
                    low: share,
                    high: share,
                }),
        }
    }

    /// What a population's numbers say of it without a single call; `None` if they say nothing.
    pub fn of_population(self, population: &Population) -> Option<f64> {
        let share = |yes: bool| if yes { 1.0 } else { 0.0 };
        match self {
            Measure::Symmetric => Some(population.share_of(|class| share(class.is_symmetric()))),
            Measure::UdpBlocked => {
                Some(population.share_of(|class| share(!class.kind.passes_udp())))
            }
            Measure::Ipv6 => Some(population.share_of(|class| class.ipv6)),
            _ => None,
        }
    }
}

/// The record that comes with the program.
pub fn figures() -> &'static [Figure] {
    static FIGURES: LazyLock<Vec<Figure>> = LazyLock::new(|| {
        let text = include_str!("../../library/published-figures.toml");
        read("published-figures.toml", text).expect("the record is tested to be fit to read")
    });
    &FIGURES
}

fn read(file: &str, text: &str) -> Result<Vec<Figure>, FileError> {
    let document = Document::parse(file, text)?;
    let list = document
        .root(&["figure"])?
        .require("figure", "[[figure]]")?;
    list.list()?.iter().map(figure).collect()
}

fn figure(entry: &Field<'_>) -> Result<Figure, FileError> {
    let table = entry.table(&[
        "measure",
        "shown",
        "low",
        "high",
        "presets",
        "population",
        "source",
        "why",
        "note",
    ])?;
    let text = |name: &str| -> Result<String, FileError> {
        Ok(table.require(name, "a text")?.text()?.to_owned())
    };
    let measure = table.require("measure", "measure = \"relayed\"")?;
    let name = measure.text()?;
    let known = Measure::ALL.iter().find(|(known, _)| *known == name);
    let known = known.ok_or_else(|| {
        let names = Measure::ALL.map(|(name, _)| name);
        let instead = file::instead(name, &names);
        measure.error(format!("no measure is called {name:?}; {instead}"))
    })?;
    let presets = table.require("presets", "presets = [\"global-2026\"]")?;
    let presets = presets
        .list()?
        .into_iter()
        .map(|it| it.text().map(str::to_owned));
    let (low, high) = (
        table.require("low", "low = 0.1")?.share()?,
        table.require("high", "high = 0.2")?.share()?,
    );
    if low > high {
        return Err(entry.error(format!("low = {low} is above high = {high}")));
    }
    Ok(Figure {
        measure: known.1,
        shown: text("shown")?,
        low,
        high,
        presets: presets.collect::<Result<_, FileError>>()?,
        population: text("population")?,
        source: text("source")?,
        why: table
            .get("why")
            .map(|why| why.text().map(str::to_owned))
            .transpose()?,
        note: table
            .get("note")
            .map(|note| note.text().map(str::to_owned))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::presets;

    #[test]
    fn every_figure_is_held_beside_a_preset_that_exists() {
        for figure in figures() {
            assert!(!figure.presets.is_empty(), "{figure:?}");
            for preset in &figure.presets {
                assert!(presets::names().contains(&&**preset), "{figure:?}");
            }
            assert_eq!(
                Measure::ALL
                    .iter()
                    .filter(|(_, it)| *it == figure.measure)
                    .count(),
                1
            );
        }
    }
}
