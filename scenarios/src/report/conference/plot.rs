//! A conference second by second (SVG): a panel for each participant, its rates against its link.

use super::topology_words;
use crate::conference::{ConferenceOutcome, Plan, Second};
use crate::report::chart::{Drawing, Limit, Line, Panel, Tone};

/// Panels that a drawing has room for.
const MOST_PANELS: usize = 24;

/// Draws what each participant sent and got, and what it thought it could send. `command` repeats
/// the conference.
pub fn conference_plot(plan: &Plan, outcome: &ConferenceOutcome, command: &str) -> String {
    let all = outcome.participants.len();
    let shown = all.min(MOST_PANELS);
    let whose = if shown < all {
        format!(", the first {shown} of {all} participants")
    } else {
        String::new()
    };
    let (topology, fidelity) = (topology_words(plan.config.topology), outcome.fidelity);
    let panels = (0..shown).map(|number| panel(plan, outcome, number));
    Drawing {
        title: format!(
            "A conference of {all} ({topology}, {fidelity}): what everybody sends and gets, each \
             second{whose}"
        ),
        panels: panels.collect(),
        columns: 2,
        size: (500.0, 260.0),
        command: command.to_owned(),
    }
    .svg()
}

fn panel(plan: &Plan, outcome: &ConferenceOutcome, number: usize) -> Panel {
    let (person, it) = (&plan.participants()[number], &outcome.participants[number]);
    let rates = |of: fn(&Second) -> Option<f64>| -> Vec<(f64, f64)> {
        let seconds = it.seconds.iter().enumerate();
        seconds
            .filter_map(|(second, rates)| Some((second as f64 + 0.5, of(rates)?)))
            .collect()
    };
    let line = |name: &str, tone, points: Vec<(f64, f64)>| {
        let line = Line {
            name: name.to_owned(),
            tone,
            points,
            dotted: false,
        };
        Some(line).filter(|line| !line.points.is_empty())
    };
    let lines = [
        line("up", Tone::Blue, rates(|it| Some(it.up_kbps))),
        line("down", Tone::Green, rates(|it| Some(it.down_kbps))),
        line("estimate", Tone::Orange, rates(|it| it.estimate_kbps)),
    ];
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let (mut limits, mut below_head) = (Vec::new(), "no limit".to_owned());
    if let Some(access) = person.access {
        below_head = format!(
            "{}: {} up, {} down",
            access.name,
            rate(access.up_kbps),
            rate(access.down_kbps)
        );
        for (name, kbps) in [("uplink", access.up_kbps), ("downlink", access.down_kbps)] {
            limits.push(Limit {
                at: f64::from(kbps) / 1_000.0,
                name: format!("{name} {}", rate(kbps)),
            });
        }
    }
    let scaled = |line: Line| Line {
        points: line.points.iter().map(|(x, y)| (*x, y / 1_000.0)).collect(),
        ..line
    };
    let past = Some(plan.config.warmup.as_secs_f64()).filter(|past| *past > 0.0);
    let shaded = past.map_or("", |_| " (shaded: before measuring)");
    Panel {
        head: person.name.clone(),
        below_head,
        x_name: format!("seconds since the start{shaded}"),
        y_name: "Mbit/s".to_owned(),
        x: (0.0, plan.config.until().as_millis_f64() / 1_000.0),
        lines: lines.into_iter().map(scaled).collect(),
        limits,
        past,
        at_least: 0.05,
    }
}

/// A rate as people say it.
pub(in crate::report) fn rate(kbps: u32) -> String {
    if kbps < 1_000 {
        format!("{kbps} kbit/s")
    } else {
        format!("{} Mbit/s", f64::from(kbps) / 1_000.0)
    }
}
