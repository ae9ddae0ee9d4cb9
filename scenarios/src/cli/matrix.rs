//! `pinhole matrix`.

use std::io::Write as _;

use clap::Args;
use pinhole::topology::Kind;

use super::options::{CallOptions, Jobs};
use super::output::stdout;
use super::progress::{self, Bar};
use super::survey::interruption;
use super::{Done, Everywhere, Failure};
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

    let interrupted = interruption()?;
    let pairs = pair_count(config.kinds.len()) as u64;
    let bar = Bar::new(pairs, 0, progress::calls());
    let matrix = matrix::run(&config, &interrupted, || bar.step(1))?;
    bar.finish();

    let mut out = stdout();
    report::matrix(&mut out, everywhere.format, &config.call, &matrix)?;
    out.flush()?;
    Ok(if matrix.complete {
        Done::Well
    } else {
        Done::Interrupted
    })
}
