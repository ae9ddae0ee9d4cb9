//! What the end-to-end tests share. They themselves are in `tests/`.

pub mod binary;
pub mod lab;
pub mod world;
