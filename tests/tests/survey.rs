//! `pinhole survey`, through the binary: what it prints, that no thread, shard or interruption
//! changes it, and how it refuses.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use pinhole_tests::binary::{document, is_refused, pinhole, stderr, stdout};
use serde_json::Value;

/// A directory of this test's own, empty.
fn directory(test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("survey-{test}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a directory can be made");
    path
}

fn survey(arguments: &str) -> Output {
    pinhole(["survey"].into_iter().chain(arguments.split_whitespace()))
}

#[track_caller]
fn json(arguments: &str) -> Value {
    document(&survey(&format!("{arguments} --format json")))
}

#[track_caller]
fn refused(arguments: &str, parts: &[&str]) {
    is_refused(&survey(arguments), arguments, parts);
}

#[test]
fn a_survey_has_every_field_of_the_contract() {
    let survey = json("global-2026 --calls 300 --seed 3");
    assert_eq!(survey["population"], "global-2026");
    assert_eq!(survey["calls"], 300);
    assert_eq!(survey["seed"], 3);
    let mut sum = 0.0;
    for class in ["direct", "reflexive", "relayed", "none"] {
        let number = |field: &str| survey["shares"][class][field].as_f64().expect("a number");
        assert!(number("low") <= number("share") && number("share") <= number("high"));
        sum += number("share");
    }
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    assert!(survey["relayed_by_transport"]["udp"]["share"].is_number());
    let times = &survey["connect_ms"];
    let curve = times["curve"].as_array().expect("steps");
    let steps: Vec<[f64; 2]> = curve
        .iter()
        .map(|step| [0, 1].map(|place| step[place].as_f64().expect("a number")))
        .collect();
    assert!(steps.len() > 20 && steps.len() <= 201, "{}", steps.len());
    assert!(steps.is_sorted_by(|a, b| a[0] < b[0] && a[1] < b[1]));
    assert_eq!(steps[steps.len() - 1][1], 1.0);
    // The median is where the curve passes one half.
    let half = steps.iter().find(|step| step[1] >= 0.5).expect("it does");
    let median = times["p50"].as_f64().expect("a number");
    assert!((half[0] - median).abs() <= 0.02 * median, "{half:?}");
    let time = |name: &str| times[name].as_f64().expect("a time");
    assert!(100.0 < time("p50") && time("p50") < time("p95") && time("p95") <= time("p99"));
    let pairs = survey["by_pair"].as_array().expect("pairs");
    let calls: u64 = pairs.iter().filter_map(|pair| pair["calls"].as_u64()).sum();
    assert_eq!(calls, 300);
    assert!(
        pairs
            .iter()
            .all(|pair| pair["a"].is_string() && pair["b"].is_string())
    );
    assert!(pairs[0]["path_class"]["direct"]["share"].is_number());
    assert_eq!(survey["digest"].as_str().map(str::len), Some(16));
}

#[test]
fn threads_shards_and_interruptions_change_nothing() {
    let directory = directory("same");
    let file = |name: &str| directory.join(name).display().to_string();
    let what = "mobile-cgn --calls 450 --seed 9";
    let whole = json(&format!("{what} --jobs 1 --out {}", file("whole")));
    assert_eq!(json(&format!("{what} --jobs 2")), whole);

    let mut shards = Vec::new();
    for number in [2, 4, 1, 3] {
        let path = file(&format!("shard{number}"));
        let part = json(&format!("{what} --shard {number}/4 --out {path}"));
        assert_eq!(part["shard"], format!("{number}/4"));
        assert_ne!(part["digest"], whole["digest"]);
        shards.push(path);
    }
    assert_eq!(json(&format!("merge {}", shards.join(" "))), whole);
    assert_eq!(json(&format!("merge {}", file("whole"))), whole);
    refused(
        &format!("merge {} {} {}", shards[0], shards[1], shards[3]),
        &["calls 0 to 99 are missing", "--resume"],
    );
    refused(
        &format!("merge {} {}", shards[0], shards[0]),
        &["shard2", "line 2", "counted already"],
    );

    // An interruption may leave any part of the file, also of its first line.
    let text = fs::read(file("whole")).expect("the file is there");
    let first = text.iter().position(|byte| *byte == b'\n').expect("a line");
    let second = first
        + 1
        + text[first + 1..]
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap();
    for length in [
        0,
        first / 2,
        first,
        first + 1,
        first + 9,
        second,
        second + 1,
        text.len() - 1,
    ] {
        fs::write(file("torn"), &text[..length]).expect("a file can be written");
        let resumed = json(&format!("{what} --out {} --resume", file("torn")));
        assert_eq!(resumed, whole, "after {length} bytes");
        assert_eq!(
            json(&format!("merge {}", file("torn"))),
            whole,
            "after {length} bytes"
        );
    }
    // Once more, with nothing left to do; and where there is nothing to go on with.
    assert_eq!(
        json(&format!("{what} --out {} --resume", file("torn"))),
        whole
    );
    assert_eq!(
        json(&format!("{what} --out {} --resume", file("new"))),
        whole
    );
}

