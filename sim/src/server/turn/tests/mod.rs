//! The TURN server on a host without a network, with a client that is a handful of functions.

mod client;
mod garbage;

use stun_types::attribute::{Nonce, Realm, Userhash, Username, XorMappedAddress};
use stun_types::message::{LongTermCredentials, MessageType, MessageWriteVec, Method};
use stun_types::prelude::{AttributeStaticType, AttributeWrite, MessageWrite, MessageWriteExt};
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::attribute::{
    AdditionalAddressFamily, ChannelNumber, Data, EvenPort, Icmp, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorPeerAddress, XorRelayedAddress,
};
use turn_server_proto::types::message::{DATA, REFRESH};

use super::super::lone_host::{LoneHost, Sent};
use super::*;
use crate::packet::LARGEST_UDP_PAYLOAD;
use client::{Client, address, channel_data, indication, udp};

const SERVER: &str = "192.0.2.1:3478";
const CLIENT: &str = "203.0.113.7:40000";
const PEER: &str = "198.51.100.9:5000";

fn config() -> TurnConfig {
    TurnConfig::new("realm")
        .with_user("alice", "secret")
        .with_user("bob", "hidden")
}

fn start(config: TurnConfig) -> LoneHost<TurnServer> {
    let server = TurnServer::new(config).unwrap();
    LoneHost::start(server, &["192.0.2.1", "2001:db8::1"])
}

#[test]
fn data_goes_to_the_peer_and_back() {
    for hashed in [false, true] {
        let mut host = start(config());
        let mut client = Client {
            hashed,
            ..Client::new(CLIENT)
        };
        let relayed = client.allocate(&mut host);
        assert_eq!(relayed.ip(), address(SERVER).ip());
        assert!(relayed.port() >= 49_152 && host.is_bound(relayed));

        // RFC 8656 §9: without a permission nothing passes, in either direction.
        assert_eq!(client.indicate(&mut host, PEER, b"ping"), []);
        assert_eq!(
            host.rejected,
            Some("data for a peer without channel or permission")
        );
        assert_eq!(host.datagram(PEER, &relayed.to_string(), b"pong"), []);
        assert_eq!(host.rejected, Some("data from a peer without permission"));

        assert_eq!(client.permit(&mut host, PEER).code(), None);
        let sent = client.indicate(&mut host, PEER, b"ping");
        let ping = Sent {
            from: relayed,
            to: address(PEER),
            payload: b"ping".to_vec(),
        };
        assert_eq!(sent, [ping]);
        let sent = host.datagram(PEER, &relayed.to_string(), b"pong");
        assert_eq!(
            (sent[0].from, sent[0].to),
            (address(SERVER), address(CLIENT))
        );
        let message = Message::from_bytes(&sent[0].payload).unwrap();
        assert!(message.has_class(MessageClass::Indication) && message.has_method(DATA));
        assert_eq!(message.attribute::<Data<'_>>().unwrap().data(), b"pong");
        let peer = message.attribute::<XorPeerAddress>().unwrap();
        assert_eq!(peer.addr(message.transaction_id()), address(PEER));

        assert_eq!(client.bind(&mut host, 0x4000, PEER).code(), None);
        let sent = host.datagram(CLIENT, SERVER, &channel_data(0x4000, b"ping"));
        assert_eq!(sent[0].payload, b"ping");
        let sent = host.datagram(PEER, &relayed.to_string(), b"pong");
        assert_eq!(sent[0].payload, channel_data(0x4000, b"pong"));
        let sent = host.datagram(PEER, &relayed.to_string(), b"");
        assert_eq!(sent[0].payload, channel_data(0x4000, b""));

        let traffic = host.program.counters().traffic(ClientTransport::Udp);
        assert_eq!(
            traffic.peer_out,
            Traffic {
                packets: 2,
                bytes: 8
            }
        );
        assert_eq!(
            traffic.peer_in,
            Traffic {
                packets: 3,
                bytes: 8
            }
        );
        assert_eq!(traffic.client_in.packets, 6);
        assert_eq!(traffic.client_out.packets, 7);
    }
}

#[test]
fn a_binding_request_is_answered_to_the_client() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    let bytes = client.unsigned(BINDING, &[]).finish();
    let answer = client.send(&mut host, &bytes);
    let mapped = answer.message().attribute::<XorMappedAddress>().unwrap();
    assert_eq!(
        mapped.addr(answer.message().transaction_id()),
        address(CLIENT)
    );
}

