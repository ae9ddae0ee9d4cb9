//! `nat check` and `nat presets` through the binary: three formats, exit status, refusals.

use pinhole_tests::binary::{is_refused, pinhole, stderr, stdout};
use serde_json::Value;

fn run(arguments: &str) -> (Option<i32>, String, String) {
    let output = pinhole(arguments.split(' '));
    (output.status.code(), stdout(&output), stderr(&output))
}

fn json(arguments: &str, status: i32) -> Value {
    let (code, out, err) = run(arguments);
    assert_eq!(code, Some(status), "{arguments}: {err}");
    serde_json::from_str(&out).expect("one JSON document and nothing else")
}

fn names(list: &Value) -> Vec<String> {
    let rows = list.as_array().expect("a list").iter();
    rows.map(|row| format!("{} {}", row["rfc"], row["req"].as_str().expect("a name")))
        .collect()
}

#[test]
fn a_check_has_every_field_of_the_contract() {
    let check = json(
        "nat check --nat rfc-compliant --format json --explain --seed 2",
        0,
    );
    assert_eq!(
        (&check["nat"], &check["seed"]),
        (&"rfc-compliant".into(), &2.into())
    );
    assert_eq!(check["passes"], true);
    assert!(check["digest"].as_str().is_some_and(|it| it.len() == 16));
    let requirements = check["requirements"].as_array().expect("requirements");
    assert!(requirements.len() > 50);
    for row in requirements {
        for field in ["req", "text", "level", "expected", "seen", "verdict"] {
            assert!(
                row[field].as_str().is_some_and(|it| !it.is_empty()),
                "{field}: {row}"
            );
        }
        assert!(row["rfc"].is_u64());
        let packets = row["packets"].as_array().expect("packets");
        assert!(
            row["verdict"] == "not-applicable" || !packets.is_empty(),
            "{row}"
        );
        for packet in packets {
            for field in ["sender", "from", "to", "packet", "fate"] {
                assert!(packet[field].is_string(), "{field}: {packet}");
            }
            assert!(packet["at_ms"].is_f64());
        }
    }
    let short = json("nat check --nat rfc-compliant --format json --seed 2", 0);
    assert!(short["requirements"][0].get("packets").is_none());
    assert_eq!(short["digest"], check["digest"]);
}

#[test]
fn a_failed_requirement_is_exit_status_one_and_the_claims_are_the_presets() {
    let check = json("nat check --nat pf --format json", 1);
    assert_eq!(check["passes"], false);
    let failed: Vec<Value> = check["requirements"]
        .as_array()
        .expect("requirements")
        .iter()
        .filter(|row| row["verdict"] == "fail")
        .cloned()
        .collect();
    let presets = json("nat presets pf --format json", 0);
    let preset = &presets["presets"][0];
    assert_eq!(names(&Value::Array(failed)), names(&preset["fails"]));
    assert_eq!(preset["mapping"], "apdm");
    let nat = &preset["gateways"][0]["devices"][0];
    assert_eq!(nat["port_range"], "50001-65535");
    assert_eq!(nat["udp_unanswered_ms"], 30_000);
}

#[test]
fn tables_fit_eighty_columns_and_have_no_colours_where_nobody_sees_them() {
    for (arguments, status, parts) in [
        (
            "nat check --nat home-router",
            1,
            vec!["RFC 4787", "FAIL 5 ", "seen", "digest", "--explain"],
        ),
        (
            "nat check --nat tcp-443-only",
            0,
            vec!["nothing here can be asked"],
        ),
        (
            "nat presets",
            0,
            vec!["home-router", "carrier-grade", "modelled on", "mapping eim"],
        ),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!(code, Some(status), "{arguments}: {err}");
        assert!(!out.contains('\u{1b}'), "{arguments}");
        for part in parts {
            assert!(out.contains(part), "{arguments}: no {part:?} in\n{out}");
        }
        for line in out.lines() {
            assert!(line.chars().count() <= 80, "{arguments}: {line}");
        }
    }
    let (_, story, _) = run("nat check --nat home-router --explain");
    assert!(story.contains("X1 sends UDP") && story.contains("reached Y1 from 203.0.113.1"));
}

#[test]
fn csv_has_a_header_and_a_row_for_each() {
    let rows = |arguments: &str| {
        let (_, out, _) = run(arguments);
        let mut reader = out
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter();
        (reader.next().expect("a header"), reader.count())
    };
    let (header, count) = rows("nat check --nat nat:eim/adf --format csv");
    assert_eq!(header, "nat,seed,rfc,req,level,text,expected,seen,verdict");
    assert!(count > 50);
    let (header, count) = rows("nat presets --format csv");
    assert!(header.starts_with("name,family,summary,modelled_on,sources,certainty,mapping"));
    assert!(count >= 20);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let chain = ["nat:eim/eif"; 9].join(">");
    let nine = format!("nat check --nat {chain}");
    for (arguments, part) in [
        ("nat check --nat home-routr", "home-router"),
        ("nat check --nat ", "nat presets"),
        (nine.as_str(), "9 edges"),
        ("nat check", "--nat"),
        ("nat check --nat pf --hairpin", "nat:M/F"),
        ("nat discover --nat pf --filter-memory mapping", "nat:M/F"),
        ("nat check --nat pf --explain --format csv", "table or json"),
        ("nat presets no-such", "home-router"),
    ] {
        is_refused(&pinhole(arguments.split(' ')), arguments, &[part]);
    }
}
