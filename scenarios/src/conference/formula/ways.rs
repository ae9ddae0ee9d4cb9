//! Which connections go over TURN: one real call for each pair of networks tells.

use std::collections::BTreeMap;

use crate::call::{CallConfig, CallError, Caller, PathClass, TurnTransport};
use crate::conference::plan::{Place, Plan};
use crate::ice::CandidateType;
use crate::overhead;

/// How a connection gets there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// From end to end.
    Direct,
    /// Over relays.
    Relayed {
        /// What each end's own relay is reached over, if it has one on the way.
        over: [Option<TurnTransport>; 2],
        /// Whether what each end sends goes through its own relay, and whether through the other's.
        through: [[bool; 2]; 2],
    },
    /// Not at all.
    None,
}

impl Way {
    /// Through how many relays goes what that end sends.
    pub(super) fn relays(self, end: usize) -> usize {
        match self {
            Way::Relayed { through, .. } => through[end].into_iter().filter(|it| *it).count(),
            Way::Direct | Way::None => 0,
        }
    }

    /// Bytes that a media packet is longer between that end and its relay, on the way up or down.
    /// `None`: it doesn't go through one there.
    pub(super) fn client_overhead(self, end: usize, is_up: bool) -> Option<usize> {
        let Way::Relayed { over, through } = self else {
            return None;
        };
        let [own, _] = through[end];
        let [_, to_this_one] = through[1 - end];
        if !(if is_up { own } else { to_this_one }) {
            return None;
        }
        Some(match over[end]? {
            TurnTransport::Udp => overhead::CHANNEL_DATA,
            // TCP's header in place of UDP's, and ChannelData's padding, on average.
            TurnTransport::Tcp => overhead::CHANNEL_DATA + 24 + 2,
            TurnTransport::Tls => overhead::CHANNEL_DATA + 24 + 2 + 22,
        })
    }
}

/// All connections' ways.
pub(super) struct Ways(Vec<Way>);

impl Ways {
    /// Makes the calls.
    pub(super) fn ask(plan: &Plan) -> Result<Self, CallError> {
        let mut caller = Caller::new();
        let mut known: BTreeMap<[String; 2], Way> = BTreeMap::new();
        let mut ways = Vec::with_capacity(plan.connections.len());
        for connection in &plan.connections {
            let kinds = connection.ends.map(|end| match end {
                Place::Participant(number) => plan.participants()[number].network.to_string(),
                Place::Server(_) => "open".to_owned(),
            });
            let way = match known.get(&kinds) {
                Some(way) => *way,
                None => {
                    let way = call(&mut caller, plan, &kinds)?;
                    known.insert(kinds, way);
                    way
                }
            };
            ways.push(way);
        }
        Ok(Ways(ways))
    }

    pub(super) fn of(&self, connection: usize) -> Way {
        self.0[connection]
    }
}

fn call(caller: &mut Caller, plan: &Plan, kinds: &[String; 2]) -> Result<Way, CallError> {
    let [a, b] = kinds
        .each_ref()
        .map(|kind| kind.parse().expect("a kind as it is written"));
    let config = CallConfig {
        turn: plan.config.turn.clone(),
        delay: plan.config.delay,
        seed: plan.config.seed,
        ..CallConfig::new(a, b)
    };
    let outcome = caller.call(&config)?.outcome;
    let Some(connection) = outcome.connection else {
        return Ok(Way::None);
    };
    if connection.path_class != PathClass::Relayed {
        return Ok(Way::Direct);
    }
    let over = connection.relay_transports;
    let is_relay = |kind| kind == CandidateType::Relayed;
    let through = connection
        .types
        .map(|pair| [is_relay(pair.local), is_relay(pair.remote)]);
    Ok(Way::Relayed { over, through })
}
