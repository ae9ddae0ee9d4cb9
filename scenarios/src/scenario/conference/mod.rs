//! Scenario files of conferences.
//!
//! ```toml
//! description = "Five people in a mesh"
//!
//! [conference]
//! topology = "mesh"
//! participants = 5
//! access = "cable"
//!
//! [[conference.with]]          # what is different about one of them
//! name = "bob"
//! access = "adsl"
//!
//! [[expect]]
//! description = "Each is connected to each of the others"
//! connections = 10
//!
//! [[expect]]
//! description = "Eve's uplink bears four streams"
//! who = "eve"
//! video_share_at_least = 0.95
//! ```

mod expect;
pub(super) mod fields;
mod read;
#[cfg(test)]
mod tests;

pub use expect::{Demand, Verdict};

use std::path::Path;

use crate::conference::{
    ConferenceConfig, ConferenceError, ConferenceOutcome, Fidelity, Plan, PlanError, run,
};
use crate::file::{self, FileError};

/// A conference's scenario that was read.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// What its file is called, without the ending.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The conference. Its seed is 1 if the file names none.
    pub config: ConferenceConfig,
    /// How exactly it is simulated.
    pub fidelity: Fidelity,
    /// Whether the file names a seed of its own.
    pub has_seed: bool,
    /// What must come of it. Never empty.
    pub demands: Vec<Demand>,
}

/// A conference that was held, against what was demanded.
#[derive(Clone, Debug)]
pub struct Met {
    /// The demands, in the file's order.
    pub verdicts: Vec<Verdict>,
    /// What was planned.
    pub plan: Plan,
    /// What came of it.
    pub outcome: ConferenceOutcome,
}

/// Why a meeting's scenario didn't take place.
#[derive(Debug, thiserror::Error)]
pub enum MeetingError {
    /// The configuration makes no sense. One that was read from a file has been asked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It could not be held.
    #[error(transparent)]
    Conference(#[from] ConferenceError),
}

impl Met {
    /// Whether every demand is met.
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(Verdict::holds)
    }
}

impl Meeting {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It can't be read, or makes no sense.
    pub fn load(path: &Path) -> Result<Meeting, FileError> {
        let text = file::read(path)?;
        Meeting::parse(&path.display().to_string(), &text)
    }

    /// Holds the conference, and judges what came of it.
    ///
    /// # Errors
    ///
    /// It could not be held: it is too large for its fidelity, or spent more than it may.
    pub fn run(&self) -> Result<Met, MeetingError> {
        let plan = Plan::new(self.config.clone())?;
        let outcome = run(&plan, self.fidelity)?;
        let demands = self.demands.iter();
        Ok(Met {
            verdicts: demands.map(|it| it.judge(&plan, &outcome)).collect(),
            plan,
            outcome,
        })
    }
}
