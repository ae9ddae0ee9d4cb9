//! Which fields scenario files have: the one table that reading and the schema go by.

use pinhole::link::AccessProfile;
use pinhole::trace::DropReason;
use serde_json::{Map, Value, json};

use crate::call::TurnTransport;
use crate::ice::Stack as IceStack;

/// A field: its name, what it says, and what it may be.
pub(super) type FieldDoc = (&'static str, &'static str, Shape);

/// What a field may be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Flag,
    /// A number of at least this.
    Number(f64),
    /// A number from 0 to 1.
    Share,
    /// One of these texts.
    Choice(&'static [&'static str]),
    Stack,
    Access,
    Turn,
    /// A flag, or "half".
    Trickle,
    /// One path class, or a list of several.
    Classes,
    /// Two texts.
    Two,
    /// Texts.
    Texts,
    /// A text, or a list of several.
    Names,
    /// Two port numbers.
    Range,
    /// A reason for drops, alone or with `at` and a place.
    Drop,
    Table(&'static [FieldDoc]),
    Tables(&'static [FieldDoc]),
}

use Shape::*;

/// The names of fields, for whoever reads a table.
pub(super) fn names(fields: &[FieldDoc]) -> Vec<&'static str> {
    fields.iter().map(|(name, ..)| *name).collect()
}

// What files of calls and of conferences have alike.

pub(super) const DESCRIPTION: FieldDoc = (
    "description",
    "What the scenario is about, in a sentence",
    Text,
);

pub(super) const SEED: FieldDoc = (
    "seed",
    "What everything random is drawn from [1]",
    Number(0.0),
);

pub(super) const WHY: FieldDoc = (
    "description",
    "Why it must be so; shown when it isn't",
    Text,
);

pub(super) const ROOT: &[FieldDoc] = &[
    DESCRIPTION,
    SEED,
    ("a", "The endpoint that calls", Table(ENDPOINT)),
    (
        "b",
        "The endpoint that is called; left out where both share A's network",
        Table(ENDPOINT),
    ),
    ("call", "How the call is made", Table(CALL)),
    (
        "restart",
        "When endpoints restart ICE, in a call with faults [always]",
        Table(RESTART),
    ),
    (
        "fault",
        "What goes wrong, and when; a call with faults lasts until until_ms",
        Tables(FAULT),
    ),
    ("expect", "What must come of it", Tables(EXPECT)),
];

pub(super) const ENDPOINT: &[FieldDoc] = &[
    (
        "network",
        "The kind of network: nat:eim/apdf, home-router, nat:eim/apdf>carrier-grade …",
        Text,
    ),
    ("stack", "The ICE stack [is]", Stack),
    (
        "port",
        "The UDP port that it sends from at first [the host's choice]",
        Number(1.0),
    ),
    ("ipv6", "Whether it has IPv6 beside IPv4 [false]", Flag),
    (
        "synthesize",
        "Whether it makes up for having no IPv4, behind a NAT64 [false]",
        Flag,
    ),
    (
        "access",
        "The profile of its access link [none: no delay, no loss, no bottleneck]",
        Access,
    ),
    (
        "loss",
        "The share of packets that its access link loses, each way [the profile's]",
        Share,
    ),
    (
        "roams_to",
        "The kind of network that it may roam to, called a.mobile or b.mobile",
        Text,
    ),
    (
        "nat",
        "More of its innermost NAT than the kind says",
        Table(NAT),
    ),
];

pub(super) const CALL: &[FieldDoc] = &[
    (
        "same_lan",
        "Both endpoints are on A's network [false]",
        Flag,
    ),
    (
        "lan_isolated",
        "They are, and can't reach each other on it [false]",
        Flag,
    ),
    (
        "shared_carrier",
        "The kind of carrier that both endpoints' networks are behind [none: each is on the internet]",
        Text,
    ),
    (
        "turn",
        "The transports that the TURN server offers; [] for no TURN [all]",
        Turn,
    ),
    (
        "turn_quota",
        "The most relays it lends to one user; both endpoints are the same one",
        Number(0.0),
    ),
    (
        "turn_credentials_expired",
        "Whether it refuses the endpoints' credentials [false]",
        Flag,
    ),
    (
        "delay_ms",
        "One way between any two edges [20]",
        Number(0.0),
    ),
    (
        "signaling_delay_ms",
        "What a signal takes from one endpoint to the other [50]",
        Number(0.0),
    ),
    (
        "trickle",
        "Who signals candidates as they are found: both, nobody, or with \"half\" only B [true]",
        Trickle,
    ),
    (
        "roles",
        "Who believes that it controls; with glare both make an offer at once [caller]",
        Choice(&["caller", "both-controlling", "both-controlled", "glare"]),
    ),
    (
        "hairpin",
        "Whether NATs send packets to their own external addresses back in [false]",
        Flag,
    ),
    (
        "filter_memory",
        "Whose past NATs' filters remember [endpoint]",
        Choice(&["endpoint", "mapping"]),
    ),
    (
        "until_ms",
        "When the call is given up, or ends if it has faults [45000]",
        Number(0.0),
    ),
    (
        "packets",
        "The call is stopped if it sends more [1000000]",
        Number(1.0),
    ),
];

