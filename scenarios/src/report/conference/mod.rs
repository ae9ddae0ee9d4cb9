//! A conference: who sends and gets how much, what servers do, what people see, what a month costs.

mod document;
mod plot;

pub(super) use document::{Document, rounded};
pub use plot::conference_plot;
pub(super) use plot::rate;

use std::io::{self, Write};

use pinhole::Time;

use super::style::{BOLD, DIM};
use super::text::percent;
use super::{Format, print_json};
use crate::conference::formula::Overload;
use crate::conference::{
    Bill, ConferenceOutcome, Fidelity, ParticipantOutcome, Plan, Prices, SourceKind, Topology,
    quality,
};
use crate::grouped::grouped;

/// A conference that was held, and what is told with it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'h> {
    /// What was planned.
    pub plan: &'h Plan,
    /// What came of it.
    pub outcome: &'h ConferenceOutcome,
    /// What things cost.
    pub prices: Prices,
    /// What the reader should know before the numbers.
    pub warnings: &'h [String],
}

/// Participants that a table has room for.
const MOST_ROWS: usize = 24;

/// Gaps that a table tells.
const MOST_GAPS: usize = 8;

/// Prints a conference.
///
/// # Errors
///
/// `out` can't be written to.
pub fn conference(out: &mut dyn Write, format: Format, held: &Held<'_>) -> io::Result<()> {
    match format {
        Format::Table => table(out, held),
        Format::Json => print_json(out, &Document::new(held)),
        Format::Csv => csv(out, held),
    }
}

/// What a link is asked for beyond what it has, in a sentence.
pub fn overload(plan: &Plan, overload: &Overload) -> String {
    let participant = &plan.participants()[overload.participant];
    let access = participant.access.map_or("", |access| access.name);
    let way = if overload.is_uplink {
        "uplink"
    } else {
        "downlink"
    };
    format!(
        "everything in full quality needs {} kbit/s of {}'s {way}, and {access} has {} kbit/s: \
         media have to give way",
        grouped(overload.needed_kbps.round() as u64),
        participant.name,
        grouped(overload.capacity_kbps as u64),
    )
}

/// What a topology is called in a sentence.
pub(super) fn topology_words(topology: Topology) -> String {
    match topology {
        Topology::Mesh => "mesh".to_owned(),
        Topology::Sfu => "SFU".to_owned(),
        Topology::Mcu => "MCU".to_owned(),
        Topology::Cascade(servers) => format!("cascade of {servers} SFUs"),
    }
}

fn kbps(value: f64) -> String {
    grouped(value.round() as u64)
}

fn table(out: &mut dyn Write, held: &Held<'_>) -> io::Result<()> {
    let Held { plan, outcome, .. } = *held;
    head(out, plan, outcome)?;
    participants(out, plan, outcome)?;
    split(out, outcome)?;
    servers(out, outcome)?;
    course(out, plan, outcome)?;
    if !outcome.servers.is_empty() || outcome.turn.relayed_kbps > 0.0 {
        bill(out, &held.prices, &held.prices.bill(outcome))?;
    }
    if outcome.fidelity == Fidelity::Formula {
        return writeln!(
            out,
            "\n{DIM}computed, not simulated: no queues, no freezes, no time; --fidelity flow has \
             them{DIM:#}"
        );
    }
    if outcome.measured < plan.config.measured {
        writeln!(
            out,
            "\nInterrupted: {} of {} seconds were measured.",
            outcome.measured.as_secs(),
            plan.config.measured.as_secs(),
        )?;
    }
    let other_runs = if outcome.repeats {
        ""
    } else {
        "; other runs may differ: str0m sends again in an order that no seed decides"
    };
    writeln!(out, "\n{DIM}digest {}{other_runs}{DIM:#}", outcome.digest)
}

