//! Consent (RFC 7675): who asks for it, how often, and how long data is sent without it. Read off
//! the wire, from the checks themselves, for cuts at every phase of a stack's rhythm.

use std::time::Duration;

use pinhole::packet::PacketId;
use pinhole::trace::{Event, Fate};
use pinhole::{NodeId, Time};
use pinhole_scenarios::call::{
    Call, CallConfig, CallFault, Caller, Data, Milestone, RestartPolicy, Side,
};
use pinhole_scenarios::ice::Stack;

/// What of a call's STUN between the peers is looked at.
struct Stun {
    time: Time,
    sender: NodeId,
    is_request: bool,
    transaction: [u8; 12],
    /// When it got there, if it did.
    arrived: Option<Time>,
}

/// Cuts the line between the homes for ever.
fn cut_at(millis: u64, stack: Stack, restart: RestartPolicy) -> CallConfig {
    let home = "nat:eim/apdf";
    let link = ["a.nat", "internet"].map(str::to_owned);
    CallConfig {
        stacks: [stack; 2],
        turn: "off".parse().unwrap(),
        faults: vec![(Time::from_millis(millis), CallFault::LinkDown { link })],
        restart,
        until: Time::from_millis(70_000),
        ..CallConfig::new(home.parse().unwrap(), home.parse().unwrap())
    }
}

/// When a packet reached the host that took it.
fn arrival(call: &Call<'_>, id: PacketId) -> Option<Time> {
    let recording = call.net.trace().recording().unwrap();
    let mut records = recording.records().iter();
    let taken = |event| matches!(event, Event::Ended(Fate::Delivered { .. }));
    let end = records.find(|record| record.packet == id && taken(record.event));
    end.map(|record| record.time)
}

/// STUN from one host to the other, not to a server.
fn stun(call: &Call<'_>) -> Vec<Stun> {
    let recording = call.net.trace().recording().unwrap();
    let server = call.net.address(call.scene.stun);
    let mut all = Vec::new();
    for id in recording.ids() {
        let packet = recording.packet(id);
        let bytes = recording.payload(id);
        let is_stun = bytes.len() >= 20 && bytes[4..8] == [0x21, 0x12, 0xa4, 0x42];
        if !is_stun || [packet.source.address, packet.destination.address].contains(&server) {
            continue;
        }
        all.push(Stun {
            time: packet.time,
            sender: packet.origin,
            is_request: bytes[..2] == [0, 1],
            transaction: bytes[8..20].try_into().unwrap(),
            arrived: arrival(call, id),
        });
    }
    all
}

fn when(call: &Call<'_>, side: Side, what: Milestone) -> Time {
    let course = call.outcome.course.as_ref().unwrap();
    let found = course.when(side, |event| *event == what);
    found.unwrap_or_else(|| panic!("{side:?} never {what:?}"))
}

/// When a side sent its last data.
fn last_data(call: &Call<'_>, side: Side) -> Time {
    let recording = call.net.trace().recording().unwrap();
    let host = call.scene.hosts[side.index()];
    let data = recording.ids().filter(|id| {
        recording.packet(*id).origin == host && Data::from_bytes(recording.payload(*id)).is_some()
    });
    let last = data.last().expect("it sent data");
    recording.packet(last).time
}

const SECOND: Duration = Duration::from_secs(1);
/// After 3, 0.5, 1, 2, 3, 3, 3 and 3 s between nine checks, and 3 s after the last.
const GIVES_UP: Duration = Duration::from_millis(21_500);
const DATA_INTERVAL: Duration = Duration::from_millis(100);

/// Cuts at these times, so that every phase of 2 s and of 3 s is met.
fn cuts() -> impl Iterator<Item = u64> {
    (0..12).map(|n| 10_000 + 270 * n)
}

/// RFC 7675 §5.1 wants a check every 5 s, give or take a fifth, so that 4 to 6 s. Both check more
/// often, and at fixed times.
#[test]
fn both_stacks_ask_for_consent_more_often_than_they_must() {
    for (stack, every) in [(Stack::Is, 3), (Stack::Rtc, 2)] {
        let mut caller = Caller::recording();
        let config = cut_at(60_000, stack, RestartPolicy::NEVER);
        let call = caller.call(&config).unwrap();
        for side in Side::BOTH {
            let host = call.scene.hosts[side.index()];
            let steady =
                |time| (Time::from_millis(20_000)..Time::from_millis(58_000)).contains(&time);
            let checks: Vec<Time> = stun(&call)
                .iter()
                .filter(|stun| stun.sender == host && stun.is_request && steady(stun.time))
                .map(|stun| stun.time)
                .collect();
            assert!(checks.len() > 10, "{stack} {side:?}: {checks:?}");
            for pair in checks.windows(2) {
                let gap = pair[1] - pair[0];
                if (stack, side) == (Stack::Rtc, Side::B) {
                    // The controlled side also answers each check with one of its own.
                    assert!(gap <= every * SECOND, "{gap:?}");
                } else {
                    assert_eq!(gap, every * SECOND, "{stack} {side:?}");
                }
            }
        }
    }
}

