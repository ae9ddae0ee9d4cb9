//! What a device does of what the RFCs ask: requirement, expected, seen, verdict, and the packets
//! that prove it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Color, Style};
use pinhole::topology::Kind;
use serde::Serialize;

use super::style::{BOLD, DIM};
use super::text::wrap;
use super::{Format, print_json};
use crate::check::{Check, Outcome, Proof, Verdict};

/// Prints an examination; with `explain`, the packets under each verdict.
///
/// # Errors
///
/// `out` can't be written to.
pub fn check(
    out: &mut dyn Write,
    format: Format,
    kind: &Kind,
    seed: u64,
    check: &Check,
    explain: bool,
) -> io::Result<()> {
    match format {
        Format::Table => table(out, kind, check, explain),
        Format::Json => print_json(out, &CheckDocument::new(kind, seed, check, explain)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            for outcome in &check.outcomes {
                csv.serialize(CsvRow::new(kind, seed, outcome))?;
            }
            csv.flush()
        }
    }
}

#[derive(Serialize)]
struct CheckDocument {
    nat: String,
    seed: u64,
    passes: bool,
    counts: Counts,
    requirements: Vec<RequirementRow>,
    digest: String,
}

#[derive(Serialize)]
struct Counts {
    pass: usize,
    fail: usize,
    recommended_not_met: usize,
    not_applicable: usize,
}

#[derive(Serialize)]
struct RequirementRow {
    rfc: u16,
    req: &'static str,
    text: &'static str,
    level: &'static str,
    expected: &'static str,
    seen: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<Vec<PacketRow>>,
}

#[derive(Serialize)]
struct PacketRow {
    at_ms: f64,
    sender: String,
    from: String,
    to: String,
    packet: String,
    fate: String,
}

#[derive(Serialize)]
struct CsvRow {
    nat: String,
    seed: u64,
    rfc: u16,
    req: &'static str,
    level: &'static str,
    text: &'static str,
    expected: &'static str,
    seen: String,
    verdict: &'static str,
}

impl CheckDocument {
    fn new(kind: &Kind, seed: u64, check: &Check, explain: bool) -> Self {
        let row = |outcome: &Outcome| RequirementRow {
            rfc: outcome.requirement.rfc,
            req: outcome.requirement.req,
            text: outcome.requirement.text,
            level: outcome.requirement.level.name(),
            expected: outcome.requirement.expected,
            seen: outcome.seen.clone(),
            verdict: outcome.verdict.name(),
            packets: explain.then(|| outcome.packets.iter().map(PacketRow::new).collect()),
        };
        CheckDocument {
            nat: kind.to_string(),
            seed,
            passes: check.passes(),
            counts: Counts {
                pass: check.count(Verdict::Pass),
                fail: check.count(Verdict::Fail),
                recommended_not_met: check.count(Verdict::FallsShort),
                not_applicable: check.count(Verdict::NotApplicable),
            },
            requirements: check.outcomes.iter().map(row).collect(),
            digest: check.digest.to_string(),
        }
    }
}

impl PacketRow {
    fn new(proof: &Proof) -> Self {
        PacketRow {
            at_ms: proof.at.as_millis_f64(),
            sender: proof.sender.clone(),
            from: proof.from.to_string(),
            to: proof.to.to_string(),
            packet: proof.what.clone(),
            fate: proof.fate.clone(),
        }
    }
}

impl CsvRow {
    fn new(kind: &Kind, seed: u64, outcome: &Outcome) -> Self {
        CsvRow {
            nat: kind.to_string(),
            seed,
            rfc: outcome.requirement.rfc,
            req: outcome.requirement.req,
            level: outcome.requirement.level.name(),
            text: outcome.requirement.text,
            expected: outcome.requirement.expected,
            seen: outcome.seen.clone(),
            verdict: outcome.verdict.name(),
        }
    }
}

/// What a verdict looks like: a word of four letters, and a colour.
fn look(verdict: Verdict) -> (&'static str, Style, &'static str) {
    let colour = |colour| Style::new().fg_color(Some(Color::Ansi(colour)));
    match verdict {
        Verdict::Pass => ("pass", colour(AnsiColor::Green), "asked for, and done"),
        Verdict::Fail => (
            "FAIL",
            colour(AnsiColor::Red).bold(),
            "required, and not met",
        ),
        Verdict::FallsShort => (
            "poor",
            colour(AnsiColor::Yellow),
            "recommended, and not met",
        ),
        Verdict::NotApplicable => ("  - ", DIM, "can't be asked of this device"),
    }
}

