//! A conference as JSON. Field names are a contract.

use std::collections::BTreeMap;
use std::time::Duration;

use pinhole::Time;
use serde::Serialize;

use super::Held;
use crate::conference::formula;
use crate::conference::{
    Bill, ConferenceOutcome, Gap, ParticipantOutcome, Percentiles, Plan, Prices, Rates, Received,
    Roam, ServerOutcome, SourceKind, quality,
};

#[derive(Serialize)]
pub(in crate::report) struct Document<'h> {
    topology: String,
    fidelity: &'static str,
    participants: usize,
    connections: usize,
    seconds: u64,
    /// Whether that is all that was to be measured.
    complete: bool,
    warmup_seconds: u64,
    seed: u64,
    video: Option<&'h str>,
    audio: Option<&'h str>,
    simulcast: bool,
    last_n: Option<usize>,
    all_seen_ms: Option<f64>,
    /// How long somebody lacked somebody, after everybody had had everybody.
    lost_ms: f64,
    gaps: Vec<GapRow<'h>>,
    roams: Vec<RoamRow<'h>>,
    video_share: Option<f64>,
    overload: Option<OverloadRow<'h>>,
    per_participant: Vec<ParticipantRow<'h>>,
    servers: Vec<ServerRow<'h>>,
    turn: TurnRow,
    month: MonthRow,
    packets: PacketsRow,
    findings: &'h [String],
    warnings: &'h [String],
    digest: String,
    /// Whether every run of this seed has that digest.
    repeats: bool,
}

#[derive(Serialize)]
struct GapRow<'h> {
    viewer: &'h str,
    of: &'h str,
    kind: &'static str,
    from_ms: f64,
    to_ms: Option<f64>,
    lost_ms: f64,
}

/// What a change of networks cost; nulls where it was never made good.
#[derive(Serialize)]
struct RoamRow<'h> {
    participant: &'h str,
    at_ms: f64,
    seen_again_ms: Option<f64>,
    sees_again_ms: Option<f64>,
    lost_ms: Option<f64>,
}

#[derive(Serialize)]
struct OverloadRow<'h> {
    participant: &'h str,
    link: &'static str,
    needed_kbps: f64,
    capacity_kbps: f64,
}

#[derive(Serialize)]
struct ParticipantRow<'h> {
    name: &'h str,
    network: String,
    access: Option<&'static str>,
    region: usize,
    publishes: bool,
    up_kbps: f64,
    down_kbps: f64,
    up_by_kind: BTreeMap<String, f64>,
    down_by_kind: BTreeMap<String, f64>,
    loss: f64,
    up_loss: f64,
    delay_ms: PercentilesRow,
    queueing_ms: PercentilesRow,
    video: VideoRow,
    audio: AudioRow,
    sources: Vec<SourceRow<'h>>,
    per_second: Vec<SecondRow>,
}

#[derive(Serialize)]
struct PercentilesRow {
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Serialize)]
struct VideoRow {
    received_kbps: f64,
    share: Option<f64>,
    freezes: u32,
    frozen_ms: f64,
    key_frames: u32,
    /// From capture to screen, the jitter buffer included, in the mean of all pictures.
    playout_ms: Option<f64>,
}

#[derive(Serialize)]
struct AudioRow {
    received_kbps: f64,
}

#[derive(Serialize)]
struct SourceRow<'h> {
    of: &'h str,
    kind: &'static str,
    received_kbps: f64,
    layers: Vec<f64>,
    frames_per_s: f64,
    freezes: u32,
    frozen_ms: f64,
    key_frames: u32,
    jitter_ms: f64,
    playout_ms: Option<f64>,
}

#[derive(Serialize)]
struct SecondRow {
    up_kbps: f64,
    down_kbps: f64,
    estimate_kbps: Option<f64>,
}

#[derive(Serialize)]
struct ServerRow<'h> {
    name: &'h str,
    region: usize,
    in_kbps: f64,
    out_kbps: f64,
    in_by_kind: BTreeMap<String, f64>,
    out_by_kind: BTreeMap<String, f64>,
    packets_in_per_s: f64,
    packets_out_per_s: f64,
    streams_in: usize,
    streams_out: usize,
    forwarded_per_s: f64,
    crypto_per_s: f64,
    decoded_per_s: f64,
    encoded_per_s: f64,
}

#[derive(Serialize)]
struct TurnRow {
    relayed_share: f64,
    relayed_kbps: f64,
}

