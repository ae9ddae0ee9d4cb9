use proptest::prelude::*;
use stun_types::message::{MessageType, MessageWrite, MessageWriteExt, MessageWriteVec};
use stun_types::prelude::AttributeWrite;

use super::*;
use crate::call::Side;

const MAPPED: &str = "203.0.113.1:50000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn id() -> stun_types::message::TransactionId {
    7.into()
}

fn stun(class: MessageClass, method: StunMethod, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
    let kind = MessageType::from_class_method(class, method);
    let mut writer = StunBytes::builder(kind, id(), MessageWriteVec::new());
    for attribute in attributes {
        writer.add_attribute(*attribute).unwrap();
    }
    writer.finish()
}

fn raw(kind: AttributeType, value: &[u8]) -> RawAttribute<'_> {
    RawAttribute::new(kind, value)
}

fn label(class: MessageClass, method: StunMethod, attributes: &[&dyn AttributeWrite]) -> String {
    Message::read(&stun(class, method, attributes)).label()
}

/// With a MESSAGE-INTEGRITY of no key at all.
fn signed(mut message: Vec<u8>) -> Vec<u8> {
    message.extend([0, 8, 0, 20]);
    message.extend([1; 20]);
    let length = (message.len() - MessageHeader::LENGTH) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

#[test]
fn checks_are_told_from_what_servers_are_asked() {
    use MessageClass::{Indication, Request, Success};
    let binding = stun_types::message::BINDING;
    let user = Username::new("remote:local").unwrap();
    let nominates = raw(USE_CANDIDATE, &[]);
    let mapped = XorMappedAddress::new(address(MAPPED), id());
    let change = ChangeRequest {
        address: false,
        port: true,
    };
    assert_eq!(label(Request, binding, &[]), "Binding request");
    assert_eq!(
        label(Request, binding, &[&change]),
        "Binding request, answer from another port"
    );
    assert_eq!(label(Request, binding, &[&user]), "ICE check");
    assert_eq!(
        label(Request, binding, &[&user, &nominates]),
        "ICE check, nominates"
    );
    assert_eq!(
        label(Success, binding, &[&mapped]),
        "Binding: success, you are 203.0.113.1:50000"
    );
    let answer = signed(stun(Success, binding, &[&mapped]));
    assert_eq!(
        Message::read(&answer).label(),
        "ICE check: success, you are 203.0.113.1:50000"
    );
    assert_eq!(label(Indication, binding, &[]), "keepalive");
}

#[test]
fn turn_speaks_of_relays_peers_and_channels() {
    use MessageClass::{Error, Indication, Request, Success};
    let relayed = XorRelayedAddress::new(address("192.0.2.2:49160"), id());
    let peer = XorPeerAddress::new(address(MAPPED), id());
    let channel = raw(CHANNEL_NUMBER, &[0x40, 1, 0, 0]);
    let gone = raw(LIFETIME, &[0; 4]);
    let data = Data {
        sender: Side::A,
        sequence: 3,
    };
    let data = data.to_bytes();
    let data = raw(DATA, &data);
    let error = |code| ErrorCode::builder(code).build().unwrap();
    assert_eq!(label(Request, turn::ALLOCATE, &[]), "Allocate");
    let user = Username::new("caller").unwrap();
    let allocate = signed(stun(Request, turn::ALLOCATE, &[&user]));
    assert_eq!(
        Message::read(&allocate).label(),
        "Allocate, with credentials"
    );
    assert_eq!(
        label(Error, turn::ALLOCATE, &[&error(401)]),
        "Allocate: 401, credentials wanted"
    );
    assert_eq!(label(Error, turn::ALLOCATE, &[]), "Allocate: error");
    assert_eq!(
        label(Success, turn::ALLOCATE, &[&relayed]),
        "Allocate: success, relay 192.0.2.2:49160"
    );
    assert_eq!(
        label(Request, turn::REFRESH, &[&gone]),
        "Refresh, gives the relay back"
    );
    assert_eq!(
        label(Request, turn::CREATE_PERMISSION, &[&peer]),
        "CreatePermission for 203.0.113.1"
    );
    assert_eq!(
        label(Request, turn::CHANNEL_BIND, &[&channel, &peer]),
        "ChannelBind 0x4001 to 203.0.113.1:50000"
    );
    assert_eq!(
        label(Indication, turn::SEND, &[&peer, &data]),
        "Send to 203.0.113.1:50000: data"
    );
    assert_eq!(
        label(Indication, turn::DATA, &[&peer, &data]),
        "Data from 203.0.113.1:50000: data"
    );
    assert_eq!(label(Indication, turn::SEND, &[]), "Send indication");
}

#[test]
fn wrappings_come_off() {
    let data = Data {
        sender: Side::B,
        sequence: 1,
    };
    let bare = data.to_bytes();
    let mut channel = vec![0x40, 0, 0, bare.len() as u8];
    channel.extend(bare);
    // Padding, as over TCP, does no harm.
    channel.extend([0; 2]);
    let message = Message::read(&channel);
    assert_eq!(message.label(), "channel 0x4000: data");
    assert_eq!(message.unwrapped(), &Message::Data(data));
    assert_eq!(Message::read(&bare).unwrapped(), &Message::Data(data));
    assert_eq!(message.brief(), "channel: data");
}

#[test]
fn what_no_call_sends_is_other() {
    for (bytes, length) in [(&[][..], 0), (&[0, 1, 0], 3), (&[0x40, 0, 0, 9], 4)] {
        assert_eq!(Message::read(bytes), Message::Other { length });
    }
    assert_eq!(Message::read(&[0xff; 12]).label(), "12 bytes");
    // Wrapping in wrapping in wrapping: looked into so far, and no further.
    let mut deep = Vec::new();
    for length in (0..1000_u16).rev() {
        deep.extend([0x40, 0]);
        deep.extend((length * 4).to_be_bytes());
    }
    let label = Message::read(&deep).label();
    assert_eq!(label.matches("channel").count(), DEEPEST);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        Message::read(&bytes).label();
        // A header that fits, with anything behind it.
        let tail = &bytes[..bytes.len() / 4 * 4];
        for kind in [[0, 1], [1, 1], [1, 0x13], [0, 0x16], [0, 0x17], [0, 9]] {
            let mut message = kind.to_vec();
            message.extend((tail.len() as u16).to_be_bytes());
            message.extend(0x2112_a442_u32.to_be_bytes());
            message.extend([9; 12]);
            message.extend(tail);
            Message::read(&message).label();
        }
    }
}
