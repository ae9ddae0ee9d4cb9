//! The packets that prove a verdict: what each was, when, and what became of it.

use pinhole::packet::Transport;
use pinhole::trace::{Event, Fate, PacketRecord, Record};
use pinhole::{Endpoint, Internet, Time};

/// A packet of an experiment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// When it was sent, since the experiment's laboratory was set up.
    pub at: Time,
    /// Who sent it: `X1`, `Y2`, or a device.
    pub sender: String,
    /// From where, before any translation.
    pub from: Endpoint,
    /// To where, before any translation.
    pub to: Endpoint,
    /// What it was: `UDP`, `TCP SYN`, `ICMP port unreachable`.
    pub what: String,
    /// What became of it.
    pub fate: String,
}

/// Adds the packets of a run, but for those in the spans of numbers that prove nothing one by one.
pub(super) fn collect(net: &Internet, bulk: &[(usize, usize)], proofs: &mut Vec<Proof>) {
    let Some(recording) = net.trace().recording() else {
        return;
    };
    let count = recording.packets().len();
    let mut ends: Vec<Option<&Record>> = vec![None; count];
    for record in recording.records() {
        if let Event::Ended(_) = record.event {
            ends[record.packet.index()] = Some(record);
        }
    }
    for id in recording.ids() {
        let number = id.index();
        let span = bulk
            .iter()
            .find(|(from, to)| (*from..*to).contains(&number));
        let packet = recording.packet(id);
        match span {
            None => proofs.push(proof(net, packet, ends[id.index()])),
            Some((from, to)) if *from == number => {
                let mut first = proof(net, packet, ends[id.index()]);
                if to - from > 1 {
                    first.fate += &format!("; and {} packets more", to - from - 1);
                }
                proofs.push(first);
            }
            Some(_) => {}
        }
    }
}

fn proof(net: &Internet, packet: &PacketRecord, end: Option<&Record>) -> Proof {
    Proof {
        at: packet.time,
        sender: net.name(packet.origin).to_owned(),
        from: packet.source,
        to: packet.destination,
        what: what(packet),
        fate: match end {
            None => "still under way".to_owned(),
            Some(end) => fate(net, packet, end),
        },
    }
}

fn what(packet: &PacketRecord) -> String {
    let mut what = match &packet.transport {
        Transport::Udp => "UDP".to_owned(),
        Transport::Tcp(segment) => format!("TCP {}", segment.flags),
        Transport::IcmpEcho(echo) if echo.is_reply => "ICMP echo reply".to_owned(),
        Transport::IcmpEcho(_) => "ICMP echo request".to_owned(),
        Transport::IcmpError(error) => format!("ICMP {}", error.kind),
    };
    if let Some(fragment) = packet.fragment {
        what = format!("fragment at {} of {what}", fragment.offset);
    } else if packet.wire_length > 576 {
        let may = if packet.dont_fragment { ", DF" } else { "" };
        what += &format!(" of {} bytes{may}", packet.wire_length);
    }
    what
}

fn fate(net: &Internet, packet: &PacketRecord, end: &Record) -> String {
    let Event::Ended(fate) = end.event else {
        return String::new();
    };
    match fate {
        Fate::Delivered { host } => {
            let name = net.name(host);
            match (
                end.source != packet.source,
                end.destination != packet.destination,
            ) {
                (true, false) => format!("reached {name} from {}", end.source),
                (false, true) => format!("reached {name} at {}", end.destination),
                (true, true) => {
                    format!("reached {name} at {} from {}", end.destination, end.source)
                }
                (false, false) => format!("reached {name} as it was"),
            }
        }
        Fate::Fragmented { node } => format!("cut into fragments by {}", net.name(node)),
        Fate::Dropped(reason) => reason.sentence(net.topology()),
    }
}
