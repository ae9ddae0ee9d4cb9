//! What a conference is: who takes part, from where, what they send, and how it travels.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use pinhole::link::{AccessProfile, Link};
use pinhole::topology::Kind;
use pinhole::{Budget, Time};

use super::media::{AudioProfile, VideoProfile};
use crate::call::TurnOffer;

/// How streams get from those who send them to those who watch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Topology {
    /// Everybody sends to everybody.
    Mesh,
    /// Everybody sends once to a selective forwarding unit, which forwards without decoding (RFC
    /// 7667 §3.7).
    Sfu,
    /// Everybody sends once to a mixer, which decodes all and sends everybody one picture (RFC 7667
    /// §3.6).
    Mcu,
    /// Selective forwarding units, each for the participants near it; each stream crosses from one
    /// to another once.
    Cascade(NonZeroUsize),
}

impl Topology {
    /// How many servers it has.
    pub const fn servers(self) -> usize {
        match self {
            Topology::Mesh => 0,
            Topology::Sfu | Topology::Mcu => 1,
            Topology::Cascade(servers) => servers.get(),
        }
    }

    /// Whether servers choose which layer they forward to whom.
    pub const fn selects(self) -> bool {
        matches!(self, Topology::Sfu | Topology::Cascade(_))
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topology::Mesh => f.pad("mesh"),
            Topology::Sfu => f.pad("sfu"),
            Topology::Mcu => f.pad("mcu"),
            Topology::Cascade(servers) => f.pad(&format!("cascade:{servers}")),
        }
    }
}

/// Why a text is no [`Topology`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no topology is called {0:?}; there are mesh, sfu, mcu and cascade:K with K servers")]
pub struct UnknownTopology(String);

impl FromStr for Topology {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<Self, UnknownTopology> {
        let unknown = || UnknownTopology(text.to_owned());
        match text {
            "mesh" => Ok(Topology::Mesh),
            "sfu" => Ok(Topology::Sfu),
            "mcu" => Ok(Topology::Mcu),
            _ => {
                let servers = text.strip_prefix("cascade:").ok_or_else(unknown)?;
                let servers = servers.parse().map_err(|_| unknown())?;
                Ok(Topology::Cascade(servers))
            }
        }
    }
}

/// How exactly a conference is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Fidelity {
    /// Closed forms: instant, and blind to queues.
    Formula,
    /// Every packet, without encryption and codecs' syntax.
    Flow,
    /// Every packet, by a production WebRTC stack.
    Full,
}

impl Fidelity {
    /// Every fidelity, the most exact first.
    pub const ALL: [Fidelity; 3] = [Fidelity::Full, Fidelity::Flow, Fidelity::Formula];

    /// Its name in commands and results.
    pub const fn name(self) -> &'static str {
        match self {
            Fidelity::Full => "full",
            Fidelity::Flow => "flow",
            Fidelity::Formula => "formula",
        }
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text is no [`Fidelity`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no fidelity is called {0:?}; there are full, flow and formula")]
pub struct UnknownFidelity(String);

impl FromStr for Fidelity {
    type Err = UnknownFidelity;

    fn from_str(text: &str) -> Result<Self, UnknownFidelity> {
        let known = Fidelity::ALL.into_iter().find(|it| it.name() == text);
        known.ok_or_else(|| UnknownFidelity(text.to_owned()))
    }
}

/// What a participant does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Part {
    /// Sends, and receives what others send.
    #[default]
    Both,
    /// Only receives.
    Views,
}

/// Somebody who takes part.
#[derive(Clone, PartialEq, Debug)]
pub struct Participant {
    /// Its name; its host is called so.
    pub name: String,
    /// The network it sits in.
    pub network: Kind,
    /// Its access link, whose delay comes on top of the [`delay`](ConferenceConfig::delay) between
    /// edges. `None`: no bottleneck, no loss.
    pub access: Option<AccessProfile>,
    /// Whether it sends.
    pub part: Part,
    /// Whether it shows its screen beside its camera.
    pub shares_screen: bool,
    /// Which region it is in, from 0.
    pub region: usize,
    /// When it leaves its network for another, if it does, and what kind that is.
    pub roams: Option<(Time, Kind)>,
}

impl Participant {
    /// Its link to the internet, if it is a bottleneck.
    pub fn link(&self) -> Option<Link> {
        self.access.map(|profile| profile.link())
    }

    /// Whether it sends.
    pub fn publishes(&self) -> bool {
        self.part == Part::Both
    }
}

/// How large the pictures are that a viewer has a use for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum View {
    /// As large as the connection bears: every picture in the highest layer.
    #[default]
    Best,
    /// All tiles of one screen of 720 lines: the more there are, the smaller each.
    Grid,
}

