//! What the RFCs ask, in one table: the requirement in our words, what a device that meets it shows,
//! and the experiment that looks.

use super::ground::Ground;
use super::lab::Lab;
use super::{Found, carrier, fragments, icmp, tcp, udp, updates};

/// How strongly an RFC asks (RFC 2119).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// "MUST", "MUST NOT".
    Must,
    /// "SHOULD", "SHOULD NOT", "RECOMMENDED".
    Should,
}

impl Level {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Must => "must",
            Level::Should => "should",
        }
    }
}

/// What a requirement is about, and so when it can be asked at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Udp,
    Tcp,
    Both,
    Subscribers,
}

type Experiment = fn(&mut Lab<'_>, &Ground) -> Found;

/// A requirement of an RFC.
pub struct Requirement {
    /// The RFC.
    pub rfc: u16,
    /// The number of the requirement, or of the section where requirements have none. Where one
    /// requirement holds two questions, the second has a word to it: `5-default`.
    pub req: &'static str,
    /// How strongly it is asked.
    pub level: Level,
    /// What is asked.
    pub text: &'static str,
    /// What a device that does so shows.
    pub expected: &'static str,
    about: About,
    experiment: Experiment,
}

impl Requirement {
    pub(super) fn experiment(&self, lab: &mut Lab<'_>, ground: &Ground) -> Found {
        (self.experiment)(lab, ground)
    }

    /// Why it can't be asked of this device, if it can't.
    pub(super) fn out_of_place(&self, ground: &Ground) -> Option<&'static str> {
        let udp = match ground.udp {
            None => Some("no UDP gets out"),
            Some(way) if !way.translated => Some("nothing is translated"),
            Some(_) => None,
        };
        let tcp = match ground.tcp {
            None => Some("no TCP gets out"),
            Some(way) if !way.translated => Some("nothing is translated"),
            Some(_) => None,
        };
        match self.about {
            _ if !ground.ipv4 => Some("hosts inside have no IPv4 address"),
            About::Udp => udp,
            About::Tcp => tcp,
            About::Both => udp.or(tcp),
            About::Subscribers if !ground.subscribers => Some("it has no subscribers"),
            About::Subscribers => udp,
        }
    }
}

impl std::fmt::Debug for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RFC {} {}", self.rfc, self.req)
    }
}

const fn must(
    rfc: u16,
    req: &'static str,
    about: About,
    text: &'static str,
    expected: &'static str,
    experiment: Experiment,
) -> Requirement {
    Requirement {
        rfc,
        req,
        level: Level::Must,
        text,
        expected,
        about,
        experiment,
    }
}

const fn should(
    rfc: u16,
    req: &'static str,
    about: About,
    text: &'static str,
    expected: &'static str,
    experiment: Experiment,
) -> Requirement {
    Requirement {
        level: Level::Should,
        ..must(rfc, req, about, text, expected, experiment)
    }
}

use About::{Both, Subscribers, Tcp, Udp};

