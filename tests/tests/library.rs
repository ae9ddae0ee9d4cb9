//! Every scenario file of the library is a test, named after it: `cargo test --test library nat`.
//! One that fails tells its story. The tests themselves are written by build.rs.

use std::path::{Path, PathBuf};

use pinhole_scenarios::report::{meeting_failure, scenario_failure};
use pinhole_scenarios::scenario::{Played, load, schema};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/library")
}

fn holds(name: &str) {
    let file = library().join("scenarios").join(format!("{name}.toml"));
    match load(&file).unwrap_or_else(|error| panic!("{error}")) {
        Played::Call(scenario) => {
            let ran = scenario.run().unwrap_or_else(|error| panic!("{error}"));
            assert!(ran.holds(), "\n{}", scenario_failure(&scenario, &ran));
        }
        Played::Conference(meeting) => {
            let met = meeting.run().unwrap_or_else(|error| panic!("{error}"));
            assert!(met.holds(), "\n{}", meeting_failure(&meeting, &met));
        }
    }
}

mod scenarios {
    use super::holds;

    include!(concat!(env!("OUT_DIR"), "/library.rs"));
}

/// Written by `pinhole run --schema > scenarios/library/scenario.schema.json`.
#[test]
fn the_schema_in_the_library_is_the_schema() {
    let file = std::fs::read_to_string(library().join("scenario.schema.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(written, schema());
}
