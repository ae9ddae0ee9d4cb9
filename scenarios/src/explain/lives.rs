//! A recording, laid out packet by packet so that one can ask it: what was this packet, which gates
//! did it pass, who had opened them for it.

use pinhole::nat::FilterMemory;
use pinhole::nat64::Prefix64;
use pinhole::packet::PacketId;
use pinhole::topology::Device;
use pinhole::trace::{DropReason, Event, Fate, Recording};
use pinhole::{Endpoint, Filtering, NodeId, Time, Topology};

use super::message::{Class, Message, Method};
use crate::call::{Call, Side};

/// The lives of a recorded call's packets.
pub(super) struct Lives<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) recording: &'a Recording,
    /// One for each packet.
    lives: Vec<Life>,
    /// In the order in which they happened.
    pub(super) openings: Vec<Opening>,
}

/// A packet's life.
pub(super) struct Life {
    /// What it carries.
    pub(super) message: Message,
    /// The gateways it came to, in order.
    pub(super) crossings: Vec<Crossing>,
    /// How it ended.
    pub(super) end: Option<End>,
}

/// How a packet ended, and whom it seemed to come from by then.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) time: Time,
    pub(super) source: Endpoint,
    pub(super) fate: Fate,
}

/// A packet at a gateway: from one side to the other, or back where it came from, or no further.
#[derive(Clone, Copy)]
pub(super) struct Crossing {
    pub(super) time: Time,
    pub(super) gateway: NodeId,
    /// Whether it came from outside.
    pub(super) inward: bool,
    /// Source and destination before.
    pub(super) before: (Endpoint, Endpoint),
    /// Source and destination after.
    pub(super) after: (Endpoint, Endpoint),
}

/// A pinhole that a packet left on its way out.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) time: Time,
    pub(super) packet: PacketId,
    /// The NAT or firewall.
    pub(super) by: NodeId,
    pub(super) internal: Endpoint,
    pub(super) external: Endpoint,
    pub(super) remote: Endpoint,
}

/// A NAT that used another external endpoint toward a peer than toward the STUN server.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    pub(super) nat: NodeId,
    /// What the peer's side sees.
    pub(super) used: Endpoint,
    /// What the STUN server saw.
    pub(super) advertised: Endpoint,
}

impl<'a> Lives<'a> {
    pub(super) fn of(call: &'a Call<'a>) -> Self {
        let recording = call.net.trace().recording();
        let recording = recording.expect("a call is explained after it was recorded");
        let lives = recording
            .ids()
            .map(|id| Life {
                message: Message::read(recording.payload(id)),
                crossings: Vec::new(),
                end: None,
            })
            .collect();
        let mut lives = Lives {
            call,
            recording,
            lives,
            openings: Vec::new(),
        };
        lives.read();
        lives
    }

    fn read(&mut self) {
        let topology = self.call.net.topology();
        for record in self.recording.records() {
            let life = &mut self.lives[record.packet.index()];
            let now = (record.source, record.destination);
            match record.event {
                Event::Departed { .. } | Event::Mapped { .. } => {}
                Event::Arrived { on } => {
                    let (inner, outer) = topology.ends(on.link());
                    let inward = on == on.link().backward();
                    let gateway = if inward { inner } else { outer };
                    if !topology.devices(gateway).is_empty() {
                        life.crossings.push(Crossing {
                            time: record.time,
                            gateway,
                            inward,
                            before: now,
                            after: now,
                        });
                    }
                }
                Event::Translated { .. } => {
                    if let Some(crossing) = life.crossings.last_mut() {
                        crossing.after = now;
                    }
                }
                Event::Opened {
                    by,
                    internal,
                    external,
                    remote,
                } => self.openings.push(Opening {
                    time: record.time,
                    packet: record.packet,
                    by,
                    internal,
                    external,
                    remote,
                }),
                Event::Ended(fate) => {
                    life.end = Some(End {
                        time: record.time,
                        source: record.source,
                        fate,
                    });
                    let opening = hairpinned(record.time, record.packet, fate, record.source);
                    self.openings.extend(opening);
                }
            }
        }
    }

