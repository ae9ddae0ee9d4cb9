//! TCP through a NAT: RFC 5382, RFC 7857 §2 and §7.

use super::*;

/// A connection's past, and how long it lives.
type Case<'a> = (&'a str, &'a [(Way, TcpFlags)], u64);

#[test]
fn rfc_5382_req_5_connections_live_by_their_state() {
    let opened = |segments: &[(Way, TcpFlags)]| {
        let mut bench = bench(NatConfig::new(Eim, Apdf));
        for (way, flags) in segments {
            match way {
                Way::Out => assert_eq!(bench.out(tcp(X1, Y1, *flags)), Ok(end(E1))),
                Way::In => assert_eq!(bench.enter(tcp(Y1, E1, *flags)), Ok(end(X1))),
            }
        }
        bench
    };
    let syn = [(Way::Out, SYN)];
    let half = [(Way::Out, SYN), (Way::In, SYN | ACK)];
    let whole = [(Way::Out, SYN), (Way::In, SYN | ACK), (Way::Out, ACK)];
    let and = |more: &[(Way, TcpFlags)]| [&whole[..], more].concat();
    let simultaneous = [
        (Way::Out, SYN),
        (Way::In, SYN),
        (Way::Out, SYN | ACK),
        (Way::In, SYN | ACK),
        (Way::Out, ACK),
    ];
    let finished = and(&[(Way::In, FIN | ACK), (Way::Out, FIN | ACK), (Way::In, ACK)]);
    let half_closed = and(&[(Way::In, FIN | ACK), (Way::Out, ACK)]);
    let spoke_on = and(&[(Way::In, RST), (Way::Out, ACK)]);
    let cases: [Case<'_>; 9] = [
        ("a SYN", &syn, 240),
        ("SYN and SYN+ACK", &half, 240),
        ("a handshake", &whole, 7440),
        ("a simultaneous open", &simultaneous, 7440),
        ("half closed", &half_closed, 7440),
        ("closed", &finished, 240),
        ("reset from outside", &and(&[(Way::In, RST)]), 240),
        ("reset from inside", &and(&[(Way::Out, RST)]), 240),
        ("reset, but it goes on", &spoke_on, 7440),
    ];
    for (name, segments, lifetime) in cases {
        assert!(opened(segments).lives_for(lifetime - 1), "{name}");
        assert!(!opened(segments).lives_for(lifetime), "{name}");
        let mut alive = opened(segments);
        alive.wait(lifetime - 1);
        assert_eq!(alive.nat.mappings(alive.now).count(), 1, "{name}");
        alive.wait(1);
        assert_eq!(alive.nat.mappings(alive.now).count(), 0, "{name}");
    }
}

#[test]
fn a_mapping_lives_as_long_as_the_longest_of_its_connections() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.connect();
    // Another connection from the same endpoint opens and ends.
    assert_eq!(bench.out(tcp(X1, Y2, SYN)), Ok(end(E1)));
    assert_eq!(bench.enter(tcp(Y2, E1, SYN | ACK)), Ok(end(X1)));
    assert_eq!(bench.out(tcp(X1, Y2, ACK)), Ok(end(E1)));
    assert_eq!(bench.enter(tcp(Y2, E1, RST)), Ok(end(X1)));
    bench.wait(241);
    assert_eq!(bench.enter(tcp(Y2, E1, ACK)), Err("out_of_state"));
    assert_eq!(bench.enter(tcp(Y1, E1, ACK)), Ok(end(X1)));
    // When that one ends too, so does the mapping.
    assert_eq!(bench.out(tcp(X1, Y1, RST)), Ok(end(E1)));
    bench.wait(240);
    assert_eq!(bench.enter(tcp(Y1, E1, ACK)), Err("no_mapping"));
}

#[test]
fn rfc_7857_7_1_a_reset_from_inside_refreshes_nothing() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.out(tcp(X1, Y1, SYN)).unwrap();
    bench.wait(200);
    bench.out(tcp(X1, Y1, RST)).unwrap();
    assert!(!bench.lives_for(41));
}

#[test]
fn segments_out_of_nowhere_are_dropped_and_make_nothing() {
    for (mapping, filtering) in [(Eim, Eif), (Apdm, Apdf)] {
        let mut bench = bench(NatConfig {
            ports: PortAllocation::PRESERVING,
            ..NatConfig::new(mapping, filtering)
        });
        for flags in [ACK, FIN | ACK, RST, SYN | ACK, TcpFlags::default()] {
            assert_eq!(
                bench.out(tcp(X1, Y1, flags)),
                Err("out_of_state"),
                "{flags}"
            );
        }
        for flags in [SYN | FIN, SYN | RST] {
            assert_eq!(bench.out(tcp(X1, Y1, flags)), Err("malformed"), "{flags}");
        }
        assert_eq!(bench.nat.mappings(bench.now).count(), 0);
        bench.connect();
        assert_eq!(bench.enter(tcp(Y1, E1, SYN | FIN)), Err("malformed"));
        let refused = bench.enter(tcp(Y2, E1, ACK)).unwrap_err();
        assert!(["out_of_state", "filtered_by_nat"].contains(&refused));
    }
}

