//! Rule lists as they are found in the field, and what each is modelled on.

use super::rules::{Action, Rule, Rules, States};
use crate::middlebox::Way;
use crate::packet::Protocol;

impl Rules {
    fn only(rules: Vec<Rule>) -> Self {
        Rules {
            otherwise: Action::Deny,
            ..Rules::new(rules)
        }
    }

    /// No UDP crosses, either way; the inside may open TCP connections and ping as it likes, and
    /// nobody outside may begin anything.
    ///
    /// Modelled on networks whose administrators have read that UDP is dangerous. Of ten million
    /// calls over appear.in in 2017, one in twenty went over TURN on TCP, which is for such
    /// networks (Hancke 2017). The kind `udp-blocked`.
    pub fn udp_blocked() -> Self {
        Rules::only(vec![
            Rule::deny_udp(),
            Rule::allow_answers(),
            Rule {
                way: Some(Way::Out),
                state: Some(States::NEW),
                ..Rule::new(Action::Allow)
            },
        ])
    }

    /// The inside may open TCP connections to port 443, and nothing else crosses: not DNS, not
    /// pings, not port 80.
    ///
    /// Modelled on hotel networks and locked-down guests', where names are resolved by the
    /// network's own server. What crosses such a network is TURN over TLS. The kind
    /// `tcp-443-only`.
    pub fn tcp_443_only() -> Self {
        Rules::only(vec![
            Rule::deny_udp(),
            Rule::allow_answers(),
            Rule::allow_out(Protocol::Tcp, 443..=443),
        ])
    }

    /// The inside may open TCP connections to ports 80 and 443 and ask DNS servers, over UDP and
    /// TCP; all other UDP is denied, and nobody outside may begin anything.
    ///
    /// Modelled on the egress policy that guides to office firewalls begin with: web and names,
    /// the rest on request. Real ones often have a proxy besides, which is not part of this.
    pub fn corporate() -> Self {
        Rules::only(vec![
            Rule::allow_answers(),
            Rule::allow_out(Protocol::Udp, 53..=53),
            Rule::deny_udp(),
            Rule::allow_out(Protocol::Tcp, 53..=53),
            Rule::allow_out(Protocol::Tcp, 80..=80),
            Rule::allow_out(Protocol::Tcp, 443..=443),
        ])
    }

    /// The inside may begin anything but mail delivery (TCP 25) and what Windows says to its
    /// neighbours (135, 137 to 139, 445); nobody outside may begin anything.
    ///
    /// Modelled on what access points and hotspot operators ship for guests. They also keep guests
    /// apart, which is not a matter of rules: see [`Topology::isolate`](crate::Topology::isolate).
    pub fn guest_wifi() -> Self {
        let deny = |protocol, ports| Rule {
            action: Action::Deny,
            state: None,
            ..Rule::allow_out(protocol, ports)
        };
        Rules::only(vec![
            Rule::allow_answers(),
            deny(Protocol::Tcp, 25..=25),
            deny(Protocol::Tcp, 135..=139),
            deny(Protocol::Tcp, 445..=445),
            deny(Protocol::Udp, 135..=139),
            Rule {
                way: Some(Way::Out),
                state: Some(States::NEW),
                ..Rule::new(Action::Allow)
            },
        ])
    }
}
