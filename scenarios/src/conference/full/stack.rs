//! How str0m is asked: what comes out of it is taken at once, and in an order that repeats.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pinhole::Time;
use str0m::net::Transmit;
use str0m::{Event, Output, Rtc, RtcError};

use crate::ice::EPOCH;

/// A timeout further away than this is str0m's word for "never".
pub(super) const NEVER: Duration = Duration::from_hours(24 * 365);

/// Requests for key frames come in the order of a map with random keys.
pub(super) fn sort_requests(events: &mut [Event]) {
    let line = |event: &Event| match event {
        Event::KeyframeRequest(request) => Some((request.mid, request.rid)),
        _ => None,
    };
    for run in events.chunk_by_mut(|one, other| line(one).is_some() && line(other).is_some()) {
        if run.len() > 1 {
            run.sort_by_cached_key(|event| {
                line(event).map(|(mid, rid)| (mid, rid.map(|it| it.to_string())))
            });
        }
    }
}

/// Takes everything out of the stack, and returns when it wants to be woken.
pub(super) fn drain(
    rtc: &mut Rtc,
    outgoing: &mut VecDeque<Transmit>,
    events: &mut VecDeque<Event>,
) -> Result<Instant, RtcError> {
    loop {
        match rtc.poll_output()? {
            Output::Transmit(transmit) => outgoing.push_back(transmit),
            Output::Event(event) => events.push_back(event),
            Output::Timeout(at) => return Ok(at),
        }
    }
}

/// When the stack is to be woken: not before now, and not at times that mean never.
pub(super) fn wake(at: Instant, now: Time) -> Option<Time> {
    let due = Time::from_instant(at, *EPOCH);
    // Times in the past mean now.
    (due < now + NEVER).then(|| due.max(now))
}
