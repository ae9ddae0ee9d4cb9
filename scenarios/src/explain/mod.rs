//! The story of a call, in sentences, from its trace.
//!
//! Everything told is read from the recording: which packet made which NAT open to whom, which
//! packet was dropped where and by what rule, which one got through and thanks to which earlier one.
//! What would have made a failed call work is proposed from the same evidence, and then tried: the
//! call is made again with that one thing changed.

mod cast;
mod checks;
mod drops;
mod evidence;
mod faults;
mod gathering;
mod journey;
mod lives;
pub mod message;
mod outcome;
mod relay;
mod story;
#[cfg(test)]
mod tests;
mod what_if;
mod words;

pub use faults::fault;
pub use story::{Chapter, Sentence, Story};

use crate::call::Call;
use evidence::Evidence;
use words::Terms;

/// Tells a call that was [recorded](crate::call::Caller::recording).
///
/// ```
/// use pinhole_scenarios::call::{CallConfig, Caller};
/// use pinhole_scenarios::explain::explain;
///
/// let config = CallConfig::new("nat:eim/apdf".parse()?, "nat:eim/apdf".parse()?);
/// let mut caller = Caller::recording();
/// let call = caller.call(&config)?;
/// let story = explain(&call);
/// assert!(story.sentences().any(|sentence| sentence.text.contains("opened a pinhole in b.nat")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// The call was not recorded.
pub fn explain(call: &Call<'_>) -> Story {
    let evidence = Evidence::of(call);
    let mut terms = Terms::default();
    let chapters = [
        cast::chapter(&evidence),
        gathering::chapter(&evidence, &mut terms),
        checks::chapter(&evidence, &mut terms),
        relay::chapter(&evidence),
        faults::chapter(&evidence),
        outcome::chapter(&evidence),
        what_if::chapter(&evidence),
    ];
    Story {
        title: outcome::title(call),
        chapters: chapters
            .into_iter()
            .filter(|chapter| !chapter.sentences.is_empty())
            .collect(),
    }
}
