//! What a relayed session costs. Not a test of anything:
//! `cargo test --release -p pinhole-scenarios turn_session_cost -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "measures, asserts nothing"]
fn turn_session_cost() {
    const COUNT: u32 = 2000;
    let (mut client, mut worlds, mut setup, mut echo, mut channel) = (
        Duration::ZERO,
        Duration::ZERO,
        Duration::ZERO,
        Duration::ZERO,
        Duration::ZERO,
    );
    let time = |total: &mut Duration, start: Instant| *total += start.elapsed();
    for seed in 0..u64::from(COUNT) {
        let start = Instant::now();
        let local = address("192.168.1.2:40000");
        std::hint::black_box(TurnClient::new(
            local,
            address(SERVER),
            "alice",
            "secret",
            Time::ZERO,
        ));
        time(&mut client, start);

        let start = Instant::now();
        let mut world = World::new(config(), seed);
        let permits = vec![address(BOB).ip()];
        let caller = Caller {
            permits,
            ..Caller::new(SERVER)
        };
        let alice = world.net.attach(world.alice, caller);
        time(&mut worlds, start);

        let start = Instant::now();
        world.run(1000);
        time(&mut setup, start);

        let start = Instant::now();
        for n in 1..=10 {
            world.act(alice, |client, now| {
                client.send_to(address(BOB), &[7; 100], now)
            });
            world.run(1000 + 100 * n);
        }
        time(&mut echo, start);
        world.act(alice, |client, now| client.bind_channel(address(BOB), now));
        world.run(2100);

        let start = Instant::now();
        for n in 1..=10 {
            world.act(alice, |client, now| {
                client.send_to(address(BOB), &[7; 100], now)
            });
            world.run(2100 + 100 * n);
        }
        time(&mut channel, start);
        assert_eq!(world.caller(alice).data.len(), 20);
    }
    println!("a client and its first request: {:?}", client / COUNT);
    println!("a world with its TURN server: {:?}", worlds / COUNT);
    println!(
        "allocate and permission, both ends and the network: {:?}",
        setup / COUNT
    );
    println!("an echo through indications: {:?}", echo / COUNT / 10);
    println!("an echo through a channel: {:?}", channel / COUNT / 10);
}
