//! Every exercise of the book is a test, named after its chapter and itself:
//! `cargo test --test exercises nat`. The tests themselves are written by build.rs.

use std::path::Path;

use pinhole_scenarios::report::scenario_failure;
use pinhole_scenarios::scenario::Scenario;

fn load(file: &str) -> Scenario {
    let exercises = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/exercises");
    Scenario::load(&exercises.join(file)).unwrap_or_else(|error| panic!("{error}"))
}

/// The exercise fails as it stands, its solution passes, and what the reader was not to touch is
/// the same in both: either the call, where a prediction was to be mended, or all that is expected,
/// where the network was.
fn is_solved(chapter: &str, name: &str) {
    let exercise = load(&format!("{chapter}/{name}.toml"));
    let solution = load(&format!("{chapter}/solutions/{name}.toml"));

    let ran = exercise.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(!ran.holds(), "the exercise passes: nothing is left to do");

    let ran = solution.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(ran.holds(), "\n{}", scenario_failure(&solution, &ran));

    assert_eq!(exercise.description, solution.description);
    assert!(
        exercise.call == solution.call || exercise.expectations == solution.expectations,
        "the solution changes both the call and what is expected of it"
    );
}

mod exercises {
    use super::is_solved;

    include!(concat!(env!("OUT_DIR"), "/exercises.rs"));
}
