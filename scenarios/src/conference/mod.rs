//! Conferences: what they cost on every topology.

pub mod full;
