//! A host's TCP: who listens, which connections there are, and which of them has something to do.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use smoltcp::iface::{Config, Interface};
use smoltcp::wire::HardwareAddress;

use super::connection::{Connection, Origin, instant};
use super::settings::TcpSettings;
use super::wire::{Plug, Wire};
use super::{TcpEnd, TcpId};
use crate::address::{Endpoint, Family};
use crate::engine::Stream;
use crate::host::ProgramId;
use crate::host::sockets::{BindError, EPHEMERAL};
use crate::packet::{IPV4_HEADER, IPV6_HEADER, IcmpErrorKind, TcpFlags, TcpSegment};
use crate::time::Time;

/// Where a connection stands in its host's list. Used again, unlike a [`TcpId`].
pub(crate) type Place = u32;

/// What a program is to be told of a connection; bytes stand in the buffer that was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    Accepted,
    Connected,
    Data(usize),
    Writable,
    PeerClosed,
    Ended(TcpEnd),
}

/// Where a segment belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Incoming {
    /// To this connection.
    Connection(Place),
    /// It opens a connection on a port that is listened on, and there is no room for more.
    BacklogFull { limit: u32 },
    /// It opens a connection that nobody wants.
    Refused,
    /// To no connection.
    Stray,
}

/// A host's TCP. Made when a program first uses it.
pub(crate) struct Tcp {
    settings: TcpSettings,
    /// Sorted by port.
    listeners: Vec<(u16, ProgramId)>,
    standing: Vec<Standing>,
    free: Vec<Place>,
    by_ends: HashMap<(Endpoint, Endpoint), Place, FxBuildHasher>,
    /// One for each MTU, with that MTU.
    interfaces: Vec<(u16, Interface)>,
    half_open: u32,
    /// Initial sequence numbers and ephemeral ports.
    random: Stream,
    /// How many events were put into the queue, which ranks them.
    pub(crate) counter: u64,
}

/// Room for a connection.
#[derive(Default)]
struct Standing {
    generation: u32,
    connection: Option<Box<Connection>>,
    /// The earliest of its events in the queue; later ones are void. Outlives the connection.
    queued: Option<Time>,
    /// It is on the list of those that have something to do.
    busy: bool,
}

/// The least MTU that smoltcp is told: IPv4's (RFC 791).
const LEAST_MTU: u16 = 68;

impl Tcp {
    /// No connections, nobody listens.
    pub(crate) fn new(random: Stream) -> Self {
        Tcp {
            settings: TcpSettings::default(),
            listeners: Vec::new(),
            standing: Vec::new(),
            free: Vec::new(),
            by_ends: HashMap::default(),
            interfaces: Vec::new(),
            half_open: 0,
            random,
            counter: 0,
        }
    }

    pub(crate) fn set(&mut self, settings: TcpSettings) {
        self.settings = settings;
    }

    pub(crate) fn listen(&mut self, owner: ProgramId, port: u16) -> Result<u16, BindError> {
        let port = match port {
            0 => ephemeral(&mut self.random, |port| {
                listener(&self.listeners, port).is_none()
            })
            .ok_or(BindError::NoFreePort)?,
            port => port,
        };
        match self
            .listeners
            .binary_search_by_key(&port, |(port, _)| *port)
        {
            Ok(_) => Err(BindError::PortTaken { port }),
            Err(place) => {
                self.listeners.insert(place, (port, owner));
                Ok(port)
            }
        }
    }

    pub(crate) fn stop_listening(&mut self, owner: ProgramId, port: u16) {
        self.listeners.retain(|listener| *listener != (port, owner));
    }

    /// Makes a connection that is to be opened from `local`, whose port 0 means any. It has
    /// something to do: to send its first segment.
    pub(crate) fn connect(
        &mut self,
        owner: ProgramId,
        local: Endpoint,
        remote: Endpoint,
        mtu: u16,
        now: Time,
    ) -> Result<(Place, TcpId), BindError> {
        if remote.port == 0 || remote.address.is_unspecified() {
            return Err(BindError::NoSuchRemote { remote });
        }
        let (by_ends, listeners) = (&self.by_ends, &self.listeners);
        let is_free = |port| !by_ends.contains_key(&(Endpoint { port, ..local }, remote));
        let port = match local.port {
            0 => ephemeral(&mut self.random, |port| {
                is_free(port) && listener(listeners, port).is_none()
            })
            .ok_or(BindError::NoFreePort)?,
            port => port,
        };
        // A program may connect from the port that it listens on: so it punches holes.
        let foreign = listener(listeners, port).is_some_and(|other| other != owner);
        if foreign || !is_free(port) {
            return Err(BindError::PortTaken { port });
        }
        let local = Endpoint { port, ..local };
        let place = self.insert(owner, Origin::Opened, (local, remote), mtu, now);
        let (connection, interface) = self.at_work(place).expect("it was just made");
        connection.open(interface);
        Ok((place, connection.id))
    }

