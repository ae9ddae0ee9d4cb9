//! One call's outcome.

use std::io::{self, Write};

use pinhole::Time;

use super::json::CallRow;
use super::style::{BOLD, DIM, look};
use super::{Format, print_json};
use crate::call::{CallConfig, CallOutcome, Neighbourhood, Side};

/// Prints a call's outcome. A story, if there is one, becomes part of a JSON document; elsewhere
/// it is for the caller to print.
///
/// # Errors
///
/// `out` can't be written to.
pub fn call(
    out: &mut dyn Write,
    format: Format,
    config: &CallConfig,
    outcome: &CallOutcome,
    story: Option<Vec<String>>,
) -> io::Result<()> {
    match format {
        Format::Table => table(out, config, outcome),
        Format::Json => {
            let row = CallRow::new(config, outcome)
                .with_seed(config.seed)
                .with_story(story);
            print_json(out, &row)
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(CallRow::HEADER)?;
            csv.write_record(CallRow::new(config, outcome).record(config.seed))?;
            csv.flush()
        }
    }
}

/// `466 ms`, `30.97 s`: in the unit that people would choose.
fn readable(time: Time) -> String {
    let (number, unit) = match time.as_millis_f64() {
        millis if millis < 10_000.0 => (format!("{millis:.1}"), "ms"),
        millis => (format!("{:.2}", millis / 1000.0), "s"),
    };
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {unit}")
}

fn table(out: &mut dyn Write, config: &CallConfig, outcome: &CallOutcome) -> io::Result<()> {
    let [a, b] = &config.kinds;
    let place = match &config.neighbourhood {
        Neighbourhood::Apart => format!("{a} calls {b}"),
        Neighbourhood::SameLan => format!("two hosts on one network behind {a}"),
        Neighbourhood::IsolatedLan => format!("two isolated hosts on one network behind {a}"),
        Neighbourhood::SharedCarrier(carrier) => {
            format!("{a} calls {b}, both behind one {carrier}")
        }
    };
    writeln!(out, "{BOLD}{place}{BOLD:#}")?;
    let [stack_a, stack_b] = config.stacks;
    let (turn, seed) = (&config.turn, config.seed);
    writeln!(
        out,
        "{DIM}stacks {stack_a} and {stack_b} · TURN {turn} · seed {seed}{DIM:#}\n"
    )?;

    let class = look(outcome.path_class());
    let block = class.block;
    let line = |out: &mut dyn Write, name: &str, value: &str| writeln!(out, "{name:<12}{value}");
    match &outcome.connection {
        Some(connection) => {
            let after = readable(connection.at);
            let over = connection
                .relay_transport
                .map(|transport| format!(" over {}", transport.name()))
                .unwrap_or_default();
            let word = class.word;
            writeln!(
                out,
                "{:<12}{block} {word} {block:#}{over} after {after}",
                "connected"
            )?;
            for side in Side::BOTH {
                let types = connection.types[side.index()];
                let (local, remote) = (types.local.token(), types.remote.token());
                let text = format!("from its {local} address to the other's {remote} address");
                line(out, &format!("{} sends", side.name()), &text)?;
            }
        }
        None => {
            let when = match outcome.failed_at {
                Some(at) => format!("both stacks gave up by {}", readable(at)),
                None => format!("no data both ways by {}", readable(config.until)),
            };
            writeln!(
                out,
                "{:<12}{block} {} {block:#} {when}",
                "connected", class.word
            )?;
        }
    }
    for finding in &outcome.findings {
        let (side, stack) = (finding.side.name(), finding.stack);
        line(
            out,
            "finding",
            &format!("{side}'s stack {stack} panicked: {}", finding.panic),
        )?;
    }
    let counts = outcome.packets;
    let mut packets = format!(
        "{} sent, {} delivered, {} dropped",
        counts.sent, counts.delivered, counts.dropped
    );
    if counts.duplicated > 0 {
        packets += &format!(", {} duplicated", counts.duplicated);
    }
    if counts.in_flight > 0 {
        packets += &format!(", {} under way", counts.in_flight);
    }
    line(out, "packets", &packets)?;
    for (place, drop) in outcome.drops.iter().enumerate() {
        let name = if place == 0 { "dropped" } else { "" };
        line(
            out,
            name,
            &format!("{:>3} × {} at {}", drop.count, drop.reason, drop.place),
        )?;
    }
    line(out, "digest", &outcome.digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_that_people_would_choose() {
        let said = |millis| readable(Time::from_millis(millis));
        assert_eq!(said(0), "0 ms");
        assert_eq!(said(460), "460 ms");
        assert_eq!(said(30_972), "30.97 s");
        assert_eq!(said(45_000), "45 s");
    }
}
