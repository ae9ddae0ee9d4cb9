//! A claim: which shares of all calls are of which path class.

use std::fmt;

use super::Shares;

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

    /// The shares in the order of [`Tally::class_place`](crate::survey::Tally::class_place).
    pub fn shares(&self) -> Shares {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_of_more_than_everything_is_refused() {
        assert!(Claim::new(0.7, 0.25, 0.05).is_ok());
        assert!(Claim::new(0.7, 0.25, 0.06).is_err());
    }
}
