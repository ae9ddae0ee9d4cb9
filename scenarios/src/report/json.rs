//! Results as JSON and CSV. Field names are a contract: adding is free, renaming breaks somebody.

use pinhole::trace::Counts;
use serde::Serialize;

use super::course::{CourseRow, RoleConflictRow};
use crate::call::{CallConfig, CallOutcome, Dropped, Side};
use crate::matrix::Matrix;

/// A call, as the `call` command prints it and as matrices hold it.
#[derive(Serialize)]
pub(super) struct CallRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    a: String,
    b: String,
    /// Where the two stand to each other, and the carrier that they share, if they do.
    neighbourhood: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    stack_a: &'static str,
    stack_b: &'static str,
    ipv6_a: bool,
    ipv6_b: bool,
    synthesize_a: bool,
    synthesize_b: bool,
    turn: Vec<&'static str>,
    connected: bool,
    path_class: &'static str,
    relay_transport: Option<&'static str>,
    /// How A and B reach the relay that lent them an address.
    a_relay_transport: Option<&'static str>,
    b_relay_transport: Option<&'static str>,
    connect_ms: Option<f64>,
    failed_ms: Option<f64>,
    a_local: Option<&'static str>,
    a_remote: Option<&'static str>,
    b_local: Option<&'static str>,
    b_remote: Option<&'static str>,
    packets: Packets,
    drops: Vec<DropRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingRow>,
    /// Of a call with faults: how it went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    course: Option<CourseRow>,
    /// Of a call that began with other roles than it should have.
    #[serde(skip_serializing_if = "Option::is_none")]
    role_conflict: Option<RoleConflictRow>,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct Packets {
    sent: u64,
    delivered: u64,
    dropped: u64,
    in_flight: u64,
    duplicated: u64,
}

#[derive(Serialize)]
pub(super) struct DropRow {
    reason: &'static str,
    node: String,
    count: u64,
}

#[derive(Serialize)]
struct FindingRow {
    side: &'static str,
    stack: &'static str,
    panic: String,
}

impl Packets {
    pub(super) fn of(counts: &Counts) -> Self {
        Packets {
            sent: counts.sent,
            delivered: counts.delivered,
            dropped: counts.dropped,
            in_flight: counts.in_flight,
            duplicated: counts.duplicated,
        }
    }
}

impl DropRow {
    pub(super) fn of(drop: &Dropped) -> Self {
        DropRow {
            reason: drop.reason,
            node: drop.place.clone(),
            count: drop.count,
        }
    }
}

impl CallRow {
    pub(super) fn new(config: &CallConfig, outcome: &CallOutcome) -> Self {
        let connection = outcome.connection;
        let types = |side: Side| connection.map(|connection| connection.types[side.index()]);
        let lent = |side: Side| {
            let transport = connection?.relay_transports[side.index()]?;
            Some(transport.name())
        };
        CallRow {
            seed: None,
            a: config.kinds[0].to_string(),
            b: config.kinds[1].to_string(),
            neighbourhood: config.neighbourhood.name(),
            carrier: config.neighbourhood.carrier().map(ToString::to_string),
            stack_a: config.stacks[0].name(),
            stack_b: config.stacks[1].name(),
            ipv6_a: config.ipv6[0],
            ipv6_b: config.ipv6[1],
            synthesize_a: config.synthesize[0],
            synthesize_b: config.synthesize[1],
            turn: turn_names(config),
            connected: outcome.is_connected(),
            path_class: outcome.path_class().map_or("none", |class| class.name()),
            relay_transport: connection
                .and_then(|connection| connection.relay_transport)
                .map(|transport| transport.name()),
            a_relay_transport: lent(Side::A),
            b_relay_transport: lent(Side::B),
            connect_ms: connection.map(|connection| connection.at.as_millis_f64()),
            failed_ms: outcome.failed_at.map(|at| at.as_millis_f64()),
            a_local: types(Side::A).map(|types| types.local.token()),
            a_remote: types(Side::A).map(|types| types.remote.token()),
            b_local: types(Side::B).map(|types| types.local.token()),
            b_remote: types(Side::B).map(|types| types.remote.token()),
            packets: Packets::of(&outcome.packets),
            drops: outcome.drops.iter().map(DropRow::of).collect(),
            findings: outcome
                .findings
                .iter()
                .map(|finding| FindingRow {
                    side: finding.side.name(),
                    stack: finding.stack.name(),
                    panic: finding.panic.clone(),
                })
                .collect(),
            course: outcome.course.as_ref().map(CourseRow::new),
            role_conflict: outcome.role_conflict.as_ref().map(RoleConflictRow::new),
            digest: outcome.digest.to_string(),
            story: None,
        }
    }

    pub(super) fn with_seed(self, seed: u64) -> Self {
        CallRow {
            seed: Some(seed),
            ..self
        }
    }

    pub(super) fn with_story(self, story: Option<Vec<String>>) -> Self {
        CallRow { story, ..self }
    }

    /// The header of the rows that [`record`](CallRow::record) makes.
    pub(super) const HEADER: [&str; 22] = [
        "seed",
        "a",
        "b",
        "stack_a",
        "stack_b",
        "turn",
        "connected",
        "path_class",
        "relay_transport",
        "connect_ms",
        "failed_ms",
        "a_local",
        "a_remote",
        "b_local",
        "b_remote",
        "sent",
        "delivered",
        "dropped",
        "in_flight",
        "duplicated",
        "drops",
        "digest",
    ];

    /// The call as a row of CSV. Drops are in one field: `reason@node=count`, joined by spaces.
    pub(super) fn record(&self, seed: u64) -> [String; 22] {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let drops: Vec<String> = self
            .drops
            .iter()
            .map(|drop| format!("{}@{}={}", drop.reason, drop.node, drop.count))
            .collect();
        [
            seed.to_string(),
            self.a.clone(),
            self.b.clone(),
            self.stack_a.to_owned(),
            self.stack_b.to_owned(),
            if self.turn.is_empty() {
                "off".to_owned()
            } else {
                self.turn.join(" ")
            },
            self.connected.to_string(),
            self.path_class.to_owned(),
            text(self.relay_transport),
            number(self.connect_ms),
            number(self.failed_ms),
            text(self.a_local),
            text(self.a_remote),
            text(self.b_local),
            text(self.b_remote),
            self.packets.sent.to_string(),
            self.packets.delivered.to_string(),
            self.packets.dropped.to_string(),
            self.packets.in_flight.to_string(),
            self.packets.duplicated.to_string(),
            drops.join(" "),
            self.digest.clone(),
        ]
    }
}

fn turn_names(config: &CallConfig) -> Vec<&'static str> {
    config
        .turn
        .transports()
        .iter()
        .map(|transport| transport.name())
        .collect()
}

#[derive(Serialize)]
pub(super) struct MatrixDocument {
    seed: u64,
    stack_a: &'static str,
    stack_b: &'static str,
    turn: Vec<&'static str>,
    complete: bool,
    digest: String,
    cells: Vec<CallRow>,
}

impl MatrixDocument {
    pub(super) fn new(call: &CallConfig, matrix: &Matrix) -> Self {
        MatrixDocument {
            seed: call.seed,
            stack_a: call.stacks[0].name(),
            stack_b: call.stacks[1].name(),
            turn: turn_names(call),
            complete: matrix.complete,
            digest: matrix.digest.to_string(),
            cells: matrix
                .cells
                .iter()
                .map(|cell| CallRow::new(&cell.config, &cell.outcome))
                .collect(),
        }
    }
}
