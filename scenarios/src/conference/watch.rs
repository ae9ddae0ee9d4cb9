//! Time passing in a conference, for whoever waits for its end.

use std::ops::ControlFlow;
use std::time::Duration;

use pinhole::{BudgetExceeded, Internet, Time};

use super::config::ConferenceConfig;

/// Is told how far a conference is, every twentieth of a second of its time, and says whether it is
/// to go on.
pub type Watch<'w> = dyn FnMut(Time) -> ControlFlow<()> + 'w;

/// Watches without interest.
pub(super) fn to_the_end(_: Time) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// How much time passes between two looks.
const STEP: Duration = Duration::from_millis(50);
/// Only whole seconds are measured.
const SECOND: u128 = 1_000_000_000;

/// Lets a conference's time pass. Returns how long was measured: less than was asked for if it was
/// stopped, which then waits for the end of a second; `None` if nothing was.
pub(super) fn pass(
    net: &mut Internet,
    config: &ConferenceConfig,
    watch: &mut Watch<'_>,
) -> Result<Option<Duration>, BudgetExceeded> {
    let begin = Time::ZERO + config.warmup;
    let (mut now, mut until) = (Time::ZERO, config.until());
    while now < until {
        now = (now + STEP).min(until);
        net.run_until(now)?;
        if watch(now).is_continue() {
            continue;
        }
        if now <= begin {
            return Ok(None);
        }
        // The second that has begun is measured to its end.
        let seconds = (now - begin).as_nanos().div_ceil(SECOND);
        until = until.min(begin + Duration::from_secs(seconds as u64));
    }
    Ok(Some(until - begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conference::{
        ConferenceConfig, ConferenceError, ConferenceOutcome, Fidelity, Plan, Topology, run,
        run_watched,
    };

    fn plan(measured: u64) -> Plan {
        let config = ConferenceConfig {
            warmup: Duration::from_secs(2),
            measured: Duration::from_secs(measured),
            ..ConferenceConfig::new(Topology::Sfu, 3, None)
        };
        Plan::new(config).unwrap()
    }

    fn stopped_at(stop: Time, fidelity: Fidelity) -> Result<ConferenceOutcome, ConferenceError> {
        run_watched(&plan(60), fidelity, &mut |now| match now < stop {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    }

    #[test]
    fn what_is_stopped_is_as_if_no_more_had_been_asked_for() {
        for fidelity in [Fidelity::Flow, Fidelity::Full] {
            let stopped = stopped_at(Time::from_millis(3_410), fidelity).unwrap();
            assert_eq!(stopped.measured, Duration::from_secs(2));
            let whole = run(&plan(2), fidelity).unwrap();
            assert_eq!(stopped.digest, whole.digest);
            assert_eq!(stopped.packets, whole.packets);
            let rates = |outcome: &ConferenceOutcome| {
                let rates = outcome.participants.iter();
                rates
                    .map(|it| (it.up.total(), it.down.total(), it.delay.p50_ms))
                    .collect::<Vec<_>>()
            };
            assert_eq!(rates(&stopped), rates(&whole));
        }
    }

    #[test]
    fn before_anything_is_measured_there_is_no_outcome() {
        let stopped = stopped_at(Time::from_millis(900), Fidelity::Flow);
        let why = stopped.err().map(|error| error.to_string());
        assert_eq!(
            why.as_deref(),
            Some("it was stopped before measuring began")
        );
    }
}
