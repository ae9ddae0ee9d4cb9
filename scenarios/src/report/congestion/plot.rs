//! Curves of the cases (SVG): rates beside what the bottleneck carries, and below them what waits in
//! its queue. One picture, which follows the reader's choice of light or dark.

use std::fmt::Write as _;

use crate::congestion::cases::{CaseOutcome, FlowSeries, LOG_INTERVAL};

const WIDTH: f64 = 820.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TITLE: f64 = 52.0;
const RATES: f64 = 180.0;
const BETWEEN: f64 = 22.0;
const QUEUES: f64 = 80.0;
const BOTTOM: f64 = 46.0;
const CASE: f64 = TITLE + RATES + BETWEEN + QUEUES + BOTTOM;

const STYLE: &str = "\
svg{--ink:#1c2530;--soft:#5b6875;--grid:#d9dfe5;--paper:#fff;--cap:#8a96a3;\
--f0:#0b62c4;--f1:#c2410c;--f2:#15803d;--f3:#8b2fc9;--f4:#a16207}\n\
@media (prefers-color-scheme:dark){svg{--ink:#e6ebf0;--soft:#9aa7b4;--grid:#2c3640;--paper:#12181f;\
--cap:#7b8794;--f0:#66adff;--f1:#ff9560;--f2:#5fd58a;--f3:#cf92ff;--f4:#e6be4a}}\n\
.paper{fill:var(--paper)}text{fill:var(--soft);font:13px system-ui,sans-serif}\
.title{fill:var(--ink);font-weight:600;font-size:16px}\
.grid{stroke:var(--grid);stroke-width:1}\
path{fill:none;stroke-width:1.8;stroke-linejoin:round}\
.cap{stroke:var(--cap);stroke-width:2.4;stroke-dasharray:7 4}.back{stroke-dasharray:2 4}\
.f0{stroke:var(--f0)}.f1{stroke:var(--f1)}.f2{stroke:var(--f2)}.f3{stroke:var(--f3)}\
.f4{stroke:var(--f4)}";

/// How many looks flows have.
const LOOKS: usize = 5;

/// Draws cases, one below the other.
pub fn plot(outcomes: &[CaseOutcome]) -> String {
    let height = CASE * outcomes.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title>Congestion control in the cases of RFC 8867</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    for (place, outcome) in outcomes.iter().enumerate() {
        case(&mut svg, outcome, CASE * place as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A step for about so many marks up to `most`, that people count in.
fn step(most: f64, marks: f64) -> f64 {
    let rough = most / marks;
    let power = 10.0_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

/// A panel: where its axes stand, and what they show.
struct Panel {
    top: f64,
    height: f64,
    seconds: f64,
    most: f64,
}

impl Panel {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value / self.most).clamp(0.0, 1.0))
    }

    fn axes(&self, svg: &mut String, unit: &str, marks: f64, with_time: bool) {
        let each = step(self.most, marks);
        let mut value = 0.0;
        while value <= self.most + 1e-9 {
            let y = self.y(value);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 7.0,
                y + 4.5
            );
            value += each;
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{unit}</text>",
            LEFT + 5.0,
            self.top + 12.0
        );
        if !with_time {
            return;
        }
        let each = step(self.seconds, 10.0);
        let mut second = 0.0;
        while second <= self.seconds + 1e-9 {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second}{}</text>",
                self.x(second).min(WIDTH - RIGHT - 6.0),
                self.top + self.height + 19.0,
                if second == 0.0 { " s" } else { "" }
            );
            second += each;
        }
    }

    /// A line through what is known; it is interrupted where nothing is.
    fn line(
        &self,
        svg: &mut String,
        class: &str,
        values: impl Iterator<Item = (f64, Option<f64>)>,
    ) {
        let mut path = String::new();
        let mut drawn = false;
        for (second, value) in values {
            let Some(value) = value else {
                drawn = false;
                continue;
            };
            let command = if drawn { 'L' } else { 'M' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(second), self.y(value));
            drawn = true;
        }
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
    }
}

/// Samples in means of one second: what the eye can follow.
fn seconds(
    flow: &FlowSeries,
    value: impl Fn(&crate::congestion::cases::Sample) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let chunks = flow.samples.chunks(5);
    chunks
        .map(|chunk| {
            let known: Vec<f64> = chunk.iter().filter_map(&value).collect();
            let span = LOG_INTERVAL.as_secs_f64() * chunk.len() as f64;
            let middle = chunk[0].from.as_millis_f64() / 1_000.0 + span / 2.0;
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            (middle, (!known.is_empty()).then_some(mean))
        })
        .collect()
}

