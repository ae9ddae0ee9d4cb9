//! `nat check`: does a device do what the RFCs ask of a NAT? One experiment for each requirement of
//! RFC 4787, RFC 5382, RFC 6888 and RFC 7857.
//!
//! Each experiment has a laboratory of its own, with a device that has seen nothing, and finds out
//! what it wants to know by packets alone: what is sent, what arrives where, and when. The packets
//! are kept, as the proof of what is said.
//!
//! | module | asks |
//! |---|---|
//! | `requirement` | what the RFCs ask, in one table |
//! | `ground` | what has to be known before: which ports get out, and how long things live |
//! | `udp`, `icmp`, `fragments` | RFC 4787 |
//! | `tcp` | RFC 5382 |
//! | `carrier` | RFC 6888, of devices that have subscribers |
//! | `updates` | RFC 7857 |
//! | `lab`, `proof` | the hosts around the device, and what is kept of their packets |
//!
//! RFC 6888 is for devices that serve subscribers: those that give out ports in blocks or have a
//! quota. What it asks of management and of logs (REQ-9, REQ-10, REQ-12 and on) can't be seen in
//! packets and isn't asked here; neither is RFC 5508, but for what the others take from it.

mod carrier;
mod fragments;
mod ground;
mod icmp;
mod lab;
mod proof;
mod requirement;
mod tcp;
mod udp;
mod updates;

pub use proof::Proof;
pub use requirement::{Level, REQUIREMENTS, Requirement};

use pinhole::nat::{FilterMemory, Hairpinning, NatConfig};
use pinhole::topology::{BuildError, Device, EdgePlan, Inside, Kind, SiteOptions};
use pinhole::trace::Digest;
use pinhole::{Address, BudgetExceeded, Prefix};

use lab::Lab;

/// What is put to the test: a device, or several in a row, judged as the one that they look like.
#[derive(Clone)]
pub struct Subject {
    edges: Vec<EdgePlan>,
    /// The block of addresses on the inside, if it insists on one.
    inside: Option<Prefix>,
}

impl Subject {
    /// The gateways of a kind of network. The options are for NATs that the kind names by mapping
    /// and filtering only.
    pub fn of(kind: &Kind, hairpinning: Hairpinning, filter_memory: FilterMemory) -> Self {
        let options = SiteOptions {
            hairpinning,
            filter_memory,
            ..SiteOptions::new(pinhole::link::Link::lan())
        };
        Subject {
            edges: kind.plans(&options),
            inside: None,
        }
    }

    /// Gateways as they are planned, from the inside out.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn from_edges(edges: Vec<EdgePlan>) -> Self {
        assert!(!edges.is_empty(), "a check needs a device");
        let inside = None;
        Subject { edges, inside }
    }

    /// The same, with a block of addresses on the inside that can't be changed. Without one the
    /// inside gets a block that nobody has.
    pub fn with_inside(self, block: Prefix) -> Self {
        Subject {
            inside: Some(block),
            ..self
        }
    }

    fn nats(&self) -> impl Iterator<Item = &NatConfig> {
        let devices = self.edges.iter().flat_map(|edge| &edge.devices);
        devices.filter_map(|device| match device {
            Device::Nat(config) => Some(config),
            _ => None,
        })
    }

    /// How many hosts find room inside.
    fn room(&self) -> usize {
        let innermost = self.edges.iter().find(|edge| edge.inside != Inside::Same);
        match innermost.map(|edge| edge.inside) {
            // All of 192.0.0.0/29 (RFC 7335) but the network's and the router's.
            Some(Inside::Clat) => 6,
            _ => 200,
        }
    }

    /// Whether it knows subscribers, and so claims to be a carrier's. No packet tells that.
    fn has_subscribers(&self) -> bool {
        self.nats()
            .any(|nat| nat.port_blocks.is_some() || nat.subscriber_limit.is_some())
    }

    /// An address that it is told not to translate for, if there is one. No packet tells that
    /// either: one would have to try all there are.
    fn not_translated(&self) -> Option<Address> {
        let mut prefixes = self.nats().flat_map(|nat| &nat.not_translated);
        prefixes.find_map(|prefix| prefix.nth(5))
    }
}

/// How a requirement was met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It was.
    Pass,
    /// It was not, and it is a "must" or "must not".
    Fail,
    /// It was not, and it is a recommendation.
    FallsShort,
    /// There is nothing here that it could be asked of; what was seen says why.
    NotApplicable,
}

impl Verdict {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::FallsShort => "recommended-not-met",
            Verdict::NotApplicable => "not-applicable",
        }
    }
}

/// What an experiment found.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    /// Whether the requirement was met; `None` if it couldn't be asked.
    holds: Option<bool>,
    seen: String,
}

impl Finding {
    fn new(holds: bool, seen: impl Into<String>) -> Self {
        Finding {
            holds: Some(holds),
            seen: seen.into(),
        }
    }

    fn not_applicable(why: impl Into<String>) -> Self {
        Finding {
            holds: None,
            seen: why.into(),
        }
    }
}

type Found = Result<Finding, CheckError>;

/// What was found about one requirement.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The requirement.
    pub requirement: &'static Requirement,
    /// What was seen, in words.
    pub seen: String,
    /// What that means.
    pub verdict: Verdict,
    /// The packets that prove it, in the order in which they were sent.
    pub packets: Vec<Proof>,
}

/// A device's examination.
#[derive(Clone, Debug)]
pub struct Check {
    /// One for each requirement, in the order of the RFCs.
    pub outcomes: Vec<Outcome>,
    /// The digest of all experiments.
    pub digest: Digest,
}

impl Check {
    /// Whether nothing is done that must not be, and nothing left out that must be.
    pub fn passes(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    /// How many requirements were met in this way.
    pub fn count(&self, verdict: Verdict) -> usize {
        let outcomes = self.outcomes.iter();
        outcomes.filter(|it| it.verdict == verdict).count()
    }
}

/// Why a check came to no end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckError {
    /// The device makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An experiment spent its budget.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

/// Examines a device.
///
/// # Errors
///
/// The device makes no sense.
pub fn check(subject: &Subject, seed: u64) -> Result<Check, CheckError> {
    let mut digest = Digest::default();
    let mut lab = Lab::new(subject, seed)?;
    let ground = ground::explore(&mut lab, subject)?;
    digest.fold(lab.finish().1);
    let mut outcomes = Vec::with_capacity(REQUIREMENTS.len());
    for requirement in &REQUIREMENTS {
        let mut lab = Lab::new(subject, seed)?;
        let finding = match requirement.out_of_place(&ground) {
            Some(why) => Finding::not_applicable(why),
            None => requirement.experiment(&mut lab, &ground)?,
        };
        let (packets, part) = lab.finish();
        digest.fold(part);
        outcomes.push(Outcome {
            requirement,
            verdict: match (finding.holds, requirement.level) {
                (None, _) => Verdict::NotApplicable,
                (Some(true), _) => Verdict::Pass,
                (Some(false), Level::Must) => Verdict::Fail,
                (Some(false), Level::Should) => Verdict::FallsShort,
            },
            seen: finding.seen,
            packets,
        });
    }
    Ok(Check { outcomes, digest })
}
