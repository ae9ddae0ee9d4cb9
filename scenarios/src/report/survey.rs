//! Surveys: shares with their intervals, times, what TURN costs; fits; and the record.

mod against;
mod bars;
mod document;
mod fit;

pub use against::against;
pub(super) use against::beside_it;
pub use bars::bars;
pub use fit::{FitAsked, fit};

use std::io::{self, Write};

use document::SurveyDocument;

use super::style::{BOLD, CLASSES, DIM, look};
use super::text::{self, percent, range};
use super::{Format, print_json};
use crate::call::{PathClass, TurnTransport};
use crate::grouped::grouped;
use crate::survey::{Bitrate, PairCount, Population, Survey, gigabytes};

/// Columns of a table: what every terminal has.
const WIDTH: usize = 80;
/// The longest bar.
const BAR: usize = 30;
/// Pairs of kinds that a table shows.
const PAIRS: usize = 12;

/// Prints what came of a survey.
///
/// # Errors
///
/// `out` can't be written to.
pub fn survey(out: &mut dyn Write, format: Format, survey: &Survey) -> io::Result<()> {
    match format {
        Format::Table => table(out, survey),
        Format::Json => print_json(out, &SurveyDocument::new(survey)),
        Format::Csv => rows(out, survey),
    }
}

/// Prints populations, and what each rests on.
///
/// # Errors
///
/// `out` can't be written to.
pub fn populations(out: &mut dyn Write, format: Format, all: &[Population]) -> io::Result<()> {
    match format {
        Format::Table => {
            for (place, population) in all.iter().enumerate() {
                let mark = if place == 0 { " (default)" } else { "" };
                writeln!(out, "{BOLD}{}{BOLD:#}{DIM}{mark}{DIM:#}", population.name)?;
                for line in wrap(population.basis.as_deref().unwrap_or_default(), WIDTH - 2) {
                    writeln!(out, "  {line}")?;
                }
                for (class, share) in population.classes.iter().zip(population.shares()) {
                    writeln!(
                        out,
                        "  {DIM}{:<24}{:>8}{:>16}{DIM:#}",
                        class.kind.to_string(),
                        percent(share),
                        format!("IPv6 {}", percent(class.ipv6))
                    )?;
                }
                writeln!(
                    out,
                    "  {DIM}on one LAN {}{DIM:#}\n",
                    percent(population.same_lan)
                )?;
            }
            writeln!(
                out,
                "{DIM}survey one: pinhole survey {}{DIM:#}",
                all[0].name
            )
        }
        Format::Json => print_json(out, &document::populations(all)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record([
                "population",
                "class",
                "network",
                "share",
                "ipv6",
                "same_lan",
            ])?;
            for population in all {
                for (class, share) in population.classes.iter().zip(population.shares()) {
                    csv.write_record([
                        &population.name,
                        &class.name,
                        &class.kind.to_string(),
                        &share.to_string(),
                        &class.ipv6.to_string(),
                        &population.same_lan.to_string(),
                    ])?;
                }
            }
            csv.flush()
        }
    }
}

/// Lines of at most so many characters, whatever white space the text has. A number stays with its
/// percent sign.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Vec::new();
    }
    text::wrap(&words.join(" ").replace(" %", "\u{a0}%"), width)
}

/// What else must be said of a survey, so that nobody takes its numbers for what they aren't.
pub(super) fn notes(survey: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    let tally = &survey.tally;
    if tally.stopped() > 0 {
        notes.push(format!(
            "{} calls were stopped at {} packets, in a storm of checks between their stacks, and \
             count as none",
            grouped(tally.stopped()),
            grouped(survey.config.population.call.budget.packets)
        ));
    }
    if tally.panicked() > 0 {
        notes.push(format!(
            "a stack panicked in {} calls",
            grouped(tally.panicked())
        ));
    }
    if !survey.complete {
        notes.push(format!(
            "interrupted: {} of {} calls were made",
            grouped(tally.calls()),
            grouped(survey.config.shard_calls())
        ));
    }
    notes
}

fn stacks(survey: &Survey) -> String {
    let [a, b] = &survey.config.population.stacks;
    if a == b {
        format!("stacks {a}")
    } else {
        format!("stacks {a} and {b}")
    }
}

