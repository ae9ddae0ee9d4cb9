//! Fragments at their destination: given up when some are missing, dropped when they contradict each
//! other, and kept only as far as memory goes.

use super::*;

/// Sends 4,000 bytes through a device that drops the fragment at this offset.
fn without(offset: u16, to: &str) -> (Internet, ProgramId, ProgramId) {
    let drops = move |packet: &mut Packet| packet.fragment.is_none_or(|part| part.offset != offset);
    let (mut net, a, b) = start(meddled(drops));
    send(&mut net, a, to, &payload(4000));
    (net, a, b)
}

#[test]
fn what_stays_incomplete_is_given_up_in_time_and_its_sender_told() {
    // The first fragment came: it can be quoted. It takes 20 ms there, and as long back.
    for (to, offset, patience) in [(B, 1480, 30_000), (B6, 1448, 60_000)] {
        let (mut net, a, b) = without(offset, to);
        net.run_until(Time::from_nanos((20 + patience) * 1_000_000 - 1))
            .unwrap();
        assert_eq!(net.packets_under_way(), 2);
        accounted_for(&net);
        net.run_to_end().unwrap();
        assert_eq!(net.program::<Socket>(b).got, []);
        let told = &net.program::<Socket>(a).told;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, told[0].2), (ms(40 + patience), at(to)));
        assert_eq!(told[0].3, IcmpErrorKind::ReassemblyTimeExceeded);
        assert_eq!(reasons(&net), [("custom", 1), ("fragments_incomplete", 2)]);
    }
    // It didn't.
    let (mut net, a, _) = without(0, B);
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(a).told, []);
    assert_eq!(net.now(), ms(30_020));
    assert_eq!(reasons(&net), [("custom", 1), ("fragments_incomplete", 2)]);
}

#[test]
fn overlapping_fragments_are_dropped_whole() {
    // The second begins eight bytes early.
    let (mut net, a, b) = start(meddled(|packet| {
        if let Some(part) = &mut packet.fragment
            && part.offset == 1480
        {
            part.offset -= 8;
        }
        true
    }));
    send(&mut net, a, B, &payload(4000));
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(b).got, []);
    assert_eq!(reasons(&net), [("malformed", 3)]);
    assert_eq!(
        net.now(),
        ms(30_020),
        "what still came was known for so long"
    );
}

#[test]
fn a_datagram_in_fragments_to_a_closed_port_is_answered_once() {
    let (mut net, a, _) = start(three_links());
    send(&mut net, a, "192.0.2.2:10", &payload(4000));
    net.run_to_end().unwrap();
    let told = &net.program::<Socket>(a).told;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].0, told[0].3),
        (ms(60), IcmpErrorKind::PortUnreachable)
    );
    assert_eq!(reasons(&net), [("port_unreachable", 1)]);
}

#[test]
fn a_flood_of_fragments_takes_no_more_than_its_share_and_is_forgotten() {
    // Only first fragments arrive: 1,500 bytes each, which count as 1,756.
    let firsts = |packet: &mut Packet| packet.fragment.is_none_or(|part| part.is_first());
    let (mut net, a, b) = start(meddled(firsts));
    let room = (4 << 20) / 1756;
    for n in 0..room + 100 {
        // One by one, so that memory and not some queue is the bound.
        net.run_until(ms(n)).unwrap();
        send(&mut net, a, B, &payload(2000));
    }
    net.run_until(ms(room + 200)).unwrap();
    assert_eq!(net.packets_under_way() as u64, room);
    let full = reasons(&net)
        .into_iter()
        .find(|(code, _)| *code == "fragments_full");
    assert_eq!(full, Some(("fragments_full", 100)));
    accounted_for(&net);
    // Half a minute later there is room again.
    net.run_until(ms(40_000)).unwrap();
    assert_eq!(net.packets_under_way(), 0);
    send(&mut net, a, B, b"short enough");
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(b).got.len(), 1);
}