impl View {
    /// The highest layer that one of so many pictures is wanted in.
    pub fn highest(self, pictures: usize, layers: &[super::media::Layer]) -> usize {
        let all = layers.len().saturating_sub(1);
        match self {
            View::Best => all,
            View::Grid => {
                let rows = (1..).find(|rows| rows * rows >= pictures).unwrap_or(1);
                let lines = SCREEN_LINES / rows.max(1);
                // The smallest layer that has as many lines as the tile.
                let fits = layers.iter().position(|it| usize::from(it.height) >= lines);
                fits.unwrap_or(all)
            }
        }
    }
}

/// Lines of the screen that a [grid](View::Grid) fills.
const SCREEN_LINES: usize = 720;

/// A conference.
#[derive(Clone, PartialEq, Debug)]
pub struct ConferenceConfig {
    /// How streams travel.
    pub topology: Topology,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// What everybody who sends lets hear; `None` is silence.
    pub audio: Option<AudioProfile>,
    /// What everybody who sends lets see; `None` is no picture.
    pub video: Option<VideoProfile>,
    /// Whether cameras are sent in several layers, where servers select.
    pub simulcast: bool,
    /// How often a key frame is sent without anybody asking; `None` never.
    pub key_interval: Option<Duration>,
    /// How many of those who spoke last a server forwards to each viewer, video and audio; `None`
    /// is all.
    pub last_n: Option<NonZeroUsize>,
    /// How large viewers want the pictures.
    pub view: View,
    /// What the service offers where no direct way is found.
    pub turn: TurnOffer,
    /// One way between any two edges of one region, servers included.
    pub delay: Duration,
    /// One way from one region to any other, on top.
    pub between_regions: Duration,
    /// What a signal takes from one end to another.
    pub signaling_delay: Duration,
    /// From the beginning to when measuring begins.
    pub warmup: Duration,
    /// How long is measured.
    pub measured: Duration,
    /// What the run may spend.
    pub budget: Budget,
    /// What everything random is drawn from.
    pub seed: u64,
}

impl ConferenceConfig {
    /// So many people at home, with `access` and the sound and the picture that every command sends
    /// if told nothing else.
    pub fn new(topology: Topology, participants: usize, access: Option<AccessProfile>) -> Self {
        let participant = |place| Participant {
            name: name(place),
            network: "nat:eim/apdf".parse().expect("a kind of network"),
            access,
            part: Part::Both,
            shares_screen: false,
            // As many to each server.
            region: place % topology.servers().max(1),
            roams: None,
        };
        ConferenceConfig {
            topology,
            participants: (0..participants).map(participant).collect(),
            audio: Some(AudioProfile::named("opus-32k").expect("a profile")),
            video: Some(VideoProfile::named("720p").expect("a profile")),
            simulcast: true,
            key_interval: None,
            last_n: None,
            view: View::Best,
            turn: TurnOffer::all(),
            delay: Duration::from_millis(20),
            between_regions: Duration::from_millis(40),
            signaling_delay: Duration::from_millis(50),
            warmup: Duration::from_secs(10),
            measured: Duration::from_secs(30),
            budget: Budget {
                events: MOST_EVENTS,
                packets: MOST_EVENTS,
                ..Budget::default()
            },
            seed: 1,
        }
    }

    /// When it ends.
    pub fn until(&self) -> Time {
        Time::ZERO + self.warmup + self.measured
    }

    /// Whether cameras are in fact sent in several layers.
    pub fn sends_layers(&self) -> bool {
        self.simulcast && self.topology.selects()
    }
}

/// Events and packets that a conference may take: an hour of two hundred people, about.
const MOST_EVENTS: u64 = 100_000_000_000;

/// What the participant at that place is called: `alice`, `bob` and so on, then `p27`.
pub fn name(place: usize) -> String {
    const NAMES: [&str; 26] = [
        "alice", "bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan", "judy", "kim",
        "leo", "mallory", "nina", "olivia", "peggy", "quinn", "rupert", "sybil", "trent", "uma",
        "victor", "walter", "xenia", "yara", "zoe",
    ];
    match NAMES.get(place) {
        Some(name) => (*name).to_owned(),
        None => format!("p{}", place + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topologies_read_as_they_are_written() {
        for text in ["mesh", "sfu", "mcu", "cascade:3"] {
            assert_eq!(text.parse::<Topology>().unwrap().to_string(), text);
        }
        for nonsense in ["cascade", "cascade:0", "cascade:x", "star", ""] {
            assert!(nonsense.parse::<Topology>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn tiles_get_smaller_as_people_come() {
        let video = VideoProfile::named("720p").unwrap();
        let layers = video.layers(true);
        let highest = |pictures| View::Grid.highest(pictures, layers);
        assert_eq!(
            [1, 2, 4, 5, 9, 10, 16, 25].map(highest),
            [2, 1, 1, 1, 1, 0, 0, 0]
        );
        assert_eq!(View::Best.highest(25, layers), 2);
    }
}
