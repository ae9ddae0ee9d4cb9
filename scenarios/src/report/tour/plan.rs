//! The network that a call happens on, as a drawing (SVG): who stands behind what.
//!
//! A's side is on the left, B's on the right, the internet between them, servers above it, and
//! networks that somebody may roam to below. It is one SVG element with its own style, as a
//! [ladder](crate::report::ladder) is.

use std::fmt::Write as _;

use pinhole::{NodeId, Topology};

use super::html::escaped;
use crate::call::{Call, Side};

/// How wide a letter is, in parts of its size: a little more than in most fonts.
const ADVANCE: f64 = 0.61;
const NAME: f64 = 14.0;
const SMALL: f64 = 12.0;
const LINE: f64 = 17.0;
/// Between a box and the next: room for a link's delay.
const GAP: f64 = 64.0;
const MARGIN: f64 = 12.0;

/// A node's box: its lines, and where it stands.
struct Place {
    node: NodeId,
    lines: Vec<String>,
    column: usize,
    row: usize,
}

/// Draws the network of a call.
pub fn plan(call: &Call<'_>) -> String {
    let topology = call.net.topology();
    let places = places(call, topology);
    let columns = 1 + places.iter().map(|it| it.column).max().unwrap_or(0);
    let rows = 1 + places.iter().map(|it| it.row).max().unwrap_or(0);
    let mut widths = vec![0.0_f64; columns];
    let mut heights = vec![0.0_f64; rows];
    for place in &places {
        let widest = place.lines.iter().map(|line| line.chars().count()).max();
        let width = widest.unwrap_or(0) as f64 * SMALL * ADVANCE + 24.0;
        widths[place.column] = widths[place.column].max(width);
        let height = place.lines.len() as f64 * LINE + 14.0;
        heights[place.row] = heights[place.row].max(height);
    }
    let starts = |sizes: &[f64]| -> (Vec<f64>, f64) {
        let mut at = MARGIN;
        let mut starts = Vec::new();
        for size in sizes {
            starts.push(at);
            at += size + GAP;
        }
        (starts, at - GAP + MARGIN)
    };
    let (lefts, width) = starts(&widths);
    let (tops, height) = starts(&heights);
    let middle = |place: &Place| {
        (
            lefts[place.column] + widths[place.column] / 2.0,
            tops[place.row] + heights[place.row] / 2.0,
        )
    };

    let [a, b] = &call.config.kinds;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plan\" role=\"img\" width=\"{width:.0}\" \
         height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{}</title>\n\
         <style>\n{}</style>\n<rect class=\"paper\" width=\"{width:.0}\" height=\"{height:.0}\" \
         rx=\"8\"/>\n",
        escaped(&format!("The network between {a} and {b}")),
        include_str!("plan.css"),
    );
    let mut delays = String::new();
    for (place, one) in places.iter().enumerate() {
        for other in &places[place + 1..] {
            let Some(link) = topology
                .links_between(one.node, other.node)
                .first()
                .copied()
            else {
                continue;
            };
            let ((x1, y1), (x2, y2)) = (middle(one), middle(other));
            let _ = writeln!(
                svg,
                "<line class=\"link\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
            );
            // In the gap: boxes of one column, or of one row, differ in size.
            let left = (lefts[one.column] + widths[one.column])
                .min(lefts[other.column] + widths[other.column]);
            let top = (tops[one.row] + heights[one.row]).min(tops[other.row] + heights[other.row]);
            let part = if one.column == other.column {
                (top + GAP / 2.0 - y1) / (y2 - y1)
            } else if one.row == other.row {
                (left + GAP / 2.0 - x1) / (x2 - x1)
            } else {
                0.5
            };
            let (x, y) = (x1 + (x2 - x1) * part, y1 + (y2 - y1) * part);
            // Beside an upright line, above any other.
            let (x, y) = if x1 == x2 {
                (x + 24.0, y + 9.0)
            } else {
                (x, y)
            };
            let delay = topology.link_of(link).up.delay.as_secs_f64() * 1_000.0;
            let _ = writeln!(
                delays,
                "<text class=\"delay\" x=\"{x:.1}\" y=\"{:.1}\">{} ms</text>",
                y - 5.0,
                (delay * 10.0).round() / 10.0
            );
        }
    }
    for place in &places {
        let (x, y) = middle(place);
        let (width, height) = (widths[place.column], place.lines.len() as f64 * LINE + 14.0);
        let role = match topology.role(place.node) {
            "host" if call.scene.hosts.contains(&place.node) => "host",
            "host" => "server",
            "router" => "router",
            _ => "edge",
        };
        let _ = writeln!(
            svg,
            "<rect class=\"{role}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"7\"/>",
            x - width / 2.0,
            y - height / 2.0
        );
        for (number, line) in place.lines.iter().enumerate() {
            let class = if number == 0 { "name" } else { "small" };
            let _ = writeln!(
                svg,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y - height / 2.0 + NAME + 5.0 + number as f64 * LINE,
                escaped(line)
            );
        }
    }
    svg.push_str(&delays);
    svg.push_str("</svg>\n");
    svg
}

