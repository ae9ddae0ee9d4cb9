//! `pinhole conference`, through the binary: the numbers that every course promises, the fields of
//! the contract, and how it refuses.

use std::fs;
use std::path::PathBuf;

use pinhole_tests::binary::{command, document, interrupted, is_refused, pinhole, stderr, stdout};
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let all = ["conference", "--format", "json"].iter().chain(arguments);
    document(&pinhole(all.copied()))
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[track_caller]
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = pinhole(["conference"].iter().chain(arguments).copied());
    is_refused(&output, &arguments.join(" "), parts);
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A conference of people whose links have no limit, measured once rates are what they will be.
fn unlimited(topology: &str, participants: usize, fidelity: &str) -> Value {
    json(&words(&format!(
        "--topology {topology} --participants {participants} --access none --seconds 5 --warmup 15 \
         --fidelity {fidelity}"
    )))
}

#[test]
fn a_mesh_of_five_is_ten_connections_and_four_times_the_stream() {
    let mesh = |participants, fidelity| unlimited("mesh", participants, fidelity);
    let single = number(&mesh(2, "formula")["per_participant"][0]["up_kbps"]);
    for fidelity in ["formula", "flow"] {
        let five = mesh(5, fidelity);
        assert_eq!(five["connections"], 10);
        let all = five["per_participant"].as_array().expect("participants");
        assert_eq!(all.len(), 5);
        for it in all {
            for way in ["up_kbps", "down_kbps"] {
                let times = number(&it[way]) / single;
                assert!((3.9..4.1).contains(&times), "{fidelity} {way}: {times}");
            }
        }
    }
}

#[test]
fn an_sfu_of_five_is_five_connections_and_one_upload() {
    let sfu = |participants, fidelity| unlimited("sfu --simulcast off", participants, fidelity);
    for fidelity in ["formula", "flow"] {
        let [two, five] = [2, 5].map(|participants| sfu(participants, fidelity));
        assert_eq!(five["connections"], 5);
        let up = |of: &Value| number(&of["per_participant"][0]["up_kbps"]);
        let times = up(&five) / up(&two);
        assert!((0.97..1.03).contains(&times), "{fidelity}: {times}");
        // All that leaves is K(K−1) streams of the rate b that comes in K times.
        let server = &five["servers"][0];
        let [into, out] = ["in_by_kind", "out_by_kind"].map(|it| number(&server[it]["media_kbps"]));
        let stream = into / 5.0;
        let identity = out / (20.0 * stream);
        assert!((0.98..1.02).contains(&identity), "{fidelity}: {identity}");
    }
}

#[test]
fn a_conference_has_every_field_of_the_contract() {
    let sfu = json(&words(
        "--topology sfu --participants 3 --seconds 3 --warmup 3 --seed 7",
    ));
    assert_eq!(sfu["topology"], "sfu");
    assert_eq!(sfu["fidelity"], "flow");
    assert_eq!(sfu["participants"], 3);
    assert_eq!(sfu["connections"], 3);
    assert_eq!(sfu["seconds"], 3);
    let alice = &sfu["per_participant"][0];
    assert_eq!(alice["name"], "alice");
    for field in ["up_kbps", "down_kbps", "loss", "up_loss"] {
        assert!(alice[field].is_number(), "{field}");
    }
    for quantile in ["p50", "p95", "p99"] {
        assert!(alice["delay_ms"][quantile].is_number(), "{quantile}");
        assert!(alice["queueing_ms"][quantile].is_number(), "{quantile}");
    }
    assert!(number(&alice["video"]["received_kbps"]) > 100.0);
    assert!(alice["video"]["freezes"].is_u64());
    let parts = alice["up_by_kind"].as_object().expect("kinds");
    let sum: f64 = parts.values().map(number).sum();
    assert!((sum - number(&alice["up_kbps"])).abs() < 0.01);
    // Every second from the start, the warm-up included.
    let seconds = alice["per_second"].as_array().expect("seconds");
    assert_eq!(seconds.len(), 6);
    let server = &sfu["servers"][0];
    assert_eq!(server["name"], "sfu");
    for field in [
        "in_kbps",
        "out_kbps",
        "packets_in_per_s",
        "packets_out_per_s",
        "streams_in",
        "streams_out",
    ] {
        assert!(number(&server[field]) > 0.0, "{field}");
    }
    assert!(sfu["turn"]["relayed_kbps"].is_number());
    assert!(number(&sfu["month"]["total"]) > 0.0);
    assert!(number(&sfu["all_seen_ms"]) > 0.0);
    let packets = |field: &str| sfu["packets"][field].as_u64().expect("a count");
    assert_eq!(
        packets("sent") + packets("duplicated"),
        packets("delivered") + packets("dropped") + packets("in_flight")
    );
    let digest = sfu["digest"].as_str().expect("a digest");
    assert!(digest.len() == 16 && digest.chars().all(|it| it.is_ascii_hexdigit()));
}

