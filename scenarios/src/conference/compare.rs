//! The same meeting in every topology, over a range of sizes: where the lines cross.
//!
//! A [`Row`] is one conference. A [`Crossover`] is where a mesh of people on one kind of access link
//! stops bearing everything in full quality: computed by [`overload`](formula::overload), then
//! looked at in simulations just below and just at it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use pinhole::link::AccessProfile;
use pinhole::trace::Digest;
use rayon::prelude::*;

use super::config::{ConferenceConfig, Fidelity, Participant, Topology};
use super::formula::{self, Overload};
use super::outcome::ConferenceOutcome;
use super::plan::{Plan, PlanError};
use super::quality;
use super::run::{ConferenceError, TooLarge, bears, cost, run};

/// The largest conference that a crossover is looked for at.
pub const FARTHEST: usize = 200;

/// The topologies that stand beside each other wherever nobody says otherwise.
pub fn usual_topologies() -> Vec<Topology> {
    let two = NonZeroUsize::new(2).expect("two is more than none");
    vec![
        Topology::Mesh,
        Topology::Sfu,
        Topology::Cascade(two),
        Topology::Mcu,
    ]
}

/// What is compared.
#[derive(Clone, PartialEq, Debug)]
pub struct CompareConfig {
    /// What all conferences have in common. Participants are dealt its participants' networks and
    /// access links in turn; its topology doesn't count.
    pub base: ConferenceConfig,
    /// The sizes, ascending.
    pub sizes: Vec<usize>,
    /// The topologies.
    pub topologies: Vec<Topology>,
    /// How exactly each is simulated.
    pub fidelity: Fidelity,
    /// The access links that a crossover is looked for on.
    pub crossovers: Vec<AccessProfile>,
    /// How many conferences are held at a time; 0 means as many as there are cores.
    pub jobs: usize,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A size makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A conference could not be held.
    #[error(transparent)]
    Conference(#[from] ConferenceError),
}

impl From<TooLarge> for CompareError {
    fn from(error: TooLarge) -> Self {
        CompareError::Conference(error.into())
    }
}

/// One conference, in a few numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// How streams travelled.
    pub topology: Topology,
    /// How many took part.
    pub participants: usize,
    /// Connections.
    pub connections: usize,
    /// What a participant sent, in kbit/s, on average.
    pub up_kbps: f64,
    /// What a participant got, in kbit/s, on average.
    pub down_kbps: f64,
    /// What left all servers, in kbit/s.
    pub server_out_kbps: f64,
    /// What left TURN servers, in kbit/s.
    pub turn_kbps: f64,
    /// Servers.
    pub servers: usize,
    /// The [share of video](quality::mean_share_of_video); `None` where there is none.
    pub video_share: Option<f64>,
    /// Freezes that a participant sees in a minute, of all pictures together, on average.
    pub freezes_per_minute: f64,
    /// Queueing that 95 % don't surpass, of the participant for whom it is longest, in milliseconds.
    pub queueing_p95_ms: f64,
    /// Delay that 95 % don't surpass, of the participant for whom it is longest, in milliseconds.
    pub delay_p95_ms: f64,
    /// Media lost on the way up, on average.
    pub up_loss: f64,
    /// The run's digest.
    pub digest: Digest,
}

/// Where full quality stops, and what asks for too much there.
#[derive(Clone, PartialEq, Debug)]
pub struct Break {
    /// The smallest size that the links don't bear.
    pub participants: usize,
    /// Whose link, and how much it is asked for.
    pub overload: Overload,
}

/// What becomes of mesh and SFU on an access link.
#[derive(Clone, PartialEq, Debug)]
pub struct Crossover {
    /// The link.
    pub access: AccessProfile,
    /// Where a mesh stops bearing everything in full quality; `None`: not up to [`FARTHEST`].
    pub mesh: Option<Break>,
    /// Where an SFU does.
    pub sfu: Option<Break>,
    /// A mesh of one less, simulated, unless that is nobody's conference.
    pub below: Option<Row>,
    /// A mesh of that size, simulated; `None` if it is larger than what was compared.
    pub at: Option<Row>,
    /// An SFU of that size, simulated.
    pub sfu_at: Option<Row>,
}

/// What came of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// How exactly each conference was simulated.
    pub fidelity: Fidelity,
    /// Size by size, topology by topology; fewer if the run was interrupted.
    pub rows: Vec<Row>,
    /// By access link.
    pub crossovers: Vec<Crossover>,
    /// The digests of all conferences, in their order.
    pub digest: Digest,
    /// Whether all was run.
    pub complete: bool,
}

impl Comparison {
    /// The conference of a topology and size, if it was held.
    pub fn row(&self, topology: Topology, participants: usize) -> Option<&Row> {
        let is = |row: &&Row| row.topology == topology && row.participants == participants;
        self.rows.iter().find(is)
    }
}

