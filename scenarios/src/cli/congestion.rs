//! `pinhole congestion`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::output::{stdout, write_file};
use super::{Done, Everywhere, Failure};
use crate::congestion::cases::{Case, CaseOutcome, contender, run as run_case};
use crate::report;

#[derive(Args)]
pub(super) struct CongestionArgs {
    /// The cases of RFC 8867 to run, by section, separated by commas [default: all there are]
    #[arg(long = "case", value_name = "5.1,…", value_delimiter = ',')]
    cases: Vec<String>,
    /// The controller under test
    #[arg(long, value_name = "NAME", default_value = "goog-cc")]
    controller: String,
    /// A drawing of rates and queues over time (SVG)
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub(super) fn run(args: &CongestionArgs, everywhere: Everywhere) -> Result<Done, Failure> {
    let cases = if args.cases.is_empty() {
        Case::all()
    } else {
        let cases = args.cases.iter().map(|section| Case::of(section));
        cases
            .collect::<Result<_, _>>()
            .map_err(|error| format!("--case: {error}"))?
    };
    let contender =
        contender(&args.controller).map_err(|error| format!("--controller: {error}"))?;
    let outcomes = cases
        .iter()
        .map(|case| run_case(case, &*contender, everywhere.seed))
        .collect::<Result<Vec<CaseOutcome>, _>>()?;
    if let Some(path) = &args.plot {
        let plot = report::congestion_plot(&outcomes);
        write_file(path, |file| file.write_all(plot.as_bytes()))?;
    }
    let mut out = stdout();
    report::congestion(&mut out, everywhere.format, everywhere.seed, &outcomes)?;
    out.flush()?;
    Ok(Done::Well)
}
