//! How a call went on, and what became of roles, as JSON.

use serde::Serialize;

use crate::call::{Course, Milestone, PathClass, RoleConflict};

/// How a call with faults went on.
#[derive(Serialize)]
pub(super) struct CourseRow {
    before: &'static str,
    after: &'static str,
    interruptions: Vec<InterruptionRow>,
    /// The longest of them; null if one has no end.
    longest_ms: Option<f64>,
    events: Vec<EventRow>,
}

#[derive(Serialize)]
struct InterruptionRow {
    /// Whose data was missing.
    sender: &'static str,
    from_ms: f64,
    /// When it came again; null if it never did.
    to_ms: Option<f64>,
    length_ms: Option<f64>,
}

#[derive(Serialize)]
struct EventRow {
    at_ms: f64,
    side: &'static str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<String>,
}

impl CourseRow {
    pub(super) fn new(course: &Course) -> Self {
        let class = |class: Option<PathClass>| class.map_or("none", PathClass::name);
        let millis = |length: std::time::Duration| length.as_secs_f64() * 1_000.0;
        let interruptions = course.interruptions.iter().map(|one| InterruptionRow {
            sender: one.sender.name(),
            from_ms: one.from.as_millis_f64(),
            to_ms: one.to.map(|to| to.as_millis_f64()),
            length_ms: one.length().map(millis),
        });
        let lengths = course.interruptions.iter().map(|one| one.length());
        // One without an end is the longest.
        let longest = lengths.max_by_key(|length| (length.is_none(), *length));
        let events = course.events.iter().map(|(at, side, milestone)| {
            let (event, pair) = event(milestone);
            EventRow {
                at_ms: at.as_millis_f64(),
                side: side.name(),
                event,
                local: pair.map(|(local, _)| local.to_string()),
                remote: pair.map(|(_, remote)| remote.to_string()),
            }
        });
        CourseRow {
            before: class(course.before),
            after: class(course.after),
            interruptions: interruptions.collect(),
            longest_ms: longest.map_or(Some(0.0), |length| length.map(millis)),
            events: events.collect(),
        }
    }
}

type Pair = (std::net::SocketAddr, std::net::SocketAddr);

fn event(milestone: &Milestone) -> (&'static str, Option<Pair>) {
    match *milestone {
        Milestone::Began => ("began", None),
        Milestone::Gathered(_) => ("gathered", None),
        Milestone::Described => ("described", None),
        Milestone::Learned(_) => ("learned", None),
        Milestone::Started => ("started", None),
        Milestone::Selected { local, remote } => ("selected", Some((local, remote))),
        Milestone::Disconnected => ("disconnected", None),
        Milestone::Failed => ("failed", None),
        Milestone::NetworkChanged => ("network_changed", None),
        Milestone::AskedForRestart => ("asked_for_restart", None),
        Milestone::Restarted => ("restarted", None),
    }
}

/// What the wire showed of roles.
#[derive(Serialize)]
pub(super) struct RoleConflictRow {
    /// When both sides' checks first claimed the same role.
    at_ms: Option<f64>,
    /// Checks refused with 487.
    refusals: u32,
    /// none, settled or lasting.
    stands: &'static str,
    /// The side that controls in the end.
    controlling: Option<&'static str>,
}

impl RoleConflictRow {
    pub(super) fn new(conflict: &RoleConflict) -> Self {
        RoleConflictRow {
            at_ms: conflict.began.map(|at| at.as_millis_f64()),
            refusals: conflict.refusals,
            stands: conflict.stands().name(),
            controlling: conflict.controlling().map(|side| side.name()),
        }
    }
}