#[test]
fn a_file_of_something_else_is_not_gone_on_with() {
    let directory = directory("other");
    let file = |name: &str| directory.join(name).display().to_string();
    let path = file("survey");
    json(&format!("halkes-2011 --calls 100 --out {path}"));
    let text = fs::read_to_string(&path).expect("the file is there");

    refused(
        &format!("halkes-2011 --calls 100 --out {path}"),
        &["survey", "--resume"],
    );
    for (other, part) in [
        ("mobile-cgn --calls 100", "population halkes-2011"),
        ("halkes-2011 --calls 200", "calls 100"),
        ("halkes-2011 --calls 100 --seed 2", "seed 1"),
        ("halkes-2011 --calls 100 --shard 1/2", "shard 1/1"),
        ("halkes-2011 --calls 100 --delay-ms 30", "other options"),
        ("halkes-2011 --calls 100 --stack rtc-ice", "other options"),
    ] {
        refused(
            &format!("{other} --out {path} --resume"),
            &["survey", "of another survey", part],
        );
    }
    let write = |text: &str| fs::write(&path, text).expect("a file can be written");
    let again = format!("halkes-2011 --calls 100 --out {path} --resume");
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version));
    write(&text.replace(&version, "\"version\":\"0.0.9\""));
    refused(&again, &["line 1", "version 0.0.9"]);
    for (broken, part) in [
        ("hello".to_owned(), "no survey"),
        ("hello\n".to_owned(), "no survey"),
        ("{}\n".to_owned(), "no survey"),
        ("\0".repeat(100_000), "no survey"),
        ("[".repeat(100_000) + "\n", "no survey"),
        (text.clone() + "garbage\n", "line 3"),
        (
            text.clone() + text.lines().nth(1).unwrap() + "\n",
            "there twice",
        ),
        (text.replace("\"chunk\":0", "\"chunk\":1"), "its chunks are"),
        (text.replace("\"chunk\":0", "\"chunk\":-1"), "line 2"),
        (text.replace("[[0,", "[[7,"), "kinds only"),
        (text.replace("[[0,", "[[1,0,\"direct\",1],[0,"), "101 calls"),
        (text.replacen("reflexive", "magic", 1), "magic"),
    ] {
        assert_ne!(broken, text, "{part}");
        write(&broken);
        refused(&again, &["survey", part]);
        let kept = fs::read_to_string(&path).expect("the file is there");
        assert_eq!(kept, broken, "a file that is refused is left as it is");
    }
    write(&text.replace("weight = 0.89", "weight = 0.98"));
    refused(&format!("merge {path}"), &["line 1", "changed by hand"]);
    refused(
        &format!("merge {}", file("nothing")),
        &["nothing", "can't be read"],
    );
    let nowhere = directory.join("no/such/file").display().to_string();
    refused(
        &format!("halkes-2011 --calls 100 --out {nowhere}"),
        &["no/such/file"],
    );
}

const GOOD: &str = "name = \"mine\"\nsame_lan = 0.02\nturn = [\"udp\"]\n[[class]]\nnetwork = \"nat:eim/apdf\"\nweight = 1\n";

