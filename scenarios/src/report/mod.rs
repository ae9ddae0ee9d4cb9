//! The only room that formats: results as terminal tables, JSON and CSV, stories as text, calls as
//! drawings.

mod call;
mod chart;
mod check;
mod compare;
mod conference;
mod congestion;
mod course;
mod discovery;
mod json;
pub mod ladder;
mod matrix;
mod meeting;
mod parameters;
mod presets;
mod scenario;
mod span;
mod story;
mod style;
mod survey;
mod text;
mod timeline;
mod tour;

pub use call::call;
pub use check::check;
pub use compare::{Compared, Plot, compare, plots};
pub use conference::{Held, conference, conference_plot, overload};
pub use congestion::{congestion, plot as congestion_plot};
pub use discovery::discovery;
pub use matrix::matrix;
pub use meeting::meeting_failure;
pub use presets::presets;
pub use scenario::{Ended, scenario_failure, scenarios};
pub use story::story;
pub use survey::{FitAsked, against, bars, fit, populations, survey};
pub use timeline::timeline;
pub use tour::{CALLS, Groups, TOLD_CALLS, Told, Tour, plan, tell, tour};

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::Serialize;

/// How a result is printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// Rows with a header.
    Csv,
}

/// There is no format of that name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no format is called {0:?}; there are table, json and csv")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Csv => "csv",
        })
    }
}

/// Prints one JSON document and a line's end.
fn print_json(out: &mut dyn io::Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}
