//! Devices with one fault each, and the requirements that they don't meet.

use std::sync::Arc;
use std::time::Duration;

use pinhole::middlebox::{Middlebox, PacketFilter, Way};
use pinhole::nat::{
    Capacity, ChangeOfMind, Conflict, Fragments, Hairpinning, IcmpErrors, NatConfig, Pooling,
    PortAllocation, PortBlocks, PortConflict, PortOverloading, Refresh, TooBig, UnsolicitedSyn,
    WhenFull,
};
use pinhole::packet::{Packet, Protocol, TcpFlags, Transport};
use pinhole::topology::{Device, EdgePlan};
use pinhole::{Filtering, Mapping};
use pinhole_scenarios::check::Subject;

use super::devices::{
    Blind, Mayfly, Meddler, Refresher, Seeing, Undertaker, flags, is_error, is_own,
};
use super::{Requirement, config, reference};

/// A device with a fault, and the requirements that it doesn't meet.
pub(super) struct Broken {
    pub(super) what: &'static str,
    pub(super) subject: Subject,
    pub(super) unmet: Vec<Requirement>,
}

fn broken(
    what: &'static str,
    reference_name: &str,
    unmet: &[Requirement],
    fault: impl FnOnce(&mut EdgePlan),
) -> Broken {
    let mut edge = reference(reference_name);
    fault(&mut edge);
    Broken {
        what,
        subject: Subject::from_edges(vec![edge]),
        unmet: unmet.to_vec(),
    }
}

/// The compliant device with one field of its configuration changed.
fn told(what: &'static str, unmet: &[Requirement], change: impl FnOnce(&mut NatConfig)) -> Broken {
    broken(what, "rfc-compliant", unmet, |edge| change(config(edge)))
}

/// The same of the one that serves subscribers.
fn told_carrier(
    what: &'static str,
    unmet: &[Requirement],
    change: impl FnOnce(&mut NatConfig),
) -> Broken {
    broken(what, "rfc-compliant-carrier", unmet, |edge| {
        change(config(edge));
    })
}

/// The compliant device with another one on its outside.
fn outside<M: Middlebox + 'static>(
    what: &'static str,
    unmet: &[Requirement],
    make: impl Fn() -> M + Send + Sync + 'static,
) -> Broken {
    broken(what, "rfc-compliant", unmet, |edge| {
        edge.devices.push(custom(make));
    })
}

/// And with one on its inside.
fn inside<M: Middlebox + 'static>(
    what: &'static str,
    unmet: &[Requirement],
    make: impl Fn() -> M + Send + Sync + 'static,
) -> Broken {
    broken(what, "rfc-compliant", unmet, |edge| {
        edge.devices.insert(0, custom(make));
    })
}

