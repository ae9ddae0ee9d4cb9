//! The cases as data, numbered as RFC 8867 has them.

use std::time::Duration;

use pinhole::Time;

/// The least that the media source makes, in bits per second (RFC 8867 §4.3).
pub const MIN_BPS: u64 = 150_000;
/// The most.
pub const MAX_BPS: u64 = 1_500_000;
/// Where controllers begin: what browsers do.
pub const START_BPS: u64 = 300_000;

/// From that time on the bottleneck carries so much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// When.
    pub at: Time,
    /// Bits per second of IP packets.
    pub bps: u64,
}

/// A flow of media over the bottleneck.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Whether it goes against the others.
    pub backward: bool,
    /// Its propagation delay, one way.
    pub delay: Duration,
    /// When it sends.
    pub active: Vec<(Time, Time)>,
}

/// A test case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// Its section in RFC 8867.
    pub section: &'static str,
    /// Its name there.
    pub title: &'static str,
    /// How long it goes on.
    pub duration: Duration,
    /// What the bottleneck carries forward.
    pub forward: Vec<Step>,
    /// What it carries backward; the same as forward at the start where nothing is said.
    pub backward: Vec<Step>,
    /// The flows.
    pub flows: Vec<Flow>,
}

/// One way, where a case says nothing else.
const DELAY: Duration = Duration::from_millis(50);

const fn seconds(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

fn steps(steps: &[(u64, u64)]) -> Vec<Step> {
    let steps = steps.iter().map(|(at, kbps)| Step {
        at: seconds(*at),
        bps: kbps * 1_000,
    });
    steps.collect()
}

fn flow(from: u64, until: u64) -> Flow {
    Flow {
        backward: false,
        delay: DELAY,
        active: vec![(seconds(from), seconds(until))],
    }
}

impl Case {
    /// Every case there is.
    pub fn all() -> Vec<Case> {
        vec![
            Case {
                section: "5.1",
                title: "Variable Available Capacity with a Single Flow",
                duration: Duration::from_secs(100),
                forward: steps(&[(0, 1_000), (40, 2_500), (60, 600), (80, 1_000)]),
                backward: Vec::new(),
                flows: vec![flow(0, 99)],
            },
            Case {
                section: "5.2",
                title: "Variable Available Capacity with Multiple Flows",
                duration: Duration::from_secs(125),
                forward: steps(&[
                    (0, 4_000),
                    (25, 2_000),
                    (50, 3_500),
                    (75, 1_000),
                    (100, 2_000),
                ]),
                backward: Vec::new(),
                flows: vec![flow(0, 124), flow(0, 124)],
            },
            Case {
                section: "5.3",
                title: "Congested Feedback Link with Bi-directional Media Flows",
                duration: Duration::from_secs(100),
                forward: steps(&[(0, 2_000), (20, 1_000), (40, 500), (60, 2_000)]),
                backward: steps(&[(0, 2_000), (35, 800), (70, 2_000)]),
                flows: vec![
                    flow(0, 99),
                    Flow {
                        backward: true,
                        ..flow(0, 99)
                    },
                ],
            },
            Case {
                section: "5.4",
                title: "Competing Media Flows with the Same Congestion Control Algorithm",
                duration: Duration::from_secs(120),
                forward: steps(&[(0, 3_500)]),
                backward: Vec::new(),
                flows: vec![flow(0, 119), flow(20, 119), flow(40, 119)],
            },
            Case {
                section: "5.5",
                title: "Round Trip Time Fairness",
                duration: Duration::from_secs(300),
                forward: steps(&[(0, 4_000)]),
                backward: Vec::new(),
                flows: [10, 25, 50, 100, 150]
                    .into_iter()
                    .zip([0, 10, 20, 30, 40])
                    .map(|(delay, from)| Flow {
                        delay: Duration::from_millis(delay),
                        ..flow(from, 299)
                    })
                    .collect(),
            },
            Case {
                section: "5.8",
                title: "Media Pause and Resume",
                duration: Duration::from_secs(120),
                forward: steps(&[(0, 3_500)]),
                backward: Vec::new(),
                flows: vec![
                    Flow {
                        active: vec![(seconds(0), seconds(40)), (seconds(60), seconds(119))],
                        ..flow(0, 119)
                    },
                    flow(0, 119),
                    flow(0, 119),
                ],
            },
        ]
    }

    /// The case of that section.
    ///
    /// # Errors
    ///
    /// There is none; this names those that there are.
    pub fn of(section: &str) -> Result<Case, UnknownCase> {
        let mut all = Case::all().into_iter();
        let known = all.find(|case| case.section == section);
        known.ok_or_else(|| UnknownCase(section.to_owned()))
    }

    /// What the bottleneck carries one way at a time.
    pub fn capacity(&self, backward: bool, at: Time) -> u64 {
        let steps = if backward && !self.backward.is_empty() {
            &self.backward
        } else {
            &self.forward
        };
        let before = steps.iter().rev().find(|step| step.at <= at);
        before.map_or(steps[0].bps, |step| step.bps)
    }

    /// The steps of one way. Backward, where nothing is said, it stays as forward begins.
    pub fn steps(&self, backward: bool) -> &[Step] {
        match (backward, self.backward.is_empty()) {
            (false, _) => &self.forward,
            (true, true) => &self.forward[..1],
            (true, false) => &self.backward,
        }
    }

    /// The spans in which neither a capacity nor the number of flows changes one way: from, until.
    pub fn phases(&self, backward: bool) -> Vec<(Time, Time)> {
        let end = Time::ZERO + self.duration;
        let mut times: Vec<Time> = self.steps(backward).iter().map(|step| step.at).collect();
        let flows = self.flows.iter().filter(|flow| flow.backward == backward);
        let changes = flows.flat_map(|flow| &flow.active);
        times.extend(changes.flat_map(|(from, until)| [*from, *until]));
        times.retain(|time| *time < end);
        times.push(end);
        times.sort_unstable();
        times.dedup();
        let spans = times.windows(2).map(|pair| (pair[0], pair[1]));
        spans.collect()
    }
}

/// No case has that number.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("RFC 8867 has no case {0:?} here; there are {known}", known = Case::all().iter().map(|case| case.section).collect::<Vec<_>>().join(", "))]
pub struct UnknownCase(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_follows_the_steps() {
        let case = Case::of("5.3").unwrap();
        assert_eq!(case.capacity(false, seconds(19)), 2_000_000);
        assert_eq!(case.capacity(false, seconds(40)), 500_000);
        assert_eq!(case.capacity(true, seconds(40)), 800_000);
        assert_eq!(Case::of("5.1").unwrap().steps(true).len(), 1);
        let error = Case::of("5.6").unwrap_err().to_string();
        assert_eq!(
            error,
            "RFC 8867 has no case \"5.6\" here; there are 5.1, 5.2, 5.3, 5.4, 5.5, 5.8"
        );
    }

    #[test]
    fn phases_end_where_something_changes() {
        let at = |pairs: &[(u64, u64)]| -> Vec<(Time, Time)> {
            pairs
                .iter()
                .map(|(a, b)| (seconds(*a), seconds(*b)))
                .collect()
        };
        let case = Case::of("5.4").unwrap();
        assert_eq!(
            case.phases(false),
            at(&[(0, 20), (20, 40), (40, 119), (119, 120)])
        );
        let case = Case::of("5.3").unwrap();
        assert_eq!(
            case.phases(true),
            at(&[(0, 35), (35, 70), (70, 99), (99, 100)])
        );
    }
}
