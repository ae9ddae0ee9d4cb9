//! Which population would make a claim true.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::document::Shares;
use super::{WIDTH, wrap};
use crate::grouped::grouped;
use crate::report::style::{BOLD, CLASSES, DIM, look};
use crate::report::text::{percent, range};
use crate::report::{Format, print_json};
use crate::survey::fit::{self, Answer, Bounds, Contradiction, Fit, Parameters};
use crate::survey::{Survey, Tally};

/// What was asked of the search.
pub struct FitAsked<'a> {
    /// The population that it started from.
    pub base: &'a str,
    /// Where the parameters may go.
    pub bounds: &'a Bounds,
    /// How far each share may be from the claim.
    pub tolerance: f64,
    /// How many calls the search rests on.
    pub table_calls: usize,
}

/// Prints the answers to a claim, each with the survey that was made of it.
///
/// # Errors
///
/// `out` can't be written to.
pub fn fit(
    out: &mut dyn Write,
    format: Format,
    asked: &FitAsked<'_>,
    found: &Fit,
    surveys: &[Survey],
) -> io::Result<()> {
    match format {
        Format::Table => table(out, asked, found, surveys),
        Format::Json => print_json(out, &Document::new(asked, found, surveys)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            let mut header = vec!["claim", "reason"];
            header.extend(Parameters::NAMES);
            header.extend([
                "direct",
                "reflexive",
                "relayed",
                "none",
                "calls",
                "confirmed",
            ]);
            header.push("digest");
            csv.write_record(&header)?;
            for (answer, survey) in found.answers.iter().zip(surveys) {
                let tally = &survey.tally;
                let mut row = vec![found.claim.to_string(), answer.reason.to_owned()];
                row.extend(answer.parameters.values().map(|value| value.to_string()));
                row.extend(CLASSES.map(|class| {
                    let share = tally.share(class);
                    share.map(|it| it.share.to_string()).unwrap_or_default()
                }));
                row.push(tally.calls().to_string());
                let confirmed = fit::confirms(tally, &found.claim, asked.tolerance);
                row.extend([confirmed.to_string(), survey.digest.to_string()]);
                csv.write_record(row)?;
            }
            csv.flush()
        }
    }
}

#[derive(Serialize)]
struct Document<'f> {
    claim: Claimed,
    base: &'f str,
    bounds: BTreeMap<&'static str, String>,
    tolerance: f64,
    exists: bool,
    answers: Vec<AnswerRow<'f>>,
}

#[derive(Serialize)]
struct Claimed {
    direct: f64,
    reflexive: f64,
    relayed: f64,
}

#[derive(Serialize)]
struct AnswerRow<'f> {
    reason: &'f str,
    parameters: BTreeMap<&'static str, f64>,
    distance: f64,
    expected: [f64; crate::survey::CLASSES],
    calls: u64,
    seed: u64,
    shares: Shares,
    confirmed: bool,
    digest: String,
    contradictions: Vec<ContradictionRow<'f>>,
    population: String,
}

#[derive(Serialize)]
struct ContradictionRow<'f> {
    measure: &'static str,
    value: f64,
    published: &'f str,
    of: &'f str,
    source: &'f str,
}

impl<'f> Document<'f> {
    fn new(asked: &FitAsked<'f>, found: &'f Fit, surveys: &[Survey]) -> Self {
        let bounds = Parameters::NAMES.into_iter().zip(asked.bounds);
        let answers = found.answers.iter().zip(surveys);
        Document {
            claim: Claimed {
                direct: found.claim.direct,
                reflexive: found.claim.reflexive,
                relayed: found.claim.relayed,
            },
            base: asked.base,
            bounds: bounds
                .map(|(name, range)| (name, range.to_string()))
                .collect(),
            tolerance: asked.tolerance,
            exists: found.exists,
            answers: answers
                .map(|(answer, survey)| AnswerRow::new(asked, found, answer, survey))
                .collect(),
        }
    }
}

impl<'f> AnswerRow<'f> {
    fn new(asked: &FitAsked<'_>, found: &'f Fit, answer: &'f Answer, survey: &Survey) -> Self {
        let population = &survey.config.population;
        let values = Parameters::NAMES
            .into_iter()
            .zip(answer.parameters.values());
        let row = |it: Contradiction| ContradictionRow {
            measure: it.figure.measure.name(),
            value: it.value,
            published: &it.figure.shown,
            of: &it.figure.population,
            source: &it.figure.source,
        };
        AnswerRow {
            reason: answer.reason,
            parameters: values.collect(),
            distance: answer.distance,
            expected: answer.expected,
            calls: survey.tally.calls(),
            seed: survey.config.seed,
            shares: Shares::of(survey),
            confirmed: fit::confirms(&survey.tally, &found.claim, asked.tolerance),
            digest: survey.digest.to_string(),
            contradictions: fit::contradictions(population, &found.claim)
                .into_iter()
                .map(row)
                .collect(),
            population: population.to_toml(),
        }
    }
}