#[test]
fn connection_tracking_takes_up_what_is_in_its_middle() {
    let mut bench = bench(NatConfig {
        filter_memory: FilterMemory::Mapping,
        port_overloading: PortOverloading::DistinctRemotes,
        ..NatConfig::new(Eim, Apdf)
    });
    assert_eq!(bench.out(tcp(X1, Y1, RST)), Err("out_of_state"));
    assert_eq!(bench.out(tcp(X1, Y1, ACK)), Ok(end(E1)));
    assert!(bench.lives_for(7439));
}

#[test]
fn rfc_5382_req_3_a_syn_from_outside_comes_in_by_the_filters_rules() {
    for filtering in Filtering::ALL {
        let mut bench = bench(NatConfig::new(Eim, filtering));
        bench.connect();
        let open = bench.enter(tcp(Y2, E1, SYN));
        assert_eq!(open.is_ok(), filtering == Eif);
        let same_address = bench.enter(tcp("192.0.2.1:81", E1, SYN));
        assert_eq!(same_address.is_ok(), filtering != Apdf);
    }
}

/// The packets that a NAT sent of its own.
fn sent(requests: Vec<Request>) -> Vec<(Packet, Cause)> {
    let sent = |request| match request {
        Request::Send(packet, cause) => Some((packet, cause)),
        _ => None,
    };
    requests.into_iter().filter_map(sent).collect()
}

#[test]
fn rfc_5382_req_4_an_unsolicited_syn_is_answered_after_six_seconds_and_not_before() {
    for filtered in [false, true] {
        let mut bench = bench(NatConfig::new(Eim, Apdf));
        let expected = if filtered {
            bench.out(tcp(X1, Y1, SYN)).unwrap();
            "filtered_by_nat"
        } else {
            "no_mapping"
        };
        let mut syn = tcp(Y2, E1, SYN);
        assert_eq!(why(bench.pass(Way::In, &mut syn)), expected);
        bench.wait(5);
        // The sender tries again; that changes nothing.
        assert_eq!(bench.enter(tcp(Y2, E1, SYN)), Err(expected));
        assert!(bench.requests().is_empty());
        bench.wait(1);
        let answers = sent(bench.requests());
        let [(answer, cause)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(*cause, Cause::ErrorAbout(syn.id));
        assert_eq!(answer.destination, end("192.0.2.2:0"));
        let Transport::IcmpError(error) = &answer.transport else {
            panic!("{answer:?}")
        };
        let told = (error.kind, error.quoted_source, error.quoted_destination);
        assert_eq!(told, (IcmpErrorKind::PortUnreachable, end(Y2), end(E1)));
        bench.wait(10);
        assert!(bench.requests().is_empty());
    }
}

#[test]
fn rfc_5382_req_4_a_syn_from_inside_makes_it_a_simultaneous_open() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.enter(tcp(Y1, E1, SYN)).unwrap_err();
    bench.wait(3);
    assert_eq!(bench.out(tcp(X1, Y1, SYN)), Ok(end(E1)));
    bench.wait(10);
    assert!(bench.requests().is_empty());
    assert_eq!(bench.enter(tcp(Y1, E1, SYN)), Ok(end(X1)));
}

#[test]
fn unsolicited_syns_are_met_with_silence_or_a_reset_if_so_configured() {
    let answers = |unsolicited_syn| {
        let mut bench = bench(NatConfig {
            unsolicited_syn,
            ..NatConfig::new(Eim, Apdf)
        });
        bench.enter(tcp(Y1, E1, SYN)).unwrap_err();
        bench.enter(tcp(Y1, E1, ACK)).unwrap_err();
        bench.wait(60);
        sent(bench.requests())
    };
    assert!(answers(UnsolicitedSyn::Silence).is_empty());
    let [(reset, _)] = &answers(UnsolicitedSyn::Reset)[..] else {
        panic!("one reset")
    };
    assert_eq!((reset.source, reset.destination), (end(E1), end(Y1)));
    let Transport::Tcp(segment) = reset.transport else {
        panic!("{reset:?}")
    };
    assert!(segment.flags.contains(RST | ACK) && segment.acknowledgment == 8);
}

#[test]
fn a_flood_of_syns_is_not_remembered_without_end() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    for n in 0..100_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let from = format!("10.{a}.{b}.{c}:80");
        bench.enter(tcp(&from, E1, SYN)).unwrap_err();
    }
    bench.wait(6);
    assert_eq!(sent(bench.requests()).len(), 1024);
}