fn custom<M: Middlebox + 'static>(make: impl Fn() -> M + Send + Sync + 'static) -> Device {
    Device::Custom(Arc::new(move || Box::new(make())))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Faults in what the NAT is told. Where a fault breaks more than one requirement, the reason stands
/// beside it.
pub(super) fn faults_of_configuration() -> Vec<Broken> {
    let preserving = |on_conflict| PortAllocation::Preserving { on_conflict };
    vec![
        // UDP and TCP are mapped alike.
        told("symmetric", &[(4787, "1"), (5382, "1")], |nat| {
            nat.mapping = Mapping::AddressAndPortDependent;
        }),
        told("address-dependent", &[(4787, "1"), (5382, "1")], |nat| {
            nat.mapping = Mapping::AddressDependent;
        }),
        told("any address of the pool", &[(4787, "2")], |nat| {
            nat.pooling = Pooling::Arbitrary;
        }),
        // What has subscribers is asked again; and whoever takes any address goes on at another.
        told_carrier(
            "any address of a carrier's pool",
            &[(4787, "2"), (6888, "2"), (7857, "4")],
            |nat| nat.pooling = Pooling::Arbitrary,
        ),
        // TCP's ports are given out like UDP's; and a shared port isn't another one.
        told(
            "ports shared always",
            &[(4787, "3"), (5382, "7"), (7857, "9")],
            |nat| {
                nat.port_overloading = PortOverloading::Always;
                nat.port_rest = Duration::ZERO;
            },
        ),
        told_carrier("ports in blocks", &[(4787, "3a")], |nat| {
            nat.port_blocks = Some(PortBlocks { size: 500, most: 2 });
        }),
        told("no parity", &[(4787, "4")], |nat| nat.port_parity = false),
        // Whoever forgets within two minutes doesn't remember for five.
        told("UDP 119 s", &[(4787, "5"), (4787, "5-default")], |nat| {
            nat.lifetimes.udp = seconds(119);
        }),
        told(
            "UDP 30 s unless answered",
            &[(4787, "5"), (4787, "5-default")],
            |nat| {
                nat.lifetimes.udp_unanswered = Some(seconds(30));
            },
        ),
        told("UDP 299 s", &[(4787, "5-default")], |nat| {
            nat.lifetimes.udp = seconds(299);
        }),
        // UDP and TCP are filtered alike.
        told("filters by port too", &[(4787, "8"), (5382, "3")], |nat| {
            nat.filtering = Filtering::AddressAndPortDependent;
        }),
        // UDP, TCP and ICMP errors are turned round or not, all three.
        told(
            "no hairpinning",
            &[(4787, "9"), (5382, "8"), (7857, "12")],
            |nat| nat.hairpinning = Hairpinning::Off,
        ),
        told("hairpins wrongly", &[(4787, "9a"), (5382, "8a")], |nat| {
            nat.hairpinning = Hairpinning::InternalSource;
        }),
        told("rewrites payloads", &[(4787, "10")], |nat| {
            nat.rewrites_payloads = true;
        }),
        told("changes its mind at a conflict", &[(4787, "11")], |nat| {
            nat.change_of_mind = Some(ChangeOfMind {
                when: Conflict::PortTaken,
                mapping: Mapping::AddressAndPortDependent,
                filtering: Filtering::AddressAndPortDependent,
            });
        }),
        told("changes its mind under load", &[(4787, "11")], |nat| {
            nat.change_of_mind = Some(ChangeOfMind {
                when: Conflict::Mappings(25),
                mapping: Mapping::AddressAndPortDependent,
                filtering: Filtering::AddressAndPortDependent,
            });
        }),
        // Mappings and connections end alike.
        told("ICMP ends mappings", &[(4787, "12"), (5382, "10")], |nat| {
            nat.icmp_errors = IcmpErrors::EndMapping;
        }),
        // Errors about UDP, about TCP, and those that would be turned round.
        told(
            "ICMP errors dropped",
            &[(4787, "12b"), (5382, "9"), (7857, "12")],
            |nat| nat.icmp_errors = IcmpErrors::Dropped,
        ),
        told("a black hole", &[(4787, "13")], |nat| {
            nat.too_big = TooBig::Silent
        }),
        told("fragments in order only", &[(4787, "14")], |nat| {
            nat.fragments = Fragments::InOrder;
        }),
        told("no fragments", &[(4787, "14")], |nat| {
            nat.fragments = Fragments::Dropped
        }),
        told("resets unsolicited SYNs", &[(5382, "4")], |nat| {
            nat.unsolicited_syn = UnsolicitedSyn::Reset;
        }),
        told("waits 5 s for a SYN", &[(5382, "4")], |nat| {
            nat.unsolicited_syn = UnsolicitedSyn::Wait(seconds(5));
        }),
        told("TCP an hour", &[(5382, "5")], |nat| {
            nat.lifetimes.tcp_established = seconds(3600);
        }),
        // A session that was reset lives as long as one that is opening.
        told(
            "opening a minute",
            &[(5382, "5-transitory"), (7857, "2.2")],
            |nat| {
                nat.lifetimes.tcp_transitory = seconds(60);
            },
        ),
        // The table is full before the one host is refused, and then for everybody.
        told_carrier(
            "blocks without a quota",
            &[(4787, "3a"), (6888, "4")],
            |nat| {
                nat.subscriber_limit = None;
                nat.port_blocks = Some(PortBlocks {
                    size: 1000,
                    most: 60,
                });
            },
        ),
        told_carrier("a table without end", &[(6888, "5")], |nat| {
            nat.capacity = None
        }),
        told_carrier("translates everything", &[(6888, "6")], |nat| {
            nat.not_translated.clear();
        }),
        told_carrier("a carrier that filters", &[(6888, "7")], |nat| {
            nat.filtering = Filtering::AddressDependent;
        }),
        told_carrier("no rest for ports", &[(6888, "8")], |nat| {
            nat.port_rest = Duration::ZERO;
        }),
        // Whoever makes room for everybody refuses nobody for want of memory.
        told_carrier(
            "makes room for others",
            &[(6888, "5"), (6888, "11")],
            |nat| {
                nat.capacity = Some(Capacity {
                    mappings: 1000,
                    when_full: WhenFull::EvictOldest,
                });
            },
        ),
        told_carrier("refuses in silence", &[(6888, "11b")], |nat| {
            nat.reports_exhaustion = false;
        }),
        told("one timer for all of TCP", &[(7857, "2")], |nat| {
            nat.lifetimes.tcp_transitory = nat.lifetimes.tcp_established;
        }),
        told("what is refused refreshes", &[(7857, "7")], |nat| {
            nat.refresh = Refresh::RefusedToo;
        }),
        told("the next port, always", &[(7857, "9")], |nat| {
            nat.ports = preserving(PortConflict::NextFree);
        }),
        told("counts", &[(7857, "9")], |nat| {
            nat.ports = PortAllocation::SEQUENTIAL
        }),
    ]
}

/// Faults that no configuration has: another device stands before the NAT, or behind it.
pub(super) fn faults_of_other_kinds() -> Vec<Broken> {
    let mut insists = broken(
        "insists on its block",
        "rfc-compliant",
        &[(4787, "7")],
        |_| {},
    );
    let block = "192.168.1.0/24".parse().expect("a prefix");
    insists.subject = insists.subject.with_inside(block);
    vec![
        insists,
        outside("never refreshes", &[(4787, "6")], Mayfly::default),
        outside("ICMP from the peer only", &[(4787, "12a")], || {
            PacketFilter(|way: Way, packet: &Packet| match &packet.transport {
                Transport::IcmpError(error)
                    if way == Way::In
                        && error.quoted_destination.address != packet.source.address =>
                {
                    Err("not from the peer")
                }
                _ => Ok(()),
            })
        }),
        outside("never cuts", &[(4787, "13a")], || {
            PacketFilter(|way: Way, packet: &Packet| {
                if way == Way::Out && !packet.dont_fragment && packet.wire_length() > 1280 {
                    Err("too long")
                } else {
                    Ok(())
                }
            })
        }),
        outside("a thousand fragments in a life", &[(4787, "14a")], || {
            let mut seen = 0;
            PacketFilter(move |_: Way, packet: &Packet| {
                seen += u32::from(packet.fragment.is_some());
                if packet.fragment.is_some() && seen > 1000 {
                    Err("no more fragments")
                } else {
                    Ok(())
                }
            })
        }),
        // What never closes is never forgotten as closed.
        outside("swallows FIN", &[(5382, "2"), (7857, "2")], || {
            PacketFilter(|_: Way, packet: &Packet| {
                if flags(packet).contains(TcpFlags::FIN) {
                    Err("nobody leaves")
                } else {
                    Ok(())
                }
            })
        }),
        outside("one SYN is enough", &[(5382, "2a")], || {
            PacketFilter(|way: Way, packet: &Packet| {
                let answer = TcpFlags::SYN | TcpFlags::ACK;
                if way == Way::Out && flags(packet).contains(answer) {
                    Err("who asked?")
                } else {
                    Ok(())
                }
            })
        }),
        outside("rewrites TCP", &[(5382, "6")], || Meddler),
        outside("no errors about TCP", &[(5382, "9")], || {
            PacketFilter(|way: Way, packet: &Packet| match &packet.transport {
                Transport::IcmpError(error)
                    if way == Way::In && error.quoted_protocol == Protocol::Tcp =>
                {
                    Err("about TCP")
                }
                _ => Ok(()),
            })
        }),
        outside("forgets at a reset", &[(7857, "2.2")], Undertaker::default),
        // Whoever has no mapping of its own protocol has no filter of it either.
        broken(
            "takes TCP for UDP",
            "rfc-compliant",
            &[(7857, "5"), (7857, "6")],
            |edge| {
                edge.devices.push(custom(Blind::default));
                edge.devices.insert(0, custom(|| Seeing));
            },
        ),
        inside("errors refresh", &[(7857, "7.1")], || Refresher),
        inside("no errors to neighbours", &[(7857, "12")], || {
            PacketFilter(|way: Way, packet: &Packet| {
                if way == Way::Out && is_error(packet) && is_own(packet.destination) {
                    Err("to a neighbour")
                } else {
                    Ok(())
                }
            })
        }),
    ]
}
