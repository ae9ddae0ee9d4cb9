//! TCP between two hosts: opening, closing, resetting, giving up, each at its exact moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pinhole::host::TcpSettings;
use pinhole::link::{Conditions, Link};
use pinhole::middlebox::{PacketFilter, Way};
use pinhole::packet::Packet;
use pinhole::topology::Device;
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

#[test]
fn both_sides_may_open_at_once() {
    let mut pair = Pair::new(clean(), 1, [Talker::default(), Talker::default()]);
    pair.connect_from(0, at(0, 5000), at(1, 6000));
    pair.connect_from(1, at(1, 6000), at(0, 5000));
    pair.run(Duration::from_secs(1));
    for side in [0, 1] {
        let stream = pair.talker(side).nth(0);
        // SYNs cross, and so do the two answers to them, and the two to those.
        assert_eq!(stream.told, [(ms(30), Told::Connected)]);
        let id = pair.talker(side).order[0];
        let speech = Speech {
            length: 100_000,
            then_close: true,
        };
        pair.act(side, |talker, io| talker.speak(id, speech, io));
    }
    pair.run(Duration::from_secs(60));
    for side in [0, 1] {
        let stream = pair.talker(side).nth(0);
        assert_eq!(stream.received, 100_000);
        assert_eq!(stream.story().last(), Some(&Told::Ended(TcpEnd::Finished)));
    }
}

#[test]
fn a_side_that_has_closed_still_receives() {
    let mut pair = Pair::new(
        clean(),
        1,
        [
            Talker::default(),
            Talker {
                listens: Some(PORT),
                ..Talker::default()
            },
        ],
    );
    let id = pair.upload(10);
    pair.run(Duration::from_millis(100));
    assert_eq!(
        pair.talker(1).nth(0).story(),
        [Told::Accepted, Told::Data, Told::PeerClosed]
    );
    assert_eq!(
        pair.act(0, |_, io| io.tcp_send(id, b"more")),
        0,
        "it has closed"
    );
    // An hour later b has something to say, as much as it likes.
    pair.run(Duration::from_secs(3600));
    let back = pair.talker(1).order[0];
    let speech = Speech {
        length: 50_000,
        then_close: true,
    };
    pair.act(1, |talker, io| talker.speak(back, speech, io));
    pair.run(Duration::from_secs(60));
    let (a, b) = (pair.talker(0).nth(0), pair.talker(1).nth(0));
    assert_eq!(a.received, 50_000);
    let finished = Told::Ended(TcpEnd::Finished);
    assert_eq!(
        a.story(),
        [Told::Connected, Told::Data, Told::PeerClosed, finished]
    );
    assert_eq!(b.story().last(), Some(&finished));
}

#[test]
fn a_reset_ends_it_at_once_and_without_a_word_to_who_asked_for_it() {
    let mut pair = Pair::quiet(clean(), 1);
    let id = pair.connect();
    pair.run(Duration::from_millis(100));
    pair.act(0, |_, io| io.tcp_abort(id));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.talker(0).nth(0).story(), [Told::Connected]);
    let reset = Told::Ended(TcpEnd::Reset);
    assert_eq!(pair.talker(1).nth(0).when(reset), ms(110));
    // Its number is void, and stays so when its place is taken again.
    assert_eq!(pair.act(0, |_, io| io.tcp_send(id, b"?")), 0);
    assert_ne!(pair.connect(), id);
    pair.act(0, |_, io| {
        assert_eq!(io.tcp_send(id, b"?"), 0);
        io.tcp_close(id);
        io.tcp_abort(id);
    });
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.talker(1).nth(1).story(), [Told::Accepted]);
}

/// A link that delivers nothing.
fn black_hole() -> Link {
    Link::symmetric(Conditions::new(ONE_WAY).independent_loss(1.0))
}

#[test]
fn a_syn_into_a_black_hole_is_repeated_ever_more_rarely_until_time_is_up() {
    let mut pair = Pair::quiet(black_hole(), 1);
    pair.net.record();
    pair.connect();
    pair.run(Duration::from_secs(600));
    let recording = pair.net.trace().recording().unwrap();
    let sent: Vec<u64> = recording
        .packets()
        .iter()
        .map(|packet| packet.time.as_nanos() / 1_000_000_000)
        .collect();
    // RFC 6298: a second, then twice as long each time, a minute at most.
    assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63, 123]);
    let timed_out = Told::Ended(TcpEnd::TimedOut);
    assert_eq!(pair.talker(0).nth(0).told, [(ms(180_000), timed_out)]);
}

/// A box that can be told to let nothing pass any more.
fn cut(switch: &Arc<AtomicBool>) -> Device {
    let switch = Arc::clone(switch);
    Device::Custom(Arc::new(move || {
        let switch = Arc::clone(&switch);
        Box::new(PacketFilter(move |_: Way, _: &Packet| {
            if switch.load(Ordering::Relaxed) {
                Err("cut")
            } else {
                Ok(())
            }
        }))
    }))
}

#[test]
fn a_connection_whose_path_breaks_is_given_up_after_the_user_timeout() {
    let settings = TcpSettings {
        user_timeout: Duration::from_secs(20),
        ..TcpSettings::default()
    };
    let talker = Talker {
        settings: Some(settings),
        ..Talker::default()
    };
    let switch = Arc::new(AtomicBool::new(false));
    let mut pair = Pair::around(cut(&switch), [talker, Talker::server(PORT)]);
    let id = pair.connect();
    pair.run(Duration::from_secs(3600));
    switch.store(true, Ordering::Relaxed);
    pair.run(Duration::from_secs(3600));
    assert_eq!(
        pair.talker(0).nth(0).story(),
        [Told::Connected],
        "silence is no fault"
    );
    assert_eq!(pair.act(0, |_, io| io.tcp_send(id, b"hello")), 5);
    pair.run(Duration::from_secs(60));
    let timed_out = Told::Ended(TcpEnd::TimedOut);
    assert_eq!(pair.talker(0).nth(0).when(timed_out), ms(7_220_000));
    // The other side never learns of it.
    assert_eq!(pair.talker(1).nth(0).story(), [Told::Accepted]);
}

