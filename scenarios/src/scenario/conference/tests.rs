//! What files of conferences are refused for, and what is said of those that fail.

use super::Meeting;

const HEAD: &str = "description = \"Five\"\n[conference]\nfidelity = \"formula\"\n";
const EXPECT: &str = "[[expect]]\ndescription = \"Each with each\"\nconnections = 10\n";

fn parse(more: &str, expect: &str) -> Result<Meeting, crate::file::FileError> {
    Meeting::parse("m.toml", &format!("{HEAD}{more}\n{expect}"))
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line_and_what_would_be_right() {
    for (more, parts) in [
        ("participants = 5", &["topology is missing"][..]),
        (
            "topology = \"sfu\"\nparticipants = 0",
            &["line 5", "from 2 to 10000, not 0"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 1000000",
            &["line 5", "from 2 to 10000"],
        ),
        (
            "topology = \"star\"\nparticipants = 3",
            &["line 4", "mesh, sfu, mcu and cascade:K"],
        ),
        (
            "topology = \"cascade:2\"\nparticipants = 6\nregions = 3",
            &["3 regions", "cascade:3"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nlast_n = 0",
            &["line 6", "from 1"],
        ),
        (
            "topology = \"mesh\"\nparticipants = 5\nlast_n = 2",
            &["line 6", "no server that selects"],
        ),
        (
            "topology = \"mesh\"\nparticipants = 5\naccess = \"fiber\"",
            &["line 6", "did you mean \"fibre\"?"],
        ),
        (
            "topology = \"mesh\"\nparticipants = 5\nvideo = \"4k\"",
            &["line 6", "1080p, 720p, 360p, 180p"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nlayer = [\
             {width = 640, height = 360, max_kbps = 700},\
             {width = 320, height = 180, max_kbps = 200}]",
            &["line 6", "a ladder ascends", "layer 2 (180 lines"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nlayer = [\
             {width = 640, height = 360, max_kbps = 700, target_kbps = 900}]",
            &["line 6", "must ascend"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nvideo = \"720p\"\nlayer = [\
             {width = 640, height = 360, max_kbps = 700}]",
            &["line 6", "leave one of the two out"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\n[[conference.with]]\nname = \"bobb\"",
            &["line 7", "did you mean \"bob\"?"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\n[[conference.with]]\nname = \"bob\"\n\
             roams_to = \"open\"",
            &["line 8", "roams_at_s"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nviewers = 5",
            &["line 6", "from 0 to 4"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nvideo = \"off\"\naudio = \"off\"",
            &["nothing to send"],
        ),
        (
            "topology = \"sfu\"\nparticipants = 5\nseconds = 0",
            &["line 6", "from 1 to 3600"],
        ),
    ] {
        let error = parse(more, EXPECT).err().map(|it| it.to_string());
        let error = error.unwrap_or_else(|| panic!("{more} is accepted"));
        for part in parts {
            assert!(error.contains(part), "{more}: no {part:?} in {error}");
        }
    }
}

#[test]
fn expectations_that_say_nothing_are_refused() {
    let five = "topology = \"mesh\"\nparticipants = 5";
    for (expect, parts) in [
        ("expect = []", &["can't fail"][..]),
        ("[[expect]]\ndescription = \"x\"", &["nothing is expected"]),
        (
            "[[expect]]\ndescription = \"x\"\nfreezes_at_most = 1",
            &["line 8", "no time"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nwho = \"alice\"\nconnections = 10",
            &["line 8", "nothing here is said of participants"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nwho = \"alise\"\nup_at_most_kbps = 10",
            &["line 8", "did you mean \"alice\"?"],
        ),
        (
            "[[expect]]\ndescription = \"x\"\nvideo_share_at_least = 95",
            &["line 8", "95 % is 0.95"],
        ),
    ] {
        // `expect = []` belongs to the root, before any table.
        let text = if expect.starts_with("expect") {
            format!("{expect}\n{HEAD}{five}")
        } else {
            format!("{HEAD}{five}\n{expect}")
        };
        let error = Meeting::parse("m.toml", &text).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{expect}: no {part:?} in {error}");
        }
    }
}

#[test]
fn what_does_not_hold_is_told_with_its_line_and_what_was_measured() {
    let expect = "[[expect]]\ndescription = \"One stream each\"\nwho = [\"bob\", \"eve\"]\n\
                  up_at_most_kbps = 3000\nup_at_least_kbps = 100\n";
    let five = "topology = \"mesh\"\nparticipants = 5\naccess = \"cable\"";
    let meeting = parse(five, expect).unwrap();
    let met = meeting.run().unwrap();
    assert!(!met.holds());
    assert_eq!(met.verdicts[0].unmet.len(), 2);
    let told = crate::report::meeting_failure(&meeting, &met);
    for part in [
        "m.toml, line 10: expected that eve sends at most 3000 kbit/s, found 10965",
        "why it must be so: One stream each",
        "10 connections",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("that alice sends"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
}

#[test]
fn what_holds_holds() {
    let own = "topology = \"sfu\"\nparticipants = 5\nlayer = [\
               {width = 320, height = 180, max_kbps = 200},\
               {width = 640, height = 360, max_kbps = 700}]";
    let expect = "[[expect]]\ndescription = \"One upload\"\nconnections = 5\n\
                  up_at_most_kbps = 1100\nvideo_share_at_least = 1\nrelayed = 0\n\
                  server_out_at_least_kbps = 14000\n";
    let met = parse(own, expect).unwrap().run().unwrap();
    assert!(met.holds(), "{:?}", met.verdicts);
}
