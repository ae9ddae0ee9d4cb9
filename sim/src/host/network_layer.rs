//! What a host's kernel knows of IP and ICMP beyond its sockets: fragments that wait, pings under
//! way, how wide the way to others is. Most hosts need none of it.

use super::path_mtu::PathMtus;
use super::program::ProgramId;
use super::reassembly::Reassembly;
use crate::packet::DEFAULT_HOP_LIMIT;

/// How a program's packets are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sending {
    pub(crate) hop_limit: u8,
    pub(crate) dont_fragment: bool,
}

impl Default for Sending {
    fn default() -> Self {
        Sending {
            hop_limit: DEFAULT_HOP_LIMIT,
            dont_fragment: true,
        }
    }
}

/// A host's network layer.
#[derive(Default)]
pub(crate) struct NetworkLayer {
    pub(crate) reassembly: Reassembly,
    pub(crate) path_mtus: PathMtus,
    /// Who pings with that identifier.
    pings: Vec<(u16, ProgramId)>,
}

impl NetworkLayer {
    /// From now on what comes back to this identifier is `program`'s.
    pub(crate) fn pings(&mut self, identifier: u16, program: ProgramId) {
        match self
            .pings
            .iter_mut()
            .find(|(known, _)| *known == identifier)
        {
            Some((_, owner)) => *owner = program,
            None => self.pings.push((identifier, program)),
        }
    }

    /// Who pings with that identifier.
    pub(crate) fn pinger(&self, identifier: u16) -> Option<ProgramId> {
        let mut known = self.pings.iter();
        known.find_map(|(known, owner)| (*known == identifier).then_some(*owner))
    }
}
