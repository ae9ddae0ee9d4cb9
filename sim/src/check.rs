//! What goes under `cargo test`: a scenario run with several seeds, and a failure that says how to
//! repeat it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The environment variable that names the one seed to run with.
const VARIABLE: &str = "PINHOLE_SEED";

/// The seeds of a run that names none. Always the same: a test that failed yesterday and passes
/// today passes because something was changed.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

/// Runs `scenario` with the seeds 1 to 8, or with the one that the environment variable
/// `PINHOLE_SEED` names. The scenario fails as tests do, by panicking; the message then ends with
/// the line that repeats the failure.
///
/// Two hosts behind NATs greet each other at the same moment. Each greeting leaves a pinhole
/// through which the other comes in:
///
/// ```
/// use std::time::Duration;
/// use pinhole::{Input, Sketch, check};
///
/// check(|seed| {
///     let mut world = Sketch::new();
///     let alice = world.host("alice", "nat:eim/apdf");
///     let bob = world.host("bob", "nat:eim/apdf");
///     let peers = [(alice, world.public(bob, 5000)), (bob, world.public(alice, 5000))];
///     let mut net = world.build(seed);
///     for (host, peer) in peers {
///         net.attach_fn(host, move |_now, input, io| match input {
///             Input::Start => { io.bind(5000).unwrap(); io.send_from(5000, peer, b"hello"); }
///             Input::Datagram(hello) => assert_eq!(hello.remote, peer),
///             _ => {}
///         });
///     }
///     net.run_for(Duration::from_secs(1)).unwrap();
///     assert_eq!(net.trace().counts().delivered, 2);
/// });
/// ```
///
/// With `nat:apdm/apdf` on both sides nothing is delivered, and the test says:
///
/// ```text
/// with seed 1: assertion `left == right` failed
///   left: 0
///  right: 2
/// to repeat it: PINHOLE_SEED=1 cargo test two_hosts_greet_each_other
/// ```
///
/// # Panics
///
/// The scenario panicked, or `PINHOLE_SEED` is no seed.
#[track_caller]
pub fn check(scenario: impl Fn(u64)) {
    let named = std::env::var_os(VARIABLE);
    let named = named.as_ref().map(|value| value.to_string_lossy());
    let seeds = match seeds(named.as_deref()) {
        Ok(seeds) => seeds,
        Err(what_would_be_right) => panic!("{what_would_be_right}"),
    };
    let thread = std::thread::current();
    if let Err(message) = run(seeds, scenario, thread.name()) {
        panic!("{message}");
    }
}

/// The seeds to run with, given the variable's value.
fn seeds(named: Option<&str>) -> Result<Vec<u64>, String> {
    let Some(text) = named else {
        return Ok(SEEDS.collect());
    };
    match text.trim().parse() {
        Ok(seed) => Ok(vec![seed]),
        Err(_) => Err(format!(
            "{VARIABLE} is {text:?}, which is no seed; a seed is a whole number from 0 to {}, as in \
             {VARIABLE}=3 cargo test; without {VARIABLE} the seeds {} to {} are run",
            u64::MAX,
            SEEDS.start(),
            SEEDS.end(),
        )),
    }
}

/// Runs the seeds until one fails, and returns what to say about it. A test's thread is called as
/// the test is.
fn run(seeds: Vec<u64>, scenario: impl Fn(u64), thread: Option<&str>) -> Result<(), String> {
    for seed in seeds {
        // Nothing of the scenario is used again after a panic.
        let outcome = catch_unwind(AssertUnwindSafe(|| scenario(seed)));
        if let Err(panic) = outcome {
            let why = message_of(&*panic);
            let test = match thread {
                // Tests that don't run in parallel run in the main thread.
                None | Some("main") => String::new(),
                Some(test) => format!(" {test}"),
            };
            return Err(format!(
                "with seed {seed}: {why}\nto repeat it: {VARIABLE}={seed} cargo test{test}"
            ));
        }
    }
    Ok(())
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the scenario panicked with something that is no text")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn without_the_variable_the_same_eight_seeds_are_run() {
        assert_eq!(seeds(None), Ok((1..=8).collect()));
        let seen = RefCell::new(Vec::new());
        run(
            seeds(None).unwrap(),
            |seed| seen.borrow_mut().push(seed),
            None,
        )
        .unwrap();
        assert_eq!(seen.into_inner(), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_variable_names_one_seed() {
        assert_eq!(seeds(Some("0")), Ok(vec![0]));
        assert_eq!(
            seeds(Some(" 18446744073709551615 ")),
            Ok(vec![u64::MAX]),
            "a stray blank does no harm"
        );
    }

    #[test]
    fn what_is_no_seed_is_refused_with_what_would_be_right() {
        for text in ["", "three", "-1", "1.5", "18446744073709551616", "1,2"] {
            let error = seeds(Some(text)).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(error.contains("PINHOLE_SEED=3 cargo test"), "{error}");
        }
    }

    #[test]
    fn a_failure_names_the_seed_and_the_line_that_repeats_it() {
        let seen = RefCell::new(Vec::new());
        let scenario = |seed| {
            seen.borrow_mut().push(seed);
            assert!(seed < 3, "nobody answered");
        };
        let message = run(vec![1, 2, 3, 4], scenario, Some("calls::two_peers")).unwrap_err();
        assert_eq!(
            message,
            "with seed 3: nobody answered\nto repeat it: PINHOLE_SEED=3 cargo test calls::two_peers"
        );
        // The first failure ends it.
        assert_eq!(*seen.borrow(), [1, 2, 3]);
        let message = run(vec![7], |_| panic!("no"), Some("main")).unwrap_err();
        assert!(
            message.ends_with("PINHOLE_SEED=7 cargo test"),
            "no test is called main: {message}"
        );
        let odd = |_| std::panic::panic_any(7u8);
        assert!(run(vec![7], odd, None).unwrap_err().contains("no text"));
    }
}