#[test]
fn allocations_end_when_their_lifetime_does() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    let relayed = client.allocate(&mut host);
    host.sleep_until(Time::from_millis(599_999));
    assert!(host.is_bound(relayed));
    host.sleep_until(Time::from_millis(600_010));
    assert!(!host.is_bound(relayed));
    assert_eq!(
        (
            host.program.counters().active,
            host.program.counters().allocations
        ),
        (0, 1)
    );
    assert_eq!(client.permit(&mut host, PEER).code(), Some(437));
    // And an empty server sleeps for good.
    host.sleep_until(Time::from_millis(1_000_000_000));
}

#[test]
fn a_refresh_prolongs_and_one_of_zero_ends() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    let relayed = client.allocate(&mut host);
    let answer = client.ask(&mut host, REFRESH, &[&Lifetime::new(3600)]);
    assert_eq!(
        answer.message().attribute::<Lifetime>().unwrap().seconds(),
        3600
    );
    host.sleep_until(Time::from_millis(3_599_000));
    assert!(host.is_bound(relayed));
    assert_eq!(
        client.ask(&mut host, REFRESH, &[&Lifetime::new(0)]).code(),
        None
    );
    assert!(!host.is_bound(relayed));
    assert_eq!(host.program.counters().active, 0);
}

#[test]
fn permissions_end_after_five_minutes() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    client.allocate(&mut host);
    client.permit(&mut host, PEER);
    host.sleep_until(Time::from_millis(299_999));
    assert_eq!(client.indicate(&mut host, PEER, b"x").len(), 1);
    host.sleep_until(Time::from_millis(300_010));
    assert_eq!(client.indicate(&mut host, PEER, b"x"), []);
}

#[test]
fn a_wrong_password_and_a_stranger_are_refused_alike() {
    for (user, password) in [("alice", "wrong"), ("carol", "secret")] {
        let mut host = start(config());
        let mut client = Client {
            user,
            password,
            ..Client::new(CLIENT)
        };
        client.greet(&mut host);
        assert_eq!(client.ask(&mut host, ALLOCATE, &[&udp()]).code(), Some(401));
        assert_eq!(host.program.counters().active, 0);
        assert_eq!(host.program.counters().errors[&401], 2);
    }
}

#[test]
fn a_nonce_goes_stale() {
    let mut host = start(TurnConfig {
        nonce_lifetime: Duration::from_secs(60),
        ..config()
    });
    let mut client = Client::new(CLIENT);
    client.allocate(&mut host);
    host.sleep_until(Time::from_millis(61_000));
    let old = client.nonce.clone();
    assert_eq!(client.permit(&mut host, PEER).code(), Some(438));
    assert_ne!(client.nonce, old);
    assert_eq!(client.nonce.len(), old.len());
    assert_eq!(client.permit(&mut host, PEER).code(), None);
}

#[test]
fn another_user_may_not_take_over() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    client.allocate(&mut host);
    let mut thief = Client {
        user: "bob",
        password: "hidden",
        ..client.clone()
    };
    assert_eq!(thief.permit(&mut host, PEER).code(), Some(441));
}

