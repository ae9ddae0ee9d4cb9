//! TCP between two hosts: opening, closing, resetting, giving up, each at its exact moment.

use std::time::Duration;

use pinhole::host::TcpSettings;
use pinhole::link::{Conditions, Link};
use pinhole::{TcpEnd, Time};
use pinhole_tests::tcp::{PORT, Pair, Speech, Talker, Told, at};

const ONE_WAY: Duration = Duration::from_millis(10);

fn clean() -> Link {
    Link::with_delay(ONE_WAY)
}

const fn ms(count: u64) -> Time {
    Time::from_millis(count)
}

#[test]
fn opening_takes_one_round_trip_and_a_half() {
    let mut pair = Pair::quiet(clean(), 1);
    pair.connect();
    pair.run(Duration::from_secs(1));
    // SYN 10 ms, SYN and ACK 20 ms, ACK 30 ms.
    assert_eq!(pair.talker(0).nth(0).told, [(ms(20), Told::Connected)]);
    assert_eq!(pair.talker(1).nth(0).told, [(ms(30), Told::Accepted)]);
    assert_eq!(pair.net.trace().counts().sent, 3);
}

#[test]
fn closing_takes_both_sides() {
    let mut pair = Pair::quiet(clean(), 1);
    pair.upload(5000);
    pair.run(Duration::from_secs(60));
    let finished = Told::Ended(TcpEnd::Finished);
    let (a, b) = (pair.talker(0).nth(0), pair.talker(1).nth(0));
    assert_eq!(a.story(), [Told::Connected, Told::PeerClosed, finished]);
    assert_eq!(
        b.story(),
        [Told::Accepted, Told::Data, Told::PeerClosed, finished]
    );
    assert_eq!(b.received, 5000);
    let counts = pair.net.trace().counts();
    assert_eq!((counts.in_flight, counts.dropped), (0, 0));
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let mut pair = Pair::new(clean(), 1, [Talker::default(), Talker::default()]);
    pair.connect();
    pair.run(Duration::from_secs(60));
    let refused = Told::Ended(TcpEnd::Refused);
    assert_eq!(pair.talker(0).nth(0).told, [(ms(20), refused)]);
    assert_eq!(pair.net.trace().counts().sent, 2, "a SYN and a reset");
    let drops: Vec<_> = pair
        .net
        .trace()
        .drops()
        .iter()
        .map(|drop| drop.example.code())
        .collect();
    assert_eq!(drops, ["connection_refused"]);
}
