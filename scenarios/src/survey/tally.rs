//! What came of calls, counted: in a space that doesn't grow with their number.

use pinhole::topology::Kind;

use super::interval::Interval;
use super::population::Population;
use crate::call::{PathClass, TurnTransport};
use crate::histogram::Histogram;

/// What is kept of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallRecord {
    /// The places of A's and B's kind in [`Kinds`].
    pub kinds: [u16; 2],
    /// Whether both were on A's local network.
    pub same_lan: bool,
    /// The path, if there was one.
    pub path: Option<PathClass>,
    /// How the client reached its TURN server, on a relayed path.
    pub relay: Option<TurnTransport>,
    /// When both had got data from each other, in microseconds.
    pub connect_us: u64,
    /// What else there is to say.
    pub note: Option<Note>,
}

/// What a call was besides connected or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// It was stopped at its budget of packets, and counts as not connected.
    Stopped,
    /// A stack panicked.
    Panicked,
}

/// The kinds of network of a population, each once: classes may share one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kinds {
    /// In the order in which classes name them.
    pub kinds: Vec<Kind>,
    /// Each class's place among them.
    pub of_class: Vec<u16>,
}

impl Kinds {
    /// The kinds of a population.
    pub fn of(population: &Population) -> Self {
        let mut kinds: Vec<Kind> = Vec::new();
        let mut of_class = Vec::new();
        for class in &population.classes {
            let place = kinds.iter().position(|kind| *kind == class.kind);
            let place = place.unwrap_or_else(|| {
                kinds.push(class.kind.clone());
                kinds.len() - 1
            });
            of_class.push(place as u16);
        }
        Kinds { kinds, of_class }
    }
}

/// How many path classes there are, `none` included.
pub const CLASSES: usize = PathClass::ALL.len() + 1;

/// Counts of calls by what came of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    kinds: usize,
    calls: u64,
    classes: [u64; CLASSES],
    relays: [u64; TurnTransport::ALL.len()],
    /// By A's kind and B's in order of their places, calls on one local network after all others.
    pairs: Vec<[u64; CLASSES]>,
    connect: Histogram,
    connect_by_class: [Histogram; PathClass::ALL.len()],
    same_lan: u64,
    stopped: u64,
    panicked: u64,
}

/// Two kinds, in the order of their places, and what came of calls between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PairCount {
    /// The places of the kinds, the lesser first.
    pub kinds: [usize; 2],
    /// Whether both were on one local network; then both kinds are the same.
    pub same_lan: bool,
    /// Calls by [`Tally::class_place`].
    pub classes: [u64; CLASSES],
}

impl PairCount {
    /// How many calls.
    pub fn calls(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// The calls that took a path of this class.
    pub fn of(&self, class: Option<PathClass>) -> u64 {
        self.classes[Tally::class_place(class)]
    }
}

impl Tally {
    /// Counts of nothing yet, between so many kinds.
    pub fn new(kinds: usize) -> Self {
        Tally {
            kinds,
            calls: 0,
            classes: [0; CLASSES],
            relays: [0; TurnTransport::ALL.len()],
            pairs: vec![[0; CLASSES]; kinds * kinds + kinds],
            connect: Histogram::default(),
            connect_by_class: Default::default(),
            same_lan: 0,
            stopped: 0,
            panicked: 0,
        }
    }

    /// A class's place in arrays: from the best to `none`.
    pub fn class_place(class: Option<PathClass>) -> usize {
        class.map_or(PathClass::ALL.len(), |class| class as usize)
    }

    /// Counts a call. The order in which calls are counted changes nothing.
    pub fn add(&mut self, call: &CallRecord) {
        let class = Tally::class_place(call.path);
        self.calls += 1;
        self.classes[class] += 1;
        let [a, b] = call.kinds.map(usize::from);
        let pair = if call.same_lan {
            self.same_lan += 1;
            self.kinds * self.kinds + a
        } else {
            a.min(b) * self.kinds + a.max(b)
        };
        self.pairs[pair][class] += 1;
        if call.path.is_some() {
            self.connect.add(call.connect_us);
            self.connect_by_class[class].add(call.connect_us);
        }
        if let Some(transport) = call.relay {
            self.relays[transport as usize] += 1;
        }
        match call.note {
            Some(Note::Stopped) => self.stopped += 1,
            Some(Note::Panicked) => self.panicked += 1,
            None => {}
        }
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The share of calls that took a path of this class; `None` of no calls.
    pub fn share(&self, class: Option<PathClass>) -> Option<Interval> {
        Interval::wilson(self.classes[Tally::class_place(class)], self.calls)
    }

    /// The share of calls that were relayed by this transport.
    pub fn relayed_by(&self, transport: TurnTransport) -> Option<Interval> {
        Interval::wilson(self.relays[transport as usize], self.calls)
    }

    /// The share of calls with both endpoints on one local network.
    pub fn same_lan(&self) -> Option<Interval> {
        Interval::wilson(self.same_lan, self.calls)
    }

    /// Calls that were stopped at their budget of packets.
    pub fn stopped(&self) -> u64 {
        self.stopped
    }

    /// Calls in which a stack panicked.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// How long calls took to connect.
    pub fn connect(&self) -> &Histogram {
        &self.connect
    }

    /// How long calls took to connect over a path of this class.
    pub fn connect_over(&self, class: PathClass) -> &Histogram {
        &self.connect_by_class[class as usize]
    }

    /// Pairs of kinds between which there were calls.
    pub fn pairs(&self) -> impl Iterator<Item = PairCount> + '_ {
        let counts = self.pairs.iter().enumerate();
        let filled = counts.filter(|(_, classes)| classes.iter().any(|n| *n > 0));
        filled.map(|(place, classes)| {
            let apart = self.kinds * self.kinds;
            let same_lan = place >= apart;
            let kinds = if same_lan {
                [place - apart; 2]
            } else {
                [place / self.kinds, place % self.kinds]
            };
            PairCount {
                kinds,
                same_lan,
                classes: *classes,
            }
        })
    }
}
