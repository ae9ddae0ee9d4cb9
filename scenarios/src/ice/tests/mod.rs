//! Two agents on a cable: what every stack has to do with every other.

mod cable;
mod connect;
mod garbage;
mod habits;
mod replay;
mod restart;

use super::Stack;

/// Every stack against every other, in both roles.
fn combinations() -> impl Iterator<Item = [Stack; 2]> {
    Stack::ALL
        .into_iter()
        .flat_map(|a| Stack::ALL.map(|b| [a, b]))
}
