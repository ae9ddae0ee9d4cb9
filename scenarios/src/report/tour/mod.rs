//! The tour: what the product finds, as one page and on the terminal.
//!
//! [`Tour`] holds what was run; [`page`](Tour::page) makes a web page of it that stands alone,
//! [`card`](Tour::card) one drawing, [`tour`] prints it. Every number comes from the runs, and beside every figure stands the command
//! that repeats it. The same runs make the same page, byte for byte: no clock is read.

mod card;
mod curves;
mod groups;
mod html;
mod page;
mod plan;
mod terminal;

pub use groups::Groups;
pub use plan::plan;
pub use terminal::tour;

pub(super) use html::escaped;

use pinhole::topology::Kind;

use crate::call::{Call, CallConfig, CallError, CallOutcome, Caller, TurnOffer, TurnTransport};
use crate::explain::explain;
use crate::matrix::Matrix;
use crate::survey::Survey;
use crate::survey::against::Beside;

/// How many calls of each population are made, if nobody says otherwise.
pub const CALLS: u64 = 5_000;

/// Columns of a story on the page.
const STORY_WIDTH: usize = 88;

/// What was run. If the run was interrupted, what is missing at the end was not.
#[derive(Clone, PartialEq, Debug)]
pub struct Tour {
    /// What everything random was drawn from.
    pub seed: u64,
    /// How many calls of each population were asked for.
    pub calls: u64,
    /// Calls worth looking at.
    pub told: Vec<Told>,
    /// Every kind against every other, and how the calls between them were made.
    pub matrix: Option<(CallConfig, Matrix)>,
    /// The presets, surveyed, beside what was published; the default first.
    pub populations: Vec<Beside>,
    /// Mesh, SFU, cascade and MCU beside each other.
    pub groups: Option<Groups>,
    /// Whether everything was run.
    pub complete: bool,
}

/// A call that is told from its network to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// What it is an example of.
    pub title: &'static str,
    /// What to look at in it, whatever comes of it.
    pub look_at: &'static str,
    /// How it was made.
    pub config: CallConfig,
    /// What came of it.
    pub outcome: CallOutcome,
    /// Its network, as SVG.
    pub plan: String,
    /// Its packets, as SVG.
    pub ladder: String,
    /// Its story, in lines.
    pub story: Vec<String>,
}

/// The calls worth looking at: a title, what to look at, both networks, what the service offers.
const TOLD: [(&str, &str, &str, Option<TurnTransport>); 3] = [
    (
        "Two homes, no relay: hole punching",
        "Each NAT lets in only what answers something that went out. Follow the first checks: which \
         side's packet is dropped, and which one opens the way for the next.",
        "nat:eim/apdf",
        None,
    ),
    (
        "Two symmetric NATs, and a TURN server",
        "Each NAT takes a new port for every destination, so the address that a STUN server saw is \
         not the one that checks come from. See what becomes of checks between them, and where the \
         data goes instead.",
        "nat:apdm/apdf",
        Some(TurnTransport::Udp),
    ),
    (
        "Two Linux routers whose input accepts, no relay",
        "A check that comes before its own side has sent one is taken by the router itself, and the \
         connection that it tracks keeps the host's port from being used toward that peer. The \
         address that STUN found is then not the one that checks leave from.",
        "linux-masquerade-open",
        None,
    ),
];

/// How many calls are told.
pub const TOLD_CALLS: usize = TOLD.len();

/// Makes one of the calls worth looking at, by its place among them.
///
/// # Errors
///
/// The call never came to an end.
///
/// # Panics
///
/// There are no more than [`TOLD_CALLS`] of them.
pub fn tell(place: usize, seed: u64) -> Result<Told, CallError> {
    let (title, look_at, kind, turn) = TOLD[place];
    let kind: Kind = kind.parse().expect("kinds of ours are fit to read");
    let config = CallConfig {
        turn: turn.map_or(TurnOffer::OFF, |turn| TurnOffer::OFF.with(turn)),
        seed,
        ..CallConfig::new(kind.clone(), kind)
    };
    let mut caller = Caller::recording();
    let call: Call<'_> = caller.call(&config)?;
    Ok(Told {
        title,
        look_at,
        plan: plan(&call),
        ladder: super::ladder::ladder(&call),
        story: super::story(&explain(&call), STORY_WIDTH),
        outcome: call.outcome,
        config,
    })
}

