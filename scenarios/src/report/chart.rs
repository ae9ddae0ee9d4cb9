//! Charts (SVG): lines over two axes, each called by its name where it ends, limits as dashed lines.
//!
//! A [`Panel`] is one pair of axes; a [drawing](Drawing) has a title, one or more panels, and the
//! command that repeats it. It stands alone, in light and in dark.

use super::text::wrap;
use std::fmt::Write as _;

use super::tour::escaped;

/// About how wide a letter is, in parts of its size.
const ADVANCE: f64 = 0.56;
const TEXT: f64 = 13.0;
const MARGIN: f64 = 16.0;
const LEFT: f64 = 58.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;

/// What a line's colour and stroke are, so that those who see no colours can tell lines apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    Blue,
    Green,
    Orange,
    Violet,
}

impl Tone {
    const fn classes(self) -> (&'static str, &'static str) {
        match self {
            Tone::Blue => ("blue", ""),
            Tone::Green => ("green", " dashed"),
            Tone::Orange => ("orange", " dotted"),
            Tone::Violet => ("violet", " dashed"),
        }
    }
}

/// A line and its name.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) tone: Tone,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether each point is marked: where there are few, and nothing in between was measured.
    pub(super) dotted: bool,
}

/// A value that can't be surpassed.
pub(super) struct Limit {
    pub(super) at: f64,
    pub(super) name: String,
}

/// One pair of axes, and what is drawn over them.
pub(super) struct Panel {
    pub(super) head: String,
    pub(super) below_head: String,
    pub(super) x_name: String,
    pub(super) y_name: String,
    pub(super) x: (f64, f64),
    pub(super) lines: Vec<Line>,
    pub(super) limits: Vec<Limit>,
    /// Up to where nothing was measured yet.
    pub(super) past: Option<f64>,
    /// The least that the upright axis reaches to.
    pub(super) at_least: f64,
}

/// A title, panels, and the command that repeats them.
pub(super) struct Drawing {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    pub(super) columns: usize,
    /// Each panel's size.
    pub(super) size: (f64, f64),
    /// Empty where the command stands elsewhere.
    pub(super) command: String,
}