fn case(svg: &mut String, outcome: &CaseOutcome, top: f64) {
    let case = &outcome.case;
    let verdict = outcome.verdict();
    let unmet = verdict.criteria.iter().filter(|it| !it.met);
    let unmet: Vec<&str> = unmet.map(|it| it.name).collect();
    let word = if unmet.is_empty() {
        "met".to_owned()
    } else {
        format!("not met: {}", unmet.join(", "))
    };
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{LEFT}\" y=\"{:.1}\">{} {}</text>",
        top + 26.0,
        case.section,
        case.title
    );
    let mut x = LEFT;
    let y = top + 44.0;
    let mut key = |svg: &mut String, class: &str, word: &str| {
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{x:.1} {:.1}h24\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{word}</text>",
            y - 4.5,
            x + 29.0
        );
        x += 29.0 + 7.2 * word.len() as f64 + 16.0;
    };
    let both_ways = case.flows.iter().any(|flow| flow.backward);
    key(svg, "cap", if both_ways { "forward" } else { "capacity" });
    if both_ways {
        key(svg, "cap back", "backward");
    }
    for (place, flow) in outcome.flows.iter().enumerate() {
        key(svg, &format!("f{}", place % LOOKS), &flow.name);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}: {word}</text>",
        WIDTH - RIGHT,
        outcome.contender
    );

    let whole = case.duration.as_secs_f64();
    let steps = case.forward.iter().chain(&case.backward);
    let capacity = steps.map(|step| step.bps as f64 / 1e6).fold(0.0, f64::max);
    let rates = Panel {
        top: top + TITLE,
        height: RATES,
        seconds: whole,
        most: capacity * 1.1,
    };
    rates.axes(svg, "Mbit/s", 5.0, false);
    for backward in [false, true] {
        if backward && !both_ways {
            continue;
        }
        let steps = case.steps(backward);
        let mut path = String::new();
        for (place, step) in steps.iter().enumerate() {
            let from = rates.x(step.at.as_millis_f64() / 1_000.0);
            let y = rates.y(step.bps as f64 / 1e6);
            let begin = if place == 0 {
                format!("M{from:.1} {y:.1}")
            } else {
                format!("H{from:.1}V{y:.1}")
            };
            path.push_str(&begin);
        }
        let class = if backward { "cap back" } else { "cap" };
        let end = rates.x(whole);
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}H{end:.1}\"/>");
    }
    for (place, flow) in outcome.flows.iter().enumerate() {
        let values = seconds(flow, |it| Some(it.received_kbps / 1_000.0));
        rates.line(svg, &format!("f{}", place % LOOKS), values.into_iter());
    }

    let waits = outcome.flows.iter().flat_map(|flow| &flow.samples);
    let longest = waits.filter_map(|it| it.queueing_ms).fold(50.0, f64::max);
    let queues = Panel {
        top: top + TITLE + RATES + BETWEEN,
        height: QUEUES,
        seconds: whole,
        most: longest,
    };
    queues.axes(svg, "ms of queueing and jitter", 3.0, true);
    for (place, flow) in outcome.flows.iter().enumerate() {
        let values = seconds(flow, |it| it.queueing_ms);
        queues.line(svg, &format!("f{}", place % LOOKS), values.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::cases::{Case, GoogCc, run};

    #[test]
    fn every_flow_and_every_capacity_is_drawn() {
        let outcomes = ["5.3", "5.4"].map(|section| {
            run(&Case::of(section).expect("a case"), &GoogCc, 1).expect("it comes to an end")
        });
        let svg = plot(&outcomes);
        let document = roxmltree::Document::parse(&svg).expect("it is XML");
        let count = |class: &str| {
            let paths = document.descendants();
            paths
                .filter(|it| it.attribute("class") == Some(class))
                .count()
        };
        // Rate, queue and key of each flow: the first two are in both cases.
        assert_eq!([count("f0"), count("f1"), count("f2")], [6, 6, 3]);
        // The line and its key.
        assert_eq!([count("cap"), count("cap back")], [4, 2]);
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(step(2.75, 5.0), 1.0);
        assert_eq!(step(300.0, 10.0), 50.0);
    }
}
