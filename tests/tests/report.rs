//! `pinhole report`, through the binary: a page that stands alone, is the same every time, holds the
//! numbers of the commands it names, and refuses what can't be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pinhole_tests::binary::{self, document, is_refused, pinhole, stderr, stdout};
use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

/// A directory of this test's own, which isn't there.
fn directory(test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{test}"));
    let _ = fs::remove_dir_all(&path);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is UTF-8")
}

/// A report with these arguments: its summary, and its page.
fn report(test: &str, arguments: &str) -> (Value, String) {
    let directory = directory(test);
    let out = ["report", "--format", "json", "--out", text(&directory)];
    let output = pinhole(out.into_iter().chain(arguments.split_whitespace()));
    let summary = document(&output);
    let page = fs::read_to_string(directory.join("index.html")).expect("a page was written");
    (summary, page)
}

/// One report for all tests that only look at it.
static REPORT: LazyLock<(Value, String)> = LazyLock::new(|| report("seen", "--calls 60 --seed 4"));

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).expect("the page is well-formed")
}

/// The text of an element and all in it, every run of white space being one space.
fn words(node: roxmltree::Node<'_, '_>) -> String {
    let texts = node
        .descendants()
        .filter_map(|it| it.text().filter(|_| it.is_text()));
    let all: String = texts.collect();
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_seed_makes_the_same_page_on_any_number_of_threads() {
    let (_, page) = &*REPORT;
    let (_, again) = report("again", "--calls 60 --seed 4 --jobs 1");
    assert!(*page == again, "the page differs");
    let (_, other) = report("other", "--calls 60 --seed 5");
    assert!(*page != other, "another seed is another page");
}

#[test]
fn the_page_loads_nothing() {
    let (_, page) = &*REPORT;
    let document = parsed(page);
    for node in document.descendants().filter(|node| node.is_element()) {
        let tag = node.tag_name().name();
        assert!(
            !matches!(tag, "img" | "iframe" | "object" | "embed" | "use" | "image"),
            "<{tag}>"
        );
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "<{tag} {name}>");
            if matches!(name, "src" | "href" | "srcset" | "data" | "action") {
                let inside = value.starts_with('#') || value == "data:,";
                assert!(inside, "<{tag} {name}={value:?}> leads outside");
            }
        }
        if matches!(tag, "style" | "script") {
            let text = words(node);
            for word in ["http:", "https:", "@import", "url(", "fetch", "XMLHttp"] {
                assert!(!text.contains(word), "{word} in <{tag}>");
            }
        }
    }
}

#[test]
fn links_within_the_page_lead_somewhere() {
    let (_, page) = &*REPORT;
    let document = parsed(page);
    let ids: Vec<&str> = document
        .descendants()
        .filter_map(|it| it.attribute("id"))
        .collect();
    let links: Vec<&str> = document
        .descendants()
        .filter_map(|it| it.attribute("href")?.strip_prefix('#'))
        .collect();
    assert!(links.len() >= 6, "{links:?}");
    for link in links {
        assert_eq!(ids.iter().filter(|id| **id == link).count(), 1, "#{link}");
    }
}

#[test]
fn every_figure_has_its_command_and_every_command_is_one() {
    let (_, page) = &*REPORT;
    let document = parsed(page);
    let figures = document
        .descendants()
        .filter(|it| it.has_tag_name(("http://www.w3.org/1999/xhtml", "figure")));
    let mut count = 0;
    for figure in figures {
        count += 1;
        let commands: Vec<String> = figure
            .descendants()
            .filter(|it| it.attribute("class") == Some("command"))
            .map(words)
            .collect();
        assert!(!commands.is_empty(), "{}", words(figure));
        for command in commands {
            let mut line = command.split(' ');
            assert_eq!(line.next(), Some("pinhole"));
            assert!(command.contains("--seed 4"), "{command}");
            // clap reads the line before it is asked for help.
            let output = pinhole(line.chain(["--help"]));
            assert!(output.status.success(), "{command}: {}", stderr(&output));
        }
    }
    // The matrix, eight populations, two of times, the record, four of groups, three calls.
    assert_eq!(count, 19);
}