#[test]
fn quotas_are_kept() {
    let mut host = start(TurnConfig {
        allocations_per_user: Some(1),
        allocations: Some(2),
        ..config()
    });
    let mut first = Client::new("203.0.113.7:40000");
    let relayed = first.allocate(&mut host);

    let mut second = Client::new("203.0.113.7:40001");
    second.greet(&mut host);
    let answer = second.ask(&mut host, ALLOCATE, &[&udp()]);
    assert_eq!(answer.code(), Some(486));
    let key = LongTermCredentials::new("alice".to_owned(), "secret".to_owned())
        .to_key("realm".to_owned())
        .make_key(stun_types::message::IntegrityAlgorithm::Sha1);
    assert!(answer.message().validate_integrity_with_key(&key).is_ok());

    let bob = |from| Client {
        user: "bob",
        password: "hidden",
        ..Client::new(from)
    };
    bob("203.0.113.8:40000").allocate(&mut host);
    // Whoever hears of the quota must be the user: a wrong password hears 401.
    let mut stranger = Client {
        password: "wrong",
        ..Client::new("203.0.113.9:1")
    };
    stranger.greet(&mut host);
    assert_eq!(
        stranger.ask(&mut host, ALLOCATE, &[&udp()]).code(),
        Some(401)
    );

    first.ask(&mut host, REFRESH, &[&Lifetime::new(0)]);
    assert!(!host.is_bound(relayed));
    assert!(
        second
            .ask(&mut host, ALLOCATE, &[&udp()])
            .relayed()
            .is_some()
    );
    assert_eq!(host.program.counters().active, 2);
}

#[test]
fn a_full_server_says_so() {
    let mut host = start(TurnConfig {
        allocations: Some(1),
        ..config()
    });
    Client::new("203.0.113.7:40000").allocate(&mut host);
    let mut second = Client::new("203.0.113.7:40001");
    second.greet(&mut host);
    assert_eq!(second.ask(&mut host, ALLOCATE, &[&udp()]).code(), Some(508));

    let mut host = start(TurnConfig {
        relay_ports: 50_000..=50_001,
        ..config()
    });
    for from in ["203.0.113.7:1", "203.0.113.7:2"] {
        assert!((50_000..=50_001).contains(&Client::new(from).allocate(&mut host).port()));
    }
    let mut third = Client::new("203.0.113.7:3");
    third.greet(&mut host);
    assert_eq!(third.ask(&mut host, ALLOCATE, &[&udp()]).code(), Some(508));
}

#[test]
fn denied_peers_are_forbidden_once_the_sender_is_known() {
    let mut config = config();
    config.peers.deny("10.0.0.0/8".parse().unwrap());
    let mut host = start(config);
    let mut client = Client::new(CLIENT);
    client.greet(&mut host);
    // RFC 8656 §10.2, in its order: 401, 438, 437, then 403.
    let mut stranger = Client {
        password: "wrong",
        ..client.clone()
    };
    assert_eq!(stranger.permit(&mut host, "10.0.0.1:0").code(), Some(401));
    let mut late = Client {
        nonce: "old".to_owned(),
        ..client.clone()
    };
    assert_eq!(late.permit(&mut host, "10.0.0.1:0").code(), Some(438));
    assert_eq!(client.permit(&mut host, "10.0.0.1:0").code(), Some(437));
    let relayed = client
        .ask(&mut host, ALLOCATE, &[&udp()])
        .relayed()
        .unwrap();
    for denied in ["10.0.0.1:0", "127.0.0.1:5000", "[::ffff:10.0.0.1]:7"] {
        let answer = client.permit(&mut host, denied);
        assert_eq!(answer.code(), Some(403), "{denied}");
        assert!(
            answer
                .message()
                .has_attribute(stun_types::attribute::MessageIntegrity::TYPE)
        );
        assert_eq!(
            client.bind(&mut host, 0x4000, denied).code(),
            Some(403),
            "{denied}"
        );
        if !denied.starts_with('[') {
            assert_eq!(client.indicate(&mut host, denied, b"x"), []);
            assert_eq!(host.datagram(denied, &relayed.to_string(), b"x"), []);
            assert_eq!(host.rejected, Some("data from a peer that the rules deny"));
        }
    }
    // One denied peer in a list, and none of the list is installed.
    let id = (client.transaction + 1).into();
    let good = XorPeerAddress::new(address(PEER), id);
    let bad = XorPeerAddress::new(address("10.0.0.1:0"), id);
    assert_eq!(
        client
            .ask(&mut host, CREATE_PERMISSION, &[&good, &bad])
            .code(),
        Some(403)
    );
    assert_eq!(client.indicate(&mut host, PEER, b"x"), []);
    assert_eq!(client.permit(&mut host, PEER).code(), None);
}

