//! Files of the library with one expectation changed by hand: what the binary says must be enough
//! for a student to find out why.

use std::path::{Path, PathBuf};

use pinhole_tests::binary::{pinhole, stdout};

/// A scenario file of the library, one of its lines changed.
struct Broken {
    name: &'static str,
    line: &'static str,
    wrong: &'static str,
    /// What the message must say, beside the place.
    told: &'static [&'static str],
}

const BROKEN: &[Broken] = &[
    Broken {
        name: "symmetric-calls-port-filter",
        line: "path_class = \"relayed\"",
        wrong: "path_class = \"reflexive\"",
        told: &[
            "expect 1, path_class: expected path class reflexive, found relayed",
            "why it must be so: A sends from a port that B's side never sent to",
            // The packet that was dropped, by whom, and why.
            "b.nat drops a's",
            "which a.nat took for this destination",
            "the filter (apdf) looks at ports too",
            // What would have changed it.
            "If b.nat's filter looked at addresses only (adf)",
        ],
    },
    Broken {
        name: "udp-blocked-turn-over-udp-only",
        line: "connected = false",
        wrong: "connected = true",
        told: &[
            "connected: expected a connection, found none",
            "a.firewall",
            "What would have made it work?",
            "Tried: connected after",
        ],
    },
    Broken {
        name: "trickle",
        line: "within_ms = 900",
        wrong: "within_ms = 300",
        told: &[
            "within_ms: expected a connection within 300 ms, found a connection after 710 ms",
            "nobody waits for the slowest server",
            "Data has arrived both ways.",
        ],
    },
    Broken {
        name: "two-homes-one-carrier-hairpinning",
        line: "never = \"relayed\"",
        wrong: "never = \"filtered_by_nat\"",
        told: &[
            "expect 2, never: expected no drop: filtered_by_nat, found 2 × filtered_by_nat at a.nat",
            "a.nat drops b's check to 203.0.113.1",
            "a has sent nothing to",
        ],
    },
    Broken {
        name: "two-homes-one-carrier",
        line: "drops = \"hairpinning_off at carrier.nat\"",
        wrong: "drops = \"hairpinning_off at a.nat\"",
        told: &[
            "drops: expected drops: hairpinning_off at a.nat",
            "hairpinning_off at carrier.nat",
            "carrier.nat",
        ],
    },
    Broken {
        name: "nat-reboots-with-new-address",
        line: "interruption_above_ms = 1000",
        wrong: "interruption_above_ms = 30000",
        told: &[
            "interruption_above_ms: expected an interruption longer than 30000 ms, found",
            "data missing",
            "10000 ms",
            "203.0.113.77",
        ],
    },
    Broken {
        name: "role-conflict",
        line: "role_conflict = \"settled\"",
        wrong: "role_conflict = \"none\"",
        told: &[
            "role_conflict: expected no role conflict, found a settled one",
            "Both sides' checks say that they control",
            "gives way",
        ],
    },
];

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/library/scenarios")
}

/// A text without its line breaks and indentation, in which a sentence can be looked for.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_broken_expectation_is_told_with_its_place_its_reason_and_the_story() {
    let directory = std::env::temp_dir().join(format!("pinhole-broken-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for Broken {
        name,
        line,
        wrong,
        told,
    } in BROKEN
    {
        let text = std::fs::read_to_string(library().join(format!("{name}.toml"))).unwrap();
        let number = 1 + text
            .lines()
            .position(|it| it == *line)
            .unwrap_or_else(|| panic!("{name} has no line {line}"));
        let file = directory.join(format!("{name}.toml"));
        std::fs::write(&file, text.replacen(line, wrong, 1)).unwrap();
        let output = pinhole(["run", &file.display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let out = stdout(&output);
        let place = format!("{}, line {number}: ", file.display());
        let shown = format!("{number} | {wrong}");
        for part in [&place, &shown, "What happened (seed 1"] {
            assert!(out.contains(part), "{name} lacks {part:?}:\n{out}");
        }
        let flat = on_one_line(&out);
        for part in *told {
            assert!(flat.contains(part), "{name} lacks {part:?}:\n{out}");
        }
    }
    // The whole directory: each of them fails, and none hides another.
    let output = pinhole(["test", &directory.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let out = stdout(&output);
    assert!(
        out.ends_with(&format!("0 passed, {} failed\n", BROKEN.len())),
        "{out}"
    );
    for broken in BROKEN {
        assert!(
            out.contains(&format!("FAILED {}", broken.name)),
            "{}",
            broken.name
        );
    }
    // For programs the same is in JSON.
    let output = pinhole([
        "run",
        &directory.join("trickle.toml").display().to_string(),
        "--format",
        "json",
    ]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expectation = &document["scenarios"][0]["expectations"][0];
    assert_eq!(expectation["passed"], false);
    assert_eq!(
        expectation["unmet"][0],
        "expected a connection within 300 ms, found a connection after 710 ms"
    );
    assert!(expectation["lines"][0].as_u64().is_some());
    std::fs::remove_dir_all(&directory).unwrap();
}
