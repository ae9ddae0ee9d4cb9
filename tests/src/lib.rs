//! End-to-end tests live in `tests/`; this crate holds what they share.
