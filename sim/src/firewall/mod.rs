//! Firewalls: ordered rules with a default policy, and stateful pinholes. Neither translates
//! anything.
//!
//! [`Firewall`] is what a home router puts before its IPv6 hosts (RFC 6092): whatever leaves may be
//! answered. [`Rules`] are what an administrator writes: who may talk to whom, over what, and
//! whether it begins or belongs to something that was allowed to begin. Both follow TCP
//! connections from SYN to FIN and reset.
//!
//! What they don't do: check sequence numbers, so that a forged reset ends a session's long life
//! (RFC 7857 §2.2 gives it four minutes more); rewrite sequence numbers or segment sizes; answer
//! what they drop.

mod pinholes;
mod presets;
mod rules;
mod session;
mod stateful;
mod tracker;

pub use crate::packet::Protocol;
pub(crate) use rules::RulesAtWork;
pub use rules::{Action, Rule, RuleError, Rules, States};
pub use session::MidStream;
pub use stateful::{Firewall, FirewallConfig};