#[test]
fn keep_alive_keeps_what_lives_and_ends_what_does_not() {
    let settings = TcpSettings {
        keep_alive: Some(Duration::from_secs(100)),
        user_timeout: Duration::from_secs(30),
        ..TcpSettings::default()
    };
    let talker = Talker {
        settings: Some(settings),
        ..Talker::default()
    };
    let switch = Arc::new(AtomicBool::new(false));
    let mut pair = Pair::around(cut(&switch), [talker, Talker::server(PORT)]);
    pair.connect();
    pair.run(Duration::from_secs(3600));
    assert_eq!(pair.talker(0).nth(0).story(), [Told::Connected]);
    // 36 probes and their answers, and the three segments of the beginning.
    let sent = pair.net.trace().counts().sent;
    assert!((71..=75).contains(&sent), "{sent}");
    switch.store(true, Ordering::Relaxed);
    pair.run(Duration::from_secs(131));
    assert_eq!(
        pair.talker(0).nth(0).story(),
        [Told::Connected, Told::Ended(TcpEnd::TimedOut)]
    );
}

#[test]
fn a_break_that_heals_in_time_costs_nothing_but_time() {
    let switch = Arc::new(AtomicBool::new(false));
    let mut pair = Pair::around(cut(&switch), [Talker::default(), Talker::server(PORT)]);
    pair.upload(50_000_000);
    pair.run(Duration::from_secs(1));
    switch.store(true, Ordering::Relaxed);
    pair.run(Duration::from_secs(100));
    switch.store(false, Ordering::Relaxed);
    pair.run(Duration::from_secs(120));
    let server = pair.talker(1).nth(0);
    assert_eq!(server.received, 50_000_000);
    assert_eq!(server.story().last(), Some(&Told::Ended(TcpEnd::Finished)));
}

#[test]
fn a_listener_takes_several_connections_and_keeps_them_apart() {
    let mut pair = Pair::quiet(clean(), 1);
    for length in [1000, 2000, 3000] {
        pair.upload(length);
    }
    pair.run(Duration::from_secs(60));
    let server = pair.talker(1);
    let mut received: Vec<u64> = server
        .streams
        .values()
        .map(|stream| stream.received)
        .collect();
    received.sort_unstable();
    assert_eq!(received, [1000, 2000, 3000]);
    assert!(
        server
            .streams
            .values()
            .all(|stream| stream.story().last() == Some(&Told::Ended(TcpEnd::Finished)))
    );
}

#[test]
fn bulk_over_a_lossless_link_reaches_its_rate() {
    // 20 Mbit/s, 20 ms there and back: 50 kB under way; a queue for as much again.
    let conditions = Conditions::new(ONE_WAY)
        .bottleneck(20_000_000, 1_000_000)
        .mtu(1500);
    let mut pair = Pair::quiet(Link::symmetric(conditions), 1);
    let length = 20_000_000;
    pair.upload(length);
    pair.run(Duration::from_secs(60));
    let server = pair.talker(1).nth(0);
    assert_eq!(server.received, length);
    let took = server.when(Told::PeerClosed) - server.when(Told::Accepted);
    // Of each 1,500 bytes 1,460 are data.
    let ideal = length as f64 * (1500.0 / 1460.0) * 8.0 / 20e6;
    let efficiency = ideal / took.as_secs_f64();
    // Slow start takes a few of its 400 round trips.
    assert!((0.97..=1.0).contains(&efficiency), "{efficiency}");
}

/// What the longest packet of an upload is, over a link that says so much.
fn longest(address: [&str; 2], mtu: u16) -> u32 {
    let ends = address.map(|address| address.parse::<pinhole::Address>().unwrap());
    let mut plan = pinhole::Topology::new();
    let hosts = [plan.host("a"), plan.host("b")];
    let link = Link::symmetric(Conditions::new(ONE_WAY).mtu(mtu));
    plan.cable((hosts[0], ends[0]), (hosts[1], ends[1]), link);
    let mut net = plan.build(1).unwrap();
    net.record();
    net.attach(hosts[1], Talker::server(PORT));
    let a = net.attach(hosts[0], Talker::default());
    net.run_for(Duration::ZERO).unwrap();
    let remote = pinhole::Endpoint::new(ends[1], PORT).into();
    net.act(a, |talker: &mut Talker, io| {
        let any = pinhole::Endpoint::UNSPECIFIED.into();
        let id = io.tcp_connect(any, remote).unwrap();
        let speech = Speech {
            length: 100_000,
            then_close: true,
        };
        talker.speak(id, speech, io);
    });
    net.run_for(Duration::from_secs(60)).unwrap();
    assert_eq!(net.trace().counts().dropped, 0);
    let packets = net.trace().recording().unwrap().packets();
    packets
        .iter()
        .map(|packet| packet.wire_length)
        .max()
        .unwrap()
}

#[test]
fn segments_fill_the_links_mtu_in_both_ip_versions() {
    let v4 = ["192.0.2.1", "192.0.2.2"];
    let v6 = ["2001:db8::1", "2001:db8::2"];
    for mtu in [576, 1280, 1500, 9000] {
        assert_eq!(longest(v4, mtu), u32::from(mtu));
        assert_eq!(longest(v6, mtu), u32::from(mtu));
    }
    // Where nothing is said, an Ethernet.
    assert_eq!(longest(v6, u16::MAX), 1500);
}