#[test]
fn digests_are_those_of_the_commands() {
    let (summary, page) = &*REPORT;
    let mut runs: Vec<&Value> = vec![
        &summary["matrix"],
        &summary["populations"][4],
        &summary["comparison"],
    ];
    runs.extend(summary["calls"].as_array().expect("calls"));
    assert_eq!(runs.len(), 6);
    for run in runs {
        let command = run["command"].as_str().expect("a command");
        let arguments = command.split(' ').skip(1).chain(["--format", "json"]);
        let output = pinhole(arguments);
        let alone = document(&output);
        assert_eq!(alone["digest"], run["digest"], "{command}");
        let digest = run["digest"].as_str().expect("a digest");
        assert!(page.contains(digest), "{command}");
    }
}

#[test]
fn numbers_on_the_page_are_those_of_the_summary() {
    let (summary, page) = &*REPORT;
    assert_eq!(summary["complete"], true);
    assert_eq!(summary["seed"], 4);
    assert_eq!(summary["calls_of_each"], 60);
    let file = summary["files"][0].as_str().expect("a file");
    assert!(file.ends_with("index.html"), "{file}");
    let document = parsed(page);
    let bars: Vec<_> = document
        .descendants()
        .filter(|it| it.attribute("class") == Some("numbers"))
        .map(words)
        .collect();
    let populations = summary["populations"].as_array().expect("populations");
    assert_eq!(bars.len(), populations.len());
    let card = fs::read_to_string(summary["files"][1].as_str().expect("a file")).expect("a card");
    let card = Document::parse(&card).expect("the drawing is well-formed");
    let card = words(card.root());
    for population in populations {
        let name = population["population"].as_str().expect("a name");
        let relayed = 100.0
            * population["shares"]["relayed"]["share"]
                .as_f64()
                .expect("a share");
        assert!(card.contains(name), "{name}");
        // Where there is room for it.
        if relayed >= 15.0 {
            assert!(card.contains(&format!("{relayed:.1} %")), "{name}: {card}");
        }
    }
    for (bar, population) in bars.iter().zip(populations) {
        for class in ["direct", "reflexive", "relayed", "none"] {
            let number =
                |name: &str| 100.0 * population["shares"][class][name].as_f64().expect(name);
            let (share, low, high) = (number("share"), number("low"), number("high"));
            let shown = format!("{class} {share:.1} % {low:.1} to {high:.1} %");
            assert!(bar.contains(&shown), "{shown} isn't in {bar}");
        }
    }
    let cells = document.descendants().filter(|it| {
        it.attribute("title")
            .is_some_and(|title| title.contains(" – "))
    });
    assert_eq!(cells.count(), 13 * 13);
    assert_eq!(summary["matrix"]["pairs"], 91);
}

