//! Hosts: interfaces, UDP sockets, and the sans-IO programs that run on them.

mod program;
mod sockets;

pub(crate) use program::{Alarm, Post};
pub use program::{Datagram, Input, Io, Program, ProgramId};
pub use sockets::BindError;
pub(crate) use sockets::{Host, Interface};
