//! Faults: what goes wrong while a run goes on, and what comes right again.
//!
//! A fault is data. It is [scheduled](Internet::schedule_fault) for a virtual time, and strikes
//! after everything else that happens at that time; or it is [inflicted](Internet::inflict) at once.
//!
//! Packets under way on a link that goes down were sent already: they arrive, those that wait for
//! the bottleneck included. What comes after them is dropped before the link. A cut link is silent:
//! nobody is told, as when a cable is torn somewhere in the street. A host that roams or loses a
//! family knows it, and so do its programs ([`Input::NetworkChanged`]).
//!
//! What it doesn't do: a device that is away while it reboots (cut its links for that), routes that
//! go around a cut link (they stay as the plan has them), DHCP leases that end.

mod error;
mod state;

pub use error::FaultError;
pub(super) use state::Faults;
use state::Partition;

use super::{DeviceAtWork, Internet, Node, What};
use crate::address::{Address, Family};
use crate::engine::{Entity, Rank};
use crate::host::{Input, Interface, ProgramId};
use crate::id::{DirectionId, LinkId, NodeId};
use crate::link::Bottleneck;
use crate::time::Time;
use crate::topology::{BuildError, Device, compute_routes};

/// Something that goes wrong, or comes right again.
///
/// ```
/// use std::time::Duration;
/// use pinhole::internet::Fault;
/// use pinhole::{Input, Sketch, Time};
///
/// let mut world = Sketch::new();
/// let alice = world.host("alice", "nat:eim/eif");
/// let server = world.server("server");
/// let there = world.public(server, 7);
/// let mut net = world.build(1);
/// let gateway = net.topology().find("alice.nat").expect("alice is behind a NAT");
/// net.schedule_fault(Time::from_millis(500), Fault::Reboot { gateway, external: vec![] })?;
/// net.attach_fn(alice, move |_, input, io| if let Input::Start = input {
///     io.bind(5000).unwrap();
///     io.send_from(5000, there, b"hello");
/// });
/// net.run_until(Time::from_millis(499))?;
/// assert_eq!(net.nat(gateway).unwrap().mappings(net.now()).count(), 1);
/// net.run_until(Time::from_millis(500))?;
/// assert_eq!(net.nat(gateway).unwrap().mappings(net.now()).count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A gateway starts anew: every device in it is as on its first day.
    Reboot {
        /// The gateway.
        gateway: NodeId,
        /// Its external addresses from then on; empty where it keeps those that it has.
        external: Vec<Address>,
    },
    /// A gateway's NAT forgets its mappings and filters; other devices keep their state.
    Flush {
        /// The gateway.
        gateway: NodeId,
    },
    /// A host leaves the network that it is on for another: it has the addresses of that attachment
    /// from then on, and no others.
    Roam {
        /// The host.
        host: NodeId,
        /// The attachment: a link of the host's, [standby](crate::Topology::standby) or not.
        to: LinkId,
    },
    /// A link takes no packets, either way.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A link that was down takes packets again.
    LinkUp {
        /// The link.
        link: LinkId,
    },
    /// One direction of a link has another rate and another queue from now on. What waits already
    /// leaves as it would have: nothing that was admitted is dropped, and no packet overtakes it.
    Bottleneck {
        /// The direction.
        direction: DirectionId,
        /// Its rate and queue from then on; `None` sends everything at once.
        bottleneck: Option<Bottleneck>,
    },
    /// What is sent or forwarded by one of two nodes from now on doesn't get to the other: it ends
    /// at the other's door. The rest of the world reaches both. Packets that have left one of them
    /// before are not held up.
    Partition {
        /// The two.
        between: [NodeId; 2],
    },
    /// A partition ends: what is sent or forwarded from now on gets through.
    Heal {
        /// The two.
        between: [NodeId; 2],
    },
    /// A host's [services](Internet::attach_service) start anew: their sockets are closed, what they
    /// remember is gone, and each gets [`Input::Start`] at once.
    Restart {
        /// The host.
        host: NodeId,
    },
    /// A host loses its addresses of one family.
    FamilyLost {
        /// The host.
        host: NodeId,
        /// The family.
        family: Family,
    },
    /// A host has its addresses of that family again.
    FamilyRegained {
        /// The host.
        host: NodeId,
        /// The family.
        family: Family,
    },
}

/// A fault that struck.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inflicted {
    /// When.
    pub time: Time,
    /// What.
    pub fault: Fault,
    /// The addresses that its node had until then: a rebooted gateway's external ones, a host's own.
    /// Empty for faults of links and between nodes.
    pub before: Vec<Address>,
}

