//! Firewalls: ordered stateless rules, and stateful pinholes. Neither translates anything.

mod rules;
mod stateful;

pub use rules::{Action, Protocol, Rule, Rules};
pub use stateful::{Firewall, FirewallConfig};
