//! The plan: which connections a conference has, who sends what on each, who gets what from whom.
//!
//! Nothing moves here. All three fidelities read the same plan, so that what differs between them
//! is how they simulate, never what.

mod check;

use std::num::NonZeroUsize;

use super::config::{ConferenceConfig, Participant, Topology};
use super::media::Layer;

pub use check::PlanError;

/// The most participants a plan is made for: beyond it nothing here is exact enough to be of use.
pub const MOST_PARTICIPANTS: usize = 10_000;

/// The most tracks: a track for each source that anybody may get.
pub const MOST_TRACKS: usize = 10_000_000;

/// Whose sound a server forwards where it forwards only the last speakers: so many of them at most.
/// More than three voices at once nobody understands.
pub const AUDIBLE: usize = 3;

/// Who stands at one end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The participant of that number.
    Participant(usize),
    /// The server of that number.
    Server(usize),
}

/// A number in [`Plan::sources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(pub usize);

/// What a source is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SourceKind {
    /// A microphone.
    Audio,
    /// A camera.
    Camera,
    /// A shared screen.
    Screen,
}

impl SourceKind {
    /// Whether it is seen.
    pub const fn is_video(self) -> bool {
        !matches!(self, SourceKind::Audio)
    }
}

/// Something that is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Where it comes from: a participant, or a server that mixes.
    pub owner: Place,
    /// What it is.
    pub kind: SourceKind,
    /// For whom it is made, if for one only: a mixer's picture.
    pub only_for: Option<usize>,
    /// Its layers, the smallest first; empty for audio.
    pub layers: Vec<Layer>,
}

/// A source on a connection, in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Track {
    /// What is sent.
    pub source: SourceId,
    /// How much of it.
    pub content: Content,
}

/// How much of a source a track holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// All its layers.
    Everything,
    /// One layer at a time, which the sender selects for the receiver; and nothing while the source
    /// isn't among those that it forwards.
    Selected,
}

/// A connection: ICE, DTLS, and tracks both ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its two ends. The first makes the offer.
    pub ends: [Place; 2],
    /// What each end sends to the other.
    pub tracks: [Vec<Track>; 2],
}

/// A server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its name: `sfu`, `mcu`, or `sfu1` and so on.
    pub name: String,
    /// The region it stands in.
    pub region: usize,
}

/// The plan of a conference.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// What it was made from.
    pub config: ConferenceConfig,
    /// The servers.
    pub servers: Vec<Server>,
    /// All that is sent.
    pub sources: Vec<Source>,
    /// The connections.
    pub connections: Vec<Connection>,
    /// Which of them end at each place, participants first, each with the end that is there.
    ends: Vec<Vec<(usize, usize)>>,
}

impl Plan {
    /// Plans a conference.
    ///
    /// # Errors
    ///
    /// It makes no sense; the error says which field, and what would.
    pub fn new(config: ConferenceConfig) -> Result<Self, PlanError> {
        check::check(&config)?;
        let mut plan = Plan {
            servers: servers(&config),
            sources: Vec::new(),
            connections: Vec::new(),
            ends: Vec::new(),
            config,
        };
        plan.add_sources();
        match plan.config.topology {
            Topology::Mesh => plan.connect_everybody(),
            Topology::Sfu | Topology::Cascade(_) => plan.connect_to_servers(),
            Topology::Mcu => plan.connect_to_mixer(),
        }
        plan.ends = plan.sorted_by_place();
        Ok(plan)
    }

    /// The participants.
    pub fn participants(&self) -> &[Participant] {
        &self.config.participants
    }

    /// A source.
    pub fn source(&self, id: SourceId) -> &Source {
        &self.sources[id.0]
    }

