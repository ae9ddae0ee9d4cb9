//! Crossovers, explained: where a mesh stops, why, and what was seen there.

use std::fmt::Write as _;

use super::Compared;
use crate::conference;
use crate::conference::compare::{Crossover, FARTHEST, Row};
use crate::report::conference::rate;
use crate::report::style::{BOLD, DIM};
use crate::report::text::wrap;

/// Queueing from which on a queue counts as full, in milliseconds: what turns a talk into a radio
/// play.
const QUEUE_FILLS_MS: f64 = 50.0;

/// Columns that sentences have.
const WIDTH: usize = 96;

/// A crossover in sentences.
pub(in crate::report) fn crossover(it: &Crossover) -> String {
    let access = &it.access;
    let link = format!("With {} uplinks of {}", access.name, rate(access.up_kbps));
    let Some(mesh) = &it.mesh else {
        return format!(
            "{link} a mesh bears everything in full quality to N = {FARTHEST} and perhaps beyond."
        );
    };
    let way = if mesh.overload.is_uplink {
        "uplink"
    } else {
        "downlink"
    };
    let alice = conference::name(mesh.overload.participant);
    let capital = alice[..1].to_uppercase() + &alice[1..];
    let asked = format!(
        "{capital}'s {way}, like everybody's, is asked for {}",
        megabits(mesh.overload.needed_kbps)
    );
    let at = mesh.participants;
    let fills = format!(": {capital}'s {way} queue fills.");
    let mut words = if at == 2 {
        format!("{link} a mesh can't even bear two in full quality: {asked}.")
    } else {
        format!("{link} a mesh stops working at N = {at}: {asked}.")
    };
    if let Some(seen) = &it.at {
        match &it.below {
            Some(below) => {
                let _ = write!(
                    words,
                    " Simulated, {} people get {}; {at} get {}",
                    below.participants,
                    got(below),
                    got(seen)
                );
            }
            None => {
                let _ = write!(words, " Simulated, two get {}", got(seen));
            }
        }
        words.push_str(if seen.queueing_p95_ms >= QUEUE_FILLS_MS {
            &fills
        } else {
            ": senders see it coming and give way."
        });
    }
    if let Some(seen) = &it.sfu_at {
        let _ = write!(words, " An SFU of {at} gives {}.", got(seen));
    }
    match &it.sfu {
        None => {
            let _ = write!(
                words,
                " An SFU bears full quality to N = {FARTHEST} and perhaps beyond."
            );
        }
        Some(sfu) if sfu.participants == 2 => {
            words.push_str(" Nor does an SFU bear full quality; its layers make do with less.");
        }
        Some(sfu) => {
            let way = if sfu.overload.is_uplink {
                "uplinks"
            } else {
                "downlinks"
            };
            let _ = write!(
                words,
                " An SFU bears full quality to N = {}; beyond, it is the {way} that are full, and it \
                 forwards smaller layers.",
                sfu.participants - 1
            );
        }
    }
    words
}

/// The crossover of the link that was compared on, if there is one: the answer in a sentence.
pub(in crate::report) fn summary(compared: &Compared<'_>) -> Option<String> {
    let first = compared.config.base.participants.first()?.access?;
    let all = &compared.comparison.crossovers;
    let its = all.iter().find(|it| it.access == first)?;
    Some(crossover(its))
}

fn got(row: &Row) -> String {
    let share = row.video_share.map_or(String::new(), |share| {
        format!("{:.0} % of full video, ", share * 100.0)
    });
    format!(
        "{share}{:.1} freezes a minute, queues of {:.0} ms",
        row.freezes_per_minute, row.queueing_p95_ms
    )
}

fn megabits(kbps: f64) -> String {
    format!("{:.1} Mbit/s", kbps / 1_000.0)
}

/// All crossovers for a terminal: where a mesh breaks at all in sentences, where two are too many
/// in a line each.
pub(super) fn crossovers(compared: &Compared<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let (hopeless, others): (Vec<_>, Vec<_>) = compared
        .comparison
        .crossovers
        .iter()
        .partition(|it| it.mesh.as_ref().is_some_and(|mesh| mesh.participants == 2));
    for it in others {
        let mesh = it.mesh.as_ref();
        let at = mesh.map_or(format!("beyond {FARTHEST}"), |mesh| {
            format!("N = {}", mesh.participants)
        });
        lines.push(format!("{BOLD}{:<12}{at}{BOLD:#}", it.access.name));
        for line in wrap(&crossover(it), WIDTH) {
            lines.push(format!("  {line}"));
        }
    }
    if !hopeless.is_empty() {
        lines.push(format!("{BOLD}not even two in full quality{BOLD:#}"));
    }
    for it in hopeless {
        let share = it.at.as_ref().and_then(|row| row.video_share);
        let seen = share.map_or(String::new(), |share| {
            format!("; two get {:.0} % of full video", share * 100.0)
        });
        lines.push(format!(
            "  {:<20}{DIM}{} up, {} down{seen}{DIM:#}",
            it.access.name,
            rate(it.access.up_kbps),
            rate(it.access.down_kbps)
        ));
    }
    lines
}
