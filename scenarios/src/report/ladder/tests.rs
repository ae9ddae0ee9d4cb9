//! What every drawing must be, over calls that have little in common.
