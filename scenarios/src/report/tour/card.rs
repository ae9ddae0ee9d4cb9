//! The tour at a glance: one drawing (SVG) of the matrix and the populations' shares, to put where
//! people look first. It has a ground of its own, and is legible on a light page and on a dark one.

use std::fmt::Write as _;

use super::Tour;
use super::html::escaped;
use crate::call::PathClass;
use crate::grouped::grouped;
use crate::matrix::Matrix;
use crate::report::style::{CLASSES, look};
use crate::report::text::percent;
use crate::survey::Survey;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 582.0;
const MARGIN: f64 = 32.0;
const TOP: f64 = 128.0;
/// Where the matrix's cells begin, and how far apart they are.
const CELLS: f64 = 172.0;
const CELL: f64 = 25.0;
/// Where the bars begin, and how long they are.
const BARS: f64 = 540.0;
const BAR: f64 = WIDTH - MARGIN - BARS;
/// A part of a bar that is shorter than this has no room for its number.
const ROOM: f64 = 54.0;
/// Where the second column of the key begins, right of its longest line.
const KEYS: f64 = 640.0;

const STYLE: &str = "\
svg{--ground:#fff;--edge:#d5dae1;--ink:#1c2430;--soft:#56606e;--on:#10151c;\
--direct:#7bd19b;--reflexive:#86c3f4;--relayed:#f4c552;--none:#f08f7e;\
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:14px}\
@media(prefers-color-scheme:dark){svg{--ground:#14181e;--edge:#37404b;--ink:#e6eaf0;--soft:#a3adba;\
--direct:#58c384;--reflexive:#6cb2f2;--relayed:#e9b63c;--none:#ee7d69}}\
text{fill:var(--ink)}.soft{fill:var(--soft)}.on{fill:var(--on)}\
.title{font-size:27px;font-weight:700}.head{font-weight:600}.mono{font-size:12.5px;\
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\
.direct{fill:var(--direct)}.reflexive{fill:var(--reflexive)}.relayed{fill:var(--relayed)}\
.none{fill:var(--none)}.ground{fill:var(--ground);stroke:var(--edge)}";

impl Tour {
    /// The drawing. What was not run before an interruption is missing.
    pub fn card(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n\
             <title>Who connects to whom: every kind of network against every other, and the shares \
             of populations’ calls</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"14\"/>\n",
            WIDTH - 1.0,
            HEIGHT - 1.0
        );
        text(&mut svg, "title", MARGIN, 52.0, "Who connects to whom");
        let about =
            "Real ICE stacks on a simulated internet. Every call is counted from its packets.";
        text(&mut svg, "soft", MARGIN, 78.0, about);
        if let Some((_, matrix)) = &self.matrix {
            cells(&mut svg, matrix);
        }
        if !self.populations.is_empty() {
            let head = format!("{} calls of each population", grouped(self.calls));
            text(&mut svg, "head", BARS, TOP - 14.0, &head);
        }
        for (place, beside) in self.populations.iter().enumerate() {
            bar(&mut svg, place as f64, &beside.survey);
        }
        key(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }
}

fn name(class: Option<PathClass>) -> &'static str {
    class.map_or("none", PathClass::name)
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
    );
}

fn middle(svg: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{words}</text>"
    );
}

fn block(svg: &mut String, class: &str, x: f64, y: f64, (width, height): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"3\"/>"
    );
}

/// The matrix, a letter in each cell.
fn cells(svg: &mut String, matrix: &Matrix) {
    for (row, kind) in matrix.kinds.iter().enumerate() {
        let number = (row + 1).to_string();
        let (y, x) = (TOP + CELL * row as f64, CELLS + CELL * row as f64);
        let _ = writeln!(
            svg,
            "<text class=\"mono soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{number}</text>",
            MARGIN + 17.0,
            y + 17.0
        );
        text(svg, "mono", MARGIN + 26.0, y + 17.0, &kind.to_string());
        middle(svg, "mono soft", x + 12.0, TOP - 10.0, &number);
        for column in 0..matrix.kinds.len() {
            let Some(cell) = matrix.cell(row, column) else {
                continue;
            };
            let class = cell.outcome.path_class();
            let x = CELLS + CELL * column as f64;
            block(svg, name(class), x, y, (CELL - 2.0, CELL - 2.0));
            let letter = look(class).letter.to_string();
            middle(svg, "on mono", x + 11.5, y + 16.0, &letter);
        }
    }
}

/// A population's shares, one beside the other.
fn bar(svg: &mut String, place: f64, survey: &Survey) {
    // As high as the matrix's rows, so that both end on one line.
    let y = TOP + place * 40.8;
    text(svg, "mono", BARS, y + 10.0, &survey.config.population.name);
    let mut from = 0.0;
    for class in CLASSES {
        let Some(share) = survey.tally.share(class).filter(|it| it.count > 0) else {
            continue;
        };
        let (x, width) = (BARS + from * BAR, share.share * BAR);
        block(svg, name(class), x, y + 16.0, (width, 19.0));
        if width >= ROOM {
            let words = percent(share.share);
            middle(svg, "on mono", x + width / 2.0, y + 30.0, &words);
        }
        from += share.share;
    }
}

/// What the letters and colours mean.
fn key(svg: &mut String) {
    for (place, class) in CLASSES.into_iter().enumerate() {
        let look = look(class);
        let (row, column) = ((place % 2) as f64, place / 2);
        let x = if column == 0 { MARGIN } else { KEYS };
        let y = HEIGHT - 94.0 + row * 30.0;
        block(svg, name(class), x, y, (23.0, 23.0));
        middle(svg, "on mono", x + 11.5, y + 16.0, &look.letter.to_string());
        let words = format!("{}: {}", look.word, look.meaning);
        text(svg, "", x + 34.0, y + 17.0, &words);
    }
    let line = "cargo run --release -- report --out report";
    let _ = writeln!(
        svg,
        "<text class=\"mono soft\" x=\"{:.1}\" y=\"52\" text-anchor=\"end\">{line}</text>",
        WIDTH - MARGIN
    );
}
