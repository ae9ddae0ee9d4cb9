//! When a transport restarts ICE.

use serde::{Deserialize, Serialize};

/// When an endpoint restarts ICE (RFC 8445 §9). The controlling side makes the new offer; the other
/// asks it to. Nothing is restarted before the first pair was selected, but for a change of network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RestartPolicy {
    /// When its own addresses change.
    pub on_network_change: bool,
    /// When its stack says that it lost the pair.
    pub on_disconnected: bool,
    /// When its stack gives up.
    pub on_failed: bool,
}

impl RestartPolicy {
    /// Whatever happens is left to the stack.
    pub const NEVER: RestartPolicy = RestartPolicy {
        on_network_change: false,
        on_disconnected: false,
        on_failed: false,
    };
    /// At every occasion.
    pub const ALWAYS: RestartPolicy = RestartPolicy {
        on_network_change: true,
        on_disconnected: true,
        on_failed: true,
    };
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy::ALWAYS
    }
}
