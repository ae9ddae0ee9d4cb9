//! Fragments through a NAT: RFC 4787 REQ-14.

use super::*;

#[test]
fn rfc_4787_req_14_fragments_pass_in_any_order() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.out(udp(X1, Y1)).unwrap();
    for way in [Way::Out, Way::In] {
        let (from, to) = if way == Way::Out { (X1, Y1) } else { (Y1, E1) };
        // The last, the middle, the first.
        let mut held = [(208, false), (104, true)].map(|(at, more)| piece(from, to, at, more));
        for piece in &mut held {
            assert_eq!(bench.pass(way, piece), Verdict::Hold);
        }
        let mut first = piece(from, to, 0, true);
        assert!(matches!(bench.pass(way, &mut first), Verdict::Forward(_)));
        let released = bench.requests();
        for (mut piece, request) in held.into_iter().zip(&released) {
            assert!(matches!(request, Request::Release(id) if *id == piece.id));
            assert!(matches!(bench.pass(way, &mut piece), Verdict::Forward(_)));
            assert_eq!(piece.source, first.source.without_port());
            assert_eq!(piece.destination, first.destination.without_port());
        }
        assert_eq!(released.len(), 2);
        // One that comes late finds the way too.
        let mut late = piece(from, to, 312, false);
        assert!(matches!(bench.pass(way, &mut late), Verdict::Forward(_)));
        assert_eq!(late.source, first.source.without_port());
    }
}

#[test]
fn fragments_wait_thirty_seconds_and_only_so_many_bytes() {
    // Each takes 120 bytes; the first one of a packet has eight more.
    let mut bench = bench(NatConfig {
        fragments: Fragments::AnyOrder { limit: 250 },
        ..NatConfig::new(Eim, Apdf)
    });
    for (at, expected) in [(104, "held"), (208, "held"), (312, "fragments_full")] {
        assert_eq!(bench.out(piece(X1, Y1, at, true)), Err(expected));
    }
    bench.wait(29);
    assert!(bench.requests().is_empty());
    bench.wait(1);
    let given_up = bench.requests();
    assert_eq!(given_up.len(), 2);
    for request in given_up {
        let Request::Discard(_, reason) = request else {
            panic!("{request:?}")
        };
        assert_eq!(reason.code(), "fragments_incomplete");
    }
    // There is room again.
    assert_eq!(bench.out(piece(X1, Y1, 104, true)), Err("held"));
}

#[test]
fn fragments_of_a_refused_packet_are_refused() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    assert_eq!(bench.enter(piece(Y1, E1, 104, false)), Err("held"));
    assert_eq!(bench.enter(piece(Y1, E1, 0, true)), Err("no_mapping"));
    assert!(matches!(bench.requests()[..], [Request::Discard(..)]));
    assert_eq!(
        bench.enter(piece(Y1, E1, 208, false)),
        Err("fragments_incomplete")
    );
}

#[test]
fn fragments_in_order_only_or_none_if_so_configured() {
    for (fragments, first, second) in [
        (Fragments::InOrder, Ok(end(E1)), Ok(end(E1).without_port())),
        (
            Fragments::Dropped,
            Err("fragments_full"),
            Err("fragments_full"),
        ),
    ] {
        let mut bench = bench(NatConfig {
            fragments,
            ..NatConfig::new(Eim, Apdf)
        });
        assert_eq!(bench.out(piece(X1, Y1, 104, false)), Err("fragments_full"));
        assert_eq!(bench.out(piece(X1, Y1, 0, true)), first);
        assert_eq!(bench.out(piece(X1, Y1, 104, false)), second);
    }
}