/// The end of a command that names a seed, if it isn't the usual one.
fn seed_option(seed: u64) -> String {
    if seed == 1 {
        String::new()
    } else {
        format!(" --seed {seed}")
    }
}

impl Told {
    /// The command that makes this call again.
    fn command(&self) -> String {
        let [a, b] = &self.config.kinds;
        let (turn, seed) = (&self.config.turn, seed_option(self.config.seed));
        format!("pinhole call --a {a} --b {b} --turn {turn}{seed}")
    }
}

impl Tour {
    fn matrix_command(&self) -> String {
        format!("pinhole matrix{}", seed_option(self.seed))
    }

    fn survey_command(&self, survey: &Survey) -> String {
        let (name, calls) = (&survey.config.population.name, survey.config.calls);
        format!(
            "pinhole survey {name} --calls {calls}{}",
            seed_option(self.seed)
        )
    }

    fn against_command(&self) -> String {
        let seed = seed_option(self.seed);
        format!("pinhole survey against --calls {}{seed}", self.calls)
    }

    fn report_command(&self) -> String {
        let seed = seed_option(self.seed);
        let calls = if self.calls == CALLS {
            String::new()
        } else {
            format!(" --calls {}", self.calls)
        };
        format!("pinhole report --out report{calls}{seed}")
    }

    /// Everything that was run, in its order: what, how to repeat it, and its digest.
    fn runs(&self) -> Vec<(String, String, String)> {
        let mut runs = Vec::new();
        for told in &self.told {
            let [a, b] = &told.config.kinds;
            let digest = told.outcome.digest.to_string();
            runs.push((format!("call {a} – {b}"), told.command(), digest));
        }
        if let Some((_, matrix)) = &self.matrix {
            let digest = matrix.digest.to_string();
            runs.push(("matrix".to_owned(), self.matrix_command(), digest));
        }
        for beside in &self.populations {
            let survey = &beside.survey;
            runs.push((
                format!("survey {}", survey.config.population.name),
                self.survey_command(survey),
                survey.digest.to_string(),
            ));
        }
        runs.extend(self.groups.iter().map(Groups::run));
        runs
    }
}

/// What came of a call, in a few words.
fn ending(outcome: &CallOutcome) -> String {
    match outcome.connection {
        None => "no connection".to_owned(),
        Some(connection) => {
            let relay = connection.relay_transport;
            let over = relay.map_or(String::new(), |relay| format!(" over {}", relay.name()));
            let (class, at) = (connection.path_class.name(), connection.at.as_millis_f64());
            format!("{class}{over} after {at:.0} ms")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::PathClass;

    #[test]
    fn the_calls_show_what_their_titles_say() {
        let classes: Vec<_> = (0..TOLD_CALLS)
            .map(|place| tell(place, 1).unwrap().outcome.path_class())
            .collect();
        assert_eq!(
            classes,
            [Some(PathClass::Reflexive), Some(PathClass::Relayed), None]
        );
    }

    #[test]
    fn commands_name_what_differs_from_the_usual() {
        let tour = |seed, calls| Tour {
            seed,
            calls,
            told: vec![],
            matrix: None,
            populations: vec![],
            groups: None,
            complete: true,
        };
        assert_eq!(
            tour(1, CALLS).report_command(),
            "pinhole report --out report"
        );
        assert_eq!(
            tour(7, 20).report_command(),
            "pinhole report --out report --calls 20 --seed 7"
        );
        assert_eq!(tour(7, 20).matrix_command(), "pinhole matrix --seed 7");
        assert_eq!(
            tell(1, 1).unwrap().command(),
            "pinhole call --a nat:apdm/apdf --b nat:apdm/apdf --turn udp"
        );
    }
}