fn head(out: &mut dyn Write, plan: &Plan, outcome: &ConferenceOutcome) -> io::Result<()> {
    let config = &plan.config;
    let people = plan.participants();
    let viewers = people.iter().filter(|it| !it.publishes()).count();
    let watching = if viewers > 0 {
        format!(", {viewers} of them only watching")
    } else {
        String::new()
    };
    let (topology, count) = (topology_words(config.topology), people.len());
    writeln!(
        out,
        "{BOLD}A conference of {count}{watching}: {topology}{BOLD:#}"
    )?;
    let video = match &config.video {
        None => "no video".to_owned(),
        Some(video) if config.sends_layers() => format!("video {} in layers", video.name),
        Some(video) => format!("video {}", video.name),
    };
    let audio = match &config.audio {
        None => "no audio".to_owned(),
        Some(audio) => format!("audio {}", audio.name),
    };
    let chosen = config
        .last_n
        .map_or(String::new(), |most| format!(" · the last {most} speakers"));
    writeln!(
        out,
        "{DIM}{} · {video} · {audio}{chosen} · TURN {} · {} s after {} s · seed {}{DIM:#}\n",
        outcome.fidelity,
        config.turn,
        config.measured.as_secs(),
        config.warmup.as_secs(),
        config.seed
    )
}

fn participants(out: &mut dyn Write, plan: &Plan, outcome: &ConferenceOutcome) -> io::Result<()> {
    let people = plan.participants();
    let networks: Vec<String> = people.iter().map(|it| it.network.to_string()).collect();
    let same = networks.iter().all(|it| *it == networks[0]);
    let wide = if same {
        0
    } else {
        networks.iter().map(String::len).max().unwrap_or(0) + 2
    };
    let names = people.iter().map(|it| it.name.len()).max().unwrap_or(0) + 2;
    let access = people
        .iter()
        .map(|it| it.access.map_or(4, |it| it.name.len()));
    let access = access.max().unwrap_or(0).max(6) + 1;
    if same {
        writeln!(out, "{DIM}everybody's network: {}{DIM:#}", networks[0])?;
    }
    let (network, link) = (if same { "" } else { "network" }, "access");
    writeln!(
        out,
        "{DIM}{:<names$}{network:<wide$}{link:<access$}{:>8}{:>9}{:>8}{:>12}{:>7}{:>9}{:>8}{:>9}{DIM:#}",
        "", "up", "down", "lost", "delay", "queue", "video", "of full", "freezes"
    )?;
    writeln!(
        out,
        "{DIM}{:<names$}{:<wide$}{:<access$}{:>8}{:>9}{:>8}{:>12}{:>7}{:>9}{:>8}{:>9}{DIM:#}",
        "", "", "", "kbit/s", "kbit/s", "down", "50, 95 % ms", "95 %", "kbit/s", "", ""
    )?;
    for (number, it) in outcome.participants.iter().enumerate().take(MOST_ROWS) {
        let person = &people[number];
        let network = if same { "" } else { &networks[number] };
        let link = person.access.map_or("none", |it| it.name);
        writeln!(
            out,
            "{BOLD}{:<names$}{BOLD:#}{network:<wide$}{link:<access$}{}",
            it.name,
            numbers(plan, outcome, number, it)
        )?;
    }
    if let Some(more) = people.len().checked_sub(MOST_ROWS + 1) {
        writeln!(
            out,
            "{DIM}and {} more, as --format json and csv have them{DIM:#}",
            more + 1
        )?;
    }
    Ok(())
}

fn numbers(
    plan: &Plan,
    outcome: &ConferenceOutcome,
    number: usize,
    it: &ParticipantOutcome,
) -> String {
    let video = it.received_kbps(|source| plan.source(source).kind.is_video());
    let share = quality::share_of_video(plan, outcome, number);
    let share = share.map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let timed = outcome.fidelity != Fidelity::Formula;
    let queue = if timed {
        format!("{:.0}", it.queueing.p95_ms)
    } else {
        "–".to_owned()
    };
    let freezes = if timed {
        it.freezes().to_string()
    } else {
        "–".to_owned()
    };
    let delay = format!("{:.0}, {:.0}", it.delay.p50_ms, it.delay.p95_ms);
    format!(
        "{:>8}{:>9}{:>8}{delay:>12}{queue:>7}{:>9}{share:>8}{freezes:>9}",
        kbps(it.up.total()),
        kbps(it.down.total()),
        percent(it.loss),
        kbps(video)
    )
}