#[test]
fn a_population_that_makes_no_sense_is_refused_with_its_line() {
    let directory = directory("bad");
    let path = directory.join("bad.toml");
    let shown = path.display().to_string();
    fs::write(&path, GOOD).expect("a file can be written");
    json(&format!("{shown} --calls 10"));
    for (wrong, right, parts) in [
        (
            "weight = -1",
            "weight = 1",
            &["line 6", "class 1, weight", "0 or more", "-1"][..],
        ),
        (
            "weight = 0",
            "weight = 1",
            &["line 4", "weight", "sum to 0"],
        ),
        ("weight = nan", "weight = 1", &["line 6", "finite"]),
        (
            "weight = \"1\"",
            "weight = 1",
            &["line 6", "a text, and should be a number"],
        ),
        (
            "wieght = 1",
            "weight = 1",
            &["line 6", "wieght", "did you mean \"weight\"?"],
        ),
        (
            "",
            "weight = 1",
            &["line 4", "class 1", "weight is missing"],
        ),
        (
            "same_lan = 1.5",
            "same_lan = 0.02",
            &["line 2", "same_lan", "from 0 to 1"],
        ),
        (
            "same_lan = 2",
            "same_lan = 0.02",
            &["line 2", "2 % is 0.02"],
        ),
        (
            "[[class]]\nipv6 = 7",
            "[[class]]",
            &["line 5", "class 1, ipv6", "from 0 to 1"],
        ),
        (
            "nat:eim/cone",
            "nat:eim/apdf",
            &["line 5", "class 1, network", "nat:eim/cone", "nat:M/F"],
        ),
        (
            "[\"utp\"]",
            "[\"udp\"]",
            &["line 3", "did you mean \"udp\"?"],
        ),
        ("\"udp\"", "[\"udp\"]", &["line 3", "a list"]),
        ("[class]", "[[class]]", &["line 4", "class", "a list"]),
        (
            "same_lam",
            "same_lan",
            &["line 2", "did you mean \"same_lan\"?"],
        ),
        (
            "[[class]]\naccess = \"fibr\"",
            "[[class]]",
            &["line 5", "did you mean \"fibre\"?"],
        ),
        (
            "[[class]]\naccess = { fibre = -1 }",
            "[[class]]",
            &["line 5", "access, fibre", "0 or more"],
        ),
        (
            "[[class]]\naccess = { }",
            "[[class]]",
            &["line 5", "sum to 0"],
        ),
        (
            "[[group]]\nname = \"g\"\nshare = 0.5\nclasses = [\"office\"]\n[[class]]",
            "[[class]]",
            &[
                "line 7",
                "group 1, classes 1",
                "no class is called \"office\"",
            ],
        ),
        (
            "[[group]]\nname = \"g\"\nshare = 1.5\nclasses = []\n[[class]]",
            "[[class]]",
            &["line 6", "from 0 to 1"],
        ),
        (
            "stacks = \"pion\"\n[[class]]",
            "[[class]]",
            &["line 4", "pion", "rtc-ice"],
        ),
        (
            "[call]\nuntil_ms = -1\n[[class]]",
            "[[class]]",
            &["line 5", "until_ms", "from 0"],
        ),
        ("name = \"\"", "name = \"mine\"", &["line 1", "characters"]),
        (
            "name = \"a\\u001b[2Jb\"",
            "name = \"mine\"",
            &["line 1", "control"],
        ),
        ("name = \"mine", "name = \"mine\"", &["line 1", "no TOML"]),
    ] {
        let text = GOOD.replacen(right, wrong, 1);
        assert_ne!(text, GOOD, "{wrong}");
        fs::write(&path, text).expect("a file can be written");
        refused(&shown, parts);
        refused(&shown, &["bad.toml"]);
    }
    fs::write(&path, "name = \"mine\"\n").expect("a file can be written");
    refused(&shown, &["class is missing", "for example"]);
    fs::write(&path, "").expect("a file can be written");
    refused(&shown, &["bad.toml", "name is missing"]);
    fs::write(&path, b"name = \"mine\"\nbasis = \"\xff\"\n").expect("a file can be written");
    refused(&shown, &["bad.toml, line 2", "UTF-8"]);
}

