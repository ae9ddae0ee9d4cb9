//! Scenario files: one call in TOML, what goes wrong during it, and what must come of it.
//!
//! ```toml
//! description = "Two homes, two NATs, and a hole punched through both"
//!
//! [a]
//! network = "nat:eim/apdf"     # a kind of network, as every command spells it
//! # stack, ipv6, synthesize, access, loss, roams_to, and [a.nat] for more of its innermost NAT
//!
//! [b]
//! network = "home-router"
//!
//! [call]                       # optional, and so is everything in it
//! turn = ["udp", "tcp", "tls"]
//! delay_ms = 20
//!
//! [[fault]]                    # optional: what goes wrong, and when
//! at_ms = 10000
//! fault = "reboot"
//! node = "a.nat"
//!
//! [[expect]]
//! description = "Both NATs keep a mapping for all destinations, so what STUN saw holds for the peer"
//! path_class = "reflexive"
//! within_ms = 1000
//! ```
//!
//! [`Scenario::load`] reads, [`Scenario::run`] makes the call and holds it against what is expected.
//! [`schema`] is the JSON Schema that editors check such files by. A file with a `[conference]` in
//! place of `[a]` and `[b]` is a [`Meeting`]; [`load`] reads either.

mod conference;
mod expect;
mod fault;
mod fields;
mod nat;
mod read;
mod run;
#[cfg(test)]
mod tests;

pub use conference::{Demand, Meeting, MeetingError, Met, Verdict};
pub use expect::{Expectation, Judged, Unmet};
pub use fields::schema;
pub use run::{Ran, Result, Stopped};

use std::path::Path;

use crate::call::CallConfig;
use crate::file::{self, Document, FileError};

/// A scenario that was read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What its file is called, without the ending.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The call. Its seed is 1 if the file names none.
    pub call: CallConfig,
    /// Whether the file names a seed of its own.
    pub has_seed: bool,
    /// What must come of it. Never empty.
    pub expectations: Vec<Expectation>,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It can't be read, or makes no sense.
    pub fn load(path: &Path) -> std::result::Result<Scenario, FileError> {
        let text = file::read(path)?;
        Scenario::parse(&path.display().to_string(), &text)
    }
}

/// What a scenario file is about.
#[derive(Clone, Debug)]
pub enum Played {
    /// A call.
    Call(Box<Scenario>),
    /// A conference.
    Conference(Box<Meeting>),
}

/// Reads a file, whichever it is.
///
/// # Errors
///
/// It can't be read, or makes no sense.
pub fn load(path: &Path) -> std::result::Result<Played, FileError> {
    let text = file::read(path)?;
    let name = path.display().to_string();
    let is_conference = Document::parse(&name, &text)?.has("conference");
    Ok(if is_conference {
        Played::Conference(Box::new(Meeting::parse(&name, &text)?))
    } else {
        Played::Call(Box::new(Scenario::parse(&name, &text)?))
    })
}
