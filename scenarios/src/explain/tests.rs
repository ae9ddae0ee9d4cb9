//! Stories of real calls.