/// What all that goes up and down is made of.
fn split(out: &mut dyn Write, outcome: &ConferenceOutcome) -> io::Result<()> {
    writeln!(out)?;
    for is_up in [true, false] {
        let mut all = crate::conference::Rates::default();
        for it in &outcome.participants {
            all += if is_up { it.up } else { it.down };
        }
        let total = all.total().max(f64::MIN_POSITIVE);
        let parts: Vec<String> = all
            .parts()
            .into_iter()
            .filter(|(_, kbps)| *kbps > 0.0)
            .map(|(name, kbps)| format!("{name} {:.2} %", kbps / total * 100.0))
            .collect();
        let way = if is_up { "up" } else { "down" };
        writeln!(out, "{DIM}what goes {way:<5}{DIM:#} {}", parts.join(" · "))?;
    }
    Ok(())
}

fn servers(out: &mut dyn Write, outcome: &ConferenceOutcome) -> io::Result<()> {
    if outcome.servers.is_empty() {
        return Ok(());
    }
    let mixes = outcome.topology == Topology::Mcu;
    let (one, other) = if mixes {
        ("decoded/s", "encoded/s")
    } else {
        ("forward/s", "crypto/s")
    };
    writeln!(
        out,
        "\n{DIM}{:<8}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{one:>12}{other:>12}{DIM:#}",
        "server", "in kbit/s", "out kbit/s", "packets in", "out /s", "streams", "out"
    )?;
    for it in &outcome.servers {
        let (one, other) = if mixes {
            (it.decoded_per_s, it.encoded_per_s)
        } else {
            (it.forwarded_per_s, it.crypto_per_s)
        };
        writeln!(
            out,
            "{BOLD}{:<8}{BOLD:#}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{:>12}{:>12}",
            it.name,
            kbps(it.into.total()),
            kbps(it.out.total()),
            kbps(it.packets_in_per_s),
            kbps(it.packets_out_per_s),
            it.streams_in,
            it.streams_out,
            kbps(one),
            kbps(other)
        )?;
    }
    Ok(())
}

/// Connections, when everybody saw everybody, who lost whom for how long.
fn course(out: &mut dyn Write, plan: &Plan, outcome: &ConferenceOutcome) -> io::Result<()> {
    let connections = outcome.connections;
    write!(out, "\n{connections} connections")?;
    if outcome.turn.relayed_share > 0.0 {
        write!(
            out,
            ", {} of them over TURN, from which {} kbit/s leave",
            percent(outcome.turn.relayed_share),
            kbps(outcome.turn.relayed_kbps)
        )?;
    }
    if outcome.fidelity == Fidelity::Formula {
        return writeln!(out);
    }
    match outcome.all_seen {
        Some(at) => writeln!(
            out,
            "; everybody had everybody after {:.1} s",
            at.as_millis_f64() / 1_000.0
        )?,
        None => writeln!(out, "; {BOLD}not everybody ever had everybody{BOLD:#}")?,
    }
    if !outcome.gaps.is_empty() {
        let lost = quality::time_lost(plan, outcome);
        writeln!(
            out,
            "later, somebody lacked somebody for {:.1} s altogether:",
            lost.as_secs_f64()
        )?;
    }
    for gap in outcome.gaps.iter().take(MOST_GAPS) {
        let source = plan.source(gap.source);
        let (viewer, owner) = (
            &plan.participants()[gap.viewer].name,
            plan.name(source.owner),
        );
        let from = gap.from.as_millis_f64() / 1_000.0;
        let until = gap.to.map_or("to the end".to_owned(), |to| {
            let to = to.as_millis_f64() / 1_000.0;
            format!("to {to:.1} s ({:.1} s)", to - from)
        });
        let what = kind_words(source.kind);
        writeln!(
            out,
            "  {viewer} without {owner}'s {what} from {from:.1} s {until}"
        )?;
    }
    if let Some(more) = outcome.gaps.len().checked_sub(MOST_GAPS + 1) {
        writeln!(out, "  {DIM}and {} gaps more{DIM:#}", more + 1)?;
    }
    for roam in &outcome.roams {
        let name = &plan.participants()[roam.participant].name;
        let after = |again: Option<Time>| match again {
            Some(again) => format!("after {:.2} s", (again - roam.at).as_secs_f64()),
            None => "never".to_owned(),
        };
        writeln!(
            out,
            "{name} changed networks at {:.1} s: had everybody again {}, and everybody had {name} {}",
            roam.at.as_millis_f64() / 1_000.0,
            after(roam.sees_again),
            after(roam.seen_again),
        )?;
    }
    for finding in &outcome.findings {
        writeln!(out, "{BOLD}found:{BOLD:#} {finding}")?;
    }
    Ok(())
}

