//! What scenario files are refused for, and what is said of those that fail.

use super::{Result, Scenario};

const CALL: &str = r#"
description = "Two homes"
[a]
network = "nat:eim/apdf"
[b]
network = "nat:eim/apdf"
"#;
const EXPECT: &str =
    "[[expect]]\ndescription = \"Holes are punched\"\npath_class = \"reflexive\"\n";

fn refused(more: &str) -> String {
    let text = format!("{CALL}{more}\n{EXPECT}");
    match Scenario::parse("s.toml", &text) {
        Ok(_) => panic!("{more} is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line_and_what_would_be_right() {
    for (more, parts) in [
        (
            "[call]\ndealy_ms = 3",
            &["s.toml, line 8", "did you mean \"delay_ms\"?"][..],
        ),
        (
            "[call]\ntrickle = \"no\"",
            &["line 8", "true, false or \"half\""],
        ),
        (
            "[call]\nturn = [\"udp\", \"tpc\"]",
            &["line 8", "did you mean \"tcp\"?"],
        ),
        ("[call]\nuntil_ms = 1e12", &["line 8", "from 0 to 3600000"]),
        ("[call]\npackets = 0", &["line 8", "whole number from 1"]),
        ("[call]\nsame_lan = true", &["line 6", "said of A only"]),
        (
            "[call]\nsame_lan = true\nshared_carrier = \"nat:eim/eif\"",
            &["line 9", "leave same_lan and lan_isolated out"],
        ),
        (
            "[call]\nshared_carrier = \"nat64\"",
            &["line 4", "behind the shared carrier", "put a clat between"],
        ),
        (
            "[call]\nshared_carrier = \"carrier-grate\"",
            &["line 8", "no kind of network", "carrier-grade"],
        ),
        (
            "[call]\nroles = \"both-controling\"",
            &["line 8", "did you mean \"both-controlling\"?"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nrole_conflict = \"settled\"",
            &["line 9", "roles = \"both-controlling\""],
        ),
        ("stack = \"ice\"", &["line 7", "rtc-ice"]),
        ("port = 0", &["line 7", "whole number from 1 to 65535"]),
        ("loss = 5", &["line 7", "5 % is 0.05"]),
        ("access = \"fiber\"", &["line 7", "did you mean \"fibre\"?"]),
        (
            "nat = { prots = \"random\" }",
            &["line 7", "did you mean \"ports\"?"],
        ),
        ("nat = { step = 2 }", &["line 7", "ports = \"sequential\""]),
        ("nat = { when_full = \"drop\" }", &["line 7", "capacity"]),
        (
            "[[fault]]\nat_ms = 5\nfault = \"reboot\"\nnode = \"a.nta\"",
            &["line 10", "fault 1, node", "did you mean \"a.nat\"?"],
        ),
        (
            "[[fault]]\nat_ms = 5\nfault = \"rebot\"\nnode = \"a.nat\"",
            &["line 9", "did you mean \"reboot\"?"],
        ),
        (
            "[[fault]]\nat_ms = 5\nfault = \"flush\"\nlink = [\"a\", \"b\"]",
            &["line 10", "no field is called \"link\""],
        ),
        (
            "[[fault]]\nat_ms = 5\nfault = \"link-down\"\nlink = [\"a\", \"b\"]",
            &["line 7", "no link joins"],
        ),
        (
            "[[fault]]\nat_ms = 50000\nfault = \"flush\"\nnode = \"a.nat\"",
            &["line 8", "the call ends at 45000 ms"],
        ),
        (
            "[[expect]]\ndescription = \"x\"",
            &["line 7", "nothing is expected here"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\ndrops = \"filtered_by_nat at c.nat\"",
            &["line 9", "no node is called \"c.nat\""],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nnever = \"fitered_by_nat\"",
            &["line 9", "did you mean \"filtered_by_nat\"?"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nafter = \"direct\"",
            &["line 9", "[[fault]]"],
        ),
        (
            "[[expect]]\nconnected = true",
            &["line 7", "description is missing"],
        ),
    ] {
        let error = refused(more);
        for part in parts {
            assert!(error.contains(part), "{more}: {error}");
        }
    }
}

#[test]
fn an_expectation_that_does_not_hold_is_told_with_its_reason_and_the_story() {
    let text = format!("{CALL}{EXPECT}").replace("\"reflexive\"", "\"direct\"");
    let scenario = Scenario::parse("s.toml", &text).unwrap();
    let ran = scenario.run().unwrap();
    assert!(!ran.holds());
    let told = crate::report::scenario_failure(&scenario, &ran);
    for part in [
        "s.toml, line 9: expect 1, path_class: expected path class direct, found reflexive",
        "why it must be so: Holes are punched",
        "opened a pinhole in b.nat",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_call_that_never_ends_is_stopped_and_shows_what_was_measured() {
    let text = format!("{CALL}[call]\npackets = 20\n{EXPECT}");
    let scenario = Scenario::parse("s.toml", &text).unwrap();
    let ran = scenario.run().unwrap();
    assert!(!ran.holds());
    let Result::Stopped(stopped) = &ran.result else {
        panic!("{:?}", ran.result);
    };
    assert!(stopped.packets.sent >= 19 && stopped.packets.delivered > 0);
    let told = crate::report::scenario_failure(&scenario, &ran);
    assert!(told.contains("the call was stopped"), "{told}");
}

#[test]
fn a_nat_of_a_file_is_the_nat_of_the_call() {
    // A symmetric NAT needs a mapping for each destination, and may have one.
    let text = format!("{CALL}[a.nat]\nsubscriber_limit = 1\n{EXPECT}")
        .replacen("eim/apdf", "apdm/apdf", 1)
        .replace(
            "path_class = \"reflexive\"",
            "drops = \"subscriber_limit at a.nat\"",
        );
    let scenario = Scenario::parse("s.toml", &text).unwrap();
    let ran = scenario.run().unwrap();
    assert!(
        ran.holds(),
        "{}",
        crate::report::scenario_failure(&scenario, &ran)
    );
}
