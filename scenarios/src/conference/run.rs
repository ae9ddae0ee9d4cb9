//! A conference, at the fidelity that is asked for, if that can bear it.

use std::time::Duration;

use pinhole::Internet;

use super::config::Fidelity;
use super::flow::{self, FlowError};
use super::formula;
use super::full::{self, FullError};
use super::outcome::ConferenceOutcome;
use super::plan::Plan;
use super::watch::{self, Watch};
use crate::call::CallError;
use crate::grouped::grouped;

/// The longest that a run may be expected to take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Why a conference didn't take place.
#[derive(Debug, thiserror::Error)]
pub enum ConferenceError {
    /// The networks make no sense.
    #[error(transparent)]
    Network(#[from] CallError),
    /// A simulation had spent what it may.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The same of production stacks.
    #[error(transparent)]
    Full(#[from] FullError),
    /// The fidelity isn't for conferences of this size.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// A conference is too large for a fidelity.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "participants: {participants} are too many for --fidelity {fidelity}: {}{} packets a second \
     for {seconds} s would take it about {}; {instead}",
    if *participants > *most {
        format!("it is for {most} at most here; ")
    } else {
        String::new()
    },
    grouped(format_args!("{packets_per_second:.0}")),
    in_words(*takes)
)]
pub struct TooLarge {
    /// What was asked for.
    pub fidelity: Fidelity,
    /// How many take part.
    pub participants: usize,
    /// How many of them the fidelity is for, in a conference like this.
    pub most: usize,
    /// What all send together.
    pub packets_per_second: f64,
    /// How long the conference lasts, in seconds.
    pub seconds: u64,
    /// About how long the run would take.
    pub takes: Duration,
    /// What to do instead.
    pub instead: String,
}

/// Runs a conference.
///
/// # Errors
///
/// It is too large for the fidelity, or its networks make no sense.
pub fn run(plan: &Plan, fidelity: Fidelity) -> Result<ConferenceOutcome, ConferenceError> {
    run_watched(plan, fidelity, &mut watch::to_the_end)
}

/// The same, watched. If the watcher breaks it off, what was measured until the end of that second
/// is the outcome. A formula is over before anybody can look.
///
/// # Errors
///
/// The same; or it was broken off before measuring began.
pub fn run_watched(
    plan: &Plan,
    fidelity: Fidelity,
    watch: &mut Watch<'_>,
) -> Result<ConferenceOutcome, ConferenceError> {
    bears(plan, fidelity)?;
    match fidelity {
        Fidelity::Formula => Ok(formula::run(plan)?),
        Fidelity::Flow => Ok(flow::run_in(&mut Internet::default(), plan, watch)?),
        Fidelity::Full => Ok(full::run_watched(plan, &mut Internet::default(), watch)?),
    }
}

/// Whether a fidelity can bear a conference.
///
/// # Errors
///
/// It is too large; the error says what it would cost, and what to do instead.
pub fn bears(plan: &Plan, fidelity: Fidelity) -> Result<(), TooLarge> {
    let participants = plan.participants().len();
    let Some(most) = most(plan, fidelity) else {
        return Ok(());
    };
    let packets_per_second = formula::packets_per_second(plan);
    let takes = cost(plan, fidelity, packets_per_second);
    if participants <= most && takes <= PATIENCE {
        return Ok(());
    }
    let coarser = Fidelity::ALL.into_iter().find(|other| {
        *other < fidelity
            && self::most(plan, *other).is_none_or(|most| participants <= most)
            && cost(plan, *other, packets_per_second) <= PATIENCE
    });
    let coarser = coarser.unwrap_or(Fidelity::Formula);
    let mut instead = format!("use --fidelity {coarser}");
    if plan.config.topology.selects() && plan.config.last_n.is_none() && fidelity == Fidelity::Flow
    {
        instead += ", or let servers forward the last speakers only, such as --last-n 25";
    }
    Err(TooLarge {
        fidelity,
        participants,
        most,
        packets_per_second,
        seconds: (plan.config.warmup + plan.config.measured).as_secs(),
        takes,
        instead,
    })
}

/// How many participants a fidelity is for; `None` is as many as can be planned.
fn most(plan: &Plan, fidelity: Fidelity) -> Option<usize> {
    match fidelity {
        Fidelity::Full if plan.config.last_n.is_some() => Some(50),
        Fidelity::Full => Some(20),
        Fidelity::Flow => Some(1_000),
        Fidelity::Formula => None,
    }
}

/// About how long a run takes on one core, from what a packet was measured to cost.
pub fn cost(plan: &Plan, fidelity: Fidelity, packets_per_second: f64) -> Duration {
    let seconds = (plan.config.warmup + plan.config.measured).as_secs_f64();
    let micros_per_packet = match fidelity {
        // Its stack looks at every stream of a connection for each packet.
        Fidelity::Full => 5.5 + 0.65 * plan.participants().len() as f64,
        // From 0.8 under a server with 200 people to 4.3 in a mesh of 50, whose trains are short.
        Fidelity::Flow => 3.0,
        Fidelity::Formula => return Duration::ZERO,
    };
    Duration::from_secs_f64(packets_per_second * seconds * micros_per_packet / 1e6)
}

/// A duration as people say it, in one unit.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 90.0 {
        format!("{seconds:.0} seconds")
    } else if seconds < 5_400.0 {
        format!("{:.0} minutes", seconds / 60.0)
    } else if seconds < 172_800.0 {
        format!("{:.0} hours", seconds / 3_600.0)
    } else {
        format!(
            "{} days",
            grouped(format_args!("{:.0}", seconds / 86_400.0))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conference::{ConferenceConfig, Topology};

    fn plan(participants: usize, last_n: usize) -> Plan {
        let config = ConferenceConfig {
            last_n: std::num::NonZeroUsize::new(last_n),
            ..ConferenceConfig::new(Topology::Sfu, participants, None)
        };
        Plan::new(config).unwrap()
    }

    #[test]
    fn too_large_a_conference_is_refused_with_its_cost_and_what_to_do() {
        let error = bears(&plan(200, 0), Fidelity::Full)
            .unwrap_err()
            .to_string();
        for part in ["200", "full", "20 at most", "packets a second", "hours"] {
            assert!(error.contains(part), "{error}");
        }
        let error = bears(&plan(1_001, 4), Fidelity::Flow)
            .unwrap_err()
            .to_string();
        assert!(error.contains("use --fidelity formula"), "{error}");
        // Few enough, and yet too much.
        let error = bears(&plan(700, 0), Fidelity::Flow)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--last-n 25"), "{error}");
    }

    #[test]
    fn what_a_fidelity_is_for_it_bears() {
        for (participants, last_n, fidelity) in [
            (20, 0, Fidelity::Full),
            (50, 8, Fidelity::Full),
            (200, 0, Fidelity::Flow),
            (1_000, 25, Fidelity::Flow),
            (1_500, 4, Fidelity::Formula),
        ] {
            let plan = plan(participants, last_n);
            assert_eq!(bears(&plan, fidelity), Ok(()), "{participants}");
        }
    }

    #[test]
    fn durations_are_said_in_one_unit() {
        let said = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(said(30), "30 seconds");
        assert_eq!(said(600), "10 minutes");
        assert_eq!(said(7_200), "2 hours");
        assert_eq!(said(86_400 * 1_200), "1,200 days");
    }
}
