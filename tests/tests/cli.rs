//! The commands, through the binary: what they print, in which format, and how they refuse.

use pinhole_tests::binary::{document, is_refused, pinhole, stderr, stdout};
use serde_json::Value;

fn json(arguments: &str) -> Value {
    document(&pinhole(arguments.split(' ')))
}

#[track_caller]
fn refused(arguments: &str, parts: &[&str]) {
    is_refused(&pinhole(arguments.split(' ')), arguments, parts);
}

#[test]
fn a_call_has_every_field_of_the_contract() {
    let call = json("call --a nat:eim/apdf --b nat:apdm/apdf --format json --seed 7");
    assert_eq!(call["seed"], 7);
    assert_eq!(call["a"], "nat:eim/apdf");
    assert_eq!(call["b"], "nat:apdm/apdf");
    assert_eq!(call["stack_a"], "is");
    assert_eq!(call["stack_b"], "is");
    assert_eq!(call["turn"], serde_json::json!(["udp", "tcp", "tls"]));
    assert_eq!(call["connected"], true);
    assert_eq!(call["path_class"], "relayed");
    assert_eq!(call["relay_transport"], "udp");
    for field in ["a_relay_transport", "b_relay_transport"] {
        assert!(call[field].is_null() || call[field] == "udp", "{field}");
    }
    assert!(
        call["connect_ms"]
            .as_f64()
            .is_some_and(|millis| millis > 100.0)
    );
    for field in ["a_local", "a_remote", "b_local", "b_remote"] {
        let kind = call[field].as_str().expect("a candidate type");
        assert!(
            ["host", "srflx", "prflx", "relay"].contains(&kind),
            "{field}: {kind}"
        );
    }
    let count = |field: &str| call["packets"][field].as_u64().expect("a count");
    assert_eq!(
        count("sent") + count("duplicated"),
        count("delivered") + count("dropped") + count("in_flight")
    );
    let drops = call["drops"].as_array().expect("drops");
    let dropped: u64 = drops
        .iter()
        .map(|drop| drop["count"].as_u64().expect("a count"))
        .sum();
    assert_eq!(dropped, count("dropped"));
    assert!(drops.iter().any(|drop| drop["reason"] == "filtered_by_nat"));
    assert!(drops.iter().all(|drop| drop["node"].is_string()));
    assert!(
        call["digest"]
            .as_str()
            .is_some_and(|digest| digest.len() == 16)
    );
}

#[test]
fn a_call_tells_of_neighbours_roles_and_addresses() {
    let call = json(
        "call --a nat:eim/apdf --b nat:eim/apdf --shared-carrier nat:eim/eif --format json \
         --ipv6-a --synthesize",
    );
    assert_eq!(call["neighbourhood"], "shared-carrier");
    assert_eq!(call["carrier"], "nat:eim/eif");
    assert_eq!(call["path_class"], "relayed");
    for (field, value) in [
        ("ipv6_a", true),
        ("ipv6_b", false),
        ("synthesize_a", true),
        ("synthesize_b", true),
    ] {
        assert_eq!(call[field], value, "{field}");
    }
    assert!(call["role_conflict"].is_null() && call["course"].is_null());
    let call = json("call --a open --b open --roles both-controlling --trickle half --format json");
    assert_eq!(call["neighbourhood"], "apart");
    assert_eq!(call["role_conflict"]["stands"], "settled");
    assert_eq!(call["connected"], true);
    for (arguments, part) in [
        (
            "call --a open --shared-carrier open --same-lan",
            "cannot be used with",
        ),
        (
            "call --a open --b nat:eim/eif --shared-carrier nat64:eim/eif",
            "put a clat between",
        ),
        ("call --a open --b open --roles both", "both-controlling"),
        (
            "call --a open --b open --trickle most",
            "true, half or false",
        ),
    ] {
        refused(arguments, &[part]);
    }
    // How a call with faults went on is in a scenario's call.
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/library/scenarios/nat-reboots-with-new-address.toml"
    );
    let course = &json(&format!("run {file} --format json"))["scenarios"][0]["call"]["course"];
    assert_eq!(course["before"], "reflexive");
    let interruptions = course["interruptions"].as_array().expect("a list");
    assert!(!interruptions.is_empty());
    for interruption in interruptions {
        assert!(interruption["to_ms"].as_f64() > interruption["from_ms"].as_f64());
    }
    let events = course["events"].as_array().expect("a list");
    assert!(events.iter().any(|it| it["event"] == "restarted"));
    assert!(
        events
            .iter()
            .any(|it| it["event"] == "selected" && it["local"].is_string())
    );
}