#[test]
fn one_seed_is_one_conference_and_another_is_another() {
    let digest = |seed: &str| {
        let line = "--topology sfu --participants 3 --seconds 2 --warmup 2 --seed";
        let mut arguments = words(line);
        arguments.push(seed);
        json(&arguments)["digest"].clone()
    };
    assert_eq!(digest("3"), digest("3"));
    assert_ne!(digest("3"), digest("4"));
}

/// Production stacks draw keys from the operating system, and their maps have another order in each
/// process.
#[test]
fn production_stacks_repeat_in_another_process() {
    for topology in ["sfu", "cascade:2", "mesh"] {
        let line = format!(
            "--topology {topology} --fidelity full --participants 4 --seconds 2 --warmup 2"
        );
        let once = json(&words(&line));
        assert_eq!(once["fidelity"], "full");
        assert_eq!(once, json(&words(&line)), "{topology}");
    }
}

#[test]
fn what_a_change_of_networks_cost_is_told() {
    for fidelity in ["flow", "full"] {
        let line =
            format!("--topology sfu --fidelity {fidelity} --participants 3 --seconds 6 --warmup 4");
        let mut arguments = words(&line);
        arguments.extend(["--with", "bob: roams=open@6s"]);
        let roamed = json(&arguments);
        let [roam] = &roamed["roams"].as_array().expect("a list")[..] else {
            panic!("{}", roamed["roams"]);
        };
        assert_eq!(
            (&roam["participant"], number(&roam["at_ms"])),
            (&"bob".into(), 6_000.0)
        );
        // Shorter than a gap may be, and yet something.
        let lost = number(&roam["lost_ms"]);
        assert!((50.0..3_000.0).contains(&lost), "{fidelity}: {lost}");
    }
}

#[test]
fn one_participant_may_differ_from_the_others() {
    let mut arguments = words("--topology sfu --participants 4 --fidelity formula --screen dave");
    for with in ["bob: access=adsl, network=udp-blocked", "carol: access=lte"] {
        arguments.extend(["--with", with]);
    }
    let mixed = json(&arguments);
    let all = &mixed["per_participant"];
    assert_eq!(all[0]["access"], "cable");
    assert_eq!(all[1]["access"], "adsl");
    assert_eq!(all[1]["network"], "udp-blocked");
    assert_eq!(all[2]["access"], "lte");
    let up = &all[1]["up_by_kind"];
    assert!(number(&up["media_kbps"]) < 800.0 && number(&up["turn_kbps"]) > 0.0);
    assert_eq!(mixed["turn"]["relayed_share"], 0.25);
    let screens = all[0]["sources"].as_array().expect("sources");
    assert!(
        screens
            .iter()
            .any(|it| it["kind"] == "screen" && it["of"] == "dave")
    );
    assert_eq!(mixed["overload"]["participant"], "bob");
    assert_eq!(mixed["overload"]["link"], "up");
}

#[test]
fn a_viewer_gets_the_picture_that_its_link_bears() {
    let conference = json(&[
        "--topology",
        "sfu",
        "--participants",
        "3",
        "--simulcast",
        "off",
        "--access",
        "fibre",
        "--with",
        "bob: access=wpt-cable",
        "--seconds",
        "10",
    ]);
    // Two pictures don't fit into 5 Mbit/s, one does.
    let bob = &conference["per_participant"][1];
    assert_eq!(bob["name"], "bob");
    let share = number(&bob["video"]["share"]);
    assert!((0.45..0.55).contains(&share), "{share}");
    // It is on the screen somewhat later than it comes.
    let playout = number(&bob["video"]["playout_ms"]);
    let way = number(&bob["delay_ms"]["p50"]);
    assert!((way..way + 100.0).contains(&playout), "{playout} {way}");
}

