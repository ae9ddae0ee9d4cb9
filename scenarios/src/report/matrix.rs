//! A matrix: who connects to whom, at a glance.

use std::io::{self, Write};

use pinhole::topology::Kind;

use super::json::{CallRow, MatrixDocument};
use super::style::{BOLD, CLASSES, DIM, look};
use super::{Format, print_json};
use crate::call::{CallConfig, PathClass};
use crate::matrix::Matrix;

/// Prints a matrix. `call` is how its calls were made.
///
/// # Errors
///
/// `out` can't be written to.
pub fn matrix(
    out: &mut dyn Write,
    format: Format,
    call: &CallConfig,
    matrix: &Matrix,
) -> io::Result<()> {
    match format {
        Format::Table => table(out, call, matrix),
        Format::Json => print_json(out, &MatrixDocument::new(call, matrix)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(CallRow::HEADER)?;
            for cell in &matrix.cells {
                csv.write_record(CallRow::new(&cell.config, &cell.outcome).record(call.seed))?;
            }
            csv.flush()
        }
    }
}

fn table(out: &mut dyn Write, call: &CallConfig, matrix: &Matrix) -> io::Result<()> {
    let [a, b] = call.stacks;
    let (turn, seed) = (&call.turn, call.seed);
    writeln!(out, "{BOLD}Who connects to whom{BOLD:#}")?;
    writeln!(
        out,
        "{DIM}stacks {a} and {b} · TURN {turn} · seed {seed}{DIM:#}\n"
    )?;
    grid(out, matrix)?;
    writeln!(out)?;
    legend(out, matrix)?;
    if !matrix.complete {
        let tried = matrix.cells.len();
        writeln!(
            out,
            "\nInterrupted: {tried} of {} pairs were tried.",
            pairs(matrix)
        )?;
    }
    let [one, other] = example(matrix);
    writeln!(out, "\n{DIM}digest {}{DIM:#}", matrix.digest)?;
    writeln!(
        out,
        "{DIM}why? pinhole call --a {one} --b {other} --explain{DIM:#}"
    )
}

fn pairs(matrix: &Matrix) -> usize {
    crate::matrix::pair_count(matrix.kinds.len())
}

/// A row for each kind, columns numbered as the rows are.
fn grid(out: &mut dyn Write, matrix: &Matrix) -> io::Result<()> {
    let width = matrix
        .kinds
        .iter()
        .map(|kind| kind.to_string().len())
        .max()
        .unwrap_or(0);
    write!(out, "{:>1$}", "", width + 6)?;
    for column in 1..=matrix.kinds.len() {
        write!(out, "{DIM}{column:>3} {DIM:#}")?;
    }
    writeln!(out)?;
    for (row, kind) in matrix.kinds.iter().enumerate() {
        let name = kind.to_string();
        write!(out, "{DIM}{:>3}{DIM:#}  {name:<width$} ", row + 1)?;
        for column in 0..matrix.kinds.len() {
            match matrix.cell(row, column) {
                Some(cell) => {
                    let look = look(cell.outcome.path_class());
                    write!(out, "{} {:>2} {:#}", look.block, look.letter, look.block)?;
                }
                None => write!(out, "  · ")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn legend(out: &mut dyn Write, matrix: &Matrix) -> io::Result<()> {
    for class in CLASSES {
        let look = look(class);
        let mut times: Vec<f64> = Vec::new();
        let mut count = 0;
        for cell in &matrix.cells {
            if cell.outcome.path_class() == class {
                count += 1;
                times.extend(cell.outcome.connection.map(|it| it.at.as_millis_f64()));
            }
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2);
        let time = median
            .map(|median| format!("median {median:.0} ms"))
            .unwrap_or_default();
        let (block, letter, word, meaning) = (look.block, look.letter, look.word, look.meaning);
        let pairs = if count == 1 { "pair " } else { "pairs" };
        writeln!(
            out,
            "{block} {letter:>2} {block:#} {word:<10}{count:>3} {pairs}  {time:<15}{DIM}{meaning}{DIM:#}"
        )?;
    }
    Ok(())
}

/// A pair worth asking about: one that UDP reaches and that didn't connect, or else one that
/// needed a relay, or else any.
fn example(matrix: &Matrix) -> [Kind; 2] {
    let worth = matrix.cells.iter().max_by_key(|cell| {
        let udp_blocked = cell.config.kinds.iter().any(|kind| !kind.passes_udp());
        match cell.outcome.path_class() {
            None if !udp_blocked => 3,
            Some(PathClass::Relayed) => 2,
            None => 1,
            Some(PathClass::Direct | PathClass::Reflexive) => 0,
        }
    });
    let kinds = worth.map(|cell| cell.config.kinds.clone());
    kinds.unwrap_or_else(|| [matrix.kinds[0].clone(), matrix.kinds[0].clone()])
}
