//! ICMP errors through a NAT: RFC 4787 REQ-12, RFC 5508.

use super::*;

#[test]
fn rfc_4787_req_12_errors_are_translated_both_ways_for_every_protocol() {
    for (icmp_errors, passes, lives) in [
        (IcmpErrors::Translated, true, true),
        (IcmpErrors::Dropped, false, true),
        (IcmpErrors::EndMapping, true, false),
    ] {
        for mapping in Mapping::ALL {
            let mut bench = bench(NatConfig {
                icmp_errors,
                ports: PortAllocation::PRESERVING,
                ..NatConfig::new(mapping, Apdf)
            });
            bench.connect();
            bench.out(udp(X1, Y1)).unwrap();
            let pinged = "192.0.2.1:0";
            bench.out(echo(X1, pinged, false)).unwrap();
            for (protocol, remote) in [
                (Protocol::Tcp, Y1),
                (Protocol::Udp, Y1),
                (Protocol::Icmp, pinged),
            ] {
                let external = match mapping {
                    Eim => E1.to_owned(),
                    _ => bench
                        .nat
                        .mappings(bench.now)
                        .find(|mapping| mapping.protocol == protocol)
                        .unwrap()
                        .external
                        .to_string(),
                };
                // From a router on the way, about what went out.
                let mut inward = error("198.51.100.7:0", (protocol, &external, remote));
                let verdict = bench.pass(Way::In, &mut inward);
                assert_eq!(verdict == Verdict::PASS, passes, "{protocol:?} {verdict:?}");
                let Transport::IcmpError(told) = &inward.transport else {
                    panic!("it is still an error")
                };
                if passes {
                    assert_eq!(told.quoted_source, end(X1));
                    assert_eq!(inward.destination, end(X1).without_port());
                }
                let alive = |bench: &Bench| {
                    let mut alive = bench.nat.mappings(bench.now);
                    alive.any(|mapping| mapping.protocol == protocol)
                };
                assert_eq!(alive(&bench), lives, "{icmp_errors:?}");
                if !lives {
                    continue;
                }
                // From X1, about what came in.
                let mut outward = error("192.168.1.2:0", (protocol, remote, X1));
                let verdict = bench.pass(Way::Out, &mut outward);
                assert_eq!(verdict == Verdict::PASS, passes);
                if let Transport::IcmpError(told) = &outward.transport
                    && passes
                {
                    assert_eq!(told.quoted_destination, end(&external));
                    assert_eq!(outward.source, end(&external).without_port());
                }
            }
        }
    }
}

#[test]
fn an_error_about_a_strangers_packet_goes_out_by_the_mapping_it_came_in_through() {
    for mapping in [Adm, Apdm] {
        let mut bench = bench(NatConfig::new(mapping, Eif));
        let externals = [Y1, Y2].map(|remote| bench.out(udp(X1, remote)).unwrap());
        assert_ne!(externals[0], externals[1]);
        // Two strangers, through a mapping each.
        let strangers = ["198.51.100.1:9", "198.51.100.2:9"];
        for (stranger, external) in strangers.into_iter().zip(externals) {
            assert_eq!(
                bench.enter(udp(stranger, &external.to_string())),
                Ok(end(X1))
            );
        }
        for (stranger, external) in strangers.into_iter().zip(externals) {
            let mut error = error("192.168.1.2:0", (Protocol::Udp, stranger, X1));
            assert_eq!(bench.pass(Way::Out, &mut error), Verdict::PASS);
            let Transport::IcmpError(told) = &error.transport else {
                panic!("it is still an error")
            };
            assert_eq!(told.quoted_destination, external);
        }
        // Of whom nothing came, nothing can be said.
        let error = error("192.168.1.2:0", (Protocol::Udp, "198.51.100.3:9", X1));
        assert_eq!(bench.out(error), Err("no_mapping"));
    }
}

#[test]
fn rfc_5508_req_7_errors_about_hairpinned_packets_are_hairpinned() {
    let mut bench = bench(NatConfig {
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Eim, Eif)
    });
    let x2 = "192.168.1.3:6000";
    let external = bench.out(udp(x2, Y1)).unwrap();
    let mut sent = udp(X1, &external.to_string());
    assert!(matches!(
        bench.pass(Way::Out, &mut sent),
        Verdict::Hairpin(_)
    ));
    let about = (Protocol::Udp, &*sent.source.to_string(), x2);
    let mut error = error("192.168.1.3:0", about);
    assert!(matches!(
        bench.pass(Way::Out, &mut error),
        Verdict::Hairpin(_)
    ));
    let Transport::IcmpError(told) = &error.transport else {
        panic!("it is still an error")
    };
    assert_eq!(
        (told.quoted_source, told.quoted_destination),
        (end(X1), external)
    );
    assert_eq!(error.destination, end(X1).without_port());
}

#[test]
fn a_hairpinned_packet_that_is_filtered_has_made_its_mapping() {
    let mut bench = bench(NatConfig {
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Eim, Apdf)
    });
    let external = bench.out(udp("192.168.1.3:6000", Y1)).unwrap();
    let verdict = bench.pass(Way::Out, &mut udp(X1, &external.to_string()));
    let Verdict::Refuse {
        passage,
        external,
        reason,
    } = verdict
    else {
        panic!("{verdict:?}")
    };
    assert!(passage.mapped && passage.opened);
    assert_eq!((external, reason.code()), (end(E1), "filtered_by_nat"));
}
