//! A comparison as JSON. Field names are a contract.

use serde::Serialize;

pub(super) use crate::report::conference::rounded;

use super::Compared;
use super::words;
use crate::conference::compare::{Break, Crossover, Row};
use crate::conference::{ConferenceConfig, Prices};

#[derive(Serialize)]
pub(super) struct Document<'c> {
    fidelity: &'static str,
    seed: u64,
    sizes: &'c [usize],
    topologies: Vec<String>,
    access: Vec<Option<&'static str>>,
    seconds: u64,
    warmup_seconds: u64,
    complete: bool,
    rows: Vec<RowDocument>,
    crossovers: Vec<CrossoverDocument>,
    command: &'c str,
    digest: String,
}

#[derive(Serialize)]
struct RowDocument {
    topology: String,
    participants: usize,
    connections: usize,
    up_kbps: f64,
    down_kbps: f64,
    server_out_kbps: f64,
    turn_kbps: f64,
    video_share: Option<f64>,
    freezes_per_minute: f64,
    queueing_p95_ms: f64,
    delay_p95_ms: f64,
    up_loss: f64,
    month_cost: f64,
    digest: String,
}

#[derive(Serialize)]
struct CrossoverDocument {
    access: &'static str,
    up_kbps: u32,
    down_kbps: u32,
    mesh: Option<BreakDocument>,
    sfu: Option<BreakDocument>,
    mesh_below: Option<RowDocument>,
    mesh_at: Option<RowDocument>,
    sfu_at: Option<RowDocument>,
    words: String,
}

#[derive(Serialize)]
struct BreakDocument {
    participants: usize,
    link: &'static str,
    needed_kbps: f64,
    capacity_kbps: f64,
}

impl<'c> Document<'c> {
    pub(super) fn new(compared: &Compared<'c>) -> Self {
        let Compared {
            config,
            comparison,
            prices,
            command,
        } = *compared;
        let base = &config.base;
        Document {
            fidelity: comparison.fidelity.name(),
            seed: base.seed,
            sizes: &config.sizes,
            topologies: config.topologies.iter().map(ToString::to_string).collect(),
            access: accesses(base),
            seconds: base.measured.as_secs(),
            warmup_seconds: base.warmup.as_secs(),
            complete: comparison.complete,
            rows: comparison
                .rows
                .iter()
                .map(|row| RowDocument::new(row, &prices))
                .collect(),
            crossovers: comparison
                .crossovers
                .iter()
                .map(|it| CrossoverDocument::new(it, &prices))
                .collect(),
            command,
            digest: comparison.digest.to_string(),
        }
    }
}

/// The access links that participants are dealt, in turn.
fn accesses(base: &ConferenceConfig) -> Vec<Option<&'static str>> {
    let all = base.participants.iter();
    let mut all: Vec<_> = all.map(|it| it.access.map(|access| access.name)).collect();
    if all.iter().all(|it| *it == all[0]) {
        all.truncate(1);
    }
    all
}

impl RowDocument {
    fn new(row: &Row, prices: &Prices) -> Self {
        let bill = prices.bill_for(row.servers, row.server_out_kbps, row.turn_kbps);
        RowDocument {
            topology: row.topology.to_string(),
            participants: row.participants,
            connections: row.connections,
            up_kbps: rounded(row.up_kbps),
            down_kbps: rounded(row.down_kbps),
            server_out_kbps: rounded(row.server_out_kbps),
            turn_kbps: rounded(row.turn_kbps),
            video_share: row.video_share.map(rounded),
            freezes_per_minute: rounded(row.freezes_per_minute),
            queueing_p95_ms: rounded(row.queueing_p95_ms),
            delay_p95_ms: rounded(row.delay_p95_ms),
            up_loss: rounded(row.up_loss),
            month_cost: rounded(bill.total()),
            digest: row.digest.to_string(),
        }
    }
}

impl CrossoverDocument {
    fn new(it: &Crossover, prices: &Prices) -> Self {
        let row = |row: &Option<Row>| row.as_ref().map(|row| RowDocument::new(row, prices));
        CrossoverDocument {
            access: it.access.name,
            up_kbps: it.access.up_kbps,
            down_kbps: it.access.down_kbps,
            mesh: it.mesh.as_ref().map(BreakDocument::new),
            sfu: it.sfu.as_ref().map(BreakDocument::new),
            mesh_below: row(&it.below),
            mesh_at: row(&it.at),
            sfu_at: row(&it.sfu_at),
            words: words::crossover(it),
        }
    }
}

impl BreakDocument {
    fn new(it: &Break) -> Self {
        BreakDocument {
            participants: it.participants,
            link: if it.overload.is_uplink { "up" } else { "down" },
            needed_kbps: rounded(it.overload.needed_kbps),
            capacity_kbps: it.overload.capacity_kbps,
        }
    }
}
