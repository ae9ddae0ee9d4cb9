//! The story of a call, told from its trace.

pub mod message;
