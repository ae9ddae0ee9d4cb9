//! Hosts: interfaces, UDP sockets, TCP, and the sans-IO programs that run on them. A host answers echo
//! requests by itself, and puts fragments together.

mod network_layer;
mod path_mtu;
mod program;
mod reassembly;
mod sockets;
pub(crate) mod tcp;

pub(crate) use network_layer::Sending;
pub(crate) use program::{Alarm, Post};
pub use program::{ArrivedTrain, Datagram, EchoReply, Input, Io, Program, ProgramId};
pub(crate) use reassembly::Kept;
pub use sockets::BindError;
pub(crate) use sockets::{Host, Interface};
pub use tcp::{CongestionControl, TcpEnd, TcpEvent, TcpId, TcpSettings};