impl Internet {
    /// Lets a fault strike at `at`, after everything else that happens at that time. Of several at
    /// one time, the one that was scheduled first comes first.
    ///
    /// # Errors
    ///
    /// The fault can't be, for a reason that names the node; or `at` is in the past.
    pub fn schedule_fault(&mut self, at: Time, fault: Fault) -> Result<(), FaultError> {
        if at < self.now {
            return Err(FaultError::InThePast { at, now: self.now });
        }
        self.accept(&fault)?;
        let place = self.faults.scheduled.len();
        self.faults.scheduled.push(fault);
        let rank = Rank::new(at, Entity::fault(), place as u64);
        self.queue.push(rank, What::Fault(place as u32));
        Ok(())
    }

    /// Lets a fault strike now.
    ///
    /// # Errors
    ///
    /// The fault can't be, for a reason that names the node.
    pub fn inflict(&mut self, fault: Fault) -> Result<(), FaultError> {
        self.accept(&fault)?;
        self.happen(fault);
        Ok(())
    }

    /// The faults that have struck so far, in order.
    pub fn inflicted(&self) -> &[Inflicted] {
        &self.faults.inflicted
    }

    /// The addresses that a host has right now.
    ///
    /// # Panics
    ///
    /// The node is no host.
    pub fn host_addresses(&self, host: NodeId) -> Vec<Address> {
        let Node::Host(at) = &self.nodes[host.index()] else {
            panic!("{} is no host", self.name(host))
        };
        at.addresses().collect()
    }

    pub(super) fn strike(&mut self, place: u32) {
        self.happen(self.faults.scheduled[place as usize].clone());
    }

    /// Refuses what can't be. What is accepted can be at any later time too: kinds of nodes, links
    /// and services never go, and addresses are promised.
    fn accept(&mut self, fault: &Fault) -> Result<(), FaultError> {
        match fault {
            Fault::Reboot { gateway, external } => {
                self.must_be(*gateway, "gateway", "reboot")?;
                if !external.is_empty() {
                    self.must_be(*gateway, "NAT", "get other external addresses")?;
                    self.promise(*gateway, external)?;
                }
                Ok(())
            }
            Fault::Flush { gateway } => self.must_be(*gateway, "NAT", "lose its mappings"),
            Fault::Roam { host, to } => {
                self.must_be(*host, "host", "roam")?;
                self.must_exist(*to)?;
                let link = self.plan.link_plan(*to);
                if link.inner == *host && link.far_address.is_none() {
                    return Ok(());
                }
                let name = |node| self.name(node).to_owned();
                Err(FaultError::NotAttached {
                    host: name(*host),
                    inner: name(link.inner),
                    outer: name(link.outer),
                })
            }
            Fault::LinkDown { link } | Fault::LinkUp { link } => self.must_exist(*link),
            Fault::Bottleneck { direction, .. } => self.must_exist(direction.link()),
            Fault::Partition { between } | Fault::Heal { between } => {
                for node in between {
                    self.must_be(*node, "node", "be parted")?;
                }
                if between[0] == between[1] {
                    let node = self.name(between[0]).to_owned();
                    return Err(FaultError::FromItself { node });
                }
                Ok(())
            }
            Fault::Restart { host } => {
                self.must_be(*host, "host", "restart its programs")?;
                if self.services(*host).is_empty() {
                    let host = self.name(*host).to_owned();
                    return Err(FaultError::NothingToRestart { host });
                }
                Ok(())
            }
            Fault::FamilyLost { host, family } | Fault::FamilyRegained { host, family } => {
                self.must_be(*host, "host", "lose a family of addresses")?;
                let mut planned = self.plan.addresses(*host);
                if planned.any(|address| address.family() == *family) {
                    return Ok(());
                }
                Err(FaultError::NoSuchFamily {
                    host: self.name(*host).to_owned(),
                    family: *family,
                })
            }
        }
    }

    fn must_be(
        &self,
        node: NodeId,
        wanted: &'static str,
        what: &'static str,
    ) -> Result<(), FaultError> {
        let count = self.nodes.len();
        let Some(at) = self.nodes.get(node.index()) else {
            let node = node.index();
            return Err(FaultError::NoSuchNode { node, count });
        };
        let fits = match wanted {
            "host" => matches!(at, Node::Host(_)),
            "gateway" => matches!(at, Node::Gateway(_)),
            "NAT" => self.plan.nat_config(node).is_some(),
            _ => true,
        };
        if fits {
            return Ok(());
        }
        Err(FaultError::WrongKind {
            node: self.name(node).to_owned(),
            role: self.plan.role(node),
            wanted,
            what,
        })
    }