#[test]
fn of_viewers_only_publishers_send() {
    let stage = json(&words(
        "--topology sfu --publishers 2 --viewers 6 --fidelity formula --access none",
    ));
    assert_eq!(stage["participants"], 8);
    let all = stage["per_participant"].as_array().expect("participants");
    assert!(number(&all[1]["up_kbps"]) > 3_000.0);
    assert!(number(&all[2]["up_kbps"]) < 100.0);
    assert!(number(&all[7]["down_kbps"]) > 5_000.0);
}

#[test]
fn what_a_link_cannot_bear_is_warned_of() {
    let line = "conference --topology mesh --participants 3 --access adsl --fidelity formula";
    let output = pinhole(line.split(' '));
    assert!(output.status.success());
    let message = stderr(&output);
    for part in ["warning", "5,", "alice's uplink", "adsl has 800 kbit/s"] {
        assert!(message.contains(part), "{message}");
    }
    let line = "conference --topology mesh --participants 3 --view grid --fidelity formula";
    let message = stderr(&pinhole(line.split(' ')));
    assert!(message.contains("--view makes no difference"), "{message}");
}

#[test]
fn a_plot_is_a_picture_that_says_what_it_shows() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conference-plot.svg");
    let path = file.to_str().expect("a path of ours is UTF-8");
    let line =
        "conference --topology mesh --participants 3 --access vdsl --seconds 3 --warmup 2 --plot";
    let output = pinhole(line.split(' ').chain([path]));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(&file).expect("a picture was written");
    let svg = roxmltree::Document::parse(&text).expect("it is well-formed");
    let texts: String = svg.descendants().filter_map(|it| it.text()).collect();
    for part in [
        "A conference of 3 (mesh, flow)",
        "alice",
        "carol",
        "uplink 10 Mbit/s",
        "seconds since the start (shaded: before measuring)",
        "pinhole conference --topology mesh --participants 3 --access vdsl --seconds 3 --warmup 2",
    ] {
        assert!(texts.contains(part), "no {part:?} in {texts}");
    }
}

#[test]
fn a_plot_without_a_warm_up_has_nothing_shaded() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conference-plot-at-once.svg");
    let path = file.to_str().expect("a path of ours is UTF-8");
    let line = "conference --topology sfu --participants 2 --seconds 2 --warmup 0 --plot";
    let output = pinhole(line.split(' ').chain([path]));
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(&file).expect("a picture was written");
    assert!(svg.contains("seconds since the start<") && !svg.contains("shaded"));
}