/// Every requirement that packets can tell of, in the order of the RFCs.
#[rustfmt::skip]
pub static REQUIREMENTS: [Requirement; 51] = [
    must(4787, "1", Udp, "mapping is endpoint-independent",
        "one external endpoint for every destination", udp::mapping),
    should(4787, "2", Udp, "address pooling is paired",
        "one external address for all of a host's mappings", udp::pooling),
    must(4787, "3", Udp, "no port overloading",
        "two hosts never share an external endpoint toward one destination", udp::overloading),
    should(4787, "3a", Udp, "ports stay below 1024, or stay above",
        "500 is mapped below 1024, 5000 above", udp::port_class),
    should(4787, "4", Udp, "port parity is preserved",
        "even ports are mapped to even ones, odd to odd", udp::parity),
    must(4787, "5", Udp, "a mapping lives two minutes at least",
        "alive after 120 s", udp::two_minutes),
    should(4787, "5-default", Udp, "a mapping lives five minutes or more",
        "alive after 300 s", udp::five_minutes),
    must(4787, "6", Udp, "packets from inside refresh a mapping",
        "alive as long as the host inside writes", udp::refresh),
    must(4787, "7", Udp, "inside and outside may use the same addresses",
        "an outside that has the inside's addresses is reached", udp::overlap),
    should(4787, "8", Udp, "filtering is endpoint-independent or address-dependent",
        "another port of an address that was written to gets in", udp::filtering),
    must(4787, "9", Udp, "hairpinning is supported",
        "a host inside is reached at its external endpoint", udp::hairpinning),
    must(4787, "9a", Udp, "hairpinned packets come from the external endpoint",
        "the sender is seen at its external endpoint", udp::hairpin_source),
    should(4787, "10", Udp, "payloads are left alone",
        "addresses in payloads arrive as they were sent", udp::payload),
    must(4787, "11", Udp, "behaviour is deterministic",
        "the same mapping and filtering for every host, port and load", udp::determinism),
    must(4787, "12", Udp, "ICMP ends no mapping",
        "the mapping works after errors from outside and inside", icmp::ends_nothing),
    should(4787, "12a", Udp, "ICMP is not filtered by its source",
        "an error from a router on the way gets in", icmp::any_source),
    should(4787, "12b", Udp, "destination unreachable is translated",
        "the host inside is told, in its own addresses", icmp::translated),
    must(4787, "13", Udp, "what is too long and must not be cut is reported",
        "the host inside is told the next link's MTU", fragments::too_long),
    must(4787, "13a", Udp, "what is too long and may be cut is cut",
        "all of it arrives in fragments", fragments::cut),
    must(4787, "14", Udp, "fragments pass in any order",
        "all of it arrives, whichever fragment came first", fragments::any_order),
    must(4787, "14a", Udp, "fragments that never become whole do no harm",
        "whole packets and fragments in order pass after a flood", fragments::flood),
    must(5382, "1", Tcp, "mapping is endpoint-independent",
        "one external endpoint for every destination", tcp::mapping),
    must(5382, "2", Tcp, "connections open, carry data and close",
        "every segment of a connection arrives", tcp::sequences),
    must(5382, "2a", Tcp, "simultaneous open works",
        "two SYNs that cross make a connection", tcp::simultaneous_open),
    should(5382, "3", Tcp, "filtering is endpoint-independent or address-dependent",
        "a SYN from another port of a known address gets in", tcp::filtering),
    must(5382, "4", Tcp, "an unsolicited SYN is not answered for six seconds",
        "silence, and no answer at all if a SYN goes out meanwhile", tcp::unsolicited),
    must(5382, "5", Tcp, "an open session lives two hours and four minutes at least",
        "alive after 7440 s", tcp::established),
    should(5382, "5-transitory", Tcp, "an opening session lives four minutes at least",
        "alive after 240 s", tcp::transitory),
    should(5382, "6", Tcp, "payloads are left alone",
        "addresses in payloads arrive as they were sent", tcp::payload),
    must(5382, "7", Tcp, "no port overloading",
        "two hosts never share an external endpoint toward one destination", tcp::overloading),
    must(5382, "8", Tcp, "hairpinning is supported",
        "a SYN to a host's external endpoint reaches it", tcp::hairpinning),
    must(5382, "8a", Tcp, "hairpinned segments come from the external endpoint",
        "the sender is seen at its external endpoint", tcp::hairpin_source),
    should(5382, "9", Tcp, "destination unreachable is translated",
        "the host inside is told, in its own addresses", icmp::translated_tcp),
    must(5382, "10", Tcp, "ICMP ends no connection",
        "data passes after errors from outside and inside", icmp::ends_no_connection),
    must(6888, "2", Subscribers, "address pooling is paired",
        "one external address for all of a host's mappings", udp::pooling),
    must(6888, "4", Subscribers, "a subscriber's ports can be limited",
        "one subscriber is refused while another is served", carrier::quota),
    should(6888, "5", Subscribers, "the memory for state is limited",
        "many subscribers together are refused before their quotas are spent", carrier::state),
    must(6888, "6", Subscribers, "destinations can be exempt from translation",
        "packets to one arrive from the internal address", carrier::exempt),
    should(6888, "7", Subscribers, "filtering is endpoint-independent",
        "a stranger gets in", carrier::transparent),
    should(6888, "8", Subscribers, "a freed port rests 120 s",
        "nobody gets it earlier", carrier::rest),
    must(6888, "11", Subscribers, "out of resources: drop, and keep what there is",
        "the packet goes nowhere, and existing mappings work", carrier::exhaustion),
    should(6888, "11b", Subscribers, "out of resources: tell the host",
        "ICMP host unreachable", carrier::exhaustion_told),
    should(7857, "2", Tcp, "sessions are tracked: opening and closing have timers of their own",
        "an opening and a closed session are gone while an open one lives", updates::tracking),
    should(7857, "2.2", Tcp, "a session lives four minutes after a reset",
        "what follows the reset still passes after 240 s", updates::reset),
    should(7857, "4", Udp, "paired, and no port left: new sessions are dropped",
        "refused, rather than mapped to another address", updates::pool_spent),
    should(7857, "5", Both, "mappings are of one protocol",
        "TCP finds no way in through a mapping of UDP", updates::mapping_per_protocol),
    should(7857, "6", Both, "filters are of one protocol",
        "TCP is not let in because UDP was sent", updates::filter_per_protocol),
    must(7857, "7", Udp, "what is refused refreshes nothing",
        "the mapping ends on time", updates::refused_refreshes_nothing),
    should(7857, "7.1", Udp, "ICMP errors from inside refresh nothing",
        "the mapping ends on time", updates::errors_refresh_nothing),
    should(7857, "9", Udp, "a port that can't be kept is random",
        "ports follow no pattern", updates::randomisation),
    must(7857, "12", Udp, "ICMP is hairpinned",
        "an error about a hairpinned packet reaches its sender", updates::icmp_hairpin),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_requirement_stands_once_and_in_order() {
        let names: BTreeSet<_> = REQUIREMENTS.iter().map(|it| (it.rfc, it.req)).collect();
        assert_eq!(names.len(), REQUIREMENTS.len());
        assert!(REQUIREMENTS.is_sorted_by_key(|it| it.rfc));
    }
}
