//! The way of a check, an answer or a datum from one side to the other: one packet, or several
//! where a TURN server hands it on.

use pinhole::packet::PacketId;
use pinhole::trace::{DropReason, Fate};
use pinhole::{Endpoint, Time};

use super::lives::{End, Lives};
use super::message::{Class, Message, StunMessage};
use crate::call::{Data, Side};

/// What went from one side to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A connectivity check.
    Check {
        /// Whether it nominates its pair.
        nominates: bool,
    },
    /// The answer to one.
    Answer,
    /// The call's data.
    Data,
}

/// What makes packets one journey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Identity {
    /// A check's or answer's transaction.
    Transaction([u8; 12]),
    /// The datum.
    Data(Data),
}

/// One try to get something across.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    pub(super) sender: Side,
    pub(super) what: What,
    pub(super) identity: Identity,
    /// The packets it took, in order.
    pub(super) packets: Vec<PacketId>,
    /// The candidate it was sent from: the socket, or a relayed address.
    pub(super) from: Endpoint,
    /// The candidate it was sent to.
    pub(super) to: Endpoint,
    /// Whether the sender's own TURN server was to carry it.
    pub(super) relayed: bool,
}

impl Journey {
    pub(super) fn first(&self) -> PacketId {
        self.packets[0]
    }

    pub(super) fn last(&self) -> PacketId {
        self.packets[self.packets.len() - 1]
    }

    /// When it was sent.
    pub(super) fn began(&self, lives: &Lives<'_>) -> Time {
        lives.sent_at(self.first())
    }

    /// How it ended at the other side, if it got there.
    pub(super) fn arrival(&self, lives: &Lives<'_>) -> Option<End> {
        let host = lives.call.scene.hosts[self.sender.other().index()];
        let end = lives.life(self.last()).end?;
        (end.fate == Fate::Delivered { host }).then_some(end)
    }

    /// Why it ended on the way, if it was dropped.
    pub(super) fn dropped(&self, lives: &Lives<'_>) -> Option<DropReason> {
        lives.life(self.last()).dropped()
    }

    pub(super) fn is_check(&self) -> bool {
        matches!(self.what, What::Check { .. })
    }

    /// Whether a relay stood on its way, the sender's or the other's.
    pub(super) fn is_over_relay(&self, lives: &Lives<'_>) -> bool {
        self.relayed || self.packets.len() > 1 || lives.is_relay(self.to)
    }

    /// Where it seemed to come from, to the ICE agent that it reached.
    pub(super) fn seen_from(&self, lives: &Lives<'_>) -> Endpoint {
        // What comes out of a relay's wrapping is what came to the relayed address.
        let bare = self
            .packets
            .iter()
            .rfind(|id| wrapping(&lives.life(**id).message).is_none());
        let last = bare.copied().unwrap_or(self.last());
        match lives.life(last).end {
            Some(end) => end.source,
            None => lives.recording.packet(last).source,
        }
    }
}

/// Finds every journey of a call.
pub(super) fn follow(lives: &Lives<'_>) -> Vec<Journey> {
    let mut journeys: Vec<Journey> = Vec::new();
    for id in lives.recording.ids() {
        let message = &lives.life(id).message;
        let Some((what, identity)) = travels(message) else {
            continue;
        };
        let packet = lives.recording.packet(id);
        let Some(sender) = lives.side(packet.origin) else {
            // A relay hands on what has just reached it.
            let carried_here = |journey: &&mut Journey| {
                journey.identity == identity
                    && same_kind(journey.what, what)
                    && lives.life(journey.last()).end.is_some_and(|end| {
                        let host = packet.origin;
                        end.fate == Fate::Delivered { host } && end.time == packet.time
                    })
            };
            if let Some(journey) = journeys.iter_mut().rfind(carried_here) {
                if journey.packets.len() == 1 && journey.relayed {
                    (journey.from, journey.to) = (packet.source, packet.destination);
                }
                journey.packets.push(id);
            }
            continue;
        };
        let wrapped = wrapping(message);
        journeys.push(Journey {
            sender,
            what,
            identity,
            packets: vec![id],
            from: packet.source,
            to: wrapped.flatten().unwrap_or(packet.destination),
            relayed: wrapped.is_some(),
        });
    }
    journeys
}

/// What a message is, if it is meant for the other side.
fn travels(message: &Message) -> Option<(What, Identity)> {
    match message.unwrapped() {
        Message::Data(data) => Some((What::Data, Identity::Data(*data))),
        Message::Stun(stun) if stun.is_ice() => {
            let what = match stun.class {
                Class::Request => What::Check {
                    nominates: stun.use_candidate,
                },
                Class::Success | Class::Error { .. } => What::Answer,
                Class::Indication => return None,
            };
            Some((what, Identity::Transaction(stun.transaction)))
        }
        _ => None,
    }
}

fn same_kind(one: What, other: What) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

/// Whether a message is wrapped for or by a TURN server, and the peer that the wrapping names;
/// ChannelData names none.
fn wrapping(message: &Message) -> Option<Option<Endpoint>> {
    match message {
        Message::Channel { .. } => Some(None),
        Message::Stun(StunMessage {
            inner: Some(_),
            peer,
            ..
        }) => Some(peer.map(Endpoint::from)),
        _ => None,
    }
}
