//! How long calls take to connect, as curves (SVG): up to which time, which share of calls.

use std::fmt::Write as _;

use super::html::escaped;
use crate::histogram::Histogram;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 84.0;
/// Marks of the time's axis: in milliseconds, and as they are written.
const MARKS: [(f64, &str); 10] = [
    (50.0, "0.05"),
    (100.0, "0.1"),
    (200.0, "0.2"),
    (500.0, "0.5"),
    (1_000.0, "1"),
    (2_000.0, "2"),
    (5_000.0, "5"),
    (10_000.0, "10"),
    (20_000.0, "20"),
    (50_000.0, "50"),
];

/// A curve: its class in the page's style, and what it shows.
pub(super) struct Curve<'h> {
    pub(super) class: String,
    pub(super) times: &'h Histogram,
    /// What the whole is: the curve ends at the share of it that there are times of.
    pub(super) of: u64,
}

/// Draws curves over one axis. Time is logarithmic.
pub(super) fn curves(title: &str, curves: &[Curve<'_>]) -> String {
    let ends = |share| {
        let all = curves.iter().filter_map(move |it| it.times.quantile(share));
        all.map(|micros| micros / 1_000.0)
    };
    let (least, most) = (
        ends(0.0).fold(f64::INFINITY, f64::min),
        ends(1.0).fold(0.0, f64::max),
    );
    let first = MARKS.iter().rposition(|(at, _)| *at <= least).unwrap_or(0);
    let last = MARKS.iter().position(|(at, _)| *at >= most);
    let last = last.unwrap_or(MARKS.len() - 1).max(first + 1);
    let marks = &MARKS[first..=last];
    let (from, to) = (marks[0].0.ln(), marks[marks.len() - 1].0.ln());
    let x = |millis: f64| {
        let part = ((millis.max(1.0).ln() - from) / (to - from)).clamp(0.0, 1.0);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    };
    let y = |share: f64| HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"curves\" role=\"img\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n<title>{}</title>\n",
        escaped(title)
    );
    for (millis, name) in marks {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{0:.1}\" y1=\"{TOP}\" x2=\"{0:.1}\" y2=\"{1:.1}\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{name}</text>",
            x(*millis),
            y(0.0),
            y(0.0) + 30.0
        );
    }
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\"/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4} %</text>",
            y(share),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(share) + 6.0,
            quarter * 25
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">connected after, in seconds</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0
    );
    for curve in curves {
        let Some(start) = curve.times.quantile(0.0) else {
            continue;
        };
        let part = curve.times.count() as f64 / curve.of as f64;
        let mut path = format!("M{:.1} {:.1}", x(start / 1_000.0), y(0.0));
        for (micros, share) in curve.times.steps() {
            let _ = write!(path, "H{:.1}V{:.1}", x(micros / 1_000.0), y(share * part));
        }
        let _ = write!(path, "H{:.1}", WIDTH - RIGHT);
        let _ = writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", curve.class);
    }
    svg.push_str("</svg>\n");
    svg
}
