//! `pinhole matrix`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use pinhole::topology::Kind;

use super::options::{CallOptions, Jobs};
use super::output::stdout;
use super::{Done, Everywhere, Failure, progress};
use crate::matrix::{self, MatrixConfig, pair_count};
use crate::report;

#[derive(Args)]
pub(super) struct MatrixArgs {
    /// The kinds of network, separated by commas [default: the thirteen basic ones]
    #[arg(long, value_name = "KIND,KIND,…", value_delimiter = ',')]
    kinds: Vec<Kind>,
    #[command(flatten)]
    options: CallOptions,
    #[command(flatten)]
    jobs: Jobs,
}

pub(super) fn run(args: &MatrixArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let kinds = if args.kinds.is_empty() {
        Kind::all()
    } else {
        args.kinds.clone()
    };
    if let Some(twice) = (1..kinds.len()).find(|place| kinds[..*place].contains(&kinds[*place])) {
        return Err(format!("--kinds names {} twice", kinds[twice]).into());
    }
    let call = args
        .options
        .config([kinds[0].clone(), kinds[0].clone()], everywhere.seed);
    let jobs = args.jobs.get();
    let config = MatrixConfig { kinds, call, jobs };

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
    let progress = Progress::new(pair_count(config.kinds.len()));
    let matrix = matrix::run(&config, &interrupted, || progress.step())?;
    progress.finish();

    let mut out = stdout();
    report::matrix(&mut out, everywhere.format, &config.call, &matrix)?;
    out.flush()?;
    Ok(if matrix.complete {
        Done::Well
    } else {
        Done::Interrupted
    })
}

/// A bar on standard error, if that is a terminal and the run takes long enough to wonder.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    steps: AtomicUsize,
}

/// Runs shorter than this need no bar.
const PATIENCE: Duration = Duration::from_secs(1);

impl Progress {
    fn new(steps: usize) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(steps as u64)
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(progress::calls());
        Progress {
            bar,
            begun: Instant::now(),
            steps: AtomicUsize::new(0),
        }
    }

    fn step(&self) {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if self.begun.elapsed() >= PATIENCE {
            self.bar.set_position(steps as u64);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
