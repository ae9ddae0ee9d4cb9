//! A call with faults as a timeline (SVG): whose data arrived when, over which class of path, what
//! went wrong, and when anybody noticed.
//!
//! Two bars, one for each side's data as it arrives at the other. A bar has the colour of its path's
//! class, and a gap where no data came for longer than [`INTERRUPTION`](crate::call::INTERRUPTION).
//! Below them stands what happened, in order. It is narrow enough for a phone, has its own style,
//! and is dark where the reader's system is.

use std::fmt::Write as _;

use pinhole::Time;

use super::tour::escaped;
use crate::call::{Call, Course, Flow, Milestone, Side};
use crate::explain;

const WIDTH: f64 = 460.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 14.0;
/// Where the first bar begins, how high one is, and how far apart they are.
const TOP: f64 = 56.0;
const BAR: f64 = 20.0;
const STEP: f64 = 34.0;
/// Between two lines of text.
const LINE: f64 = 17.0;
/// The longest line of text, in letters.
const LETTERS: usize = 50;
/// What happened, at most so many lines: a call that goes wrong for an hour is no picture.
const MOST_EVENTS: usize = 14;
/// Distances between the axis' marks, in seconds: the least that leaves few enough of them.
const MARKS: [u32; 9] = [1, 2, 5, 10, 20, 60, 120, 300, 600];

/// Draws a call that had faults; `None` if it had none, and so no course.
pub fn timeline(call: &Call<'_>) -> Option<String> {
    let course = call.outcome.course.as_ref()?;
    let end = call.config.until.as_millis_f64().max(1.0);
    let x = |time: Time| LEFT + (time.as_millis_f64() / end).min(1.0) * (WIDTH - LEFT - RIGHT);
    let mut body = String::new();

    let axis = TOP + STEP + BAR + 8.0;
    let step = MARKS
        .into_iter()
        .find(|step| end / (f64::from(*step) * 1000.0) <= 9.0);
    let step = step.unwrap_or(MARKS[MARKS.len() - 1]);
    for mark in 0..=(end / 1000.0 / f64::from(step)) as u32 {
        let at = x(Time::from_millis(u64::from(mark * step) * 1000));
        let _ = writeln!(
            body,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{axis:.1}\"/>\
             <text class=\"small middle\" x=\"{at:.1}\" y=\"{:.1}\">{} s</text>",
            TOP - 8.0,
            axis + 14.0,
            mark * step
        );
    }
    call.wire.read(|wire| {
        for side in Side::BOTH {
            let top = TOP + STEP * side.index() as f64;
            let name = format!("{} to {}", side.name(), side.other().name());
            let _ = writeln!(
                body,
                "<text class=\"name\" x=\"10\" y=\"{:.1}\">{name}</text>",
                top + 14.0
            );
            bar(&mut body, &wire.flows[side.index()], top, &x);
            gaps(&mut body, course, side, top, (call.config.until, &x));
        }
    });
    let mut happened = happened(call, course);
    for (time, _, is_fault) in &happened {
        let class = if *is_fault { "fault" } else { "event" };
        let _ = writeln!(
            body,
            "<line class=\"{class}\" x1=\"{0:.1}\" y1=\"{1:.1}\" x2=\"{0:.1}\" y2=\"{axis:.1}\"/>",
            x(*time),
            TOP - 18.0
        );
    }
    let more = happened.len().saturating_sub(MOST_EVENTS);
    happened.truncate(MOST_EVENTS);

    let mut y = axis + 40.0;
    for (time, text, is_fault) in &happened {
        let class = if *is_fault { "strong" } else { "plain" };
        let _ = writeln!(
            body,
            "<text class=\"small end\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            LEFT - 6.0,
            seconds(*time)
        );
        for line in super::survey::wrap(text, LETTERS) {
            let _ = writeln!(
                body,
                "<text class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\">{}</text>",
                escaped(&line)
            );
            y += LINE;
        }
    }
    if more > 0 {
        let _ = writeln!(
            body,
            "<text class=\"plain\" x=\"{LEFT}\" y=\"{y:.1}\">and {more} more</text>"
        );
        y += LINE;
    }
    let key = [
        ("direct", 0.0),
        ("reflexive", 74.0),
        ("relayed", 158.0),
        ("gap", 236.0),
    ];
    for (class, shift) in key {
        let words = if class == "gap" { "no data" } else { class };
        let left = LEFT + shift;
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{left}\" y=\"18\" width=\"12\" height=\"12\"/>\
             <text class=\"small\" x=\"{}\" y=\"28\">{words}</text>",
            left + 17.0
        );
    }
    let height = y + 4.0;
    let [a, b] = &call.config.kinds;
    let title = escaped(&format!("How a call between {a} and {b} went on"));
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"timeline\" role=\"img\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" rx=\"8\"/>\n{body}</svg>\n",
        include_str!("timeline.css"),
    ))
}