#[test]
fn a_channel_number_belongs_to_one_peer() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    client.allocate(&mut host);
    let other = "198.51.100.9:5001";
    assert_eq!(client.bind(&mut host, 0x4000, PEER).code(), None);
    assert_eq!(client.bind(&mut host, 0x4000, PEER).code(), None);
    assert_eq!(client.bind(&mut host, 0x4000, other).code(), Some(400));
    assert_eq!(client.bind(&mut host, 0x4001, PEER).code(), Some(400));
    assert_eq!(client.bind(&mut host, 0x4001, other).code(), None);
    let sent = host.datagram(CLIENT, SERVER, &channel_data(0x4001, b"x"));
    assert_eq!(sent[0].to, address(other));
}

#[test]
fn a_repeated_allocate_gets_the_same_answer() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    client.greet(&mut host);
    let request = client.signed(ALLOCATE, &[&udp()]);
    let first = client.send(&mut host, &request);
    let second = client.send(&mut host, &request);
    assert_eq!(first.0, second.0);
    assert_eq!(client.ask(&mut host, ALLOCATE, &[&udp()]).code(), Some(437));
}

#[test]
fn ports_are_even_where_asked_and_pairs_are_refused() {
    let mut host = start(config());
    for port in 0..20 {
        let from: &'static str = Box::leak(format!("203.0.113.7:{}", 1000 + port).into_boxed_str());
        let mut client = Client::new(from);
        client.greet(&mut host);
        let answer = client.ask(&mut host, ALLOCATE, &[&udp(), &EvenPort::new(false)]);
        assert_eq!(answer.relayed().unwrap().port() % 2, 0);
    }
    let pairs: [&dyn AttributeWrite; 2] = [&EvenPort::new(true), &ReservationToken::new(7)];
    for attribute in pairs {
        let mut client = Client::new(CLIENT);
        client.greet(&mut host);
        let answer = client.ask(&mut host, ALLOCATE, &[&udp(), attribute]);
        assert_eq!(answer.code(), Some(508));
    }
}

#[test]
fn both_families_are_served() {
    let mut host = start(config());
    let v6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    let mut client = Client::new(CLIENT);
    client.greet(&mut host);
    let relayed = client
        .ask(&mut host, ALLOCATE, &[&udp(), &v6])
        .relayed()
        .unwrap();
    assert!(relayed.is_ipv6() && host.is_bound(relayed));
    assert_eq!(client.permit(&mut host, PEER).code(), Some(443));

    let mut client = Client {
        server: "[2001:db8::1]:3478",
        ..Client::new("[2001:db8::7]:40000")
    };
    client.greet(&mut host);
    let both = AdditionalAddressFamily::new(AddressFamily::IPV6);
    let answer = client.ask(&mut host, ALLOCATE, &[&udp(), &both]);
    let message = answer.message();
    let relayed = |n| {
        let relayed = message.nth_attribute::<XorRelayedAddress>(n).unwrap();
        relayed.addr(message.transaction_id())
    };
    assert!(relayed(0).is_ipv4() != relayed(1).is_ipv4());
    assert_eq!(host.program.counters().active, 2);
    client.ask(&mut host, REFRESH, &[&Lifetime::new(0)]);
    assert!(!host.is_bound(relayed(0)) && !host.is_bound(relayed(1)));
    assert_eq!(host.program.counters().active, 1);

    let server = TurnServer::new(config()).unwrap();
    let mut host = LoneHost::start(server, &["192.0.2.1"]);
    let mut client = Client::new(CLIENT);
    client.greet(&mut host);
    assert_eq!(
        client.ask(&mut host, ALLOCATE, &[&udp(), &v6]).code(),
        Some(440)
    );
    let mut client = Client::new(CLIENT);
    client.greet(&mut host);
    let answer = client.ask(&mut host, ALLOCATE, &[&udp(), &both]);
    let relayed = answer.relayed().unwrap();
    assert!(relayed.is_ipv4() && host.is_bound(relayed));
    assert_eq!(client.permit(&mut host, PEER).code(), None);
}