    fn must_exist(&self, link: LinkId) -> Result<(), FaultError> {
        let count = self.plan.link_count();
        if link.index() < count {
            return Ok(());
        }
        let link = link.index();
        Err(FaultError::NoSuchLink { link, count })
    }

    /// Promises external addresses to a NAT, if together with all that are in use or promised they
    /// make sense: so no later fault can fail for want of an address.
    fn promise(&mut self, nat: NodeId, external: &[Address]) -> Result<(), FaultError> {
        let now: Vec<Address> = self.plan.addresses(nat).collect();
        let has = |list: &[Address], family| list.iter().any(|one| one.family() == family);
        let families = [Family::V4, Family::V6];
        if families
            .iter()
            .any(|family| has(&now, *family) != has(external, *family))
        {
            let nat = self.name(nat).to_owned();
            return Err(FaultError::OtherFamilies { nat, now });
        }
        let mut sorted = external.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let (first, second) = (self.name(nat).to_owned(), self.name(nat).to_owned());
            let address = pair[0];
            return Err(BuildError::AddressTwice {
                address,
                first,
                second,
            }
            .into());
        }
        let mut promised = self.faults.promised.clone();
        promised.extend(external.iter().map(|address| (nat, *address)));
        promised.sort_unstable();
        promised.dedup();
        let mut plan = self.plan.clone();
        for (node, address) in &promised {
            let known = plan.addresses(*node).any(|known| known == *address);
            if !known {
                let uplink = self.uplink(*node);
                plan.link_mut(uplink).addresses.push(*address);
            }
        }
        compute_routes(&plan)?;
        self.faults.promised = promised;
        Ok(())
    }

    fn uplink(&self, gateway: NodeId) -> LinkId {
        match &self.nodes[gateway.index()] {
            Node::Gateway(gateway) => gateway.uplink.link(),
            Node::Host(_) | Node::Router(_) => unreachable!("only gateways have an uplink"),
        }
    }

    /// The programs of a host that can be made anew.
    fn services(&self, host: NodeId) -> Vec<ProgramId> {
        let ids = (0..self.programs.len() as u32).map(ProgramId);
        let mine = ids.filter(|id| {
            let running = &self.programs[id.0 as usize];
            running.host == host && running.make.is_some()
        });
        mine.collect()
    }

    fn happen(&mut self, fault: Fault) {
        let before = match &fault {
            Fault::Reboot { gateway, .. } => self.plan.addresses(*gateway).collect(),
            Fault::Roam { host, .. }
            | Fault::FamilyLost { host, .. }
            | Fault::FamilyRegained { host, .. } => self.host_addresses(*host),
            _ => Vec::new(),
        };
        self.faults.inflicted.push(Inflicted {
            time: self.now,
            fault: fault.clone(),
            before,
        });
        match fault {
            Fault::Reboot { gateway, external } => self.reboot(gateway, external),
            Fault::Flush { gateway } => {
                self.renew(gateway, |device| matches!(device, Device::Nat(_)))
            }
            Fault::Roam { host, to } => self.roam(host, to),
            Fault::LinkDown { link } => {
                insert(&mut self.faults.cut, link);
                self.set_links(&[link]);
            }
            Fault::LinkUp { link } => {
                self.faults.cut.retain(|cut| *cut != link);
                self.set_links(&[link]);
            }
            Fault::Bottleneck {
                direction,
                bottleneck,
            } => {
                self.plan.conditions_mut(direction).bottleneck = bottleneck;
                self.directions[direction.index()]
                    .lane
                    .set_bottleneck(bottleneck);
            }
            Fault::Partition { between } => {
                let partition = self.partition(between);
                match partition {
                    Some(known) => known.healed = false,
                    None => self.faults.partitions.push(Partition::new(between)),
                }
            }
            Fault::Heal { between } => {
                if let Some(partition) = self.partition(between) {
                    partition.healed = true;
                }
            }
            Fault::Restart { host } => self.restart(host),
            Fault::FamilyLost { host, family } => {
                insert(&mut self.faults.lost, (host, family));
                self.change_network(host);
            }
            Fault::FamilyRegained { host, family } => {
                self.faults.lost.retain(|lost| *lost != (host, family));
                self.change_network(host);
            }
        }
    }

    fn partition(&mut self, [one, other]: [NodeId; 2]) -> Option<&mut Partition> {
        let mut partitions = self.faults.partitions.iter_mut();
        partitions.find(|known| known.between == [one, other] || known.between == [other, one])
    }

    fn reboot(&mut self, gateway: NodeId, external: Vec<Address>) {
        if !external.is_empty() {
            let uplink = self.uplink(gateway);
            self.plan.link_mut(uplink).addresses = external;
            let tables = compute_routes(&self.plan).expect("addresses were promised");
            for (node, new) in self.nodes.iter_mut().zip(tables) {
                match node {
                    Node::Host(_) => {}
                    Node::Router(router) => router.table = new,
                    Node::Gateway(gateway) => gateway.table = new,
                }
            }
        }
        self.renew(gateway, |_| true);
    }

    /// Makes those devices of a gateway anew.
    fn renew(&mut self, gateway: NodeId, which: impl Fn(&Device) -> bool) {
        self.forget_held(gateway, &which);
        let uplink = self.uplink(gateway);
        let external = &self.plan.link_plan(uplink).addresses;
        let planned = self.plan.devices(gateway);
        let Node::Gateway(gateway) = &mut self.nodes[gateway.index()] else {
            unreachable!("it was accepted as a gateway")
        };
        for (device, plan) in gateway.devices.iter_mut().zip(planned) {
            if which(plan) {
                *device = DeviceAtWork::new(plan, external);
            }
        }
    }

    /// Packets that wait in a NAT which is made anew end there.
    fn forget_held(&mut self, gateway: NodeId, which: impl Fn(&Device) -> bool) {
        let planned = self.plan.devices(gateway);
        let Node::Gateway(at_work) = &mut self.nodes[gateway.index()] else {
            unreachable!("it was accepted as a gateway")
        };
        for (device, plan) in at_work.devices.iter_mut().zip(planned) {
            if let DeviceAtWork::Nat(nat) = device
                && which(plan)
            {
                nat.restart(gateway);
            }
        }
        self.errands(gateway);
    }

    fn roam(&mut self, host: NodeId, to: LinkId) {
        let links = self.plan.links(host);
        for link in &links {
            self.faults.detached.retain(|other| other != link);
            if *link != to {
                self.faults.detached.push(*link);
            }
        }
        self.set_links(&links);
        self.change_network(host);
    }

    /// Puts links up or down, as they should be.
    fn set_links(&mut self, links: &[LinkId]) {
        for link in links {
            let down = self.faults.cut.contains(link) || self.faults.detached.contains(link);
            for direction in [link.forward(), link.backward()] {
                self.directions[direction.index()].down = down;
            }
        }
    }

    /// Gives a host the interfaces that it should have, and tells its programs if those changed.
    fn change_network(&mut self, host: NodeId) {
        let before = self.host_addresses(host);
        let interfaces = self.interfaces(host);
        let Node::Host(at) = &mut self.nodes[host.index()] else {
            unreachable!("it was accepted as a host")
        };
        at.reconnect(interfaces);
        if self.host_addresses(host) == before {
            return;
        }
        let programs = (0..self.programs.len() as u32).map(ProgramId);
        for id in programs {
            if self.host_of(id) == host && self.programs[id.0 as usize].started {
                self.give(id, Input::NetworkChanged);
            }
        }
    }

    fn interfaces(&self, host: NodeId) -> Vec<Interface> {
        let mut interfaces = Vec::new();
        for id in self.plan.links(host) {
            if self.faults.detached.contains(&id) {
                continue;
            }
            let link = self.plan.link_plan(id);
            if link.inner == host {
                interfaces.extend(link.addresses.iter().map(|address| Interface {
                    address: *address,
                    out: id.forward(),
                    mtu: link.link.up.mtu,
                }));
            } else {
                interfaces.extend(link.far_address.map(|address| Interface {
                    address,
                    out: id.backward(),
                    mtu: link.link.down.mtu,
                }));
            }
        }
        let lost = &self.faults.lost;
        interfaces.retain(|interface| !lost.contains(&(host, interface.address.family())));
        interfaces
    }

    fn restart(&mut self, host: NodeId) {
        for id in self.services(host) {
            if let Node::Host(at) = &mut self.nodes[host.index()] {
                at.close_all(id);
            }
            let running = &mut self.programs[id.0 as usize];
            let make = running.make.as_ref().expect("services can be made anew");
            running.program = make();
            running.alarm = Default::default();
            running.started = true;
            self.give(id, Input::Start);
        }
    }
}

fn insert<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}