fn table(
    out: &mut dyn Write,
    asked: &FitAsked<'_>,
    found: &Fit,
    surveys: &[Survey],
) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}Which population would make {} true?{BOLD:#}",
        found.claim
    )?;
    let bounds: Vec<String> = Parameters::NAMES
        .iter()
        .zip(asked.bounds)
        .map(|(name, range)| format!("{} {range}", words(name)))
        .collect();
    let how = format!(
        "base {} · within {} · each share within {} of the claim · {} calls for the search",
        asked.base,
        bounds.join(", "),
        percent(asked.tolerance),
        grouped(asked.table_calls as u64)
    );
    for line in wrap(&how, WIDTH) {
        writeln!(out, "{DIM}{line}{DIM:#}")?;
    }
    if !found.exists {
        let answer = &found.answers[0];
        let none = format!(
            "None within these bounds: the nearest still misses a share by {}.",
            percent(answer.distance)
        );
        writeln!(out)?;
        for line in wrap(&none, WIDTH) {
            writeln!(out, "{BOLD}{line}{BOLD:#}")?;
        }
    }
    for (answer, survey) in found.answers.iter().zip(surveys) {
        writeln!(out, "\n{BOLD}{}{BOLD:#}", capitalised(answer.reason))?;
        for (name, value) in Parameters::NAMES.iter().zip(answer.parameters.values()) {
            writeln!(out, "  {:<36}{:>8}", words(name), percent(value))?;
        }
        confirmation(out, asked, found, survey)?;
        let against = fit::contradictions(&survey.config.population, &found.claim);
        let own = against.iter().filter(|it| !it.is_of_claim());
        contradictions(out, "What has been published speaks against it:", own)?;
    }
    let against = fit::contradictions(&surveys[0].config.population, &found.claim);
    let claims = against.iter().filter(|it| it.is_of_claim());
    writeln!(out)?;
    contradictions(
        out,
        "Whatever the population, what has been published speaks against the claim:",
        claims,
    )?;
    writeln!(
        out,
        "{DIM}No figure has been published of pairs on one LAN. An answer shows what would\n\
         have to be so, not what is.{DIM:#}"
    )
}

fn contradictions<'c>(
    out: &mut dyn Write,
    heading: &str,
    all: impl Iterator<Item = &'c Contradiction>,
) -> io::Result<()> {
    let mut last = None;
    for Contradiction { figure, value } in all {
        if last.is_none() {
            writeln!(out, "  {heading}")?;
        }
        if last != Some(figure.measure) {
            writeln!(
                out,
                "    {} {}; published:",
                figure.measure.words(),
                percent(*value)
            )?;
        }
        last = Some(figure.measure);
        let line = format!(
            "{} ({}) — {}",
            figure.shown, figure.population, figure.source
        );
        for (place, line) in wrap(&line, WIDTH - 8).iter().enumerate() {
            let mark = if place == 0 { "·" } else { " " };
            writeln!(out, "    {DIM}{mark} {line}{DIM:#}")?;
        }
    }
    Ok(())
}

fn confirmation(
    out: &mut dyn Write,
    asked: &FitAsked<'_>,
    found: &Fit,
    survey: &Survey,
) -> io::Result<()> {
    let tally = &survey.tally;
    let confirmed = if fit::confirms(tally, &found.claim, asked.tolerance) {
        "confirmed"
    } else {
        "not confirmed"
    };
    writeln!(
        out,
        "  {DIM}{} calls, seed {}, digest {}:{DIM:#} {confirmed}",
        grouped(tally.calls()),
        survey.config.seed,
        survey.digest
    )?;
    for class in CLASSES {
        let look = look(class);
        let Some(share) = tally.share(class) else {
            continue;
        };
        writeln!(
            out,
            "  {} {:>2} {:#} {:<10}{:>8}   {DIM}{:<18}claimed {}{DIM:#}",
            look.block,
            look.letter,
            look.block,
            look.word,
            percent(share.share),
            range(&share),
            percent(found.claim.shares()[Tally::class_place(class)])
        )?;
    }
    Ok(())
}

fn words(parameter: &str) -> &'static str {
    match parameter {
        "symmetric" => "endpoints behind symmetric NATs",
        "udp_blocked" => "endpoints without UDP",
        "ipv6" => "endpoints with IPv6",
        _ => "pairs on one LAN",
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}