pub(super) const RESTART: &[FieldDoc] = &[
    (
        "on_network_change",
        "When an endpoint's own addresses change [true]",
        Flag,
    ),
    (
        "on_disconnected",
        "When its stack says that it lost the pair [true]",
        Flag,
    ),
    ("on_failed", "When its stack gives up [true]", Flag),
];

pub(super) const FAULTS: &[&str] = &[
    "reboot",
    "flush",
    "roam",
    "link-down",
    "link-up",
    "partition",
    "heal",
    "restart",
    "family-lost",
    "family-regained",
];

pub(super) const FAULT: &[FieldDoc] = &[
    ("at_ms", "When", Number(0.0)),
    ("fault", "What", Choice(FAULTS)),
    (
        "node",
        "The gateway (reboot, flush) or the server (restart): a.nat, b.firewall, turn",
        Text,
    ),
    (
        "external",
        "A rebooted gateway's external addresses from then on [those it has]",
        Texts,
    ),
    (
        "host",
        "The endpoint (roam, family-lost, family-regained): a or b",
        Text,
    ),
    ("to", "The gateway that it roams to: a.mobile.nat", Text),
    (
        "link",
        "The two nodes whose link goes down or up: [\"a.nat\", \"internet\"]",
        Two,
    ),
    (
        "between",
        "The two nodes that are parted or joined again",
        Two,
    ),
    ("family", "ipv4 or ipv6", Choice(FAMILIES)),
];

pub(super) const FAMILIES: &[&str] = &["ipv4", "ipv6"];

pub(super) const CLASSES: &[&str] = &["direct", "reflexive", "relayed", "none"];
pub(super) const TYPES: &[&str] = &["host", "srflx", "prflx", "relay"];

pub(super) const EXPECT: &[FieldDoc] = &[
    WHY,
    ("connected", "Whether data gets through both ways", Flag),
    (
        "path_class",
        "The class of the path; of a call with faults, the last one's",
        Classes,
    ),
    (
        "relay_transport",
        "How the relay is reached",
        Choice(&["udp", "tcp", "tls"]),
    ),
    (
        "within_ms",
        "Data gets through both ways by then",
        Number(0.0),
    ),
    ("not_before_ms", "It doesn't before then", Number(0.0)),
    (
        "gives_up_within_ms",
        "Both stacks give up by then",
        Number(0.0),
    ),
    ("a_local", "The candidate that A sends from", Choice(TYPES)),
    ("a_remote", "B's candidate that A sends to", Choice(TYPES)),
    ("b_local", "The candidate that B sends from", Choice(TYPES)),
    ("b_remote", "A's candidate that B sends to", Choice(TYPES)),
    (
        "role_conflict",
        "What becomes of it if both sides, or neither, believe that they control",
        Choice(&["none", "settled", "lasting"]),
    ),
    (
        "drops",
        "A reason for which packets must be dropped, and where: \"filtered_by_nat at a.nat\"",
        Drop,
    ),
    (
        "never",
        "A reason for which none may be dropped, or a path class that data may never take",
        Drop,
    ),
    (
        "before",
        "The class of the path when the first fault struck",
        Classes,
    ),
    (
        "after",
        "The class of the path at the end of a call with faults; none if data stopped",
        Classes,
    ),
    (
        "interruption_below_ms",
        "Every interruption ends, and sooner than this",
        Number(0.0),
    ),
    (
        "interruption_above_ms",
        "Some interruption is longer than this, or never ends",
        Number(0.0),
    ),
    (
        "reconnects_within_ms",
        "Data flows both ways again so long after the first fault, and to the end",
        Number(0.0),
    ),
];

pub(super) const CONFLICT: &[&str] = &["next-free", "sequential", "random", "takeover"];

