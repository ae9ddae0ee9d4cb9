//! What faults do to a call, with both stacks: when the stack notices, when data flows again, and
//! what cannot recover, with the reason. Times are exact: they follow from the stacks' constants and
//! from the way, which is 42 ms between two homes (1 + 10 + 10 … 20 + 1 ms each way) and 22 ms from a
//! home to a public host. Data is sent every 100 ms.
//!
//! Constants that show: `is` repeats a check that stays unanswered 3, 0.5, 1, 2, 3, 3, 3 and 3 s after
//! the one before, and removes the pair 3 s after the ninth: 21.5 s after the first. In peace it
//! checks every 3 s. `rtc-ice` looks every 200 ms whether it has heard STUN from the peer in the last
//! 5 s (else it is disconnected) and 30 s (else it has failed); in peace it checks every 2 s. A start
//! is given up after 18.75 s by `is`, after 30 s by `rtc-ice`.

mod gateways;
mod hosts;
mod outages;
mod promises;
mod refused;

use pinhole::Time;
use pinhole_scenarios::call::{
    CallConfig, CallFault, CallOutcome, Caller, Course, Milestone, PathClass, RestartPolicy, Side,
};
use pinhole_scenarios::ice::Stack;

use PathClass::{Direct, Reflexive, Relayed};
use Side::{A, B};
use Stack::{Is, Rtc};

const NEVER: RestartPolicy = RestartPolicy::NEVER;
const ALWAYS: RestartPolicy = RestartPolicy::ALWAYS;

/// When the fault of most tests strikes.
const STRIKES: u64 = 10_000;

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn name(text: &str) -> String {
    text.to_owned()
}

fn reboot(node: &str, external: Option<&str>) -> CallFault {
    CallFault::Reboot {
        node: name(node),
        external: external
            .map(|new| new.parse().unwrap())
            .into_iter()
            .collect(),
    }
}

fn ends(one: &str, other: &str) -> [String; 2] {
    [name(one), name(other)]
}

fn config(kinds: [&str; 2], stack: Stack, faults: &[(u64, CallFault)]) -> CallConfig {
    let [a, b] = kinds.map(|kind| kind.parse().unwrap());
    CallConfig {
        stacks: [stack; 2],
        turn: "off".parse().unwrap(),
        faults: faults
            .iter()
            .map(|(time, fault)| (at(*time), fault.clone()))
            .collect(),
        until: at(120_000),
        ..CallConfig::new(a, b)
    }
}

fn outcome(config: &CallConfig) -> CallOutcome {
    let mut caller = Caller::new();
    let outcome = caller.call(config).expect("the call can be made").outcome;
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.packets.in_flight, 0);
    outcome
}

fn course(config: CallConfig, restart: RestartPolicy) -> Course {
    let config = CallConfig { restart, ..config };
    outcome(&config).course.expect("a call with faults has one")
}

fn millis(time: Time) -> u64 {
    assert_eq!(
        time.as_nanos() % 1_000_000,
        0,
        "{time} is a whole number of ms"
    );
    time.as_nanos() / 1_000_000
}

/// When one side's data stopped to arrive, and when it did again.
fn gaps(course: &Course, sender: Side) -> Vec<(u64, Option<u64>)> {
    let gaps = course.interruptions_of(sender).into_iter();
    gaps.map(|gap| (millis(gap.from), gap.to.map(millis)))
        .collect()
}

/// What befell a side from the first fault on: times and words.
fn events(course: &Course, side: Side, from: u64) -> Vec<(u64, &'static str)> {
    let mine = course.events.iter();
    let mine = mine.filter(|(time, whose, _)| *whose == side && *time >= at(from));
    let word = |event: &Milestone| match event {
        Milestone::Selected { .. } => "selected",
        Milestone::Disconnected => "disconnected",
        Milestone::Failed => "failed",
        Milestone::NetworkChanged => "network changed",
        Milestone::AskedForRestart => "asked",
        Milestone::Restarted => "restarted",
        _ => "something of the beginning",
    };
    mine.map(|(time, _, event)| (millis(*time), word(event)))
        .collect()
}

const HOMES: [&str; 2] = ["nat:eim/apdf", "nat:eim/apdf"];

fn outage(from: u64, to: u64) -> [(u64, CallFault); 2] {
    let link = ends("a.nat", "internet");
    let down = CallFault::LinkDown { link: link.clone() };
    [(from, down), (to, CallFault::LinkUp { link })]
}
