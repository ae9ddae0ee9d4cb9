//! Every exercise of the book is a test, named after its chapter and itself:
//! `cargo test --test exercises nat`. The tests themselves are written by build.rs.

use std::path::Path;

use pinhole_scenarios::report::{meeting_failure, scenario_failure};
use pinhole_scenarios::scenario::{Meeting, Played, Scenario};

fn load(file: &str) -> Played {
    let exercises = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/exercises");
    pinhole_scenarios::scenario::load(&exercises.join(file))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Whether all is as the file expects it, and if not, what happened.
fn run(played: &Played) -> Result<(), String> {
    let (holds, story) = match played {
        Played::Call(scenario) => {
            let ran = scenario.run().unwrap_or_else(|error| panic!("{error}"));
            (ran.holds(), scenario_failure(scenario, &ran))
        }
        Played::Conference(meeting) => {
            let met = meeting.run().unwrap_or_else(|error| panic!("{error}"));
            (met.holds(), meeting_failure(meeting, &met))
        }
    };
    if holds { Ok(()) } else { Err(story) }
}

fn changes_one_of_both(exercise: &Scenario, solution: &Scenario) -> bool {
    exercise.description == solution.description
        && (exercise.call == solution.call || exercise.expectations == solution.expectations)
}

fn changes_one_of_both_in(exercise: &Meeting, solution: &Meeting) -> bool {
    let same_conference =
        exercise.config == solution.config && exercise.fidelity == solution.fidelity;
    exercise.description == solution.description
        && (same_conference || exercise.demands == solution.demands)
}

/// The exercise fails as it stands, its solution passes, and what the reader was not to touch is
/// the same in both: either the call, where a prediction was to be mended, or all that is expected,
/// where the network was.
fn is_solved(chapter: &str, name: &str) {
    let exercise = load(&format!("{chapter}/{name}.toml"));
    let solution = load(&format!("{chapter}/solutions/{name}.toml"));

    assert!(
        run(&exercise).is_err(),
        "the exercise passes: nothing is left to do"
    );
    if let Err(story) = run(&solution) {
        panic!("\n{story}");
    }
    let is_fair = match (&exercise, &solution) {
        (Played::Call(exercise), Played::Call(solution)) => changes_one_of_both(exercise, solution),
        (Played::Conference(exercise), Played::Conference(solution)) => {
            changes_one_of_both_in(exercise, solution)
        }
        _ => false,
    };
    assert!(
        is_fair,
        "the solution changes both what happens and what is expected of it"
    );
}

mod exercises {
    use super::is_solved;

    include!(concat!(env!("OUT_DIR"), "/exercises.rs"));
}