/// Every verdict, from the best to the worst.
const VERDICTS: [Verdict; 4] = [
    Verdict::Pass,
    Verdict::FallsShort,
    Verdict::Fail,
    Verdict::NotApplicable,
];

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;
/// Columns before the words: verdict and number.
const MARGIN: usize = 20;
/// As many packets are told of under each verdict; JSON has them all.
const MOST_PACKETS: usize = 16;

fn table(out: &mut dyn Write, kind: &Kind, check: &Check, explain: bool) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}What {kind} does of what the RFCs ask of a NAT{BOLD:#}"
    )?;
    let mut rfc = 0;
    for outcome in &check.outcomes {
        let requirement = outcome.requirement;
        if rfc != requirement.rfc {
            rfc = requirement.rfc;
            writeln!(out, "\n{BOLD}RFC {rfc}{BOLD:#}  {DIM}{}{DIM:#}", title(rfc))?;
            if let Some(why) = nothing_asked(check, rfc) {
                writeln!(out, "   -  nothing here can be asked: {why}")?;
            }
        }
        if nothing_asked(check, rfc).is_some() {
            continue;
        }
        row(out, outcome)?;
        if explain {
            packets(out, &outcome.packets)?;
        }
    }
    writeln!(out)?;
    for verdict in VERDICTS {
        let (word, style, meaning) = look(verdict);
        let count = check.count(verdict);
        if count > 0 {
            writeln!(
                out,
                "{count:>4} {style}{word}{style:#}  {DIM}{meaning}{DIM:#}"
            )?;
        }
    }
    writeln!(out, "\n{DIM}digest {}{DIM:#}", check.digest)?;
    if !explain {
        writeln!(
            out,
            "{DIM}which packets prove it? pinhole nat check --nat '{kind}' --explain{DIM:#}"
        )?;
    }
    Ok(())
}

/// Why nothing of an RFC can be asked of this device, if it is one reason for all.
fn nothing_asked(check: &Check, rfc: u16) -> Option<&str> {
    let of_it = || check.outcomes.iter().filter(|it| it.requirement.rfc == rfc);
    let first = &of_it().next()?.seen;
    of_it()
        .all(|it| it.verdict == Verdict::NotApplicable && it.seen == *first)
        .then_some(first.as_str())
}

const fn title(rfc: u16) -> &'static str {
    match rfc {
        4787 => "UDP",
        5382 => "TCP",
        6888 => "carrier-grade NATs",
        _ => "updates to both",
    }
}

fn row(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let requirement = outcome.requirement;
    let (word, style, _) = look(outcome.verdict);
    let number = if requirement.rfc == 7857 {
        format!("§{}", requirement.req)
    } else {
        requirement.req.to_owned()
    };
    let mut head = format!(" {style}{word}{style:#} {number:<13} ");
    for line in wrap(requirement.text, WIDTH - MARGIN) {
        writeln!(out, "{head}{line}")?;
        head = " ".repeat(MARGIN);
    }
    // What can't be asked is not expected either.
    let expected = (outcome.verdict != Verdict::NotApplicable).then_some(requirement.expected);
    let rows = [("expected", expected), ("seen", Some(&*outcome.seen))];
    for (mut label, words) in rows {
        for line in words.map_or(Vec::new(), |words| wrap(words, WIDTH - MARGIN - 10)) {
            writeln!(out, "{:MARGIN$}{DIM}{label:<10}{DIM:#}{line}", "")?;
            label = "";
        }
    }
    Ok(())
}

fn packets(out: &mut dyn Write, packets: &[Proof]) -> io::Result<()> {
    for proof in packets.iter().take(MOST_PACKETS) {
        let at = format!("{:.3} s", proof.at.as_millis_f64() / 1000.0);
        let Proof {
            sender,
            from,
            to,
            what,
            ..
        } = proof;
        writeln!(
            out,
            "{DIM}{at:>16}{DIM:#}      {sender} sends {what}, {from} to {to}:"
        )?;
        for line in wrap(&proof.fate, WIDTH - MARGIN - 2) {
            writeln!(out, "{:MARGIN$}  {DIM}{line}{DIM:#}", "")?;
        }
    }
    if let Some(more) = packets.len().checked_sub(MOST_PACKETS)
        && more > 0
    {
        writeln!(
            out,
            "{:MARGIN$}{DIM}… and {more} packets more, which --format json has{DIM:#}",
            ""
        )?;
    }
    Ok(())
}
