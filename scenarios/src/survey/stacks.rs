//! Which ICE stacks endpoints run: one, or several by weight.

use std::fmt;
use std::str::FromStr;

use super::weighted::{WeightError, Weighted};
use crate::ice::{Stack, UnknownStack};

/// ICE stacks by weight: `is`, or `is=0.7,rtc-ice=0.3`.
#[derive(Clone, PartialEq, Debug)]
pub struct StackMix(Weighted<Stack>);

/// Why a text names no mix of stacks.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ParseStacksError {
    /// Nobody knows the stack.
    #[error(transparent)]
    Unknown(#[from] UnknownStack),
    /// A weight is no number.
    #[error("{0:?} is no weight; a mix is written is=0.7,rtc-ice=0.3")]
    NoNumber(String),
    /// The weights make no choice.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

impl StackMix {
    /// One stack for everybody.
    pub fn only(stack: Stack) -> Self {
        StackMix(Weighted::new(vec![(stack, 1.0)]).expect("one is a choice"))
    }

    /// Stacks by weight.
    ///
    /// # Errors
    ///
    /// A weight is negative, or all sum to nothing.
    pub fn new(entries: Vec<(Stack, f64)>) -> Result<Self, WeightError> {
        Weighted::new(entries).map(StackMix)
    }

    /// The stack that a number from 0 up to but not including 1 stands for.
    pub fn at(&self, unit: f64) -> Stack {
        *self.0.at(unit)
    }

    /// The stacks with their weights.
    pub fn entries(&self) -> &[(Stack, f64)] {
        self.0.entries()
    }
}

impl FromStr for StackMix {
    type Err = ParseStacksError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text
            .split(',')
            .map(|entry| match entry.split_once('=') {
                None => Ok((entry.trim().parse()?, 1.0)),
                Some((name, weight)) => {
                    let number = weight.trim().parse();
                    let number: f64 =
                        number.map_err(|_| ParseStacksError::NoNumber(weight.to_owned()))?;
                    Ok((name.trim().parse()?, number))
                }
            })
            .collect::<Result<_, ParseStacksError>>()?;
        Ok(StackMix::new(entries)?)
    }
}

impl fmt::Display for StackMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(stack, _)] = self.entries() {
            return stack.fmt(f);
        }
        for (place, (stack, weight)) in self.entries().iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{stack}={weight}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_as_it_is_written() {
        for text in ["is", "rtc-ice", "is=0.7,rtc-ice=0.3"] {
            let mix: StackMix = text.parse().unwrap();
            assert_eq!(mix.to_string(), text);
        }
        let mix: StackMix = "is=3, rtc-ice=1".parse().unwrap();
        assert_eq!((mix.at(0.74), mix.at(0.76)), (Stack::Is, Stack::Rtc));
        for text in ["", "pion", "is=x", "is=-1", "is=0", "is=nan,rtc-ice=1"] {
            assert!(text.parse::<StackMix>().is_err(), "{text}");
        }
    }
}
