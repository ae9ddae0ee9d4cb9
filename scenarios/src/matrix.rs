//! Every kind of network against every other.

use std::sync::atomic::{AtomicBool, Ordering};

use pinhole::topology::Kind;
use pinhole::trace::Digest;
use rayon::prelude::*;

use crate::call::{CallConfig, CallError, CallOutcome, Caller};

/// A matrix: which kinds, and how the calls between them are made.
#[derive(Clone, Debug)]
pub struct MatrixConfig {
    /// The kinds, in the order of rows and columns.
    pub kinds: Vec<Kind>,
    /// How every call is made; its kinds don't count. Every call has the same seed, so that
    /// each cell is what the `call` command shows for its pair.
    pub call: CallConfig,
    /// How many calls are made at a time; 0 means as many as there are cores.
    pub jobs: usize,
}

/// One pair of kinds, and what came of its call.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// How the call was made.
    pub config: CallConfig,
    /// What came of it.
    pub outcome: CallOutcome,
}

/// What came of a matrix.
#[derive(Clone, PartialEq, Debug)]
pub struct Matrix {
    /// The kinds, in the order of rows and columns.
    pub kinds: Vec<Kind>,
    /// One cell for every unordered pair, kinds with themselves included, row by row: (0, 0),
    /// (0, 1), … (1, 1), (1, 2), …; fewer if the run was interrupted.
    pub cells: Vec<Cell>,
    /// The digests of all cells, in their order.
    pub digest: Digest,
    /// Whether every pair was tried.
    pub complete: bool,
}

impl Matrix {
    /// The cell of two kinds, by their places in `kinds`, in either order.
    pub fn cell(&self, one: usize, other: usize) -> Option<&Cell> {
        let (a, b) = (&self.kinds[one.min(other)], &self.kinds[one.max(other)]);
        self.cells
            .iter()
            .find(|cell| cell.config.kinds[0] == *a && cell.config.kinds[1] == *b)
    }
}

/// Makes a call for every pair. `done` is called after each call, from any thread; once
/// `interrupted` is set no further call begins.
///
/// # Errors
///
/// A network makes no sense, or a call never came to an end.
///
/// # Panics
///
/// The threads could not be started.
pub fn run(
    config: &MatrixConfig,
    interrupted: &AtomicBool,
    done: impl Fn() + Sync,
) -> Result<Matrix, CallError> {
    let pairs: Vec<CallConfig> = pairs(&config.kinds)
        .map(|kinds| CallConfig {
            kinds,
            ..config.call.clone()
        })
        .collect();
    let call = |caller: &mut Caller, config: &CallConfig| {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let outcome = caller.call(config)?.outcome;
        done();
        Ok(Some(Cell {
            config: config.clone(),
            outcome,
        }))
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.jobs)
        .build();
    let cells: Result<Vec<Option<Cell>>, CallError> = pool
        .expect("threads can be started")
        .install(|| pairs.par_iter().map_init(Caller::new, call).collect());
    let cells: Vec<Cell> = cells?.into_iter().flatten().collect();
    let mut digest = Digest::default();
    for cell in &cells {
        digest.fold(cell.outcome.digest);
    }
    let complete = cells.len() == pairs.len();
    Ok(Matrix {
        kinds: config.kinds.clone(),
        cells,
        digest,
        complete,
    })
}

/// How many calls a matrix of so many kinds takes.
pub fn pair_count(kinds: usize) -> usize {
    kinds * (kinds + 1) / 2
}

fn pairs(kinds: &[Kind]) -> impl Iterator<Item = [Kind; 2]> + '_ {
    let rows = kinds.iter().enumerate();
    rows.flat_map(|(row, a)| kinds[row..].iter().map(move |b| [a.clone(), b.clone()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(jobs: usize) -> MatrixConfig {
        let kinds: [Kind; 3] =
            ["open", "nat:eim/apdf", "udp-blocked"].map(|kind| kind.parse().unwrap());
        let call = CallConfig::new(kinds[0].clone(), kinds[0].clone());
        MatrixConfig {
            kinds: kinds.to_vec(),
            call,
            jobs,
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let go = AtomicBool::new(false);
        let one = run(&config(1), &go, || {}).unwrap();
        let two = run(&config(2), &go, || {}).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.cells.len(), pair_count(3));
        assert!(one.complete);
        assert_eq!(one.cell(1, 0), one.cell(0, 1));
    }

    #[test]
    fn an_interrupted_matrix_keeps_what_it_has() {
        let stop = AtomicBool::new(false);
        let some = run(&config(1), &stop, || stop.store(true, Ordering::Relaxed)).unwrap();
        assert_eq!((some.cells.len(), some.complete), (1, false));
    }
}