#[test]
fn a_bill_has_its_thousands_apart() {
    let line = "conference --topology sfu --participants 10 --fidelity formula --hours 10000 \
                --price-per-server-hour 1234.5";
    let output = pinhole(line.split(' ').filter(|word| !word.is_empty()));
    let table = stdout(&output);
    // An hour of one machine 10,000 times.
    for part in [
        "A month of 10,000 hours",
        "1,234.5 a server's hour",
        "machines: 12,345,000.00",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
}

#[test]
fn csv_has_a_row_for_each_participant_and_server() {
    let line = "conference --topology cascade:2 --participants 4 --fidelity formula --format csv";
    let output = pinhole(line.split(' '));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 4 + 2, "{text}");
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns));
    assert!(lines[6].starts_with("server,sfu2,"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_with_field_and_reason() {
    for (line, parts) in [
        (
            "--topology mesh --participants 0",
            &["participants: 0", "at least 2"][..],
        ),
        (
            "--topology mesh --participants 1",
            &["participants: 1", "at least 2"],
        ),
        (
            "--topology sfu --participants 1000000",
            &["participants: 1000000", "at most 10000"],
        ),
        (
            "--topology sfu --participants 99999999999999999999",
            &["--participants"],
        ),
        ("--topology sfu", &["--participants"]),
        (
            "--topology sfu --participants 3 --publishers 2 --viewers 1",
            &["--publishers", "--participants"],
        ),
        (
            "--topology star --participants 3",
            &["--topology", "mesh, sfu, mcu and cascade:K"],
        ),
        ("--topology cascade:0 --participants 3", &["cascade:0"]),
        (
            "--topology cascade:2 --participants 6 --regions 3",
            &["regions", "3 regions", "2 servers", "cascade:3"],
        ),
        (
            "--topology cascade:9 --participants 3",
            &["topology: 9 servers for 3"],
        ),
        (
            "--topology sfu --participants 3 --last-n 0",
            &["--last-n", "at least the last speaker"],
        ),
        (
            "--topology mesh --participants 3 --last-n 2",
            &["last-n", "none that selects"],
        ),
        (
            "--topology sfu --participants 3 --access isdn",
            &["--access", "\"isdn\"", "starlink"],
        ),
        (
            "--topology sfu --participants 3 --video 4k",
            &["--video", "\"4k\"", "1080p, 720p"],
        ),
        (
            "--topology sfu --participants 3 --audio mp3",
            &["--audio", "opus-32k"],
        ),
        (
            "--topology sfu --participants 3 --video off --audio off",
            &["nothing to send"],
        ),
        (
            "--topology sfu --participants 3 --seconds 0",
            &["--seconds"],
        ),
        (
            "--topology sfu --participants 3 --fidelity exact",
            &["full, flow and formula"],
        ),
        (
            "--topology sfu --participants 3 --screen zoe",
            &["--screen", "\"zoe\"", "alice"],
        ),
        (
            "--topology sfu --participants 3 --price-per-gb -1",
            &["--price-per-gb"],
        ),
        (
            "--topology sfu --participants 3 --fidelity formula --plot x.svg",
            &["--plot", "--fidelity flow"],
        ),
        (
            "--topology sfu --participants 200 --fidelity full",
            &[
                "participants: 200",
                "20 at most",
                "packets a second",
                "use --fidelity flow",
            ],
        ),
        (
            "--topology sfu --participants 1500 --last-n 5",
            &["participants: 1500", "1000 at most", "--fidelity formula"],
        ),
        (
            "--topology sfu --participants 900",
            &["participants: 900", "hours", "--last-n 25"],
        ),
    ] {
        refused(&words(line), parts);
    }
    for (with, parts) in [
        ("bob", &["--with", "bob: access=adsl"][..]),
        ("bbo: access=adsl", &["did you mean \"bob\"?"]),
        ("bob: acces=adsl", &["did you mean \"access\"?"]),
        ("bob: access=isdn", &["\"isdn\"", "starlink"]),
        ("bob: network=nat:eim", &["--with"]),
        ("bob: roams=open", &["\"open\"", "nat:eim/apdf@20s"]),
        ("bob: roams=open@90s", &["roams at 90 s", "ends at 40 s"]),
        ("bob: region=0", &["counted from 1"]),
        ("bob: access", &["a name and a value"]),
    ] {
        let arguments = ["--topology", "sfu", "--participants", "3", "--with", with];
        refused(&arguments, parts);
    }
    let roams = "bob: roams=open@20s";
    let line = "--topology sfu --participants 3 --fidelity formula --with";
    let mut arguments = words(line);
    arguments.push(roams);
    refused(&arguments, &["bob", "no time", "--fidelity flow"]);
}

#[test]
fn a_run_of_production_stacks_says_whether_it_repeats() {
    let full = |access: &str| {
        json(&words(&format!(
            "--topology sfu --participants 3 --fidelity full --access {access} --seconds 4 --warmup 4"
        )))
    };
    let (clean, lossy) = (full("none"), full("starlink"));
    assert_eq!(clean["repeats"], true);
    assert_eq!(clean["digest"], full("none")["digest"]);
    assert!(number(&lossy["per_participant"][0]["loss"]) > 0.0);
    assert_eq!(lossy["repeats"], false);
    let flow = "--topology sfu --participants 3 --access starlink --seconds 4 --warmup 4";
    let [one, other] = [(); 2].map(|()| json(&words(flow)));
    assert_eq!(one["repeats"], true);
    assert_eq!(one["digest"], other["digest"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_conference_has_what_was_measured() {
    let mut command = command();
    let arguments = "conference --topology mesh --participants 4 --warmup 1 --seconds 50000 \
                     --format json";
    // Time for the first seconds of fourteen hours.
    let output = interrupted(command.args(arguments.split(' ')));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["complete"], false);
    let seconds = document["seconds"].as_u64().expect("a number");
    assert!((1..50_000).contains(&seconds), "{seconds}");
    let alice = &document["per_participant"][0];
    assert!(number(&alice["up_kbps"]) > 1_000.0, "{alice}");
}
