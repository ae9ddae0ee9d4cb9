//! Parts of a survey, for several machines.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of several parts of a survey: `2/4`. Parts are stretches of calls, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shard {
    number: u32,
    of: u32,
}

/// Why a text names no part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseShardError {
    /// It isn't two numbers.
    #[error("{0:?} names no shard; the second of four is 2/4")]
    Form(String),
    /// There is no such part.
    #[error("there is no shard {number} of {of}; they go from 1/{of} to {of}/{of}")]
    Range {
        /// The part that was asked for.
        number: u32,
        /// How many there are.
        of: u32,
    },
}

impl Shard {
    /// All in one.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// The part's chunks, of so many in all.
    pub fn range(self, chunks: u64) -> Range<u64> {
        let cut = |parts: u32| {
            let product = u128::from(chunks) * u128::from(parts) / u128::from(self.of);
            product as u64
        };
        cut(self.number - 1)..cut(self.number)
    }
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(number, of)| {
            let number: u32 = number.trim().parse().ok()?;
            Some((number, of.trim().parse().ok()?))
        });
        match numbers {
            None | Some((_, 0)) => Err(ParseShardError::Form(text.to_owned())),
            Some((number, of)) if number == 0 || number > of => {
                Err(ParseShardError::Range { number, of })
            }
            Some((number, of)) => Ok(Shard { number, of }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_are_all_chunks_once(chunks in 0..u64::MAX, of in 1..40u32) {
            let mut next = 0;
            for number in 1..=of {
                let shard: Shard = format!("{number}/{of}").parse().unwrap();
                let range = shard.range(chunks);
                prop_assert_eq!(range.start, next);
                prop_assert!(range.end >= range.start);
                next = range.end;
            }
            prop_assert_eq!(next, chunks);
        }
    }

    #[test]
    fn a_shard_that_does_not_exist_is_refused() {
        for text in [
            "",
            "1",
            "0/4",
            "5/4",
            "1/0",
            "-1/4",
            "a/b",
            "1/4/4",
            "1/99999999999",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let shown = "2/4".parse::<Shard>().unwrap().to_string();
        assert_eq!(shown, "2/4");
    }
}