    /// Everybody who sends, in the order of their numbers: those whom [speech](super::media::Speech)
    /// is about.
    pub fn publishers(&self) -> impl Iterator<Item = usize> + '_ {
        let participants = self.participants().iter().enumerate();
        participants.filter_map(|(place, it)| it.publishes().then_some(place))
    }

    /// The server that a participant is connected to.
    pub fn server_of(&self, participant: usize) -> Option<usize> {
        if self.servers.is_empty() {
            return None;
        }
        let region = self.participants()[participant].region;
        Some(region % self.servers.len())
    }

    /// What a place is called.
    pub fn name(&self, place: Place) -> &str {
        match place {
            Place::Participant(number) => &self.participants()[number].name,
            Place::Server(number) => &self.servers[number].name,
        }
    }

    /// The connections that end at a place, each with the end (0 or 1) that is there.
    pub fn connections_of(&self, place: Place) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ends[self.index(place)].iter().copied()
    }

    fn index(&self, place: Place) -> usize {
        match place {
            Place::Participant(number) => number,
            Place::Server(number) => self.participants().len() + number,
        }
    }

    fn sorted_by_place(&self) -> Vec<Vec<(usize, usize)>> {
        let mut ends = vec![Vec::new(); self.participants().len() + self.servers.len()];
        for (number, connection) in self.connections.iter().enumerate() {
            for (end, place) in connection.ends.into_iter().enumerate() {
                ends[self.index(place)].push((number, end));
            }
        }
        ends
    }

    /// How many sources of others a participant gets to see or hear, servers' choice aside.
    pub fn subscriptions(&self, participant: usize) -> usize {
        let own = Place::Participant(participant);
        let incoming = self.connections_of(own).map(|(connection, end)| {
            let tracks = &self.connections[connection].tracks[1 - end];
            tracks.len()
        });
        incoming.sum()
    }

    /// How many pictures a viewer has before it at once.
    pub fn pictures(&self, participant: usize) -> usize {
        let own = Place::Participant(participant);
        let tracks = self.connections_of(own).flat_map(|(connection, end)| {
            let tracks = &self.connections[connection].tracks[1 - end];
            tracks.iter()
        });
        let pictures = tracks.filter(|track| self.source(track.source).kind.is_video());
        let pictures = pictures.count();
        let most = self.config.last_n.map_or(usize::MAX, NonZeroUsize::get);
        pictures.min(most)
    }

    /// How many streams come into a server and how many leave it; each layer that is sent is one.
    pub fn streams(&self, server: usize) -> (usize, usize) {
        let mut streams = (0, 0);
        for (number, end) in self.connections_of(Place::Server(server)) {
            let tracks = &self.connections[number].tracks;
            let mut forwarded = [0; 2];
            for track in &tracks[end] {
                let source = self.source(track.source);
                match track.content {
                    Content::Everything => streams.1 += source.layers.len().max(1),
                    Content::Selected => forwarded[usize::from(source.kind.is_video())] += 1,
                }
            }
            for kind in [SourceKind::Audio, SourceKind::Camera] {
                let all = forwarded[usize::from(kind.is_video())];
                streams.1 += self.latest(kind).unwrap_or(usize::MAX).min(all);
            }
            let sources = tracks[1 - end]
                .iter()
                .map(|track| self.source(track.source));
            streams.0 += sources.map(|it| it.layers.len().max(1)).sum::<usize>();
        }
        streams
    }

    /// Frames that a mixer decodes and encodes in a second; none where nobody mixes.
    pub fn mixed_frames(&self) -> (f64, f64) {
        if self.config.topology != Topology::Mcu {
            return (0.0, 0.0);
        }
        let frames = |is_mixed: bool| -> f64 {
            let of = |source: &&Source| matches!(source.owner, Place::Server(_)) == is_mixed;
            let layers = self.sources.iter().filter(of).flat_map(|it| &it.layers);
            layers.map(|layer| f64::from(layer.frames_per_second)).sum()
        };
        (frames(false), frames(true))
    }

    /// How many of the latest speakers' sources of a kind are forwarded to a viewer; `None` is all.
    pub fn latest(&self, kind: SourceKind) -> Option<usize> {
        let most = self.config.last_n?.get();
        Some(if kind.is_video() {
            most
        } else {
            most.min(AUDIBLE)
        })
    }

    fn add_sources(&mut self) {
        let mut sources = Vec::new();
        let sends_layers = self.config.sends_layers();
        for (place, participant) in self.participants().iter().enumerate() {
            if !participant.publishes() {
                continue;
            }
            let mut add = |kind, layers: &[Layer]| {
                sources.push(Source {
                    owner: Place::Participant(place),
                    kind,
                    only_for: None,
                    layers: layers.to_vec(),
                });
            };
            if self.config.audio.is_some() {
                add(SourceKind::Audio, &[]);
            }
            if let Some(video) = &self.config.video {
                add(SourceKind::Camera, video.layers(sends_layers));
            }
            if participant.shares_screen {
                let screen = super::media::VideoProfile::screen();
                add(SourceKind::Screen, screen.layers(sends_layers));
            }
        }
        self.sources = sources;
    }

    /// The sources that a participant owns, as tracks.
    fn tracks_of(&self, owner: Place, content: Content) -> Vec<Track> {
        let owned = self.sources.iter().enumerate();
        let owned = owned.filter(|(_, source)| source.owner == owner);
        owned
            .map(|(number, _)| Track {
                source: SourceId(number),
                content,
            })
            .collect()
    }

    fn connect_everybody(&mut self) {
        let all: Vec<Place> = (0..self.participants().len())
            .map(Place::Participant)
            .collect();
        let own: Vec<Vec<Track>> = all
            .iter()
            .map(|place| self.tracks_of(*place, Content::Everything))
            .collect();
        for (one, offering) in all.iter().enumerate() {
            for (other, answering) in all.iter().enumerate().skip(one + 1) {
                // Two viewers have nothing to tell each other.
                if own[one].is_empty() && own[other].is_empty() {
                    continue;
                }
                self.connections.push(Connection {
                    ends: [*offering, *answering],
                    tracks: [own[one].clone(), own[other].clone()],
                });
            }
        }
    }

    fn connect_to_servers(&mut self) {
        let everything: Vec<Track> = (0..self.sources.len())
            .map(|number| Track {
                source: SourceId(number),
                content: Content::Selected,
            })
            .collect();
        for participant in 0..self.participants().len() {
            let own = Place::Participant(participant);
            let server = self.server_of(participant).expect("this topology has one");
            let of_others = |track: &&Track| self.source(track.source).owner != own;
            let down = everything.iter().filter(of_others).copied().collect();
            self.connections.push(Connection {
                ends: [own, Place::Server(server)],
                tracks: [self.tracks_of(own, Content::Everything), down],
            });
        }
        for one in 0..self.servers.len() {
            for other in one + 1..self.servers.len() {
                let tracks = [one, other].map(|server| self.tracks_at(server));
                if tracks.iter().any(|tracks| !tracks.is_empty()) {
                    self.connections.push(Connection {
                        ends: [Place::Server(one), Place::Server(other)],
                        tracks,
                    });
                }
            }
        }
    }

    /// What the participants of a server send: each crosses to every other server, once.
    fn tracks_at(&self, server: usize) -> Vec<Track> {
        let own = |participant: &usize| self.server_of(*participant) == Some(server);
        let participants = (0..self.participants().len()).filter(own);
        participants
            .flat_map(|place| self.tracks_of(Place::Participant(place), Content::Everything))
            .collect()
    }

    fn connect_to_mixer(&mut self) {
        let mixer = Place::Server(0);
        for participant in 0..self.participants().len() {
            let own = Place::Participant(participant);
            let mut down = Vec::new();
            let mut add = |kind, layers: &[Layer]| {
                down.push(Track {
                    source: SourceId(self.sources.len()),
                    content: Content::Everything,
                });
                self.sources.push(Source {
                    owner: mixer,
                    kind,
                    only_for: Some(participant),
                    layers: layers.to_vec(),
                });
            };
            if self.config.audio.is_some() {
                add(SourceKind::Audio, &[]);
            }
            if let Some(video) = &self.config.video {
                add(SourceKind::Camera, video.layers(false));
            }
            self.connections.push(Connection {
                ends: [own, mixer],
                tracks: [self.tracks_of(own, Content::Everything), down],
            });
        }
    }
}