/// `is` gives a pair up 21.5 s after the first check that stays without an answer.
#[test]
fn is_loses_its_pair_21_5_seconds_after_the_first_unanswered_check() {
    for cut in cuts() {
        let mut caller = Caller::recording();
        let config = cut_at(cut, Stack::Is, RestartPolicy::NEVER);
        let call = caller.call(&config).unwrap();
        let stun = stun(&call);
        for side in Side::BOTH {
            let host = call.scene.hosts[side.index()];
            let answered = |request: &Stun| {
                stun.iter().any(|answer| {
                    !answer.is_request
                        && answer.transaction == request.transaction
                        && answer.arrived.is_some()
                })
            };
            // From the cut's round trip on: at the start checks are filtered.
            let from = Time::from_millis(cut - 50);
            let unanswered = stun.iter().find(|stun| {
                stun.sender == host && stun.is_request && stun.time >= from && !answered(stun)
            });
            let first = unanswered.expect("a check").time;
            let lost = when(&call, side, Milestone::Disconnected);
            // Its clock moves in steps of 50 ms at least (RFC 8445 §14.2: Ta).
            let pacing = Duration::from_millis(50);
            let late = (lost - first).checked_sub(GIVES_UP).expect("not before");
            assert!(late <= pacing, "{late:?} late, cut at {cut}");
            // Checks come every 3 s, so the first unanswered one is at most so late.
            let after = lost - Time::from_millis(cut);
            let bounds = Duration::from_millis(21_450)..=Duration::from_millis(24_550);
            assert!(bounds.contains(&after), "{after:?} after the cut");
            // It stops sending when the pair is gone: 30 s are allowed (RFC 7675 §5.1).
            let last = last_data(&call, side);
            assert!(
                last <= lost && lost - last <= DATA_INTERVAL,
                "{last}, {lost}"
            );
        }
    }
}

/// `rtc-ice` says that it is disconnected 5 s, and that it has failed 30 s, after the last STUN that
/// it heard from the peer, at its next look: every 200 ms. Until it has failed it keeps the pair, and
/// data is sent.
#[test]
fn rtc_ice_counts_from_the_last_stun_it_heard() {
    let look = Duration::from_millis(200);
    for cut in cuts() {
        let mut caller = Caller::recording();
        let config = cut_at(cut, Stack::Rtc, RestartPolicy::NEVER);
        let call = caller.call(&config).unwrap();
        let stun = stun(&call);
        for side in Side::BOTH {
            let host = call.scene.hosts[side.index()];
            let from_peer = stun.iter().filter(|stun| stun.sender != host);
            let heard = from_peer.filter_map(|stun| stun.arrived).max().unwrap();
            let disconnected = when(&call, side, Milestone::Disconnected);
            let failed = when(&call, side, Milestone::Failed);
            for (event, after) in [(disconnected, 5), (failed, 30)] {
                let late = (event - heard)
                    .checked_sub(after * SECOND)
                    .expect("not before");
                assert!(late > Duration::ZERO && late <= look, "{late:?} late");
            }
            assert_eq!(failed - disconnected, 25 * SECOND);
            // STUN is heard at least every 2 s in peace, so that much sooner than 5 s it may seem.
            let after = disconnected - Time::from_millis(cut);
            assert!(
                (3 * SECOND..=5 * SECOND + look).contains(&after),
                "{after:?}"
            );
            let last = last_data(&call, side);
            assert!(
                last <= failed && failed - last <= DATA_INTERVAL,
                "{last}, {failed}"
            );
        }
    }
}

/// A restart makes the stacks forget the old pair, and they no longer check it. Data may go on over
/// it (RFC 8445 §9), but not for longer than its consent: here the endpoint itself keeps the time.
#[test]
fn nothing_is_sent_without_consent_after_a_restart_either() {
    for stack in Stack::ALL {
        let mut caller = Caller::recording();
        let config = cut_at(10_000, stack, RestartPolicy::ALWAYS);
        let call = caller.call(&config).unwrap();
        for side in Side::BOTH {
            let last = last_data(&call, side);
            let allowed = Time::from_millis(10_000) + 30 * SECOND + Duration::from_millis(200);
            assert!(last <= allowed, "{stack} {side:?} sends data at {last}");
        }
    }
}