/// A side's data: from its first arrival to its last, in the colours of its path.
fn bar(body: &mut String, flow: &Flow, top: f64, x: &impl Fn(Time) -> f64) {
    let Some(last) = flow.last_arrival else {
        return;
    };
    for (place, (since, class)) in flow.classes.iter().enumerate() {
        let to = flow.classes.get(place + 1).map_or(last, |next| next.0);
        let _ = writeln!(
            body,
            "<rect class=\"{}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
            class.name(),
            x(*since),
            (x(to) - x(*since)).max(0.5)
        );
    }
}

/// What of it is missing, and for how long.
fn gaps(
    body: &mut String,
    course: &Course,
    side: Side,
    top: f64,
    (end, x): (Time, &impl Fn(Time) -> f64),
) {
    for gap in course.interruptions_of(side) {
        let (from, to) = (x(gap.from), x(gap.to.unwrap_or(end)));
        let _ = writeln!(
            body,
            "<rect class=\"gap\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
            (to - from).max(1.0)
        );
        let words = match gap.length() {
            Some(length) => seconds(Time::ZERO + length),
            None => "to the end".to_owned(),
        };
        // Where there is no room, the list below tells the times.
        if to - from > 7.0 * words.len() as f64 {
            let _ = writeln!(
                body,
                "<text class=\"middle missing\" x=\"{:.1}\" y=\"{:.1}\">{words}</text>",
                (from + to) / 2.0,
                top + 14.5
            );
        }
    }
}

/// What went wrong and what the endpoints did about it, from the first fault on, in order; with
/// whether it is a fault.
fn happened(call: &Call<'_>, course: &Course) -> Vec<(Time, String, bool)> {
    let inflicted = call.net.inflicted();
    let faults = inflicted
        .iter()
        .map(|it| (it.time, explain::fault(call.net, it), true));
    let mut all: Vec<(Time, String, bool)> = faults.collect();
    let first = inflicted.first().map(|it| it.time);
    for (time, side, milestone) in &course.events {
        let what = match milestone {
            Milestone::Selected { .. } => "has selected a pair that works",
            Milestone::Disconnected => "takes its pair for lost",
            Milestone::Failed => "gives up",
            Milestone::NetworkChanged => "sees that its addresses have changed",
            Milestone::AskedForRestart => "asks the other side to restart ICE",
            Milestone::Restarted => "restarts ICE",
            _ => continue,
        };
        if first.is_some_and(|first| *time >= first) {
            all.push((*time, format!("{} {what}", side.name()), false));
        }
    }
    // Where both happen at once, the fault came first.
    all.sort_by_key(|(time, _, is_fault)| (*time, !is_fault));
    all
}

/// `24.5 s`.
fn seconds(time: Time) -> String {
    format!("{:.1} s", time.as_millis_f64() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallConfig, CallFault, Caller};

    fn drawn(faults: Vec<(Time, CallFault)>) -> Option<String> {
        let home = || "nat:eim/apdf".parse().unwrap();
        let config = CallConfig {
            turn: "off".parse().unwrap(),
            faults,
            ..CallConfig::new(home(), home())
        };
        let mut caller = Caller::new();
        timeline(&caller.call(&config).unwrap())
    }

    #[test]
    fn a_gap_and_what_ended_it_are_drawn() {
        let fault = CallFault::Reboot {
            node: "a.nat".to_owned(),
            external: vec!["203.0.113.77".parse().unwrap()],
        };
        let svg = drawn(vec![(Time::from_millis(10_000), fault)]).unwrap();
        for told in [
            "class=\"reflexive\"",
            "class=\"gap\" x=",
            ">24.5 s<",
            "a.nat reboots: its mappings are gone",
            "a takes its pair for lost",
            "a restarts ICE",
        ] {
            assert!(svg.contains(told), "{told}: {svg}");
        }
        let all = [svg.matches("<svg").count(), svg.matches("</svg>").count()];
        assert_eq!(all, [1, 1]);
    }

    #[test]
    fn a_call_that_recovers_at_once_has_no_gap_and_one_without_faults_no_picture() {
        let fault = CallFault::Flush {
            node: "a.nat".to_owned(),
        };
        let svg = drawn(vec![(Time::from_millis(10_000), fault)]).unwrap();
        assert_eq!(svg.matches("class=\"gap\" x=").count(), 1, "the key's own");
        assert_eq!(drawn(Vec::new()), None);
    }
}