pub(super) const NAT: &[FieldDoc] = &[
    (
        "ports",
        "How external ports are picked",
        Choice(&["preserving", "sequential", "random"]),
    ),
    (
        "on_conflict",
        "What a NAT that preserves ports does where one is taken [next-free]",
        Choice(CONFLICT),
    ),
    (
        "step",
        "How far apart sequential ports are [1]",
        Number(1.0),
    ),
    ("port_parity", "Whether even ports stay even", Flag),
    (
        "port_contiguity",
        "Whether neighbouring ports stay neighbours",
        Flag,
    ),
    (
        "port_overloading",
        "Whether internal endpoints share external ones",
        Choice(&["never", "distinct-remotes", "always"]),
    ),
    ("port_range", "The external ports: [lowest, highest]", Range),
    (
        "port_blocks",
        "Ports in blocks",
        Table(&[
            ("size", "Ports in a block", Number(1.0)),
            ("most", "Blocks that one subscriber may have", Number(1.0)),
        ]),
    ),
    ("port_rest_s", "How long a freed port rests", Number(0.0)),
    (
        "subscriber_limit",
        "The most mappings of one internal address",
        Number(0.0),
    ),
    (
        "pooling",
        "Which external address an internal one gets",
        Choice(&["paired", "arbitrary"]),
    ),
    ("lifetime_s", "How long a UDP mapping lives", Number(0.001)),
    (
        "unanswered_lifetime_s",
        "How long one lives that no answer came back to",
        Number(0.001),
    ),
    (
        "tcp_opening_lifetime_s",
        "How long TCP sessions live that open or close",
        Number(0.001),
    ),
    (
        "tcp_lifetime_s",
        "How long established TCP sessions live",
        Number(0.001),
    ),
    (
        "ping_lifetime_s",
        "How long ICMP query sessions live",
        Number(0.001),
    ),
    (
        "refresh",
        "What refreshes a mapping",
        Choice(&["outbound", "both-ways", "refused-too"]),
    ),
    ("capacity", "The most mappings", Number(0.0)),
    (
        "when_full",
        "What happens to the next one [drop]",
        Choice(&["drop", "evict-oldest"]),
    ),
    (
        "reports_exhaustion",
        "Whether a want of ports is reported by ICMP",
        Flag,
    ),
    (
        "icmp_errors",
        "What happens to ICMP errors",
        Choice(&["translated", "dropped", "end-mapping"]),
    ),
    (
        "fragments",
        "What happens to fragments",
        Choice(&["any-order", "in-order", "dropped"]),
    ),
    (
        "too_big",
        "What happens to packets too long for the next link",
        Choice(&["reported", "silent"]),
    ),
    (
        "unsolicited_syn",
        "What answers a TCP connection that nobody asked for",
        Choice(&["wait", "silence", "reset"]),
    ),
    (
        "rewrites_payloads",
        "Whether addresses in payloads are rewritten",
        Flag,
    ),
    (
        "router_input",
        "What becomes of packets that belong to no mapping",
        Choice(&["drop", "accept"]),
    ),
    (
        "changes_mind",
        "When it stops being what it looks like",
        Table(MIND),
    ),
];

pub(super) const MIND: &[FieldDoc] = &[
    (
        "at_mappings",
        "When so many mappings exist; without it, when a port is taken",
        Number(0.0),
    ),
    (
        "mapping",
        "How it maps from then on",
        Choice(&["eim", "adm", "apdm"]),
    ),
    (
        "filtering",
        "How it filters from then on",
        Choice(&["eif", "adf", "apdf"]),
    ),
];

/// The JSON Schema of scenario files, for editors: a file with a conference is one of those.
pub fn schema() -> Value {
    let mut call = table(ROOT);
    call.insert("required".into(), json!(["description", "a", "expect"]));
    let mut conference = table(super::conference::fields::ROOT);
    let required = json!(["description", "conference", "expect"]);
    conference.insert("required".into(), required);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Pinhole scenario",
        "type": "object",
        "if": {"required": ["conference"]},
        "then": conference,
        "else": call,
    })
}

fn table(fields: &[FieldDoc]) -> Map<String, Value> {
    let mut properties = Map::new();
    for (name, says, shape) in fields {
        let mut property = shape.schema();
        property["description"] = json!(says);
        properties.insert((*name).to_owned(), property);
    }
    let mut table = Map::new();
    table.insert("type".into(), json!("object"));
    table.insert("additionalProperties".into(), json!(false));
    table.insert("properties".into(), Value::Object(properties));
    table
}

impl Shape {
    fn schema(self) -> Value {
        match self {
            Text => json!({"type": "string"}),
            Flag => json!({"type": "boolean"}),
            Number(least) => json!({"type": "number", "minimum": least}),
            Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
            Choice(names) => json!({"enum": names}),
            Stack => json!({"enum": IceStack::ALL.map(IceStack::name)}),
            Access => {
                let names: Vec<&str> = AccessProfile::ALL.iter().map(|it| it.name).collect();
                json!({"enum": names})
            }
            Turn => {
                let names = TurnTransport::ALL.map(TurnTransport::name);
                json!({"type": "array", "items": {"enum": names}})
            }
            Trickle => json!({"enum": [true, false, "half"]}),
            Classes => json!({"anyOf": [
                {"enum": CLASSES},
                {"type": "array", "items": {"enum": CLASSES}, "minItems": 1},
            ]}),
            Two => {
                json!({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2})
            }
            Texts => json!({"type": "array", "items": {"type": "string"}}),
            Names => json!({"anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]}),
            Range => {
                json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2})
            }
            Drop => {
                let reasons = DropReason::CODES.join("|");
                json!({"type": "string", "pattern": format!("^(({reasons})( at .+)?|direct|reflexive|relayed)$")})
            }
            Table(fields) => Value::Object(table(fields)),
            Tables(fields) => json!({"type": "array", "items": table(fields)}),
        }
    }
}
