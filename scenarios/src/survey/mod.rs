//! Surveys: of a population's pairs, how many connect, over which path, how fast.
//!
//! Every pair is a real call. [`Population`] says who there is, [`Draws`] who calls whom,
//! [`run()`] makes the calls, [`Tally`] counts what came of them, [`Journal`] keeps it on disk.
//! [`fit`] searches populations of which a claim would be true, and [`against`] holds surveys
//! beside published figures.

pub mod against;
mod cost;
mod draw;
pub mod fit;
mod interval;
mod journal;
mod population;
pub mod presets;
mod record;
mod run;
mod shard;
mod stacks;
mod tally;
mod weighted;

pub use cost::{Bitrate, gigabytes};
pub use draw::{Drawn, Draws};
pub use interval::Interval;
pub use journal::{Journal, merge};
pub use population::{Class, Group, Population, USUAL_PACKETS};
pub(crate) use population::{trickle, turn};
pub use record::{Figure, Measure, figures};
pub use run::{CHUNK, Chunk, Collected, Survey, SurveyConfig, Twice, run};
pub use shard::{ParseShardError, Shard};
pub use stacks::{ParseStacksError, StackMix};
pub use tally::{CLASSES, CallRecord, Kinds, Note, PairCount, Tally};
pub use weighted::{WeightError, Weighted};