    pub(super) fn topology(&self) -> &'a Topology {
        self.call.net.topology()
    }

    pub(super) fn name(&self, node: NodeId) -> &'a str {
        self.call.net.name(node)
    }

    pub(super) fn life(&self, packet: PacketId) -> &Life {
        &self.lives[packet.index()]
    }

    /// When a packet was sent.
    pub(super) fn sent_at(&self, packet: PacketId) -> Time {
        self.recording.packet(packet).time
    }

    /// Whose host this is.
    pub(super) fn side(&self, host: NodeId) -> Option<Side> {
        let hosts = self.call.scene.hosts;
        Side::BOTH
            .into_iter()
            .find(|side| hosts[side.index()] == host)
    }

    /// Whether an address is one of the TURN server's.
    pub(super) fn is_relay(&self, endpoint: Endpoint) -> bool {
        let addresses = |node| self.topology().addresses(node);
        let mut turn = self.call.scene.turn.into_iter().flat_map(addresses);
        let endpoint = in_ipv4(endpoint);
        turn.any(|address| address == endpoint.address)
    }

    /// Packets that a side's host sent, in order.
    pub(super) fn sent_by(&self, side: Side) -> impl Iterator<Item = PacketId> + '_ {
        let host = self.call.scene.hosts[side.index()];
        self.recording
            .ids()
            .filter(move |id| self.recording.packet(*id).origin == host)
    }

    /// The filter that a packet from outside met at a gateway; `None` where nothing looks at it.
    pub(super) fn filter_at(&self, crossing: &Crossing) -> Option<Filtering> {
        let translated = crossing.before.1 != crossing.after.1;
        let family = crossing.before.0.address.family();
        let devices = self.topology().devices(crossing.gateway);
        let filter = devices.iter().find_map(|device| match device {
            Device::Nat(config) if translated => Some(config.filtering),
            Device::Nat64(config) if translated => Some(config.filtering),
            Device::Firewall(config) if config.family.is_none_or(|only| only == family) => {
                Some(config.filtering)
            }
            _ => None,
        });
        filter.filter(|filtering| *filtering != Filtering::EndpointIndependent)
    }

    /// Whether a gateway's filter remembers for each mapping apart.
    pub(super) fn remembers_mappings(&self, gateway: NodeId) -> bool {
        let nat = self.topology().nat_config(gateway);
        nat.is_some_and(|nat| nat.filter_memory == FilterMemory::Mapping)
    }

    /// The pinholes of a gateway that count for a packet to `internal`, in the order of opening.
    pub(super) fn pinholes(
        &self,
        gateway: NodeId,
        internal: Endpoint,
        external: Endpoint,
    ) -> impl Iterator<Item = &Opening> {
        let of_mapping = self.remembers_mappings(gateway);
        self.openings.iter().filter(move |opening| {
            opening.by == gateway
                && opening.internal == internal
                && (!of_mapping || opening.external == external)
        })
    }

    /// What let a packet in: for each filter that it passed, the pinhole that an earlier one left.
    pub(super) fn let_in_by(&self, packet: PacketId) -> Vec<(Crossing, Opening)> {
        let life = self.life(packet);
        let inward = life.crossings.iter().filter(|crossing| crossing.comes_in());
        inward
            .filter_map(|crossing| {
                let filtering = self.filter_at(crossing)?;
                let internal = crossing.after.1;
                // As the outside knows it; hairpinned, it has an outside from here on.
                let remote = if crossing.inward {
                    crossing.before.0
                } else {
                    crossing.after.0
                };
                let external = crossing.before.1;
                let opening =
                    self.pinholes(crossing.gateway, internal, external)
                        .find(|opening| {
                            filtering.key(opening.remote) == filtering.key(remote)
                                && opening.time <= crossing.time
                        })?;
                (opening.packet != packet).then_some((*crossing, *opening))
            })
            .collect()
    }

    /// Where a packet seemed to come from once it was past its sender's gateways.
    pub(super) fn seen_from(&self, packet: PacketId) -> Endpoint {
        let life = self.life(packet);
        let last = life.crossings.iter().rfind(|crossing| !crossing.inward);
        last.map_or(self.recording.packet(packet).source, |crossing| {
            crossing.after.0
        })
    }

    /// The NAT that gave this packet another external endpoint than what the STUN server saw of the
    /// same socket, if one did.
    pub(super) fn shift(&self, packet: PacketId) -> Option<Shift> {
        let record = self.recording.packet(packet);
        let side = self.side(record.origin)?;
        let probe = self.sent_by(side).find(|id| {
            self.recording.packet(*id).source == record.source
                && self.is_answered_question(*id, Method::Binding)
        })?;
        let (used, advertised) = (self.seen_from(packet), self.seen_from(probe));
        let toward_stun = &self.life(probe).crossings;
        let culprit = self.life(packet).crossings.iter().find(|crossing| {
            toward_stun.iter().any(|other| {
                other.gateway == crossing.gateway
                    && other.before.0 == crossing.before.0
                    && other.after.0 != crossing.after.0
            })
        })?;
        (used != advertised).then_some(Shift {
            nat: culprit.gateway,
            used,
            advertised,
        })
    }

    /// Whether a packet is a question to a server, and the server said yes.
    fn is_answered_question(&self, packet: PacketId, method: Method) -> bool {
        self.is_question(packet, method) && self.answer(packet).is_some()
    }

    /// Whether a packet is a question to a server.
    pub(super) fn is_question(&self, packet: PacketId, method: Method) -> bool {
        matches!(&self.life(packet).message, Message::Stun(stun)
            if stun.method == method && stun.class == Class::Request && !stun.is_ice())
    }

    /// The success response to a request, if it arrived.
    pub(super) fn answer(&self, request: PacketId) -> Option<PacketId> {
        let Message::Stun(asked) = &self.life(request).message else {
            return None;
        };
        let host = self.recording.packet(request).origin;
        self.recording.ids().skip(request.index()).find(|id| {
            let life = self.life(*id);
            matches!(&life.message, Message::Stun(stun)
                if stun.transaction == asked.transaction && stun.class == Class::Success)
                && life.is_delivered_to(host)
        })
    }
}