/// Where everything stands: a column for each edge, rows for servers, the call, and roaming.
fn places(call: &Call<'_>, topology: &Topology) -> Vec<Place> {
    let scene = &call.scene;
    let [a, b] = scene.hosts;
    let [own_a, own_b] = [Side::A, Side::B].map(|side| scene.own_edges(side));
    let around = scene.shared_edges();
    // Where both are behind the same edges, B stands below A.
    let is_shared = !around.is_empty();
    // Servers stand in the row above.
    let row = 1;
    let row_of_b = row + usize::from(is_shared);
    let depth = own_a.len().max(if is_shared { own_b.len() } else { 0 }) + around.len();
    let left = 1 + depth.max(scene.roams_to[0].len());
    let right = scene.roams_to[1]
        .len()
        .max(if is_shared { 0 } else { own_b.len() });
    let mut places = Vec::new();
    let mut put = |node: NodeId, column: usize, row: usize| {
        places.push(Place {
            node,
            lines: lines(topology, node),
            column,
            row,
        });
    };
    put(a, 0, row);
    put(b, if is_shared { 0 } else { left + right + 1 }, row_of_b);
    let mut to_the_left = |edges: &[NodeId], end: usize, row: usize| {
        for (place, edge) in edges.iter().enumerate() {
            put(*edge, end - edges.len() + place, row);
        }
    };
    to_the_left(own_a, left - around.len(), row);
    to_the_left(around, left, row);
    if is_shared {
        to_the_left(own_b, left - around.len(), row_of_b);
    }
    let roaming = row_of_b + 1;
    to_the_left(&scene.roams_to[0], left, roaming);
    let mut to_the_right = |edges: &[NodeId], row: usize| {
        for (place, edge) in edges.iter().enumerate() {
            put(*edge, left + edges.len() - place, row);
        }
    };
    if !is_shared {
        to_the_right(own_b, row);
    }
    to_the_right(&scene.roams_to[1], roaming);
    put(scene.core, left, row);
    put(scene.stun, left, row - 1);
    if let Some(turn) = scene.turn {
        put(turn, left + 1, row - 1);
    }
    places
}

/// What is said of a node: its name, what it is, its addresses.
fn lines(topology: &Topology, node: NodeId) -> Vec<String> {
    let mut lines = vec![topology.name(node).to_owned()];
    if let Some((mapping, filtering)) = topology.nat_behaviour(node) {
        lines.push(format!("NAT {mapping}/{filtering}"));
    } else if let Some(config) = topology.nat64_config(node) {
        lines.push(format!("NAT64 eim/{}", config.filtering));
    } else if !matches!(topology.role(node), "host" | "router") {
        lines.push(topology.role(node).to_owned());
    }
    lines.extend(topology.addresses(node).map(|address| address.to_string()));
    lines
}