impl CompareConfig {
    /// The plan of one of its conferences; `access` in place of everybody's own link.
    fn plan(
        &self,
        topology: Topology,
        participants: usize,
        access: Option<AccessProfile>,
    ) -> Result<Plan, PlanError> {
        let usual = ConferenceConfig::new(
            topology,
            participants.min(super::MOST_PARTICIPANTS + 1),
            None,
        );
        let pattern = &self.base.participants;
        let dealt = |(place, participant): (usize, Participant)| {
            let like = &pattern[place % pattern.len()];
            Participant {
                network: like.network.clone(),
                access: access.or(like.access),
                ..participant
            }
        };
        let participants = usual.participants.into_iter().enumerate().map(dealt);
        Plan::new(ConferenceConfig {
            topology,
            participants: participants.collect(),
            last_n: self.base.last_n.filter(|_| topology.selects()),
            ..self.base.clone()
        })
    }

    /// Where everything in full quality stops fitting.
    fn breaks(
        &self,
        topology: Topology,
        access: AccessProfile,
    ) -> Result<Option<Break>, PlanError> {
        let overloaded = |participants: usize| -> Result<Option<Overload>, PlanError> {
            let plan = self.plan(topology, participants, Some(access))?;
            Ok(formula::overload(&plan))
        };
        // More people never need less.
        let (mut fits, mut too_many) = (1, FARTHEST + 1);
        let mut found = None;
        while fits + 1 < too_many {
            let middle = fits.midpoint(too_many);
            match overloaded(middle)? {
                Some(overload) => {
                    too_many = middle;
                    found = Some(overload);
                }
                None => fits = middle,
            }
        }
        Ok(found.map(|overload| Break {
            participants: too_many,
            overload,
        }))
    }
}

/// A conference to hold: its plan, and about how long it takes.
struct Job {
    plan: Plan,
    seconds: f64,
}

/// Compares. `begins` is told how many conferences there are, `done` is called after each, from any
/// thread; once `interrupted` is set no further one begins.
///
/// # Errors
///
/// A size makes no sense or is too large for the fidelity; the networks make no sense.
///
/// # Panics
///
/// The threads could not be started.
pub fn compare(
    config: &CompareConfig,
    interrupted: &AtomicBool,
    begins: impl FnOnce(usize),
    done: impl Fn() + Sync,
) -> Result<Comparison, CompareError> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut add = |topology, participants, access| -> Result<usize, CompareError> {
        let plan = config.plan(topology, participants, access)?;
        let same = jobs.iter().position(|job| job.plan.config == plan.config);
        if let Some(place) = same {
            return Ok(place);
        }
        bears(&plan, config.fidelity)?;
        let packets = formula::packets_per_second(&plan);
        let seconds = cost(&plan, config.fidelity, packets).as_secs_f64();
        jobs.push(Job { plan, seconds });
        Ok(jobs.len() - 1)
    };
    let mut rows = Vec::new();
    for size in &config.sizes {
        for topology in &config.topologies {
            rows.push(add(*topology, *size, None)?);
        }
    }
    let largest = config.sizes.iter().copied().max().unwrap_or(0);
    let mut crossovers = Vec::new();
    for access in &config.crossovers {
        let mesh = config.breaks(Topology::Mesh, *access)?;
        let sfu = config.breaks(Topology::Sfu, *access)?;
        let at = mesh.as_ref().map(|it| it.participants);
        let at = at.filter(|at| *at <= largest && config.fidelity != Fidelity::Formula);
        let mut held = [None; 3];
        if let Some(at) = at {
            if at > 2 {
                held[0] = Some(add(Topology::Mesh, at - 1, Some(*access))?);
            }
            held[1] = Some(add(Topology::Mesh, at, Some(*access))?);
            held[2] = Some(add(Topology::Sfu, at, Some(*access))?);
        }
        crossovers.push((*access, mesh, sfu, held));
    }
    begins(jobs.len());
    let held = hold(config, &jobs, interrupted, &done)?;
    let mut digest = Digest::default();
    for row in held.iter().flatten() {
        digest.fold(row.digest);
    }
    let row = |place: Option<usize>| place.and_then(|place| held[place].clone());
    Ok(Comparison {
        fidelity: config.fidelity,
        complete: held.iter().all(Option::is_some),
        rows: rows.into_iter().filter_map(|it| row(Some(it))).collect(),
        crossovers: crossovers
            .into_iter()
            .map(|(access, mesh, sfu, held)| Crossover {
                access,
                mesh,
                sfu,
                below: row(held[0]),
                at: row(held[1]),
                sfu_at: row(held[2]),
            })
            .collect(),
        digest,
    })
}

/// Holds all, the longest first, so that no core waits for the last; rows are in the jobs' order.
fn hold(
    config: &CompareConfig,
    jobs: &[Job],
    interrupted: &AtomicBool,
    done: &(impl Fn() + Sync),
) -> Result<Vec<Option<Row>>, ConferenceError> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|one, other| jobs[*other].seconds.total_cmp(&jobs[*one].seconds));
    let one = |place: usize| -> Result<(usize, Option<Row>), ConferenceError> {
        if interrupted.load(Ordering::Relaxed) {
            return Ok((place, None));
        }
        let plan = &jobs[place].plan;
        let outcome = run(plan, config.fidelity)?;
        done();
        Ok((place, Some(Row::new(plan, &outcome))))
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.jobs)
        .build()
        .expect("threads can be started");
    // One at a time to whoever is free: halves of the list would differ in length by far.
    let all: Result<Vec<_>, _> = pool.install(|| {
        let order = order.into_par_iter().with_max_len(1);
        order.map(one).collect()
    });
    let mut rows = vec![None; jobs.len()];
    for (place, row) in all? {
        rows[place] = row;
    }
    Ok(rows)
}

