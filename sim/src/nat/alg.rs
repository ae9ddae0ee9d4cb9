//! Meddling with payloads (RFC 4787 REQ-10): a gateway that looks for endpoints in UDP payloads and
//! rewrites them, whatever they stand for. It is why STUN hides them in XOR-MAPPED-ADDRESS (RFC
//! 8489 §14.2).

use std::net::IpAddr;

use crate::address::Endpoint;
use crate::packet::{Packet, Payload, Transport};

/// Replaces `from` by `to` wherever it stands in a UDP payload in network byte order, with the port
/// right before the address or right after it.
pub(super) fn rewrite(packet: &mut Packet, from: Endpoint, to: Endpoint) {
    let Payload::Bytes(bytes) = &mut packet.payload else {
        return;
    };
    if packet.transport != Transport::Udp {
        return;
    }
    match (from.address.into(), to.address.into()) {
        (IpAddr::V4(old), IpAddr::V4(new)) => {
            replace(bytes, old.octets(), new.octets(), (from.port, to.port));
        }
        (IpAddr::V6(old), IpAddr::V6(new)) => {
            replace(bytes, old.octets(), new.octets(), (from.port, to.port));
        }
        _ => {}
    }
}

fn replace<const LENGTH: usize>(
    bytes: &mut [u8],
    old: [u8; LENGTH],
    new: [u8; LENGTH],
    ports: (u16, u16),
) {
    let (old_port, new_port) = (ports.0.to_be_bytes(), ports.1.to_be_bytes());
    let mut at = 0;
    while at + LENGTH <= bytes.len() {
        if bytes[at..at + LENGTH] != old {
            at += 1;
            continue;
        }
        let end = at + LENGTH;
        if at >= 2 && bytes[at - 2..at] == old_port {
            bytes[at - 2..at].copy_from_slice(&new_port);
        } else if bytes.get(end..end + 2) == Some(&old_port[..]) {
            bytes[end..end + 2].copy_from_slice(&new_port);
        } else {
            at += 1;
            continue;
        }
        bytes[at..end].copy_from_slice(&new);
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    fn rewritten(payload: &[u8]) -> Vec<u8> {
        let end = |text: &str| text.parse::<Endpoint>().unwrap();
        let (from, to) = (end("192.168.1.2:5000"), end("203.0.113.1:6000"));
        let payload = Payload::Bytes(payload.to_vec());
        let mut packet = Packet::new(from, end("192.0.2.1:9"), Transport::Udp, payload, NodeId(0));
        rewrite(&mut packet, from, to);
        packet.payload.bytes().to_vec()
    }

    #[test]
    fn an_endpoint_is_rewritten_wherever_it_stands_and_nothing_else_is() {
        let (old, new) = ([192, 168, 1, 2], [203, 0, 113, 1]);
        let (old_port, new_port) = (5000u16.to_be_bytes(), 6000u16.to_be_bytes());
        let joined = |parts: &[&[u8]]| parts.concat();
        for (before, after) in [
            // As MAPPED-ADDRESS has it, and the other way round, at the very start and end.
            (
                joined(&[b"a", &old_port, &old, b"b"]),
                joined(&[b"a", &new_port, &new, b"b"]),
            ),
            (joined(&[&old, &old_port]), joined(&[&new, &new_port])),
            // Twice.
            (
                joined(&[&old_port, &old, &old, &old_port]),
                joined(&[&new_port, &new, &new, &new_port]),
            ),
            // The address alone, another port, and cut off.
            (joined(&[b"a", &old, b"bc"]), joined(&[b"a", &old, b"bc"])),
            (
                joined(&[&old, &old_port[..1]]),
                joined(&[&old, &old_port[..1]]),
            ),
            (joined(&[&old[..3]]), joined(&[&old[..3]])),
            (Vec::new(), Vec::new()),
        ] {
            assert_eq!(rewritten(&before), after);
        }
    }
}
