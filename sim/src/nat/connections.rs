//! TCP connections through mappings (RFC 5382, RFC 7857 §2): a mapping lives as long as the longest
//! of them.

use super::config::Refresh;
use super::memory::{Key, Remembered, Topic};
use super::tcp::{Connection, Side};
use super::{Flow, Nat};
use crate::behaviour::Filtering;
use crate::middlebox::Surroundings;
use crate::packet::{Protocol, TcpFlags};
use crate::time::Time;
use crate::trace::DropReason;

fn key(flow: &Flow) -> Key {
    Key {
        topic: Topic::Connection,
        owner: flow.internal,
        remote: flow.remote,
    }
}

/// Whether a segment may begin a connection.
pub(super) fn is_opening(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK)
}

impl Nat {
    /// How long a connection in this state lives without a segment.
    pub(super) fn connection_lifetime(&self, connection: Connection) -> std::time::Duration {
        if connection.is_established() {
            self.config.lifetimes.tcp_established
        } else {
            self.config.lifetimes.tcp_transitory
        }
    }

    /// When a connection dies now that a segment has passed, and died before.
    pub(super) fn connection_end(
        &self,
        now: Time,
        side: Side,
        flags: TcpFlags,
        (before, known): (Connection, Option<Time>),
        after: Connection,
    ) -> Time {
        let end = now + self.connection_lifetime(after);
        let refreshes = side == Side::Inside || self.config.refresh != Refresh::Outbound;
        match known {
            None => end,
            // A reset refreshes nothing (RFC 7857 §7.1), and ends nothing at once (§2.2).
            Some(known) if flags.contains(TcpFlags::RST) => known.min(end),
            Some(_) if refreshes || before.is_established() != after.is_established() => end,
            Some(known) => known,
        }
    }

    /// Refuses a segment from inside that belongs to no connection and opens none, before a
    /// mapping is made for it.
    pub(super) fn may_begin(
        &self,
        flow: &Flow,
        around: &Surroundings<'_>,
    ) -> Result<(), DropReason> {
        let begins = flow.protocol != Protocol::Tcp
            || is_opening(flow.flags)
            || self.memory.alive(around.now, key(flow)).is_some();
        match begins {
            true => Ok(()),
            false => Err(out_of_state(flow, around)),
        }
    }

    /// Follows a TCP connection through its mapping.
    pub(super) fn follow(
        &mut self,
        side: Side,
        flow: &Flow,
        mapping: Option<u32>,
        around: &Surroundings<'_>,
    ) -> Result<(), DropReason> {
        let (now, flags) = (around.now, flow.flags);
        let known = self.memory.alive(now, key(flow));
        let (before, end) = match known {
            Some(place) => {
                let known = self.memory.get_mut(place);
                (known.connection, Some(known.expires))
            }
            None if is_opening(flags) => (Connection::default(), None),
            None => return Err(out_of_state(flow, around)),
        };
        let after = before.after(side, flags);
        let until = self.connection_end(now, side, flags, (before, end), after);
        match known {
            Some(place) => {
                self.memory.get_mut(place).connection = after;
                self.memory.set_expires(place, until);
            }
            None => {
                self.memory.follow(key(flow), until, after);
                self.forget(now);
            }
        }
        if let Some(index) = mapping {
            let raises = side == Side::Inside || self.config.refresh != Refresh::Outbound;
            self.lease(now, index, (before, after), until, raises);
        }
        Ok(())
    }

    /// Sets the life of a mapping after a segment of one of its connections.
    fn lease(
        &mut self,
        now: Time,
        index: u32,
        (before, after): (Connection, Connection),
        until: Time,
        raises: bool,
    ) {
        let transitory = now + self.config.lifetimes.tcp_transitory;
        let entry = self.table.get_mut(index);
        let (was, is) = (before.is_established(), after.is_established());
        match (was, is) {
            (false, true) => entry.established = entry.established.saturating_add(1),
            (true, false) => entry.established = entry.established.saturating_sub(1),
            _ => {}
        }
        if was && !is && entry.established == 0 {
            // None of the others, all transitory, lives longer.
            let end = entry.expires.min(transitory);
            self.table.set_expires(index, end);
        } else if until > entry.expires && (raises || is) {
            self.table.set_expires(index, until);
        }
    }

    /// A connection has died of old age.
    pub(super) fn connection_lost(&mut self, now: Time, dead: &Remembered) {
        let Key {
            topic,
            owner,
            remote,
        } = dead.key();
        if topic != Topic::Connection || !dead.connection.is_established() {
            return;
        }
        let flow = Flow {
            protocol: Protocol::Tcp,
            internal: owner,
            remote,
            flags: TcpFlags::default(),
        };
        if let Some(index) = self.find(now, &flow) {
            let entry = self.table.get_mut(index);
            entry.established = entry.established.saturating_sub(1);
        }
    }

    /// Opens or refreshes the filter for a TCP connection from inside.
    pub(super) fn open_tcp(
        &mut self,
        now: Time,
        flow: &Flow,
        pinhole: Key,
        filtering: Filtering,
    ) -> bool {
        if Nat::is_reset(flow) && self.memory.alive(now, pinhole).is_some() {
            return false;
        }
        let connection = self.memory.alive(now, key(flow));
        let connection = connection.map_or(Connection::default(), |place| {
            self.memory.get_mut(place).connection
        });
        let end = now + self.connection_lifetime(connection);
        // Where other connections use it, it lives as long as the longest of them.
        let shared = filtering != Filtering::AddressAndPortDependent;
        self.memory.remember(
            now,
            pinhole,
            |_, before| {
                if shared { end.max(before) } else { end }
            },
        )
    }
}

pub(super) fn out_of_state(flow: &Flow, around: &Surroundings<'_>) -> DropReason {
    DropReason::OutOfState {
        node: around.node,
        internal: flow.internal,
        remote: flow.remote,
    }
}
