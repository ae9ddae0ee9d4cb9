//! Which conferences make sense.

use super::{MOST_PARTICIPANTS, MOST_TRACKS};
use crate::conference::config::{ConferenceConfig, Participant, Topology};

/// Why a conference can't be planned.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Nobody to meet.
    #[error("participants: {0}; a conference has at least 2")]
    TooFew(usize),
    /// More than makes sense.
    #[error("participants: {0}; at most {MOST_PARTICIPANTS} can be planned")]
    TooMany(usize),
    /// More streams than a machine can hold.
    #[error(
        "participants: {senders} who send to {participants} are {tracks} tracks; at most \
         {MOST_TRACKS} can be planned; more viewers need fewer publishers"
    )]
    TooManyTracks {
        /// Who sends.
        senders: usize,
        /// Everybody.
        participants: usize,
        /// What that makes.
        tracks: usize,
    },
    /// Nobody sends.
    #[error("publishers: none; somebody must send something, or there is nothing to measure")]
    NobodySends,
    /// There is neither sound nor picture.
    #[error("audio and video are both off: there is nothing to send")]
    NothingToSend,
    /// More regions than servers.
    #[error(
        "regions: participants sit in {regions} regions, but the cascade has {servers} servers; \
         cascade:{regions} has one for each"
    )]
    RegionWithoutServer {
        /// Regions with participants.
        regions: usize,
        /// Servers.
        servers: usize,
    },
    /// More servers than participants.
    #[error(
        "topology: {servers} servers for {participants} participants; at most one for each makes \
         sense"
    )]
    IdleServers {
        /// Servers.
        servers: usize,
        /// Participants.
        participants: usize,
    },
    /// Two have the same name.
    #[error("participants: two are called {0:?}; every name stands for one host")]
    SameName(String),
    /// Nothing is measured.
    #[error("seconds: 0; at least one second must be measured")]
    NoTime,
    /// A mesh can't choose.
    #[error("last-n: only a server can forward the last speakers; {0} has none that selects")]
    NobodySelects(Topology),
}

pub(super) fn check(config: &ConferenceConfig) -> Result<(), PlanError> {
    let participants = &config.participants;
    if participants.len() < 2 {
        return Err(PlanError::TooFew(participants.len()));
    }
    if participants.len() > MOST_PARTICIPANTS {
        return Err(PlanError::TooMany(participants.len()));
    }
    let mut names: Vec<&str> = participants.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(PlanError::SameName(twice[0].to_owned()));
    }
    if !participants.iter().any(Participant::publishes) {
        return Err(PlanError::NobodySends);
    }
    let senders = participants.iter().filter(|it| it.publishes()).count();
    let tracks = senders * participants.len() * 2;
    if tracks > MOST_TRACKS && config.topology != Topology::Mcu {
        return Err(PlanError::TooManyTracks {
            senders,
            participants: participants.len(),
            tracks,
        });
    }
    let shows_screen = participants.iter().any(|it| it.shares_screen);
    if config.audio.is_none() && config.video.is_none() && !shows_screen {
        return Err(PlanError::NothingToSend);
    }
    if config.measured.is_zero() {
        return Err(PlanError::NoTime);
    }
    if let Topology::Cascade(servers) = config.topology {
        let servers = servers.get();
        let regions = participants.iter().map(|it| it.region + 1).max();
        let regions = regions.unwrap_or(1);
        if regions > servers {
            return Err(PlanError::RegionWithoutServer { regions, servers });
        }
        if servers > participants.len() {
            return Err(PlanError::IdleServers {
                servers,
                participants: participants.len(),
            });
        }
    }
    if config.last_n.is_some() && !config.topology.selects() {
        return Err(PlanError::NobodySelects(config.topology));
    }
    Ok(())
}