impl Drawing {
    /// Draws it.
    pub(super) fn svg(&self) -> String {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let rows = self.panels.len().div_ceil(columns);
        let (wide, high) = self.size;
        let width = MARGIN * 2.0 + wide * columns as f64;
        let mut commands = wrap(&self.command, ((width - 2.0 * MARGIN) / 7.4) as usize);
        commands.retain(|line| !line.is_empty());
        let titles = wrap(&self.title, ((width - 2.0 * MARGIN) / 8.6) as usize);
        let top = MARGIN + titles.len() as f64 * 21.0 + 6.0;
        let foot = commands.len() as f64 * 17.0 + MARGIN;
        let height = top + rows as f64 * high + foot;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" \
             width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
             <title>{}</title>\n<style>\n{}</style>\n<rect class=\"paper\" width=\"{width:.0}\" \
             height=\"{height:.0}\" rx=\"8\"/>\n",
            escaped(&self.title),
            include_str!("chart.css"),
        );
        for (number, line) in titles.iter().enumerate() {
            let y = MARGIN + 14.0 + number as f64 * 21.0;
            let _ = writeln!(
                svg,
                "<text class=\"title\" x=\"{MARGIN}\" y=\"{y:.1}\">{}</text>",
                escaped(line)
            );
        }
        for (place, panel) in self.panels.iter().enumerate() {
            let x = MARGIN + (place % columns) as f64 * wide;
            let y = top + (place / columns) as f64 * high;
            let _ = writeln!(svg, "<g transform=\"translate({x:.1} {y:.1})\">");
            panel.draw(&mut svg, wide, high);
            svg.push_str("</g>\n");
        }
        for (number, line) in commands.iter().enumerate() {
            let y = height - foot + 13.0 + number as f64 * 17.0;
            let prompt = if number == 0 { "$ " } else { "  " };
            let _ = writeln!(
                svg,
                "<text class=\"command\" xml:space=\"preserve\" x=\"{MARGIN}\" y=\"{y:.1}\">{}</text>",
                escaped(&format!("{prompt}{line}"))
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, width: f64, height: f64) {
        let longest = self.lines.iter().map(|line| line.name.chars().count());
        let right = 26.0 + longest.max().unwrap_or(0) as f64 * TEXT * ADVANCE;
        let values = self.lines.iter().flat_map(|line| &line.points);
        let most = values.map(|(_, y)| *y).fold(self.at_least, f64::max);
        // A limit far above everything would press the lines flat.
        let shown = |limit: &&Limit| limit.at <= most * 2.0;
        let limits = self.limits.iter().filter(shown).map(|limit| limit.at);
        let marks = marks(0.0, limits.fold(most, f64::max).max(f64::MIN_POSITIVE));
        let (from, to) = self.x;
        let top_value = marks[marks.len() - 1];
        let x = |value: f64| {
            let part = (value - from) / (to - from).max(f64::MIN_POSITIVE);
            LEFT + part * (width - LEFT - right)
        };
        let y = |value: f64| height - BOTTOM - value / top_value * (height - TOP - BOTTOM - 12.0);
        let (left_edge, right_edge, bottom) = (x(from), x(to), y(0.0));
        let gap = if self.head.is_empty() { "0" } else { "10" };
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"12\"><tspan class=\"head\">{}</tspan><tspan class=\"small\" \
             dx=\"{gap}\">{}</tspan></text>",
            escaped(&self.head),
            escaped(&self.below_head)
        );
        if let Some(past) = self.past {
            let _ = writeln!(
                svg,
                "<rect class=\"past\" x=\"{left_edge:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                 height=\"{:.1}\"/>",
                y(top_value),
                x(past) - left_edge,
                bottom - y(top_value)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"0\" y=\"{:.1}\">{}</text>",
            y(top_value) - 9.0,
            escaped(&self.y_name)
        );
        for mark in &marks {
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left_edge:.1}\" y1=\"{0:.1}\" x2=\"{right_edge:.1}\" \
                 y2=\"{0:.1}\"/><text x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
                y(*mark),
                LEFT - 6.0,
                y(*mark) + 4.5,
                number(*mark)
            );
        }
        for mark in self.x_marks(right_edge - left_edge) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(mark),
                bottom + 17.0,
                number(mark)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (left_edge + right_edge) / 2.0,
            bottom + 34.0,
            escaped(&self.x_name)
        );
        for limit in self.limits.iter().filter(shown) {
            let _ = writeln!(
                svg,
                "<line class=\"limit\" x1=\"{left_edge:.1}\" y1=\"{0:.1}\" x2=\"{right_edge:.1}\" \
                 y2=\"{0:.1}\"/><text class=\"limit-name small\" text-anchor=\"end\" x=\"{1:.1}\" \
                 y=\"{2:.1}\">{3}</text>",
                y(limit.at),
                right_edge - 4.0,
                y(limit.at) - 5.0,
                escaped(&limit.name)
            );
        }
        for line in &self.lines {
            let (tone, stroke) = line.tone.classes();
            let mut path = String::new();
            for (place, (at, value)) in line.points.iter().enumerate() {
                let letter = if place == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", x(*at), y(*value));
            }
            let _ = writeln!(svg, "<path class=\"line {tone}{stroke}\" d=\"{path}\"/>");
            if line.dotted {
                for (at, value) in &line.points {
                    let _ = writeln!(
                        svg,
                        "<circle class=\"dot {tone}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\"/>",
                        x(*at),
                        y(*value)
                    );
                }
            }
        }
        self.names(svg, &y, right_edge + 8.0, bottom);
    }

    /// The lines' names where they end, moved apart where they would stand on each other.
    fn names(&self, svg: &mut String, y: &dyn Fn(f64) -> f64, x: f64, bottom: f64) {
        let mut names: Vec<(f64, &Line)> = self
            .lines
            .iter()
            .filter_map(|line| Some((y(line.points.last()?.1) + 4.5, line)))
            .collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        for place in 1..names.len() {
            names[place].0 = names[place].0.max(names[place - 1].0 + 15.0);
        }
        // What was pushed below the axis pushes the others up again.
        let mut lowest = bottom + 6.0;
        for (at, _) in names.iter_mut().rev() {
            *at = at.min(lowest);
            lowest = *at - 15.0;
        }
        for (at, line) in names {
            let _ = writeln!(
                svg,
                "<text class=\"name {}\" x=\"{x:.1}\" y=\"{at:.1}\">{}</text>",
                line.tone.classes().0,
                escaped(&line.name)
            );
        }
    }

    fn x_marks(&self, width: f64) -> Vec<f64> {
        let (from, to) = self.x;
        let mut step = step((to - from) / (width / 48.0).clamp(2.0, 12.0));
        // Seconds and people come in whole numbers.
        step = step.max(1.0);
        let first = (from / step).ceil() as i64;
        let last = (to / step).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter();
    let mut steps = times.map(|times| times * power);
    steps
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// Marks from `from` up to the first at or above `to`, about five of them.
fn marks(from: f64, to: f64) -> Vec<f64> {
    let step = step((to - from) / 5.0);
    let last = (to / step - 1e-6).ceil().max(1.0) as i64;
    let first = (from / step).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// A number as axes have it: no more digits than needed.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_marked_at_round_numbers() {
        let marked = |to| -> Vec<String> { marks(0.0, to).into_iter().map(number).collect() };
        assert_eq!(marked(15_000.0).last().unwrap(), "15000");
        assert_eq!(marked(0.93), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(marked(7.0), ["0", "2", "4", "6", "8"]);
    }

    #[test]
    fn a_drawing_is_xml_and_says_what_it_shows() {
        let line = |name: &str, tone, value| Line {
            name: name.to_owned(),
            tone,
            points: vec![(0.0, value), (9.0, value)],
            dotted: true,
        };
        let drawing = Drawing {
            title: "Up & down <fast>".to_owned(),
            panels: vec![Panel {
                head: "alice".to_owned(),
                below_head: "cable".to_owned(),
                x_name: "seconds".to_owned(),
                y_name: "kbit/s".to_owned(),
                x: (0.0, 9.0),
                lines: vec![
                    line("up", Tone::Blue, 4.0),
                    line("down", Tone::Green, 4.0),
                    line("estimate", Tone::Orange, 0.0),
                ],
                limits: vec![Limit {
                    at: 5.0,
                    name: "the link".to_owned(),
                }],
                past: Some(3.0),
                at_least: 0.0,
            }],
            columns: 2,
            size: (400.0, 240.0),
            command: "pinhole conference --with \"bob: access=adsl\"".to_owned(),
        };
        let svg = drawing.svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name("text") || node.has_tag_name("tspan"))
            .filter_map(|node| node.text())
            .collect();
        for text in ["Up & down <fast>", "alice", "seconds", "kbit/s", "the link"] {
            assert!(texts.contains(&text), "{texts:?}");
        }
        // Names that would stand on each other don't.
        let names = document.descendants().filter(|node| {
            let class = node.attribute("class");
            class.is_some_and(|class| class.starts_with("name"))
        });
        let mut heights: Vec<f64> = names
            .map(|node| node.attribute("y").unwrap().parse().unwrap())
            .collect();
        heights.sort_by(f64::total_cmp);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] > 14.0));
    }
}