/// What an endpoint under the NAT64's prefix stands for; any other stays what it is.
pub(super) fn in_ipv4(endpoint: Endpoint) -> Endpoint {
    let address = Prefix64::well_known().extract(endpoint.address);
    Endpoint::new(address.unwrap_or(endpoint.address), endpoint.port)
}

impl Life {
    pub(super) fn is_delivered_to(&self, host: NodeId) -> bool {
        self.end
            .is_some_and(|end| end.fate == Fate::Delivered { host })
    }

    /// Why it was dropped, if it was.
    pub(super) fn dropped(&self) -> Option<DropReason> {
        match self.end?.fate {
            Fate::Dropped(reason) => Some(reason),
            Fate::Delivered { .. } | Fate::Fragmented { .. } => None,
        }
    }
}

impl Crossing {
    /// Whether the packet went inside here: from outside, or turned around by hairpinning.
    pub(super) fn comes_in(&self) -> bool {
        // What goes out of one IP version into the other has another destination too.
        let same_version = self.before.1.address.family() == self.after.1.address.family();
        self.inward || (same_version && self.before.1 != self.after.1)
    }
}

/// What a hairpinned packet left behind that the NAT's own filter then dropped: on its way "out" it
/// was mapped to what the drop names as its sender, and the filter opened for where it went.
fn hairpinned(time: Time, packet: PacketId, fate: Fate, source: Endpoint) -> Option<Opening> {
    match fate {
        Fate::Dropped(DropReason::FilteredByNat {
            nat,
            external,
            remote,
            ..
        }) if remote != source => Some(Opening {
            time,
            packet,
            by: nat,
            internal: source,
            external: remote,
            remote: external,
        }),
        _ => None,
    }
}