#[test]
fn a_call_that_fails_says_so_in_nulls() {
    let call = json("call --a udp-blocked --b open --turn udp --format json");
    assert_eq!(call["connected"], false);
    assert_eq!(call["path_class"], "none");
    for field in ["connect_ms", "relay_transport", "a_local", "b_remote"] {
        assert!(call[field].is_null(), "{field}");
    }
}

#[test]
fn one_seed_is_one_run_in_every_process_and_another_is_another() {
    let digest = |seed: u32| {
        let call = json(&format!(
            "call --a nat:apdm/apdf --b nat:eim/adf --format json --seed {seed}"
        ));
        call["digest"].as_str().expect("a digest").to_owned()
    };
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}

#[test]
fn a_matrix_is_every_pair_and_each_cell_is_its_call() {
    let matrix = json("matrix --turn udp --format json");
    let cells = matrix["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 91);
    assert_eq!(matrix["seed"], 1);
    assert_eq!(matrix["stack_a"], "is");
    let cell = cells
        .iter()
        .find(|cell| cell["a"] == "firewall:adf" && cell["b"] == "nat:adm/adf")
        .expect("the pair");
    assert!(cell.get("seed").is_none());
    let call = json("call --a firewall:adf --b nat:adm/adf --turn udp --format json");
    for field in [
        "digest",
        "connect_ms",
        "path_class",
        "a_local",
        "packets",
        "drops",
    ] {
        assert_eq!(cell[field], call[field], "{field}");
    }
}

#[test]
fn the_number_of_jobs_shows_nowhere() {
    let kinds = "--kinds open,nat:eim/apdf,nat:apdm/apdf,udp-blocked";
    let one = json(&format!("matrix {kinds} --jobs 1 --format json"));
    assert_eq!(one, json(&format!("matrix {kinds} --jobs 2 --format json")));
    assert_eq!(one["cells"].as_array().map(Vec::len), Some(10));
}

#[test]
fn tables_have_a_legend_and_no_colours_where_nobody_sees_them() {
    let output = pinhole(["matrix", "--kinds", "open,nat:eim/apdf,udp-blocked"]);
    let table = stdout(&output);
    for part in [
        "Who connects to whom",
        "nat:eim/apdf",
        "direct",
        "reflexive",
        "none",
        "digest",
    ] {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn csv_has_a_header_and_a_row_for_each_call() {
    let output = pinhole(["matrix", "--kinds", "open,udp-blocked", "--format", "csv"]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    let columns = |line: &str| line.split(',').count();
    assert!(lines[0].starts_with("seed,a,b,stack_a,stack_b,turn,connected,path_class"));
    assert!(
        lines.iter().all(|line| columns(line) == columns(lines[0])),
        "{text}"
    );
}

#[test]
fn discovery_names_the_device() {
    let found = json("nat discover --nat nat:adm/adf --format json");
    let external = found["external"].as_str().expect("an endpoint").to_owned();
    let expected = serde_json::json!({
        "nat": "nat:adm/adf", "mapping": "adm", "filtering": "adf", "hairpin": false,
        "port_preservation": false, "mapping_lifetime_ms": 300_000, "external": external,
    });
    assert_eq!(found, expected);
    assert!(external.starts_with("203.0.113.1:"));
    assert_eq!(
        json("nat discover --nat udp-blocked --format json")["mapping"],
        "blocked"
    );
    assert_eq!(
        json("nat discover --nat open --format json")["mapping"],
        "none"
    );
    let hairpin = json("nat discover --nat nat:eim/eif --hairpin --format json");
    assert_eq!(hairpin["hairpin"], true);
}

#[test]
fn unknown_words_are_refused_with_those_that_exist() {
    refused(
        "call --a nat:eim/xyz --b open",
        &["nat:eim/xyz", "nat:M/F", "udp-blocked"],
    );
    refused(
        "call --a open --b open --stack pion",
        &["pion", "is, rtc-ice"],
    );
    refused(
        "call --a open --b open --turn sctp",
        &["sctp", "off and all", "udp, tcp and tls"],
    );
    refused("call --a open --b open --turn udp,off", &["off"]);
    refused(
        "call --a open --b open --format yaml",
        &["yaml", "table, json and csv"],
    );
    refused(
        "call --a open --b open --filter-memory flow",
        &["flow", "endpoint or by mapping"],
    );
    refused(
        "call --a open --b open --delay-ms fast",
        &["fast", "milliseconds"],
    );
    refused("call --a open --b open --delay-ms -1", &["-1"]);
    refused(
        "call --a open --b open --until-ms 1e300",
        &["1e300", "86400000"],
    );
    refused("call --a open", &["--b"]);
    refused("call --a open --b open --seed x", &["--seed"]);
    refused("dial --a open", &["dial", "call, matrix, nat"]);
    refused("nat dial", &["dial", "discover"]);
    refused(
        "call --a open --b open --slowly",
        &["--slowly", "--delay-ms", "--signaling-delay-ms"],
    );
    refused("matrix --kinds open,open", &["open twice"]);
    refused("matrix --jobs 0", &["--jobs", "1..=1024"]);
    refused("nat discover --nat cone", &["cone", "nat:M/F"]);
}

#[test]
fn contradictions_are_refused() {
    refused(
        "call --a nat:eim/apdf --b open --same-lan",
        &["nat:eim/apdf", "leave --b out"],
    );
    refused(
        "call --a open --b open --explain --format csv",
        &["--explain", "table or json"],
    );
    refused(
        "call --a open --b open --pcap /no/such/folder/x.pcapng",
        &["/no/such/folder/x.pcapng"],
    );
    refused(
        "call --a open --b open --ladder /no/such/folder/x.svg",
        &["/no/such/folder/x.svg"],
    );
}

#[test]
fn files_are_written_where_they_were_asked_for() {
    let folder = std::env::temp_dir().join(format!("pinhole-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (pcap, ladder) = (folder.join("call.pcapng"), folder.join("call.svg"));
    let output = pinhole([
        "call",
        "--a",
        "nat:eim/apdf",
        "--b",
        "nat:eim/apdf",
        "--pcap",
        pcap.to_str().expect("a path"),
        "--ladder",
        ladder.to_str().expect("a path"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let pcap = std::fs::read(pcap).expect("the capture");
    // The section header block of pcapng.
    assert_eq!(pcap[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let ladder = std::fs::read_to_string(ladder).expect("the drawing");
    assert!(ladder.contains("<svg") && ladder.trim_end().ends_with("</svg>"));
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[test]
fn a_failed_call_is_explained_by_nat_filter_and_ports() {
    let output = pinhole([
        "call",
        "--a",
        "nat:apdm/apdf",
        "--b",
        "nat:apdm/apdf",
        "--turn",
        "off",
        "--explain",
    ]);
    let story = stdout(&output);
    for part in ["a.nat", "b.nat", "203.0.113.1:", "203.0.113.2:", "filter"] {
        assert!(story.contains(part), "no {part} in\n{story}");
    }
    let told = json("call --a nat:apdm/apdf --b nat:apdm/apdf --turn udp --explain --format json");
    let story = told["story"].as_array().expect("a story");
    assert!(
        story
            .iter()
            .any(|line| line.as_str().is_some_and(|line| line.contains("relay")))
    );
}

/// Every process makes keys and certificates of its own; what the wire shows repeats.
#[test]
fn a_call_over_tls_repeats_in_every_process() {
    let call = || json("call --a tcp-443-only --b udp-blocked --turn tls --format json");
    let first = call();
    assert_eq!(first["connected"], true);
    for field in ["relay_transport", "a_relay_transport", "b_relay_transport"] {
        assert_eq!(first[field], "tls", "{field}");
    }
    assert_eq!(call(), first);
}

#[test]
fn scenarios_pass_fail_or_are_refused() {
    let directory = std::env::temp_dir().join(format!("pinhole-scenarios-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let call = "description = \"x\"\n[a]\nnetwork = \"open\"\n[b]\nnetwork = \"open\"\n\
                [[expect]]\ndescription = \"Nothing translates\"\npath_class = ";
    let good = path("good.toml");
    std::fs::write(&good, format!("{call}\"direct\"\n")).unwrap();
    let output = pinhole(["run", &good]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 passed, 0 failed"));
    let document = document(&pinhole(["run", &good, "--format", "json"]));
    assert_eq!(document["scenarios"][0]["call"]["path_class"], "direct");
    assert_eq!(document["failed"], 0);

    std::fs::write(path("wrong.toml"), format!("{call}\"relayed\"\n")).unwrap();
    let output = pinhole(["test", &directory.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "expected path class relayed, found direct",
        "Nothing translates",
        "Who is where",
        "1 passed, 1 failed",
    ] {
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }

    // A call that would go on is stopped, and what was measured until then is shown.
    let endless = path("endless.txt");
    let budget = "[call]\npackets = 30\n[[expect]]";
    let text = format!("{call}\"direct\"\n").replace("[[expect]]", budget);
    std::fs::write(&endless, text).unwrap();
    let output = pinhole(["run", &endless]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for part in [
        "endless.txt, line 10: expect 1, path_class: the call was stopped",
        "until it was stopped: ",
        "packets sent, ",
        "delivered",
    ] {
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }
    let output = pinhole(["run", &endless, "--format", "json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let told = document["scenarios"][0]["stopped"].as_str().unwrap();
    assert!(told.contains("30 packets"), "{told}");
    let measured = &document["scenarios"][0]["until_stopped"]["packets"];
    assert!(measured["sent"].as_u64().unwrap() >= 30, "{document}");
    assert!(measured["delivered"].as_u64().unwrap() > 0, "{document}");

    // What one directory holds is read before anything runs: the good ones say nothing either.
    let mixed = directory.join("mixed");
    std::fs::create_dir_all(&mixed).unwrap();
    std::fs::copy(&good, mixed.join("a-good.toml")).unwrap();
    let bad = mixed.join("b-bad.toml");
    for (wrong, right, parts) in [
        (
            "network = \"nat:eim/cone\"",
            "network = \"open\"",
            &["b-bad.toml, line 3: a, network", "nat:M/F"][..],
        ),
        (
            "path_clas = ",
            "path_class = ",
            &["line 8: expect 1", "did you mean \"path_class\"?"],
        ),
        (
            "path_class = \"fast\" # ",
            "path_class = ",
            &["line 8: expect 1, path_class", "direct, reflexive"],
        ),
        (
            "loss = 1.5\n[b]",
            "[b]",
            &["line 4: a, loss", "from 0 to 1"],
        ),
        (
            "loss = -0.1\n[b]",
            "[b]",
            &["line 4: a, loss", "from 0 to 1"],
        ),
    ] {
        let text = format!("{call}\"direct\"\n").replacen(right, wrong, 1);
        std::fs::write(&bad, text).unwrap();
        let output = pinhole(["test", &mixed.display().to_string()]);
        is_refused(&output, wrong, parts);
    }
    std::fs::File::create(&bad)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    let output = pinhole(["test", &mixed.display().to_string()]);
    is_refused(&output, "a huge file", &["b-bad.toml: is longer than"]);

    std::fs::write(path("not-utf8.txt"), b"description = \"\xff\"").unwrap();
    // A file of a gigabyte that takes no room.
    let huge = std::fs::File::create(path("huge.txt")).unwrap();
    huge.set_len(1 << 30).unwrap();
    for (arguments, part) in [
        (["run", &path("not-utf8.txt")], "is not UTF-8"),
        (["run", &path("huge.txt")], "is longer than 1024 KiB"),
        (["run", &path("missing.toml")], "missing.toml"),
        (["test", &good], "can't be read as a directory"),
    ] {
        is_refused(&pinhole(arguments), part, &[part]);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