    fn insert(
        &mut self,
        owner: ProgramId,
        origin: Origin,
        ends: (Endpoint, Endpoint),
        mtu: u16,
        now: Time,
    ) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.standing.push(Standing::default());
            self.standing.len() as Place - 1
        });
        let interface = self.interface(ends.0, mtu, now);
        let standing = &mut self.standing[place as usize];
        let id = TcpId {
            place,
            generation: standing.generation,
        };
        let settings = &self.settings;
        let connection = Connection::new(id, owner, origin, ends, interface, settings, now);
        standing.connection = Some(Box::new(connection));
        self.by_ends.insert(ends, place);
        place
    }

    /// The interface for segments from `local` over a path with this MTU.
    fn interface(&mut self, local: Endpoint, mtu: u16, now: Time) -> usize {
        let longer = match local.address.family() {
            Family::V4 => 0,
            Family::V6 => (IPV6_HEADER - IPV4_HEADER) as u16,
        };
        let mtu = mtu.saturating_sub(longer).max(LEAST_MTU);
        let known = self.interfaces.iter().position(|(known, _)| *known == mtu);
        known.unwrap_or_else(|| {
            let mut config = Config::new(HardwareAddress::Ip);
            config.random_seed = self.random.next_u64();
            let mut interface = Interface::new(config, &mut Plug { mtu }, instant(now));
            interface.update_ip_addrs(|addresses| {
                let own = smoltcp::wire::IpCidr::new(super::wire::LOCAL.addr, 24);
                addresses.push(own).expect("there is room for one");
            });
            self.interfaces.push((mtu, interface));
            self.interfaces.len() - 1
        })
    }

    /// A connection and the interface it uses.
    fn at_work(&mut self, place: Place) -> Option<(&mut Connection, &mut Interface)> {
        let connection = self.standing[place as usize].connection.as_deref_mut()?;
        let (_, interface) = &mut self.interfaces[connection.interface];
        Some((connection, interface))
    }

    /// A program's connection.
    fn of(&mut self, owner: ProgramId, id: TcpId) -> Option<&mut Connection> {
        let standing = self.standing.get_mut(id.place as usize)?;
        let connection = standing.connection.as_deref_mut()?;
        (connection.id == id && connection.owner == owner).then_some(connection)
    }

    /// Returns how much was taken, and where the connection stands.
    pub(crate) fn send(
        &mut self,
        owner: ProgramId,
        id: TcpId,
        bytes: &[u8],
    ) -> (usize, Option<Place>) {
        match self.of(owner, id) {
            Some(connection) => (connection.send(bytes), Some(id.place)),
            None => (0, None),
        }
    }

    pub(crate) fn close(&mut self, owner: ProgramId, id: TcpId) -> Option<Place> {
        self.of(owner, id)?.close();
        Some(id.place)
    }

    pub(crate) fn abort(&mut self, owner: ProgramId, id: TcpId) -> Option<Place> {
        self.of(owner, id)?.abort();
        Some(id.place)
    }

    /// Marks a connection as having something to do. Returns false if it was marked.
    pub(crate) fn mark(&mut self, place: Place) -> bool {
        !std::mem::replace(&mut self.standing[place as usize].busy, true)
    }

    /// Finds out where a segment belongs; one that opens a connection that is listened for gets
    /// it.
    pub(crate) fn find(
        &mut self,
        local: Endpoint,
        remote: Endpoint,
        segment: &TcpSegment,
        mtu: u16,
        now: Time,
    ) -> Incoming {
        let opens = segment.is_opening() && !segment.flags.contains(TcpFlags::RST);
        let listener = if opens {
            listener(&self.listeners, local.port)
        } else {
            None
        };
        if let Some(place) = self.by_ends.get(&(local, remote)).copied() {
            let (connection, _) = self.at_work(place).expect("what is found is there");
            let again =
                listener.is_some() && connection.is_in_time_wait() && connection.is_before(segment);
            if !again {
                return Incoming::Connection(place);
            }
            self.remove(place);
        }
        if !opens {
            return Incoming::Stray;
        }
        let Some(owner) = listener else {
            return Incoming::Refused;
        };
        let limit = self.settings.backlog;
        if self.half_open >= limit {
            return Incoming::BacklogFull { limit };
        }
        self.half_open += 1;
        let place = self.insert(owner, Origin::Accepted, (local, remote), mtu, now);
        let (connection, _) = self.at_work(place).expect("it was just made");
        connection.await_opening();
        Incoming::Connection(place)
    }

    /// A connection takes the segment that the wire holds.
    pub(crate) fn receive(
        &mut self,
        place: Place,
        now: Time,
        segment: &TcpSegment,
        length: usize,
        wire: &mut Wire<'_>,
    ) {
        if let Some((connection, interface)) = self.at_work(place) {
            connection.receive(now, segment, length, interface, wire);
        }
    }

    /// What ICMP says about a connection. Returns where it stands.
    pub(crate) fn report(
        &mut self,
        local: Endpoint,
        remote: Endpoint,
        kind: IcmpErrorKind,
        now: Time,
    ) -> Option<Place> {
        let place = *self.by_ends.get(&(local, remote))?;
        let (connection, _) = self.at_work(place)?;
        let used = connection.interface;
        if let Some(mtu) = connection.report(kind) {
            let interface = self.interface(local, mtu, now);
            // A path's MTU only goes down: nobody probes for a larger one (RFC 1191 §3).
            if self.interfaces[interface].0 < self.interfaces[used].0 {
                let (connection, _) = self.at_work(place)?;
                connection.interface = interface;
            }
        }
        Some(place)
    }

    /// The source and destination of what a connection sends.
    pub(crate) fn ends(&self, place: Place) -> Option<(Endpoint, Endpoint)> {
        let connection = self.standing[place as usize].connection.as_deref()?;
        Some((connection.local, connection.remote))
    }

    /// A connection sends what it has to.
    pub(crate) fn transmit(&mut self, place: Place, now: Time, wire: &mut Wire<'_>) {
        self.standing[place as usize].busy = false;
        if let Some((connection, interface)) = self.at_work(place) {
            connection.transmit(now, interface, wire);
        }
    }

    /// What to tell whom next about a connection.
    pub(crate) fn happening(
        &mut self,
        place: Place,
        data: &mut [u8],
    ) -> Option<(ProgramId, TcpId, Happening)> {
        let connection = self.standing[place as usize].connection.as_deref_mut()?;
        let happening = connection.happening(data)?;
        let (owner, id) = (connection.owner, connection.id);
        if happening == Happening::Accepted {
            self.half_open -= 1;
        }
        Some((owner, id, happening))
    }

    /// When a connection is to be looked at again, if no event in the queue comes before that.
    /// Clears it away if it is over.
    pub(crate) fn alarm(&mut self, place: Place, now: Time) -> Option<Time> {
        let (connection, interface) = self.at_work(place)?;
        if connection.is_over() {
            self.remove(place);
            return None;
        }
        let wanted = connection.alarm(now, interface)?;
        let queued = &mut self.standing[place as usize].queued;
        if queued.is_some_and(|queued| queued <= wanted) {
            return None;
        }
        *queued = Some(wanted);
        Some(wanted)
    }

    /// An event in the queue has come. Returns whether a connection waited for it.
    pub(crate) fn rings(&mut self, place: Place, now: Time) -> bool {
        let standing = &mut self.standing[place as usize];
        if standing.queued != Some(now) {
            return false;
        }
        standing.queued = None;
        standing.connection.is_some()
    }

    /// For how many connections there is room.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.standing.len()
    }

    /// Everything of a program's is gone, as after a restart of its host: who goes on sending to
    /// one of its connections gets a reset.
    pub(crate) fn forget(&mut self, owner: ProgramId) {
        self.listeners.retain(|(_, listener)| *listener != owner);
        for place in 0..self.standing.len() {
            let connection = self.standing[place].connection.as_deref();
            if connection.is_some_and(|connection| connection.owner == owner) {
                self.remove(place as Place);
            }
        }
    }

    fn remove(&mut self, place: Place) {
        let standing = &mut self.standing[place as usize];
        let Some(connection) = standing.connection.take() else {
            return;
        };
        standing.generation = standing.generation.wrapping_add(1);
        if connection.is_half_open() {
            self.half_open -= 1;
        }
        self.by_ends.remove(&(connection.local, connection.remote));
        self.free.push(place);
    }
}

/// Who listens on a port.
fn listener(listeners: &[(u16, ProgramId)], port: u16) -> Option<ProgramId> {
    let place = listeners.binary_search_by_key(&port, |(port, _)| *port);
    place.ok().map(|place| listeners[place].1)
}

/// A free ephemeral port: the first at or after a random one.
fn ephemeral(random: &mut Stream, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let count = EPHEMERAL.len() as u64;
    let start = random.below(count);
    (0..count)
        .map(|step| EPHEMERAL.start() + ((start + step) % count) as u16)
        .find(|port| is_free(*port))
}
