//! The binary `pinhole`.

fn main() {}
