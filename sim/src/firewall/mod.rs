//! Firewalls: ordered stateless rules, and stateful pinholes. Neither translates anything.

mod rules;
mod stateful;

pub use crate::packet::Protocol;
pub use rules::{Action, Rule, Rules};
pub use stateful::{Firewall, FirewallConfig};
