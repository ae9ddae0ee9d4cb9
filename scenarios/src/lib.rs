//! What people do on Pinhole's internet.

pub mod call;
pub mod check;
pub mod cli;
pub mod conference;
pub mod congestion;
pub mod discover;
pub mod explain;
pub mod file;
mod grouped;
pub mod histogram;
pub mod ice;
pub mod matrix;
pub mod overhead;
pub mod report;
pub mod scenario;
pub mod stun_client;
pub mod survey;
pub mod tls;
pub mod transport;
pub mod turn_client;