impl Row {
    fn new(plan: &Plan, outcome: &ConferenceOutcome) -> Self {
        let all = &outcome.participants;
        let mean = |of: &dyn Fn(&super::ParticipantOutcome) -> f64| {
            all.iter().map(of).sum::<f64>() / all.len() as f64
        };
        let most =
            |of: &dyn Fn(&super::ParticipantOutcome) -> f64| all.iter().map(of).fold(0.0, f64::max);
        let minutes = outcome.measured.as_secs_f64() / 60.0;
        Row {
            topology: outcome.topology,
            participants: all.len(),
            connections: outcome.connections,
            up_kbps: mean(&|it| it.up.total()),
            down_kbps: mean(&|it| it.down.total()),
            server_out_kbps: outcome.server_out_kbps(),
            turn_kbps: outcome.turn.relayed_kbps,
            servers: outcome.servers.len(),
            video_share: quality::mean_share_of_video(plan, outcome),
            freezes_per_minute: mean(&|it| f64::from(it.freezes())) / minutes,
            queueing_p95_ms: most(&|it| it.queueing.p95_ms),
            delay_p95_ms: most(&|it| it.delay.p95_ms),
            up_loss: mean(&|it| it.up_loss),
            digest: outcome.digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(sizes: Vec<usize>, crossovers: &[&str], jobs: usize) -> Comparison {
        let named = |name: &&str| AccessProfile::named(name).unwrap();
        let config = CompareConfig {
            base: ConferenceConfig::new(Topology::Mesh, 2, Some(named(&"cable"))),
            sizes,
            topologies: ["mesh", "sfu", "cascade:2", "mcu"]
                .map(|it| it.parse().unwrap())
                .into(),
            fidelity: Fidelity::Formula,
            crossovers: crossovers.iter().map(named).collect(),
            jobs,
        };
        compare(&config, &AtomicBool::new(false), |_| {}, || {}).unwrap()
    }

    #[test]
    fn a_mesh_on_cable_breaks_at_seven_and_an_sfu_much_later() {
        let found = computed(vec![2, 3], &["cable", "fibre", "adsl", "wpt-fios"], 1);
        let mesh: Vec<_> = found
            .crossovers
            .iter()
            .map(|it| it.mesh.as_ref().map(|it| it.participants))
            .collect();
        assert_eq!(mesh[0], Some(7));
        // 300 Mbit/s over 2.74 Mbit/s.
        assert!(
            mesh[1].is_some_and(|at| (105..115).contains(&at)),
            "{mesh:?}"
        );
        assert_eq!(mesh[2..], [Some(2), Some(3)]);
        let cable = &found.crossovers[0];
        assert!(cable.mesh.as_ref().unwrap().overload.is_uplink);
        let sfu = cable.sfu.as_ref().unwrap();
        assert!((70..80).contains(&sfu.participants), "{sfu:?}");
        assert!(!sfu.overload.is_uplink);
    }

    #[test]
    fn rows_come_in_their_order_on_any_number_of_threads() {
        let one = computed(vec![2, 3, 8], &["cable"], 1);
        let two = computed(vec![2, 3, 8], &["cable"], 2);
        assert_eq!(one, two);
        let order: Vec<String> = one
            .rows
            .iter()
            .map(|row| format!("{}{}", row.participants, row.topology))
            .collect();
        assert_eq!(order[..5], ["2mesh", "2sfu", "2cascade:2", "2mcu", "3mesh"]);
        assert!(one.complete && one.rows.len() == 12);
        assert_eq!(one.row(Topology::Mesh, 8).unwrap().connections, 28);
    }

    #[test]
    fn what_is_interrupted_has_what_was_run() {
        let config = CompareConfig {
            base: ConferenceConfig::new(Topology::Mesh, 2, None),
            sizes: vec![2, 3],
            topologies: vec![Topology::Mesh],
            fidelity: Fidelity::Formula,
            crossovers: Vec::new(),
            jobs: 1,
        };
        let found = compare(&config, &AtomicBool::new(true), |_| {}, || {}).unwrap();
        assert!(found.rows.is_empty() && !found.complete);
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let config = |size| CompareConfig {
            base: ConferenceConfig::new(Topology::Mesh, 2, None),
            sizes: vec![size],
            topologies: vec![Topology::Mesh],
            fidelity: Fidelity::Formula,
            crossovers: Vec::new(),
            jobs: 1,
        };
        for size in [0, 1, 1_000_000] {
            let found = compare(&config(size), &AtomicBool::new(false), |_| {}, || {});
            assert!(matches!(found, Err(CompareError::Plan(_))), "{size}");
        }
    }
}