#[test]
fn the_terminal_is_told_too() {
    let directory = directory("table");
    let output = pinhole(["report", "--out", text(&directory), "--calls", "20"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let out = stdout(&output);
    for part in [
        "Who connects to whom",
        "How calls connect",
        "global-2026-v4",
        "Against the record",
        "hole punching",
        "pinhole call --a nat:eim/apdf --b nat:eim/apdf --turn off --explain",
        text(&directory.join("index.html")),
    ] {
        assert!(out.contains(part), "no {part:?} in {out}");
    }
    assert_eq!(stderr(&output), "");
    let csv = pinhole([
        "report",
        "--out",
        text(&directory),
        "--calls",
        "20",
        "--format",
        "csv",
    ]);
    let csv = stdout(&csv);
    assert_eq!(csv.lines().next(), Some("run,command,digest"));
    assert_eq!(csv.lines().count(), 1 + 3 + 1 + 8 + 1);
}

#[test]
fn networks_of_every_shape_are_drawn() {
    let directory = directory("plans");
    fs::create_dir_all(&directory).expect("a directory can be made");
    let file = directory.join("plan.svg");
    for (arguments, names) in [
        (
            "--a nat:eim/apdf --same-lan",
            vec!["a", "b", "a.nat", "internet", "stun", "turn"],
        ),
        (
            "--a nat:eim/apdf --b open --shared-carrier nat:eim/eif",
            vec!["a", "b", "a.nat", "b.router", "carrier.nat", "internet"],
        ),
        (
            "--a open --b nat:eim/apdf>nat:eim/eif --turn off",
            vec!["a", "b", "internet", "stun"],
        ),
        (
            "--a 464xlat:eim/apdf --b udp-blocked",
            vec!["a", "b", "internet", "stun", "turn"],
        ),
    ] {
        let line = ["call", "--plan", text(&file)];
        let output = pinhole(line.into_iter().chain(arguments.split(' ')));
        assert!(output.status.success(), "{arguments}: {}", stderr(&output));
        let svg = fs::read_to_string(&file).expect("a drawing was written");
        let document = Document::parse(&svg).expect("the drawing is well-formed");
        let with = |class: &'static str| {
            let all = document.descendants();
            all.filter(move |it| it.attribute("class") == Some(class))
                .map(words)
        };
        let drawn: Vec<String> = with("name").collect();
        for name in names {
            assert_eq!(
                drawn.iter().filter(|it| *it == name).count(),
                1,
                "{name}: {drawn:?}"
            );
        }
        // Every node hangs on the internet: a tree.
        assert_eq!(with("link").count(), drawn.len() - 1, "{arguments}");
    }
    let (a, turn) = ("nat:eim/apdf", ["--turn", "off", "--seed", "4"]);
    let line = ["call", "--plan", text(&file), "--a", a, "--b", a];
    assert!(pinhole(line.into_iter().chain(turn)).status.success());
    let svg = fs::read_to_string(&file).expect("a drawing was written");
    assert!(
        REPORT.1.contains(svg.trim_end()),
        "the page has the command's drawing"
    );
}

#[track_caller]
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = pinhole(["report"].into_iter().chain(arguments.iter().copied()));
    is_refused(&output, &arguments.join(" "), parts);
}

#[test]
fn what_can_not_be_written_is_refused_at_once_and_named() {
    let directory = directory("refused");
    fs::create_dir_all(directory.join("taken/index.html")).expect("directories can be made");
    let file = directory.join("file");
    fs::write(&file, "mine").expect("a file can be written");
    // Were a minute spent on it first, this test would not end.
    let many = ["--calls", "1000000000"];
    let below = file.join("below");
    let taken = directory.join("taken");
    refused(
        &["--out", text(&file), many[0], many[1]],
        &[text(&file), "directory"],
    );
    refused(
        &["--out", text(&below), many[0], many[1]],
        &[text(&below), "can't be made"],
    );
    refused(
        &["--out", text(&taken), many[0], many[1]],
        &["index.html", "can't be written"],
    );
    refused(&[], &["--out"]);
    refused(&["--out", "x", "--calls", "0"], &["--calls"]);
    assert_eq!(
        fs::read_to_string(&file).expect("it is still there"),
        "mine"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_report_has_what_was_done() {
    let directory = directory("interrupted");
    let mut command = binary::command();
    command.args(["report", "--format", "json", "--calls", "1000000", "--out"]);
    // Time for the matrix, and for some of a million calls; a slow machine makes fewer.
    let output = binary::interrupted(command.arg(&directory));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(summary["complete"], false);
    let populations = summary["populations"].as_array().expect("populations");
    assert!(populations.iter().all(|it| it["complete"] == false));
    let page = fs::read_to_string(directory.join("index.html")).expect("a page was written");
    assert!(page.contains("was interrupted"));
    parsed(&page);
}
