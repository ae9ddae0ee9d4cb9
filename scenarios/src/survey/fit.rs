//! Which population would make a claim true?
//!
//! What comes of a call depends on the pair, hardly on the call. So every pair of classes is called
//! a few times, once; from that table the shares of any population follow by arithmetic, and a
//! search over its parameters costs nothing. What it finds is then surveyed call by call: the
//! arithmetic is a guide, never the answer.

mod claim;
mod figures;
mod parameters;
mod search;
mod table;

pub use claim::{Claim, TooMuch};
pub use figures::{Contradiction, contradictions};
pub use parameters::{Bounds, Parameters, ParseRangeError, Range};
pub use search::{Answer, Fit, search};
pub use table::Table;

use super::tally::{CLASSES, Tally};
use crate::call::PathClass;

/// Shares of outcomes by [`Tally::class_place`].
type Shares = [f64; CLASSES];

/// Whether a surveyed share of calls is what was claimed, up to the tolerance.
pub fn confirms(tally: &Tally, claim: &Claim, tolerance: f64) -> bool {
    let mut classes = PathClass::ALL.into_iter().map(Some).chain([None]);
    classes.all(|class| {
        let share = claim.shares()[Tally::class_place(class)];
        let interval = tally.share(class);
        interval.is_some_and(|it| it.meets(share - tolerance, share + tolerance))
    })
}
