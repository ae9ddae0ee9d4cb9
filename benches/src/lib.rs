//! What the benches share: CPU time as a measure, and the floor that calls are held against.

pub mod cpu;
pub mod floor;

pub use floor::{ping_pong, ping_pong_open, ping_pong_told};
