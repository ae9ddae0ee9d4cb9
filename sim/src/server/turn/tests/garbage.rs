//! Garbage on every socket, and what a TURN server costs.

use proptest::prelude::*;

use super::*;

/// Valid messages of every kind, for a client whose nonce is known.
fn valid(client: &mut Client, which: usize) -> Vec<u8> {
    let id = (client.transaction + 1).into();
    let peer = XorPeerAddress::new(address(PEER), id);
    match which {
        0 => client.signed(
            ALLOCATE,
            &[&udp(), &EvenPort::new(false), &Lifetime::new(1200)],
        ),
        1 => client.signed(REFRESH, &[&Lifetime::new(900)]),
        2 => client.signed(CREATE_PERMISSION, &[&peer]),
        3 => client.signed(CHANNEL_BIND, &[&peer, &ChannelNumber::new(0x4000)]),
        4 => indication(PEER, b"some data"),
        5 => channel_data(0x4000, b"some data"),
        6 => client.signed(Method::new(0xabc), &[]),
        7 => client.signed(Method::new(0x00b), &[&peer]),
        8 => client.signed(Method::new(0x00a), &[&peer]),
        9 => client.signed(
            ALLOCATE,
            &[&RequestedTransport::new(RequestedTransport::TCP)],
        ),
        _ => client.unsigned(BINDING, &[]).finish(),
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut host = start(config());
        let relayed = Client::new(CLIENT).allocate(&mut host).to_string();
        for to in [SERVER, &relayed] {
            prop_assert!(host.datagram(CLIENT, to, &bytes).len() <= 1);
        }
    }

    #[test]
    fn no_damaged_message_makes_it_panic(
        which in 0..11usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
        mends in any::<bool>(),
        signs in any::<bool>(),
    ) {
        let mut host = start(config());
        let mut client = Client::new(CLIENT);
        let relayed = client.allocate(&mut host);
        client.bind(&mut host, 0x4000, PEER);
        let mut bytes = valid(&mut client, which);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if cuts {
            let keep = bytes.len() - cut.index(bytes.len()) / 4 * 4;
            bytes.truncate(keep);
        }
        if mends && bytes.len() >= 20 {
            let length = (bytes.len() as u16 - 20).to_be_bytes();
            bytes[2..4].copy_from_slice(&length);
        }
        // Damage within what is signed gets no further than 401: sign some of it anew.
        if signs && let Ok(message) = Message::from_bytes(&bytes) {
            let attributes: Vec<_> = message
                .iter_attributes()
                .map(|(_, attribute)| attribute)
                .filter(|attribute| ![0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x8028]
                    .contains(&attribute.header.get_type().value()))
                .collect();
            let attributes: Vec<&dyn AttributeWrite> =
                attributes.iter().map(|attribute| attribute as &dyn AttributeWrite).collect();
            bytes = client.signed(message.method(), &attributes);
        }
        let before = host.program.counters().clone();
        let sent = host.datagram(CLIENT, SERVER, &bytes);
        let rejected = host.program.counters().rejected - before.rejected;
        prop_assert_eq!(rejected == 1, host.rejected.is_some());
        prop_assert!(sent.len() <= 1 && (rejected == 0 || sent.is_empty()));
        // Whatever came, the server goes on.
        host.sleep_until(Time::from_millis(5_000_000));
        prop_assert!(!host.is_bound(relayed));
        prop_assert_eq!(host.program.counters().active, 0);
        host.now = Time::from_millis(5_000_001);
        Client::new("203.0.113.200:1").allocate(&mut host);
    }
}

/// Not a test of anything: `cargo test --release -p pinhole turn_cost -- --ignored --nocapture`.
#[test]
#[ignore = "measures, asserts nothing"]
fn turn_cost() {
    const COUNT: u32 = 2000;
    let start_time = std::time::Instant::now();
    for _ in 0..COUNT {
        std::hint::black_box(start(config()));
    }
    println!(
        "a server with two listeners and two users: {:?}",
        start_time.elapsed() / COUNT
    );

    let mut host = start(config());
    let mut requests = Vec::new();
    for port in 0..COUNT {
        let from = Box::leak(format!("203.0.113.7:{}", 1000 + port).into_boxed_str());
        let mut client = Client::new(from);
        client.greet(&mut host);
        let id = (client.transaction + 2).into();
        let allocate = client.signed(ALLOCATE, &[&udp()]);
        let peer = XorPeerAddress::new(address(PEER), id);
        let permit = client.signed(CREATE_PERMISSION, &[&peer]);
        requests.push((client.from, allocate, permit));
    }
    let start_time = std::time::Instant::now();
    for (from, allocate, permit) in &requests[..20] {
        let relayed = host.datagram(from, SERVER, allocate)[0].payload.len();
        host.datagram(from, SERVER, permit);
        std::hint::black_box(relayed);
    }
    println!(
        "allocate and permission, server side: {:?}",
        start_time.elapsed() / 20
    );
    for held in [20, 200, COUNT as usize] {
        for (from, allocate, permit) in &requests {
            if host.program.counters().active as usize == held {
                break;
            }
            host.datagram(from, SERVER, allocate);
            host.datagram(from, SERVER, permit);
        }
        let ping = indication(PEER, &[7; 1000]);
        let start_time = std::time::Instant::now();
        for _ in 0..1000 {
            assert_eq!(host.datagram(requests[10].0, SERVER, &ping).len(), 1);
        }
        let held = host.program.counters().active;
        println!(
            "Send indication, {held} allocations: {:?}",
            start_time.elapsed() / 1000
        );
    }
}