#[derive(Serialize)]
struct MonthRow {
    hours: f64,
    price_per_gb: f64,
    price_per_server_hour: f64,
    servers_gb: f64,
    turn_gb: f64,
    traffic: f64,
    turn: f64,
    machines: f64,
    total: f64,
}

#[derive(Serialize)]
struct PacketsRow {
    sent: u64,
    delivered: u64,
    dropped: u64,
    in_flight: u64,
    duplicated: u64,
}

/// To six places: more than anything here can show.
pub(in crate::report) fn rounded(value: f64) -> f64 {
    // A sum of nothing is -0.
    (value * 1e6).round() / 1e6 + 0.0
}

fn millis(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1_000.0)
}

fn by_kind(rates: &Rates) -> BTreeMap<String, f64> {
    let parts = rates.parts().into_iter();
    parts
        .map(|(name, kbps)| (format!("{name}_kbps"), rounded(kbps)))
        .collect()
}

const fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Audio => "audio",
        SourceKind::Camera => "camera",
        SourceKind::Screen => "screen",
    }
}

impl<'h> Document<'h> {
    pub(in crate::report) fn new(held: &Held<'h>) -> Self {
        let Held { plan, outcome, .. } = *held;
        let config = &plan.config;
        let end = config.until();
        let counts = outcome.packets;
        let overload = formula::overload(plan);
        Document {
            topology: config.topology.to_string(),
            fidelity: outcome.fidelity.name(),
            participants: plan.participants().len(),
            connections: outcome.connections,
            seconds: outcome.measured.as_secs(),
            complete: outcome.measured >= config.measured,
            warmup_seconds: config.warmup.as_secs(),
            seed: config.seed,
            video: config.video.as_ref().map(|it| &*it.name),
            audio: config.audio.as_ref().map(|it| &*it.name),
            simulcast: config.sends_layers(),
            last_n: config.last_n.map(Into::into),
            all_seen_ms: outcome.all_seen.map(Time::as_millis_f64),
            lost_ms: millis(quality::time_lost(plan, outcome)),
            gaps: outcome
                .gaps
                .iter()
                .map(|gap| GapRow::new(plan, gap, end))
                .collect(),
            roams: outcome
                .roams
                .iter()
                .map(|roam| RoamRow::new(plan, roam))
                .collect(),
            video_share: quality::mean_share_of_video(plan, outcome).map(rounded),
            overload: overload.map(|it| OverloadRow {
                participant: &plan.participants()[it.participant].name,
                link: if it.is_uplink { "up" } else { "down" },
                needed_kbps: rounded(it.needed_kbps),
                capacity_kbps: it.capacity_kbps,
            }),
            per_participant: (0..plan.participants().len())
                .map(|number| ParticipantRow::new(plan, outcome, number))
                .collect(),
            servers: outcome.servers.iter().map(ServerRow::new).collect(),
            turn: TurnRow {
                relayed_share: rounded(outcome.turn.relayed_share),
                relayed_kbps: rounded(outcome.turn.relayed_kbps),
            },
            month: MonthRow::new(&held.prices, &held.prices.bill(outcome)),
            packets: PacketsRow {
                sent: counts.sent,
                delivered: counts.delivered,
                dropped: counts.dropped,
                in_flight: counts.in_flight,
                duplicated: counts.duplicated,
            },
            findings: &outcome.findings,
            warnings: held.warnings,
            digest: outcome.digest.to_string(),
            repeats: outcome.repeats,
        }
    }
}

impl<'h> GapRow<'h> {
    fn new(plan: &'h Plan, gap: &Gap, end: Time) -> Self {
        let source = plan.source(gap.source);
        let to = gap.to.unwrap_or(end);
        GapRow {
            viewer: &plan.participants()[gap.viewer].name,
            of: plan.name(source.owner),
            kind: kind(source.kind),
            from_ms: rounded(gap.from.as_millis_f64()),
            to_ms: gap.to.map(|to| rounded(to.as_millis_f64())),
            lost_ms: millis(to.saturating_since(gap.from)),
        }
    }
}

impl<'h> RoamRow<'h> {
    fn new(plan: &'h Plan, roam: &Roam) -> Self {
        let shown = |time: Time| rounded(time.as_millis_f64());
        RoamRow {
            participant: &plan.participants()[roam.participant].name,
            at_ms: shown(roam.at),
            seen_again_ms: roam.seen_again.map(shown),
            sees_again_ms: roam.sees_again.map(shown),
            lost_ms: roam.lost().map(millis),
        }
    }
}

