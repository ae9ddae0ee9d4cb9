//! What people see of `pinhole::check` when a scenario fails under `cargo test`: this binary runs
//! itself, with and without `PINHOLE_SEED`.

use std::process::Command;

/// Not a test of its own: the tests below run it in a process of its own.
#[test]
#[ignore = "fails on purpose"]
fn scenario_that_fails_from_seed_three_on() {
    pinhole::check(|seed| {
        println!("seed {seed} was run");
        assert!(seed < 3, "nobody answered");
    });
}

/// Runs the scenario above; returns whether it passed, and all that was printed.
fn run(seed: Option<&str>) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "scenario_that_fails_from_seed_three_on",
    ]);
    // A backtrace would name every file.
    command.env("RUST_BACKTRACE", "0");
    match seed {
        Some(seed) => command.env("PINHOLE_SEED", seed),
        None => command.env_remove("PINHOLE_SEED"),
    };
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_failure_says_how_to_repeat_it() {
    let (passed, text) = run(None);
    assert!(!passed);
    let line = "to repeat it: PINHOLE_SEED=3 cargo test scenario_that_fails_from_seed_three_on";
    assert!(text.contains("with seed 3: nobody answered"), "{text}");
    assert!(text.contains(line), "{text}");
    assert!(text.contains("seed 1 was run") && !text.contains("seed 4 was run"));
    // The failure is reported at the caller's line, not somewhere in the library.
    assert!(!text.contains("sim/src/check.rs"), "{text}");
}

#[test]
fn the_line_repeats_it_and_nothing_else() {
    let (passed, text) = run(Some("3"));
    assert!(!passed);
    assert!(
        text.contains("seed 3 was run") && !text.contains("seed 1 was run"),
        "{text}"
    );
    let (passed, _) = run(Some("2"));
    assert!(passed);
}

#[test]
fn a_seed_that_is_none_is_refused_with_what_would_be_right() {
    let (passed, text) = run(Some("three"));
    assert!(!passed);
    assert!(text.contains("\"three\", which is no seed"), "{text}");
    assert!(text.contains("PINHOLE_SEED=3 cargo test"), "{text}");
    assert!(!text.contains("was run"), "{text}");
}