#[test]
fn hostile_files_and_names_are_refused_quickly() {
    let directory = directory("hostile");
    let path = directory.join("huge.toml");
    let huge = fs::File::create(&path).expect("a file can be made");
    // A gigabyte, of which the disk holds nothing.
    huge.set_len(1 << 30).expect("a file can be long");
    refused(&path.display().to_string(), &["huge.toml", "longer than"]);
    refused(&directory.display().to_string(), &["directory"]);
    if cfg!(unix) {
        refused("/dev/zero", &["/dev/zero", "longer than"]);
        refused("/dev/null", &["name is missing"]);
    }
    refused("global-2062", &["did you mean \"global-2026\"?"]);
    refused("nonsense", &["there are global-2026"]);
    refused("./nonsense.toml", &["can't be read"]);
    refused(&"x".repeat(3_000), &["neither a population preset"]);
    for (arguments, part) in [
        ("--calls 0", "1.."),
        ("--calls many", "many"),
        ("--shard 5/4", "1/4 to 4/4"),
        ("--shard 0/4", "1/4 to 4/4"),
        ("--shard x", "2/4"),
        ("--resume", "--out"),
        ("--stack pion", "rtc-ice"),
        ("--stack is=-1", "0 or more"),
        ("--jobs 0", "1..=1024"),
        ("fit --direct 0.7 --reflexive 0.7 --relayed 0.1", "above 1"),
        ("fit --direct 70 --reflexive 25 --relayed 5", "from 0 to 1"),
        ("fit --direct 0.7 --reflexive 0.25", "--relayed"),
        (
            "fit --direct 0.7 --reflexive 0.25 --relayed 0.05 --ipv6 0.5..0.1",
            "0..0.4",
        ),
        ("merge", "FILE"),
    ] {
        refused(arguments, &[part]);
    }
    // Long lists and long lines.
    let path = directory.join("long.toml");
    let many = "[[class]]\nnetwork = \"open\"\nweight = 1\n".repeat(2_000);
    fs::write(&path, format!("name = \"many\"\n{many}")).expect("a file can be written");
    refused(&path.display().to_string(), &["2000 classes", "200"]);
    let deep = format!("name = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    fs::write(&path, deep).expect("a file can be written");
    refused(&path.display().to_string(), &["long.toml, line 1"]);
}

#[test]
fn a_fit_is_confirmed_by_a_run_of_its_population() {
    let directory = directory("fit");
    let path = directory.join("fit.toml").display().to_string();
    let claim = "--direct 0.70 --reflexive 0.25 --relayed 0.05 --calls 400";
    let fit = json(&format!("fit {claim} --seed 2 --out {path}"));
    assert_eq!(fit["exists"], true);
    let answers = fit["answers"].as_array().expect("answers");
    assert!(!answers.is_empty());
    assert!(
        answers.iter().all(|answer| answer["confirmed"] == true),
        "{fit}"
    );
    // Direct calls in such numbers need IPv6 or shared networks beyond what is published.
    let contradictions = answers[0]["contradictions"].as_array().expect("a list");
    assert!(
        contradictions.iter().any(|it| it["measure"] == "relayed"),
        "{fit}"
    );
    let again = json(&format!("{path} --calls 400 --seed 2"));
    assert_eq!(again["digest"], answers[0]["digest"]);
    assert_eq!(again["shares"], answers[0]["shares"]);

    let bounds = "--ipv6 0 --same-lan 0..0.1";
    let output = survey(&format!("fit {claim} {bounds}"));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("None within these bounds"));
}

#[test]
fn presets_are_printed_beside_the_record() {
    let all = json("against --calls 200");
    let all = all.as_array().expect("presets");
    let of = |preset: &str, measure: &str| {
        let preset = all.iter().find(|it| it["population"] == preset);
        let rows = preset.expect("the preset")["comparisons"].as_array();
        let row = rows
            .expect("rows")
            .iter()
            .find(|it| it["measure"] == measure);
        row.unwrap_or_else(|| panic!("no {measure}")).clone()
    };
    for (preset, measure, published) in [
        ("appear-in-2017", "relayed", "17.7 %"),
        ("appear-in-2017", "relayed-udp", "12.1 %"),
        ("appear-in-2017", "relayed-tcp", "5 %"),
        ("appear-in-2017", "relayed-tls", "under 0.5 %"),
        ("halkes-2011", "relayed", "20.8 % of pairs"),
        ("google-talk-2006", "relayed", "8 %"),
    ] {
        let row = of(preset, measure);
        assert_eq!(row["published"], published);
        assert!(
            row["source"]
                .as_str()
                .is_some_and(|source| source.len() > 5)
        );
        let is_in = row["verdict"] == "in";
        assert_eq!(is_in, row["explanation"].is_null(), "{row}");
    }
    let table = stdout(&survey("against --calls 100"));
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn tables_fit_a_terminal_of_80_columns() {
    for arguments in [
        "--calls 100",
        "appear-in-2017 --calls 100 --stack is=1,rtc-ice=1",
        "presets",
        "fit --direct 0.7 --reflexive 0.25 --relayed 0.05 --calls 100",
    ] {
        let output = survey(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let table = stdout(&output);
        for line in table.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