#[test]
fn an_unreachable_peer_is_reported_to_the_client() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    let relayed = client.allocate(&mut host);
    assert_eq!(host.unreachable(relayed, address(PEER)), []);
    client.permit(&mut host, PEER);
    let sent = host.unreachable(relayed, address(PEER));
    assert_eq!((sent.len(), sent[0].to), (1, address(CLIENT)));
    let message = Message::from_bytes(&sent[0].payload).unwrap();
    let icmp = message.attribute::<Icmp>().unwrap();
    assert_eq!((icmp.icmp_type(), icmp.code()), (3, 3));
    let peer = message.attribute::<XorPeerAddress>().unwrap();
    assert_eq!(peer.addr(message.transaction_id()), address(PEER));

    let v6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    let mut client = Client::new("203.0.113.7:2");
    client.greet(&mut host);
    let relayed = client
        .ask(&mut host, ALLOCATE, &[&udp(), &v6])
        .relayed()
        .unwrap();
    let peer = "[2001:db8::9]:5000";
    client.permit(&mut host, peer);
    let sent = host.unreachable(relayed, address(peer));
    let message = Message::from_bytes(&sent[0].payload).unwrap();
    let icmp = message.attribute::<Icmp>().unwrap();
    assert_eq!((icmp.icmp_type(), icmp.code()), (1, 4));
}

#[test]
fn data_that_no_datagram_can_hold_is_not_relayed() {
    let mut host = start(config());
    let mut client = Client::new(CLIENT);
    let relayed = client.allocate(&mut host);
    client.permit(&mut host, PEER);
    let huge = vec![7; LARGEST_UDP_PAYLOAD];
    assert_eq!(host.datagram(PEER, &relayed.to_string(), &huge), []);
    assert_eq!(host.rejected, Some("data too long to be relayed"));
    // A header, XOR-PEER-ADDRESS and DATA's own header: 20 + 12 + 4 bytes.
    let sent = host.datagram(PEER, &relayed.to_string(), &huge[..65_468]);
    assert_eq!(sent[0].payload.len(), 65_504);
    client.bind(&mut host, 0x4000, PEER);
    let sent = host.datagram(PEER, &relayed.to_string(), &huge[..LARGEST_UDP_PAYLOAD - 4]);
    assert_eq!(sent[0].payload.len(), LARGEST_UDP_PAYLOAD);
    assert_eq!(
        host.datagram(PEER, &relayed.to_string(), &huge[..LARGEST_UDP_PAYLOAD - 3]),
        []
    );
    assert_eq!(host.datagram(CLIENT, SERVER, &huge), []);
    assert_eq!(
        client.indicate(&mut host, PEER, &huge[..65_464])[0]
            .payload
            .len(),
        65_464
    );
}

#[test]
fn two_runs_send_the_same_lengths_to_the_same_addresses() {
    let run = || {
        let mut host = start(config());
        let mut shapes = Vec::new();
        for port in 0..30 {
            let from = Box::leak(format!("203.0.113.7:{}", 1000 + port).into_boxed_str());
            let mut client = Client {
                hashed: port % 2 == 0,
                ..Client::new(from)
            };
            let relayed = client.allocate(&mut host);
            client.permit(&mut host, PEER);
            let sent = host.datagram(PEER, &relayed.to_string(), b"pong");
            shapes.push((
                sent[0].from,
                sent[0].to,
                sent[0].payload.len(),
                client.nonce.len(),
            ));
            shapes.push((relayed, relayed, 0, 0));
        }
        shapes
    };
    assert_eq!(run(), run());
}
