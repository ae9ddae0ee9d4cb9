//! An internet in one process.
#![warn(missing_docs)]

pub mod time;

pub use time::Time;
