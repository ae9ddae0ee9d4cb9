//! `pinhole congestion` through the binary: three formats, the plot, refusals.

use pinhole_tests::binary::{is_refused, pinhole, stderr, stdout};
use serde_json::Value;

fn run(arguments: &str) -> (Option<i32>, String, String) {
    let output = pinhole(arguments.split(' '));
    (output.status.code(), stdout(&output), stderr(&output))
}

#[test]
fn a_case_has_every_sample_and_repeats() {
    let arguments = "congestion --case 5.1,5.3 --format json --seed 3";
    let (code, out, err) = run(arguments);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, run(arguments).1);
    let document: Value = serde_json::from_str(&out).expect("one JSON document");
    assert_eq!(document["controller"], "goog-cc");
    assert_eq!(document["seed"], 3);
    let cases = document["cases"].as_array().expect("cases");
    let sections: Vec<&Value> = cases.iter().map(|case| &case["case"]).collect();
    assert_eq!(sections, ["5.1", "5.3"]);
    for (case, flows) in cases.iter().zip([1, 2]) {
        assert!(case["met"].is_boolean() && case["digest"].is_string());
        let all = case["flows"].as_array().expect("flows");
        assert_eq!(all.len(), flows);
        for flow in all {
            // 100 s, a sample every 200 ms.
            let samples = flow["samples"].as_array().expect("samples");
            assert_eq!(samples.len(), 500);
            assert!(samples[100]["received_kbps"].as_f64() > Some(100.0));
            assert!(samples[100]["queueing_ms"].as_f64() >= Some(0.0));
            // Where a flow sends all the time, the mean is that of all samples.
            let sending = samples
                .iter()
                .all(|it| it["sent_kbps"].as_f64() > Some(0.0));
            let rates = samples
                .iter()
                .map(|it| it["received_kbps"].as_f64().expect("a rate"));
            let mean = flow["mean_kbps"].as_f64().expect("a mean");
            let of_all = rates.sum::<f64>() / samples.len() as f64;
            assert!(
                mean > 0.0 && (!sending || (mean - of_all).abs() < 1e-6),
                "{mean}, {of_all}"
            );
        }
        for criterion in case["criteria"].as_array().expect("criteria") {
            assert!(criterion["seen"].is_number() && criterion["met"].is_boolean());
        }
    }
}

/// A whole stack draws keys from the operating system, and its maps have another order in each process.
#[test]
fn a_whole_stack_repeats_in_another_process() {
    let arguments = "congestion --case 5.1 --controller str0m --format json --seed 3";
    let (code, out, err) = run(arguments);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, run(arguments).1);
    let document: Value = serde_json::from_str(&out).expect("one JSON document");
    assert_eq!(document["controller"], "str0m");
    let samples = &document["cases"][0]["flows"][0]["samples"];
    // Where 1 Mbit/s is to be had.
    assert!(samples[150]["received_kbps"].as_f64() > Some(600.0));
}

#[test]
fn the_plot_is_written_and_the_table_told() {
    let path = std::env::temp_dir().join(format!("pinhole-congestion-{}.svg", std::process::id()));
    let shown = path.display();
    let (code, out, err) = run(&format!("congestion --case 5.8 --plot {shown}"));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("5.8 Media Pause and Resume") && out.contains("resumes"));
    let svg = std::fs::read_to_string(&path).expect("the plot was written");
    std::fs::remove_file(&path).expect("it can be removed");
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme:dark"));
}

#[test]
fn rows_have_a_header() {
    let (code, out, _) = run("congestion --case 5.1 --format csv");
    assert_eq!(code, Some(0));
    let mut lines = out.lines();
    let header = lines.next().expect("a header");
    assert!(header.starts_with("case,controller,flow,from_ms,sent_kbps"));
    assert_eq!(lines.count(), 500);
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    for (arguments, words) in [
        (
            "congestion --case 5.6",
            "there are 5.1, 5.2, 5.3, 5.4, 5.5, 5.8",
        ),
        ("congestion --controller bbr", "there are goog-cc, str0m"),
        (
            "congestion --case 5.1 --plot /nowhere/at/all.svg",
            "can't be written",
        ),
    ] {
        is_refused(&pinhole(arguments.split(' ')), arguments, &[words]);
    }
}
