//! What the end-to-end tests share. They themselves are in `tests/`.

pub mod binary;
pub mod lab;
pub mod tcp;
pub mod truth;
pub mod world;

/// The README's Rust is compiled, so that it can't go out of date.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The book's Rust, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../book/src/changes.md")]
pub struct BookChanges;