fn servers(config: &ConferenceConfig) -> Vec<Server> {
    let server = |name: &str, region| Server {
        name: name.to_owned(),
        region,
    };
    match config.topology {
        Topology::Mesh => Vec::new(),
        Topology::Sfu => vec![server("sfu", 0)],
        Topology::Mcu => vec![server("mcu", 0)],
        Topology::Cascade(servers) => (0..servers.get())
            .map(|number| server(&format!("sfu{}", number + 1), number))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(topology: &str, participants: usize) -> Plan {
        let topology = topology.parse().unwrap();
        Plan::new(ConferenceConfig::new(topology, participants, None)).unwrap()
    }

    #[test]
    fn five_people_make_ten_connections_or_five() {
        let mesh = plan("mesh", 5);
        assert_eq!(mesh.connections.len(), 10);
        // Four others, sound and picture.
        assert!((0..5).all(|who| mesh.subscriptions(who) == 8));
        let sfu = plan("sfu", 5);
        assert_eq!(sfu.connections.len(), 5);
        assert!((0..5).all(|who| sfu.subscriptions(who) == 8));
        let mcu = plan("mcu", 5);
        assert_eq!(mcu.connections.len(), 5);
        assert!((0..5).all(|who| mcu.subscriptions(who) == 2));
    }

    #[test]
    fn each_stream_crosses_once_between_servers() {
        let topology = "cascade:3".parse().unwrap();
        let mut config = ConferenceConfig::new(topology, 6, None);
        for (place, participant) in config.participants.iter_mut().enumerate() {
            participant.region = place % 3;
        }
        let plan = Plan::new(config).unwrap();
        let between = plan.connections.iter().filter(|connection| {
            let is_server = |place: &Place| matches!(place, Place::Server(_));
            connection.ends.iter().all(is_server)
        });
        let tracks: Vec<usize> = between
            .flat_map(|connection| connection.tracks.iter().map(Vec::len))
            .collect();
        // Two people at each server, two sources each, on three connections both ways.
        assert_eq!(tracks, [4; 6]);
        assert_eq!(plan.connections.len(), 6 + 3);
    }

    #[test]
    fn viewers_of_a_mesh_are_not_joined() {
        let mut config = ConferenceConfig::new(Topology::Mesh, 4, None);
        for viewer in &mut config.participants[1..] {
            viewer.part = super::super::config::Part::Views;
        }
        let plan = Plan::new(config).unwrap();
        assert_eq!(plan.connections.len(), 3);
        assert_eq!(plan.publishers().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let make = |topology: &str, participants| {
            ConferenceConfig::new(topology.parse().unwrap(), participants, None)
        };
        assert_eq!(Plan::new(make("mesh", 0)), Err(PlanError::TooFew(0)));
        assert_eq!(
            Plan::new(make("sfu", 10_001)),
            Err(PlanError::TooMany(10_001))
        );
        let mut scattered = make("cascade:2", 6);
        scattered.participants[5].region = 2;
        let error = Plan::new(scattered).unwrap_err();
        assert!(error.to_string().contains("cascade:3"), "{error}");
        assert!(matches!(
            Plan::new(make("cascade:9", 3)),
            Err(PlanError::IdleServers { .. })
        ));
        let mut chosen = make("mesh", 3);
        chosen.last_n = NonZeroUsize::new(2);
        assert!(matches!(
            Plan::new(chosen),
            Err(PlanError::NobodySelects(Topology::Mesh))
        ));
        let mut silent = make("mesh", 3);
        (silent.audio, silent.video) = (None, None);
        assert_eq!(Plan::new(silent), Err(PlanError::NothingToSend));
        let mut twins = make("mesh", 3);
        twins.participants[2].name = "alice".to_owned();
        assert_eq!(
            Plan::new(twins),
            Err(PlanError::SameName("alice".to_owned()))
        );
    }
}
