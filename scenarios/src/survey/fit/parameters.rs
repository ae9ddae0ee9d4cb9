//! What the search may choose of a population, and from where to where.

use std::fmt;
use std::str::FromStr;

use crate::survey::population::Population;
use crate::survey::record::Measure;

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

    pub(super) fn from_values([symmetric, udp_blocked, ipv6, same_lan]: [f64; 4]) -> Self {
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
    pub(super) fn rounded(&self) -> Self {
        let round = |value: f64| (value * 1e4).round() / 1e4;
        Parameters::from_values(self.values().map(round))
    }
}

/// From where to where a parameter may go: `0..0.4`, or `0.1` for that alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_cannot_be_is_refused() {
        for text in ["", "a", "0.5..0.1", "-1..0", "0..2", "0..0.1..0.2", "nan"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
        let one: Range = "0.3".parse().unwrap();
        assert_eq!(one.to_string(), "0.3..0.3");
    }
}
