//! `pinhole compare`, through the binary: the table, the crossover, the pictures, and that neither
//! threads nor a second run change anything.

use std::fs;
use std::path::PathBuf;

use pinhole_tests::binary::{document, is_refused, pinhole, stderr, stdout};
use serde_json::Value;

fn json(arguments: &str) -> Value {
    let all = ["compare", "--format", "json"];
    document(&pinhole(all.into_iter().chain(arguments.split(' '))))
}

fn crossover<'c>(compared: &'c Value, access: &str) -> &'c Value {
    let all = compared["crossovers"].as_array().expect("crossovers");
    all.iter()
        .find(|it| it["access"] == access)
        .expect("every profile has one")
}

#[test]
fn sizes_and_topologies_stand_beside_each_other() {
    let compared = json("--participants 2..20 --fidelity formula");
    let rows = compared["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 19 * 4);
    let row = |topology: &str, participants: u64| {
        let is = |row: &&Value| row["topology"] == topology && row["participants"] == participants;
        rows.iter().find(is).expect("the row")
    };
    assert_eq!(row("mesh", 20)["connections"], 190);
    assert_eq!(row("sfu", 20)["connections"], 20);
    let number = |row: &Value, field: &str| row[field].as_f64().expect("a number");
    assert!(number(row("mesh", 20), "video_share") < 0.4);
    assert!(number(row("sfu", 20), "video_share") > 0.99);
    // Twice as many people are four times as many streams from a server that forwards.
    let times =
        number(row("sfu", 20), "server_out_kbps") / number(row("sfu", 10), "server_out_kbps");
    assert!((4.0..4.4).contains(&times), "{times}");
    let mcu = number(row("mcu", 20), "server_out_kbps") / number(row("mcu", 10), "server_out_kbps");
    assert!((1.9..2.1).contains(&mcu), "{mcu}");
}

#[test]
fn the_crossover_is_named_for_each_access_link() {
    let compared = json("--participants 2,3 --fidelity formula");
    assert_eq!(compared["crossovers"].as_array().map(Vec::len), Some(19));
    let cable = crossover(&compared, "cable");
    assert_eq!(cable["mesh"]["participants"], 7);
    assert_eq!(cable["mesh"]["link"], "up");
    let words = cable["words"].as_str().expect("words");
    for part in [
        "cable uplinks of 15 Mbit/s",
        "a mesh stops working at N = 7",
        "Alice's uplink",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(crossover(&compared, "adsl")["mesh"]["participants"], 2);
}

#[test]
fn what_is_computed_is_seen_in_simulations() {
    // LTE bears three in a mesh.
    let compared = json("--participants 2,4 --access lte --seconds 4 --warmup 6");
    assert_eq!(compared["fidelity"], "flow");
    let lte = crossover(&compared, "lte");
    assert_eq!(lte["mesh"]["participants"], 4);
    assert_eq!(lte["mesh_below"]["participants"], 3);
    assert_eq!(lte["mesh_at"]["participants"], 4);
    assert_eq!(lte["sfu_at"]["topology"], "sfu");
    assert!(lte["words"].as_str().expect("words").contains("Simulated"));
    // A crossover beyond what is compared is computed only.
    assert!(crossover(&compared, "cable")["mesh_at"].is_null());
}

#[test]
fn threads_change_nothing() {
    let line = "--participants 2..4 --seconds 2 --warmup 2 --jobs";
    let one = json(&format!("{line} 1"));
    let two = json(&format!("{line} 2"));
    assert_eq!(one, two);
    let other = json(&format!("{line} 2 --seed 2"));
    assert_ne!(one["digest"], other["digest"]);
}

#[test]
fn the_table_and_the_pictures_say_what_they_show() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compare-plots");
    let _ = fs::remove_dir_all(&directory);
    let path = directory.to_str().expect("a path of ours is UTF-8");
    let line = "compare --participants 2..8 --fidelity formula --plot";
    let output = pinhole(line.split(' ').chain([path]));
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    for part in ["up, Mbit/s each", "servers send", "connections", "N = 7"] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= 110), "{widest:?}");
    for (file, part) in [
        ("uplink.svg", "cable uplink: 15 Mbit/s"),
        ("servers.svg", "What servers send together"),
        ("quality.svg", "everything in full quality"),
    ] {
        let text = fs::read_to_string(directory.join(file)).expect("a picture was written");
        let svg = roxmltree::Document::parse(&text).expect("it is well-formed");
        let texts: String = svg.descendants().filter_map(|it| it.text()).collect();
        for part in [part, "participants", "pinhole compare --participants 2..8"] {
            assert!(texts.contains(part), "{file}: no {part:?} in {texts}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (line, parts) in [
        ("--participants 0..5", &["participants: 0"][..]),
        ("--participants 2..1000000", &["at most 10000"]),
        ("--participants 20..2", &["2..20"]),
        ("--participants two", &["--participants", "2..20 is one"]),
        ("--participants 2..3 --access isdn", &["--access", "isdn"]),
        ("--participants 2..3 --last-n 0", &["--last-n"]),
        ("--participants 2..3 --seconds 0", &["--seconds"]),
        (
            "--participants 2,2000",
            &["participants: 2000", "--fidelity formula"],
        ),
        (
            "--participants 2,30 --fidelity full",
            &["participants: 30", "20 at most", "--fidelity flow"],
        ),
    ] {
        let output = pinhole(["compare"].into_iter().chain(line.split(' ')));
        is_refused(&output, line, parts);
    }
}
