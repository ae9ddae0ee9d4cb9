//! A comparison's pictures (SVG): uplinks, servers' traffic and quality against the number of people.

use super::{Compared, subtitle};
use crate::conference::Topology;
use crate::conference::compare::Row;
use crate::report::chart::{Drawing, Limit, Line, Panel, Tone};
use crate::report::conference::rate;

/// A picture, and what its file is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plot {
    /// Such as `uplink.svg`.
    pub file: &'static str,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub svg: String,
}

/// Draws a comparison.
pub fn plots(compared: &Compared<'_>) -> Vec<Plot> {
    let base = &compared.config.base;
    let mut limits = Vec::new();
    for participant in &base.participants {
        if let Some(access) = participant.access {
            let limit = Limit {
                at: f64::from(access.up_kbps) / 1_000.0,
                name: format!("{} uplink: {}", access.name, rate(access.up_kbps)),
            };
            if limits.iter().all(|it: &Limit| it.name != limit.name) {
                limits.push(limit);
            }
        }
    }
    let mut plots = vec![
        plot(
            compared,
            "uplink.svg",
            "What each participant sends",
            "Mbit/s",
            limits,
            |row| Some(row.up_kbps / 1_000.0),
        ),
        plot(
            compared,
            "servers.svg",
            "What servers send together",
            "Mbit/s",
            Vec::new(),
            |row| (row.servers > 0).then_some(row.server_out_kbps / 1_000.0),
        ),
    ];
    if base.video.is_some() {
        let full = Limit {
            at: 100.0,
            name: "everything in full quality".to_owned(),
        };
        plots.push(plot(
            compared,
            "quality.svg",
            "How much of the full video reaches people",
            "% of the full rate",
            vec![full],
            |row| Some(row.video_share? * 100.0),
        ));
    }
    plots
}

const fn tone(topology: Topology) -> Tone {
    match topology {
        Topology::Mesh => Tone::Blue,
        Topology::Sfu => Tone::Green,
        Topology::Cascade(_) => Tone::Orange,
        Topology::Mcu => Tone::Violet,
    }
}

fn plot(
    compared: &Compared<'_>,
    file: &'static str,
    title: &str,
    y_name: &str,
    limits: Vec<Limit>,
    value: fn(&Row) -> Option<f64>,
) -> Plot {
    let config = compared.config;
    let lines = config.topologies.iter().filter_map(|topology| {
        let points: Vec<(f64, f64)> = config
            .sizes
            .iter()
            .filter_map(|size| {
                let row = compared.comparison.row(*topology, *size)?;
                Some((*size as f64, value(row)?))
            })
            .collect();
        let line = Line {
            name: topology.to_string(),
            tone: tone(*topology),
            points,
            dotted: true,
        };
        Some(line).filter(|line| !line.points.is_empty())
    });
    let (first, last) = (config.sizes.first(), config.sizes.last());
    let title = format!("{title}, by the number of people");
    let svg = Drawing {
        title: title.clone(),
        panels: vec![Panel {
            head: String::new(),
            below_head: subtitle(compared),
            x_name: "participants".to_owned(),
            y_name: y_name.to_owned(),
            x: (
                first.map_or(2.0, |it| *it as f64),
                last.map_or(3.0, |it| *it as f64),
            ),
            lines: lines.collect(),
            limits,
            past: None,
            at_least: 0.0,
        }],
        columns: 1,
        size: (760.0, 400.0),
        command: compared.command.to_owned(),
    }
    .svg();
    Plot { file, title, svg }
}
