//! Datagrams nobody meant: random, cut short, altered, and well-formed nonsense. A stack may ignore
//! them or be led astray by them; it must come out alive.

use hmac::{Hmac, KeyInit, Mac as _};
use pinhole::Time;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sha1::Sha1;

use super::cable::{Cable, address, host, open};
use super::combinations;
use crate::ice::Stack;

const A: &str = "192.0.2.1:4000";
const B: &str = "198.51.100.2:5000";

/// Two agents in the middle of their checks, and what they said so far.
fn talking(stacks: [Stack; 2]) -> Cable {
    let mut cable = Cable::new(stacks, 1, open);
    cable.trickle(0, host(A));
    cable.trickle(1, host(B));
    cable.start();
    cable.run(Time::from_millis(30), |_| false);
    assert!(!cable.sent.is_empty());
    cable
}

/// Attributes, where `None` stands for the USERNAME the receiver expects.
type Attributes = Vec<Option<(u16, Vec<u8>)>>;

/// A STUN message around the given attributes: right cookie, right lengths (RFC 8489 §5), and with
/// a `key` a right MESSAGE-INTEGRITY (§14.5), as only the peer can make it.
fn stun(
    kind: u16,
    transaction: [u8; 12],
    attributes: &Attributes,
    username: &str,
    key: Option<&str>,
) -> Vec<u8> {
    let mut message = Vec::from(kind.to_be_bytes());
    message.extend([0, 0, 0x21, 0x12, 0xa4, 0x42]);
    message.extend(transaction);
    for attribute in attributes {
        match attribute {
            Some((kind, value)) => append(&mut message, *kind, value),
            None => append(&mut message, 0x0006, username.as_bytes()),
        }
    }
    if let Some(key) = key {
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("any length");
        let covered = message.len();
        append(&mut message, 0x0008, &[0; 20]);
        mac.update(&message[..covered]);
        message[covered + 4..].copy_from_slice(&mac.finalize().into_bytes());
    }
    message
}

fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = message.len() as u16 - 20;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let known = prop_oneof![
        // MAPPED-ADDRESS, USERNAME, MESSAGE-INTEGRITY, ERROR-CODE, UNKNOWN-ATTRIBUTES
        prop_oneof![
            Just(0x0001),
            Just(0x0006),
            Just(0x0008),
            Just(0x0009),
            Just(0x000a)
        ],
        // CHANNEL-NUMBER, LIFETIME, XOR-PEER-ADDRESS, DATA, REALM, NONCE, XOR-RELAYED-ADDRESS
        prop_oneof![
            Just(0x000c),
            Just(0x000d),
            Just(0x0012),
            Just(0x0013),
            Just(0x0014)
        ],
        prop_oneof![
            Just(0x0015),
            Just(0x0016),
            Just(0x0020),
            Just(0x0022),
            Just(0xc057)
        ],
        // PRIORITY, USE-CANDIDATE, FINGERPRINT, ICE-CONTROLLED, ICE-CONTROLLING
        prop_oneof![
            Just(0x0024),
            Just(0x0025),
            Just(0x8028),
            Just(0x8029),
            Just(0x802a)
        ],
        any::<u16>(),
    ];
    let length = prop_oneof![Just(0), Just(4), Just(8), Just(20), 0..24usize];
    let nonsense = (
        known,
        length.prop_flat_map(|length| vec(any::<u8>(), length)),
    );
    // What gets a request past the parser: USERNAME, PRIORITY and a role.
    let sensible = prop_oneof![
        Just(None),
        vec(any::<u8>(), 4).prop_map(|priority| Some((0x0024, priority))),
        vec(any::<u8>(), 8).prop_map(|tie_breaker| Some((0x8029, tie_breaker))),
        vec(any::<u8>(), 8).prop_map(|tie_breaker| Some((0x802a, tie_breaker))),
        Just(Some((0x0025, vec![]))),
        // XOR-MAPPED-ADDRESS of some IPv4 address.
        vec(any::<u8>(), 6).prop_map(|rest| Some((0x0020, [vec![0, 1], rest].concat()))),
    ];
    vec(
        prop_oneof![3 => sensible, 2 => nonsense.prop_map(Some)],
        0..7,
    )
}

/// The four classes of Binding, now and then another method.
fn message_type() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0x0001),
        Just(0x0011),
        Just(0x0101),
        Just(0x0111),
        any::<u16>()
    ]
}

/// Hands `payload` to both agents, from the peer's address and from one never heard of, and lets
/// them go on for a while.
fn survive(cable: &mut Cable, payload: &[u8]) {
    for (side, local, remote) in [(0, A, B), (1, B, A), (0, A, "192.0.2.99:9"), (1, A, B)] {
        cable.inject(side, address(local), address(remote), payload);
    }
    let end = cable.now + std::time::Duration::from_millis(300);
    cable.run(end, |_| false);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes(payload in vec(any::<u8>(), 0..200)) {
        for stacks in combinations() {
            survive(&mut talking(stacks), &payload);
        }
    }

    #[test]
    fn messages_cut_short_with_and_without_their_length_corrected(
        which in any::<Index>(),
        cut in any::<Index>(),
        correct in any::<bool>(),
    ) {
        for stacks in combinations() {
            let mut cable = talking(stacks);
            let mut payload = which.get(&cable.sent).transmit.payload.clone();
            payload.truncate(cut.index(payload.len()));
            if correct && payload.len() >= 20 {
                let length = payload.len() as u16 - 20;
                payload[2..4].copy_from_slice(&length.to_be_bytes());
            }
            survive(&mut cable, &payload);
        }
    }

    #[test]
    fn messages_altered_in_a_few_places(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        for stacks in combinations() {
            let mut cable = talking(stacks);
            let mut payload = which.get(&cable.sent).transmit.payload.clone();
            for (place, byte) in &changes {
                let place = place.index(payload.len());
                payload[place] = *byte;
            }
            survive(&mut cable, &payload);
        }
    }

    #[test]
    fn well_formed_nonsense(
        kind in message_type(),
        transaction in any::<[u8; 12]>(),
        real_transaction in proptest::option::of(any::<Index>()),
        attributes in attributes(),
        authentic in any::<bool>(),
    ) {
        for stacks in [[Stack::Is; 2], [Stack::Rtc; 2]] {
            for side in [0, 1] {
                let mut cable = talking(stacks);
                let transaction = real_transaction.map_or(transaction, |index| {
                    let sent = &index.get(&cable.sent).transmit.payload;
                    sent[8..20].try_into().expect("twelve bytes")
                });
                let own = cable.agents[side].local_credentials();
                let peer = cable.agents[1 - side].local_credentials();
                let username = format!("{}:{}", own.ufrag, peer.ufrag);
                // Requests are keyed with the receiver's password, answers with the sender's.
                let answer = kind & 0x0100 != 0;
                let key = if answer { &peer.password } else { &own.password };
                let key = authentic.then_some(key.as_str());
                survive(&mut cable, &stun(kind, transaction, &attributes, &username, key));
            }
        }
    }
}