fn table(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let config = &survey.config;
    let (population, tally) = (&config.population, &survey.tally);
    writeln!(out, "{BOLD}How calls connect: {}{BOLD:#}", population.name)?;
    let shard = match config.shard {
        crate::survey::Shard::WHOLE => String::new(),
        shard => format!(" · shard {shard}"),
    };
    writeln!(
        out,
        "{DIM}{} calls{shard} · {} · TURN {} · seed {}{DIM:#}",
        grouped(tally.calls()),
        stacks(survey),
        population.call.turn,
        config.seed
    )?;
    if let Some(basis) = &population.basis {
        for line in wrap(&format!("rests on: {basis}"), WIDTH) {
            writeln!(out, "{DIM}{line}{DIM:#}")?;
        }
    }
    writeln!(out)?;
    shares(out, survey)?;
    times(out, survey)?;
    cost(out, survey)?;
    pairs(out, survey)?;
    for note in notes(survey) {
        writeln!(out)?;
        for line in wrap(&format!("Note: {note}."), WIDTH) {
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out, "\n{DIM}digest {}{DIM:#}", survey.digest)?;
    if let Some(pair) = most_worth_asking(survey) {
        let [a, b] = pair.kinds.map(|place| &survey.kinds.kinds[place]);
        writeln!(
            out,
            "{DIM}why? pinhole call --a {a} --b {b} --explain{DIM:#}"
        )?;
    }
    Ok(())
}

fn shares(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let tally = &survey.tally;
    for class in CLASSES {
        let look = look(class);
        let (block, letter, word) = (look.block, look.letter, look.word);
        let Some(share) = tally.share(class) else {
            continue;
        };
        let bar = "█".repeat((share.share * BAR as f64).round() as usize);
        writeln!(
            out,
            "{block} {letter:>2} {block:#} {word:<10}{:>8}   {DIM}{:<18}{DIM:#}{bar}",
            percent(share.share),
            range(&share)
        )?;
        if class != Some(PathClass::Relayed) || share.count == 0 {
            continue;
        }
        for transport in TurnTransport::ALL {
            let Some(by) = tally.relayed_by(transport).filter(|by| by.count > 0) else {
                continue;
            };
            writeln!(
                out,
                "       over {:<4}{:>8}   {DIM}{}{DIM:#}",
                transport.name(),
                percent(by.share),
                range(&by)
            )?;
        }
    }
    Ok(())
}

fn times(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let tally = &survey.tally;
    if tally.connect().count() == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "\n{DIM}{:<16}{:>12}{:>12}{:>12}{DIM:#}",
        "connected after", "half", "95 %", "99 %"
    )?;
    let mut line = |name: &str, histogram: &crate::histogram::Histogram| -> io::Result<()> {
        write!(out, "{name:<16}")?;
        for share in [0.5, 0.95, 0.99] {
            let Some(micros) = histogram.quantile(share) else {
                break;
            };
            write!(out, "{:>9.0} ms", micros / 1_000.0)?;
        }
        writeln!(out)
    };
    line("all", tally.connect())?;
    for class in PathClass::ALL {
        let histogram = tally.connect_over(class);
        if histogram.count() > 0 {
            line(class.name(), histogram)?;
        }
    }
    Ok(())
}

fn cost(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let Some(relayed) = survey.tally.share(Some(PathClass::Relayed)) else {
        return Ok(());
    };
    writeln!(
        out,
        "\n{DIM}TURN sends, in GB for 1,000 minutes of such calls{DIM:#}"
    )?;
    for bitrate in &Bitrate::ALL {
        let kbps = grouped(format_args!("{:.0}", bitrate.wire_kbps(false)));
        writeln!(
            out,
            "{:<16}{:>9.2}   {DIM}{:.2} to {:.2}, {kbps} kbit/s each way{DIM:#}",
            bitrate.name,
            gigabytes(relayed.share, bitrate),
            gigabytes(relayed.low, bitrate),
            gigabytes(relayed.high, bitrate),
        )?;
    }
    Ok(())
}

fn pairs(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let mut pairs: Vec<PairCount> = survey.tally.pairs().collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.calls()));
    if pairs.is_empty() {
        return Ok(());
    }
    let kinds: Vec<String> = survey.kinds.kinds.iter().map(ToString::to_string).collect();
    let name = |pair: &PairCount| {
        let [a, b] = pair.kinds.map(|place| &kinds[place]);
        if pair.same_lan {
            format!("one LAN behind {a}")
        } else {
            format!("{a} – {b}")
        }
    };
    let shown = &pairs[..pairs.len().min(PAIRS)];
    let width = shown.iter().map(|pair| name(pair).chars().count()).max();
    let width = width.unwrap_or(0).clamp(16, 38);
    writeln!(
        out,
        "\n{DIM}{:<width$}{:>9}{:>8}{:>8}{:>8}{:>8}{DIM:#}",
        "between", "of calls", "direct", "reflex.", "relayed", "none"
    )?;
    for pair in shown {
        // Several edges in a row may be longer than a line has place for.
        let mut between = name(pair);
        if between.chars().count() > width {
            between = between.chars().take(width - 1).chain(['…']).collect();
        }
        write!(out, "{between:<width$}")?;
        let of_calls = pair.calls() as f64 / survey.tally.calls() as f64;
        write!(out, "{:>9}", percent(of_calls))?;
        for class in CLASSES {
            let share = pair.of(class) as f64 / pair.calls() as f64;
            let cell = if pair.of(class) == 0 {
                "·".to_owned()
            } else {
                format!("{:.0} %", share * 100.0)
            };
            write!(out, "{cell:>8}")?;
        }
        writeln!(out)?;
    }
    if pairs.len() > PAIRS {
        let rest: u64 = pairs[PAIRS..].iter().map(PairCount::calls).sum();
        writeln!(
            out,
            "{DIM}{} other pairs{:>2$}{DIM:#}",
            pairs.len() - PAIRS,
            percent(rest as f64 / survey.tally.calls() as f64),
            (width + 9).saturating_sub(12 + (pairs.len() - PAIRS).to_string().len())
        )?;
    }
    Ok(())
}

/// The pair apart with most calls that didn't go without a relay.
fn most_worth_asking(survey: &Survey) -> Option<PairCount> {
    let apart = survey.tally.pairs().filter(|pair| !pair.same_lan);
    apart.max_by_key(|pair| pair.of(None) + pair.of(Some(PathClass::Relayed)))
}

fn rows(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "population",
        "seed",
        "a",
        "b",
        "same_lan",
        "calls",
        "direct",
        "reflexive",
        "relayed",
        "none",
    ])?;
    for pair in survey.tally.pairs() {
        let [a, b] = pair
            .kinds
            .map(|place| survey.kinds.kinds[place].to_string());
        let mut row = vec![
            survey.config.population.name.clone(),
            survey.config.seed.to_string(),
            a,
            b,
            pair.same_lan.to_string(),
            pair.calls().to_string(),
        ];
        row.extend(CLASSES.map(|class| pair.of(class).to_string()));
        csv.write_record(row)?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensibilities", 5), ["incomprehensibilities"]);
        assert_eq!(wrap("of 50 %", 5), ["of", "50\u{a0}%"]);
        assert!(wrap("", 5).is_empty());
    }
}
