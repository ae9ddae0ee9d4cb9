//! How a train travels: car by car over each link, as one through each node.

use super::icmp::Came;
use super::{Internet, Node, What};
use crate::engine::{Entity, Rank};
use crate::host::{ArrivedTrain, ProgramId};
use crate::id::{DirectionId, NodeId};
use crate::link::Admission;
use crate::packet::train::headers;
use crate::packet::{Packet, Payload, Slot, Train};
use crate::time::Time;
use crate::trace::{Cause, DropReason, Event, Fate};

impl Internet {
    /// Puts the cars of a train onto a link, each at its time. Those that are lost end here.
    ///
    /// # Errors
    ///
    /// Cars are too long for the link: the MTU. They are what `slot` holds then.
    pub(super) fn transmit_train(&mut self, slot: Slot, on: DirectionId) -> Result<(), u16> {
        let packet = self.arena.get_mut(slot);
        let headers = headers(packet.source.address.family());
        let Payload::Train(mut train) = std::mem::take(&mut packet.payload) else {
            unreachable!("only trains are sent this way")
        };
        let conditions = *self.plan.conditions(on);
        let (mut odd, mut long) = (Vec::new(), Train::default());
        let mut departed = self.trace.is_recording().then(Train::default);
        train.retain(|car| {
            let lane = &mut self.directions[on.index()].lane;
            let sent = *car;
            let length = usize::from(car.length) + headers;
            let admission = lane.admit(&conditions, car.at, length);
            if let (Some(departed), Admission::Carried { .. } | Admission::Lost) =
                (&mut departed, admission)
            {
                departed.join(sent);
            }
            match admission {
                Admission::Carried { arrival, copy } => {
                    car.at = arrival;
                    if let Some(arrival) = copy {
                        odd.push((sent, Odd::Copied(arrival)));
                    }
                    true
                }
                Admission::Lost => {
                    odd.push((sent, Odd::Dropped(DropReason::Lost { on })));
                    false
                }
                Admission::QueueFull { queued, limit } => {
                    let reason = DropReason::QueueFull { on, queued, limit };
                    odd.push((sent, Odd::Dropped(reason)));
                    false
                }
                Admission::TooBig { .. } => {
                    long.join(sent);
                    false
                }
            }
        });
        let now = self.now;
        let bare = |packet: &Packet, train| Packet {
            payload: Payload::Train(Box::new(train)),
            ..packet.clone()
        };
        if let Some(departed) = departed {
            let part = bare(self.arena.get(slot), departed);
            self.trace.event(now, &part, Event::Departed { on });
        }
        for (sent, what) in odd {
            let packet = self.arena.get(slot);
            let id = packet.id_of(&sent);
            let alone = |train| bare(packet, train);
            match what {
                Odd::Copied(arrival) => {
                    let copy = alone(Train::lone(sent, arrival));
                    let copy = self.arena.insert(copy);
                    self.number(copy, Cause::DuplicateOf(id));
                    self.enqueue_train(copy, on);
                }
                Odd::Dropped(reason) => {
                    let part = alone(Train::part(sent));
                    self.trace.ended(now, &part, Fate::Dropped(reason));
                }
            }
        }
        train.sort();
        let packet = self.arena.get_mut(slot);
        packet.payload = Payload::Train(train);
        if long.is_empty() {
            self.go_on_or_end(slot, on);
            return Ok(());
        }
        let rest = self.arena.get(slot).clone();
        let rest = self.arena.insert(rest);
        self.go_on_or_end(rest, on);
        self.arena.get_mut(slot).payload = Payload::Train(Box::new(long));
        Err(conditions.mtu)
    }

    /// Cars that are too long for the link before them, each as a packet of its own.
    pub(super) fn too_long_cars(
        &mut self,
        slot: Slot,
        on: DirectionId,
        mtu: u16,
        came: Option<Came>,
    ) {
        let packet = self.arena.get(slot).clone();
        self.arena.remove(slot);
        let Payload::Train(train) = &packet.payload else {
            unreachable!("only trains have cars")
        };
        for car in train.cars() {
            let mut payload = Vec::new();
            car.payload(&mut payload);
            let whole = self.arena.insert(Packet {
                id: packet.id_of(car),
                payload: Payload::Bytes(payload),
                ..packet.clone()
            });
            self.too_long(whole, on, mtu, came);
        }
    }

    /// What is left of a train sets out on a link, if anything is.
    fn go_on_or_end(&mut self, slot: Slot, on: DirectionId) {
        if self.arena.get(slot).count() == 0 {
            self.arena.remove(slot);
        } else {
            self.enqueue_train(slot, on);
        }
    }

    /// A train passes nodes with its first car, and is delivered with its last.
    fn enqueue_train(&mut self, slot: Slot, on: DirectionId) {
        let Payload::Train(train) = &self.arena.get(slot).payload else {
            unreachable!("only trains are sent this way")
        };
        let (first, last) = train.span().expect("an empty train goes nowhere");
        let direction = &mut self.directions[on.index()];
        let at = match self.nodes[direction.to.index()] {
            Node::Host(_) => last,
            Node::Gateway(_) | Node::Router(_) => first,
        };
        direction.counter += 1;
        let entity = Entity::direction(on.index());
        let rank = Rank::new(at.max(self.now), entity, direction.counter);
        self.queue.push(rank, What::Arrive(on, slot));
    }

    /// Gives a train that has reached a host to a program there.
    pub(super) fn hand_over_train(&mut self, host: NodeId, slot: Slot, program: ProgramId) {
        let packet = self.arena.get(slot);
        let (id, local, remote) = (packet.id, packet.destination, packet.source);
        let now = self.now;
        self.hand_over_by(host, slot, program, |program, payload, io| {
            let Payload::Train(train) = payload else {
                unreachable!("only trains are delivered this way")
            };
            let arrived = ArrivedTrain {
                id,
                local: local.into(),
                remote: remote.into(),
                cars: train.cars(),
            };
            program.handle_train(now, arrived, io);
        });
    }
}

/// What happened to a car that didn't just go on.
enum Odd {
    Copied(Time),
    Dropped(DropReason),
}
