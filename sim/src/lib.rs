//! An internet in one process.
#![warn(missing_docs)]

pub mod address;
pub mod behaviour;
mod check;
pub mod engine;
pub mod firewall;
pub mod host;
pub mod id;
pub mod internet;
pub mod link;
pub mod middlebox;
pub mod nat;
pub mod packet;
pub mod server;
pub mod time;
pub mod topology;
pub mod trace;

pub use address::{Address, Endpoint, Family, Prefix};
pub use behaviour::{Filtering, Mapping};
pub use check::check;
pub use engine::{Budget, BudgetExceeded, Stream};
pub use host::{Datagram, Input, Io, Program, ProgramId};
pub use id::{DirectionId, LinkId, NodeId};
pub use internet::Internet;
pub use time::Time;
pub use topology::{Sketch, Topology};
