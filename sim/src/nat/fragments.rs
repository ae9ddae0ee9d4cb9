//! Fragments through a NAT (RFC 4787 REQ-14): only the first of a packet's fragments shows its
//! ports, so the others go where that one went, or wait for it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rustc_hash::FxBuildHasher;

use super::Nat;
use super::config::Fragments;
use crate::address::Address;
use crate::middlebox::{Passage, Request, Surroundings, Verdict, Way};
use crate::packet::{Fragment, Packet, PacketId, Protocol};
use crate::time::Time;
use crate::trace::DropReason;

/// How long fragments wait for the first, and how long it is remembered (RFC 791 §3.2 says fifteen
/// seconds at least; Linux, thirty).
const PATIENCE: Duration = Duration::from_secs(30);

/// The most packets of which something is remembered.
const MOST_PACKETS: usize = 4096;

/// What all fragments of a packet have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    way: Way,
    source: Address,
    destination: Address,
    protocol: Protocol,
    identification: u32,
}

/// What became of a packet's first fragment.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It went on between these, translated or not, out or in or back in.
    Passed {
        source: Address,
        destination: Address,
        translated: bool,
        hairpinned: bool,
    },
    /// It didn't.
    Refused,
}

#[derive(Debug)]
enum State {
    Known(Outcome),
    /// It hasn't come yet; these have, of so many bytes.
    Waiting(Vec<PacketId>, u32),
}

/// The packets of which fragments were seen lately.
#[derive(Default)]
pub(super) struct FragmentTable {
    packets: HashMap<Key, (Time, State), FxBuildHasher>,
    /// In the order in which they were seen first, which is the order in which they are forgotten.
    due: VecDeque<(Time, Key)>,
    /// Bytes that wait.
    waiting: u32,
}

impl FragmentTable {
    /// The next packet to be forgotten: by `now`, or if there are too many.
    fn pop(&mut self, now: Time) -> Option<State> {
        while let Some((due, key)) = self.due.front().copied() {
            if due > now && self.due.len() <= MOST_PACKETS {
                return None;
            }
            self.due.pop_front();
            // It may have been seen anew.
            if self.packets.get(&key).is_some_and(|(time, _)| *time == due) {
                let (_, state) = self.packets.remove(&key).expect("it is there");
                if let State::Waiting(_, bytes) = &state {
                    self.waiting -= bytes;
                }
                return Some(state);
            }
        }
        None
    }

    fn set(&mut self, now: Time, key: Key, state: State) -> Option<State> {
        let due = now + PATIENCE;
        self.due.push_back((due, key));
        let (_, before) = self.packets.insert(key, (due, state))?;
        if let State::Waiting(_, bytes) = &before {
            self.waiting -= bytes;
        }
        Some(before)
    }

    /// The fragments that wait.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = PacketId> {
        // In an order of their own, not the map's.
        let mut all: Vec<_> = self
            .packets
            .into_values()
            .filter_map(|(_, state)| match state {
                State::Waiting(ids, _) => Some(ids),
                State::Known(_) => None,
            })
            .flatten()
            .collect();
        all.sort_unstable();
        all.into_iter()
    }
}

impl Nat {
    /// A fragment passes, waits, or is dropped. To `place`, if it comes in.
    pub(super) fn fragment(
        &mut self,
        way: Way,
        place: u32,
        fragment: Fragment,
        packet: &mut Packet,
        around: &mut Surroundings<'_>,
    ) -> Verdict {
        let node = around.node;
        let no_room = |limit| Verdict::Drop(DropReason::FragmentsFull { node, limit });
        let limit = match self.config.fragments {
            Fragments::Dropped => return no_room(0),
            Fragments::InOrder => 0,
            Fragments::AnyOrder { limit } => limit,
        };
        self.give_up_fragments(around);
        let key = Key {
            way,
            source: packet.source.address,
            destination: packet.destination.address,
            protocol: packet.transport.protocol(),
            identification: fragment.identification,
        };
        if fragment.is_first() {
            let before = packet.translations;
            let verdict = match way {
                Way::Out => self.translate_out(packet, around),
                Way::In => self.translate_in(packet, place, around),
            };
            let outcome = match verdict {
                Verdict::Forward(_) | Verdict::Hairpin(_) => Outcome::Passed {
                    source: packet.source.address,
                    destination: packet.destination.address,
                    translated: packet.translations != before,
                    hairpinned: matches!(verdict, Verdict::Hairpin(_)),
                },
                Verdict::Drop(_) | Verdict::Refuse { .. } | Verdict::Hold => Outcome::Refused,
            };
            self.first_came(key, outcome, around);
            return verdict;
        }
        match self.fragments.packets.get_mut(&key) {
            Some((_, State::Known(outcome))) => follow(packet, *outcome, around),
            other => {
                let length = packet.wire_length() as u32;
                let table_bytes = self.fragments.waiting;
                if table_bytes.saturating_add(length) > limit {
                    return no_room(limit);
                }
                match other {
                    Some((_, State::Waiting(ids, bytes))) => {
                        ids.push(packet.id);
                        *bytes += length;
                    }
                    _ => {
                        let state = State::Waiting(vec![packet.id], length);
                        self.fragments.set(around.now, key, state);
                        let wake = Request::WakeAt(around.now + PATIENCE);
                        self.requests.push_back(wake);
                    }
                }
                self.fragments.waiting += length;
                Verdict::Hold
            }
        }
    }

    /// The first fragment has come: those that waited for it go its way.
    fn first_came(&mut self, key: Key, outcome: Outcome, around: &Surroundings<'_>) {
        let state = State::Known(outcome);
        let Some(State::Waiting(ids, _)) = self.fragments.set(around.now, key, state) else {
            return;
        };
        let node = around.node;
        self.requests
            .extend(ids.into_iter().map(|id| match outcome {
                Outcome::Passed { .. } => Request::Release(id),
                Outcome::Refused => Request::Discard(id, DropReason::FragmentsIncomplete { node }),
            }));
    }

    /// Drops the fragments that have waited in vain.
    pub(super) fn give_up_fragments(&mut self, around: &Surroundings<'_>) {
        let node = around.node;
        while let Some(state) = self.fragments.pop(around.now) {
            let State::Waiting(ids, _) = state else {
                continue;
            };
            let discard = |id| Request::Discard(id, DropReason::FragmentsIncomplete { node });
            self.requests.extend(ids.into_iter().map(discard));
        }
    }
}

/// Lets a fragment go where the first has gone.
fn follow(packet: &mut Packet, outcome: Outcome, around: &Surroundings<'_>) -> Verdict {
    match outcome {
        Outcome::Refused => Verdict::Drop(DropReason::FragmentsIncomplete { node: around.node }),
        Outcome::Passed {
            source,
            destination,
            translated,
            hairpinned,
        } => {
            packet.source.address = source;
            packet.destination.address = destination;
            packet.translations += u8::from(translated);
            if hairpinned {
                Verdict::Hairpin(Passage::default())
            } else {
                Verdict::PASS
            }
        }
    }
}
