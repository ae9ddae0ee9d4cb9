//! Conferences: many participants, one meeting, several ways to arrange it, and what each costs.
//!
//! A [`Plan`] says who is connected to whom and who sends what. Three fidelities carry it out:
//! [`formula`] computes, `flow` simulates every packet without encryption, `full` runs a production
//! WebRTC stack. What they share is here once: where [`media`] comes from and who gets which layer,
//! what [overhead](crate::overhead) packets have, how the [internet is laid out](scene), and how
//! [what came of it](ConferenceOutcome) is [read from the wire](meter).

pub mod compare;
mod config;
pub mod flow;
pub mod formula;
pub mod full;
pub mod media;
pub mod meter;
mod money;
mod outcome;
mod plan;
pub mod quality;
mod run;
pub mod scene;
pub mod services;

pub use config::{
    ConferenceConfig, Fidelity, Part, Participant, Topology, UnknownFidelity, UnknownTopology,
    View, name,
};
pub use money::{Bill, Prices};
pub use outcome::{
    ConferenceOutcome, Gap, ParticipantOutcome, Percentiles, Rates, Received, Roam, Second,
    ServerOutcome, TurnOutcome,
};
pub use plan::{
    AUDIBLE, Connection, Content, MOST_PARTICIPANTS, MOST_TRACKS, Place, Plan, PlanError, Server,
    Source, SourceId, SourceKind, Track,
};
pub use run::{ConferenceError, TooLarge, bears, cost, run};