impl PercentilesRow {
    fn new(it: Percentiles) -> Self {
        PercentilesRow {
            p50: rounded(it.p50_ms),
            p95: rounded(it.p95_ms),
            p99: rounded(it.p99_ms),
        }
    }
}

impl<'h> ParticipantRow<'h> {
    fn new(plan: &'h Plan, outcome: &'h ConferenceOutcome, number: usize) -> Self {
        let person = &plan.participants()[number];
        let it: &ParticipantOutcome = &outcome.participants[number];
        let is_video = |received: &&Received| plan.source(received.source).kind.is_video();
        let videos = || it.received.iter().filter(is_video);
        let share = quality::share_of_video(plan, outcome, number);
        ParticipantRow {
            name: &it.name,
            network: person.network.to_string(),
            access: person.access.map(|access| access.name),
            region: person.region + 1,
            publishes: person.publishes(),
            up_kbps: rounded(it.up.total()),
            down_kbps: rounded(it.down.total()),
            up_by_kind: by_kind(&it.up),
            down_by_kind: by_kind(&it.down),
            loss: rounded(it.loss),
            up_loss: rounded(it.up_loss),
            delay_ms: PercentilesRow::new(it.delay),
            queueing_ms: PercentilesRow::new(it.queueing),
            video: VideoRow {
                received_kbps: rounded(videos().map(|it| it.kbps).sum()),
                share: share.map(rounded),
                freezes: it.freezes(),
                frozen_ms: millis(videos().map(|it| it.frozen).sum()),
                key_frames: videos().map(|it| it.key_frames).sum(),
                playout_ms: it.playout().map(millis),
            },
            audio: AudioRow {
                received_kbps: rounded(
                    it.received_kbps(|source| !plan.source(source).kind.is_video()),
                ),
            },
            sources: it
                .received
                .iter()
                .map(|received| SourceRow::new(plan, received))
                .collect(),
            per_second: it
                .seconds
                .iter()
                .map(|second| SecondRow {
                    up_kbps: rounded(second.up_kbps),
                    down_kbps: rounded(second.down_kbps),
                    estimate_kbps: second.estimate_kbps.map(rounded),
                })
                .collect(),
        }
    }
}

impl<'h> SourceRow<'h> {
    fn new(plan: &'h Plan, it: &Received) -> Self {
        let source = plan.source(it.source);
        SourceRow {
            of: plan.name(source.owner),
            kind: kind(source.kind),
            received_kbps: rounded(it.kbps),
            layers: it.layers.iter().copied().map(rounded).collect(),
            frames_per_s: rounded(it.frames_per_second),
            freezes: it.freezes,
            frozen_ms: millis(it.frozen),
            key_frames: it.key_frames,
            jitter_ms: millis(it.jitter),
            playout_ms: it.playout.map(millis),
        }
    }
}

impl<'h> ServerRow<'h> {
    fn new(it: &'h ServerOutcome) -> Self {
        ServerRow {
            name: &it.name,
            region: it.region + 1,
            in_kbps: rounded(it.into.total()),
            out_kbps: rounded(it.out.total()),
            in_by_kind: by_kind(&it.into),
            out_by_kind: by_kind(&it.out),
            packets_in_per_s: rounded(it.packets_in_per_s),
            packets_out_per_s: rounded(it.packets_out_per_s),
            streams_in: it.streams_in,
            streams_out: it.streams_out,
            forwarded_per_s: rounded(it.forwarded_per_s),
            crypto_per_s: rounded(it.crypto_per_s),
            decoded_per_s: rounded(it.decoded_per_s),
            encoded_per_s: rounded(it.encoded_per_s),
        }
    }
}

impl MonthRow {
    fn new(prices: &Prices, bill: &Bill) -> Self {
        MonthRow {
            hours: prices.hours,
            price_per_gb: prices.per_gb,
            price_per_server_hour: prices.per_server_hour,
            servers_gb: rounded(bill.servers_gb),
            turn_gb: rounded(bill.turn_gb),
            traffic: rounded(bill.traffic),
            turn: rounded(bill.turn),
            machines: rounded(bill.machines),
            total: rounded(bill.total()),
        }
    }
}
