//! A survey's shares as a drawing (SVG): a bar for each path class, the relayed one also by
//! transport, and over each bar's end the interval of 95 % as a whisker.
//!
//! It is narrow enough for a phone, and shares its style with the timelines.

use std::fmt::Write as _;

use crate::call::{PathClass, TurnTransport};
use crate::grouped::grouped;
use crate::report::style::{CLASSES, look};
use crate::report::text::{percent, range};
use crate::report::tour::escaped;
use crate::survey::{Interval, Survey};

const WIDTH: f64 = 460.0;
const LEFT: f64 = 88.0;
/// As far as 100 % would reach.
const SPAN: f64 = WIDTH - LEFT - 26.0;
const TOP: f64 = 46.0;
const STEP: f64 = 44.0;
const BAR: f64 = 16.0;

/// Draws what came of a survey.
pub fn bars(survey: &Survey) -> String {
    let tally = &survey.tally;
    let mut rows: Vec<(String, &'static str, Interval)> = Vec::new();
    for class in CLASSES {
        let name = class.map_or("none", PathClass::name);
        rows.extend(
            tally
                .share(class)
                .map(|it| (look(class).word.to_owned(), name, it)),
        );
        if class == Some(PathClass::Relayed) {
            for transport in TurnTransport::ALL {
                let share = tally.relayed_by(transport).filter(|it| it.count > 0);
                rows.extend(share.map(|it| (format!("over {}", transport.name()), name, it)));
            }
        }
    }
    let mut body = String::new();
    let bottom = TOP + STEP * rows.len() as f64;
    for quarter in 0..=4 {
        let at = LEFT + SPAN * f64::from(quarter) / 4.0;
        let _ = writeln!(
            body,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"small middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 14.0,
            if quarter == 4 {
                "100 %".to_owned()
            } else {
                (quarter * 25).to_string()
            }
        );
    }
    for (place, (word, class, share)) in rows.iter().enumerate() {
        let top = TOP + 4.0 + STEP * place as f64;
        let middle = top + BAR / 2.0;
        let (low, high) = (LEFT + SPAN * share.low, LEFT + SPAN * share.high);
        let (from, to) = (middle - 5.0, middle + 5.0);
        let _ = writeln!(
            body,
            "<text class=\"{} end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <line class=\"whisker\" x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\"/>\
             <line class=\"whisker\" x1=\"{low:.1}\" y1=\"{from:.1}\" x2=\"{low:.1}\" y2=\"{to:.1}\"/>\
             <line class=\"whisker\" x1=\"{high:.1}\" y1=\"{from:.1}\" x2=\"{high:.1}\" y2=\"{to:.1}\"/>",
            if word.starts_with("over") {
                "small"
            } else {
                "name"
            },
            LEFT - 8.0,
            middle + 4.0,
            escaped(word),
            SPAN * share.share,
        );
        let _ = writeln!(
            body,
            "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{} ({})</text>",
            LEFT + 4.0,
            top + BAR + 15.0,
            percent(share.share),
            range(share)
        );
    }
    let height = bottom + 24.0;
    let title = format!(
        "{}: {} calls, seed {}",
        survey.config.population.name,
        grouped(tally.calls()),
        survey.config.seed
    );
    let title = escaped(&title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"timeline\" role=\"img\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" rx=\"8\"/>\n\
         <text class=\"name\" x=\"12\" y=\"26\">{title}</text>\n{body}</svg>\n",
        include_str!("../timeline.css"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::call::CallError;
    use crate::survey::{self, Collected, Shard, SurveyConfig, presets};

    #[test]
    fn every_share_that_was_counted_has_a_bar_and_an_interval() {
        let config = SurveyConfig {
            population: presets::named("halkes-2011").unwrap(),
            calls: 200,
            seed: 1,
            shard: Shard::WHOLE,
        };
        let nothing = Collected::nothing(&config);
        let never = AtomicBool::new(false);
        let survey = survey::run(&config, nothing, 1, &never, |_| Ok::<(), CallError>(())).unwrap();
        let svg = bars(&survey);
        // Direct, reflexive, relayed, over udp, none: nobody needs TCP here.
        assert_eq!(svg.matches("<rect class=").count(), 1 + 5);
        assert!(svg.contains(">over udp<") && !svg.contains(">over tcp<"));
        let relayed = survey.tally.share(Some(PathClass::Relayed)).unwrap();
        assert!(svg.contains(&format!("{} ({})", percent(relayed.share), range(&relayed))));
    }
}
