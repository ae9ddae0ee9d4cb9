//! What happened inside the two endpoints, and what they told each other out of band.

use std::net::SocketAddr;

use pinhole::Time;
use pinhole::trace::{Event, Recording};

use super::lanes::Lanes;
use crate::call::{Call, Milestone, Peer, Side};

/// What one side went through at one time.
pub(super) struct Moment {
    pub(super) side: Side,
    pub(super) time: Time,
    /// Its place among all records; see [`Point`](super::flight::Point).
    pub(super) order: usize,
    /// In words, one item each.
    pub(super) items: Vec<String>,
    /// When signals that left now arrived at the other side.
    pub(super) signals: Vec<Time>,
    /// Whether its stack settled something: a pair, or that there is none.
    pub(super) is_verdict: bool,
}

/// Every moment of both sides.
pub(super) fn read(call: &Call<'_>, recording: &Recording, lanes: &Lanes) -> Vec<Moment> {
    let milestones = Side::BOTH.map(|side| {
        let peer = call.net.program::<Peer>(call.peers[side.index()]);
        peer.milestones()
    });
    let mut moments = Vec::new();
    for side in Side::BOTH {
        let mine = milestones[side.index()];
        let theirs = milestones[side.other().index()];
        for group in mine.chunk_by(|(one, _), (other, _)| one == other) {
            let time = group[0].0;
            // What was heard comes before what was done about it.
            let heard = |milestone: &Milestone| {
                matches!(milestone, Milestone::Started | Milestone::Learned(_))
            };
            let (heard, done): (Vec<_>, Vec<_>) = group
                .iter()
                .map(|(_, milestone)| milestone)
                .partition(|milestone| heard(milestone));
            let all = heard.into_iter().chain(done);
            let items = all.map(|milestone| words(milestone, side)).collect();
            let is_verdict = group.iter().any(|(_, milestone)| {
                matches!(
                    milestone,
                    Milestone::Selected { .. } | Milestone::Disconnected | Milestone::Failed
                )
            });
            moments.push(Moment {
                side,
                time,
                order: order(recording, lanes, side, time),
                items,
                signals: signals(group, mine, theirs),
                is_verdict,
            });
        }
    }
    moments
}

/// When what a side told at this time reached the other side.
fn signals(
    group: &[(Time, Milestone)],
    mine: &[(Time, Milestone)],
    theirs: &[(Time, Milestone)],
) -> Vec<Time> {
    // The first one that this group can have led to: a restart is described and heard anew.
    let started = theirs
        .iter()
        .find(|(time, milestone)| *milestone == Milestone::Started && *time >= group[0].0)
        .map(|(time, _)| *time);
    let described = mine
        .iter()
        .find(|(_, milestone)| *milestone == Milestone::Described)
        .map(|(time, _)| *time);
    let mut arrivals: Vec<Time> = Vec::new();
    for (time, milestone) in group {
        let arrival = match milestone {
            Milestone::Described => started,
            // Candidates that were found before are part of the description.
            Milestone::Gathered(candidate) if described.is_some_and(|at| at < *time) => theirs
                .iter()
                .find(|(_, milestone)| {
                    matches!(milestone, Milestone::Learned(learned)
                        if (learned.kind, learned.address) == (candidate.kind, candidate.address))
                })
                .map(|(time, _)| *time),
            _ => None,
        };
        if let Some(arrival) = arrival.filter(|arrival| arrival >= time)
            && !arrivals.contains(&arrival)
        {
            arrivals.push(arrival);
        }
    }
    arrivals
}

/// A moment comes before what its side sends at the same time, and after all else.
fn order(recording: &Recording, lanes: &Lanes, side: Side, time: Time) -> usize {
    let host = lanes.lane(lanes.host(side)).node;
    let records = recording.records();
    let first = records.partition_point(|record| record.time < time);
    let same = records[first..]
        .iter()
        .take_while(|record| record.time == time);
    let sends = same.clone().position(|record| {
        matches!(record.event, Event::Departed { .. })
            && recording.packet(record.packet).origin == host
            && recording.packet(record.packet).time == time
    });
    first + sends.unwrap_or_else(|| same.count())
}

fn words(milestone: &Milestone, side: Side) -> String {
    let pair = |local: &SocketAddr, remote: &SocketAddr| format!("{local} ↔ {remote}");
    match milestone {
        Milestone::Began => "begins to gather candidates".to_owned(),
        Milestone::Gathered(candidate) => {
            format!("own {} {}", candidate.kind.token(), candidate.address)
        }
        Milestone::Described => match side {
            Side::A => "sends its offer".to_owned(),
            Side::B => "sends its answer".to_owned(),
        },
        Milestone::Learned(candidate) => {
            format!("learns {} {}", candidate.kind.token(), candidate.address)
        }
        Milestone::Started => match side {
            Side::A => "hears the answer: checks may begin".to_owned(),
            Side::B => "hears the offer: checks may begin".to_owned(),
        },
        Milestone::Selected { local, remote } => format!("selects {}", pair(local, remote)),
        Milestone::Disconnected => "loses its pair".to_owned(),
        Milestone::Failed => "gives up: no pair is left to try".to_owned(),
        Milestone::NetworkChanged => "has other addresses now".to_owned(),
        Milestone::AskedForRestart => "asks for an ICE restart".to_owned(),
        Milestone::Restarted => "restarts ICE: new credentials".to_owned(),
    }
}