fn kind_words(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Audio => "sound",
        SourceKind::Camera => "picture",
        SourceKind::Screen => "screen",
    }
}

fn bill(out: &mut dyn Write, prices: &Prices, bill: &Bill) -> io::Result<()> {
    writeln!(
        out,
        "\n{BOLD}A month of {} hours{BOLD:#} {DIM}at {} a GB, {} a server's hour{DIM:#}",
        grouped(prices.hours),
        grouped(prices.per_gb),
        grouped(prices.per_server_hour)
    )?;
    let money = |amount: f64| grouped(format_args!("{amount:.2}"));
    let gigabytes = |gb: f64| {
        if gb < 10.0 {
            format!("{gb:.1} GB")
        } else {
            format!("{} GB", grouped(gb.round() as u64))
        }
    };
    let mut parts = Vec::new();
    for (who, gb, price) in [
        ("servers send", bill.servers_gb, bill.traffic),
        ("TURN sends", bill.turn_gb, bill.turn),
    ] {
        if gb > 0.0 {
            parts.push(format!("{who} {}: {}", gigabytes(gb), money(price)));
        }
    }
    if bill.machines > 0.0 {
        parts.push(format!("machines: {}", money(bill.machines)));
    }
    writeln!(
        out,
        "{} · {BOLD}together {}{BOLD:#}",
        parts.join(" · "),
        money(bill.total())
    )
}

/// A row for each participant, then one for each server; what one of them hasn't is empty.
fn csv(out: &mut dyn Write, held: &Held<'_>) -> io::Result<()> {
    let Held { plan, outcome, .. } = *held;
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "place",
        "name",
        "network",
        "access",
        "region",
        "up_kbps",
        "down_kbps",
        "loss",
        "up_loss",
        "delay_p50_ms",
        "delay_p95_ms",
        "delay_p99_ms",
        "queueing_p50_ms",
        "queueing_p95_ms",
        "queueing_p99_ms",
        "video_kbps",
        "video_share",
        "freezes",
        "packets_in_per_s",
        "packets_out_per_s",
        "streams_in",
        "streams_out",
    ])?;
    for (number, it) in outcome.participants.iter().enumerate() {
        let person = &plan.participants()[number];
        let video = it.received_kbps(|source| plan.source(source).kind.is_video());
        let share = quality::share_of_video(plan, outcome, number);
        let mut row = vec![
            "participant".to_owned(),
            it.name.clone(),
            person.network.to_string(),
            person.access.map_or("none", |it| it.name).to_owned(),
            (person.region + 1).to_string(),
        ];
        let values = [
            it.up.total(),
            it.down.total(),
            it.loss,
            it.up_loss,
            it.delay.p50_ms,
            it.delay.p95_ms,
            it.delay.p99_ms,
            it.queueing.p50_ms,
            it.queueing.p95_ms,
            it.queueing.p99_ms,
            video,
        ];
        row.extend(values.map(|value| document::rounded(value).to_string()));
        row.push(share.map_or(String::new(), |it| document::rounded(it).to_string()));
        row.push(it.freezes().to_string());
        row.extend([const { String::new() }; 4]);
        csv.write_record(row)?;
    }
    for it in &outcome.servers {
        let mut row = vec![
            "server".to_owned(),
            it.name.clone(),
            String::new(),
            String::new(),
            (it.region + 1).to_string(),
            document::rounded(it.out.total()).to_string(),
            document::rounded(it.into.total()).to_string(),
        ];
        row.extend([const { String::new() }; 11]);
        row.push(document::rounded(it.packets_in_per_s).to_string());
        row.push(document::rounded(it.packets_out_per_s).to_string());
        row.push(it.streams_in.to_string());
        row.push(it.streams_out.to_string());
        csv.write_record(row)?;
    }
    csv.flush()
}
