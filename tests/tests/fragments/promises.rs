//! Whatever is cut by whatever links, and whatever fragments claim.

use std::cell::RefCell;
use std::rc::Rc;

use pinhole::Endpoint;
use pinhole::link::Jitter;
use pinhole::packet::Fragment;
use pinhole::trace::{Fate, Observer};
use proptest::prelude::*;

use super::*;

/// Notes how every packet ended.
#[derive(Clone, Default)]
struct Ends(Rc<RefCell<Vec<(PacketId, Fate)>>>);

impl Observer for Ends {
    fn ended(&mut self, _: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().push((packet.id, *fate));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_is_what_was_sent(
        seed: u64,
        lengths in proptest::collection::vec(0usize..9_000, 1..12),
        mtus in proptest::collection::vec(68u16..1600, 2..5),
        (loss, duplication) in (0.0..0.1, 0.0..0.3),
        v6: bool,
    ) {
        // Links that lose, duplicate and reorder.
        let links: Vec<_> = mtus.iter().map(|mtu| {
            Conditions::new(Duration::from_millis(3))
                .jitter(Jitter::Reordering(Duration::from_millis(20)))
                .independent_loss(loss)
                .duplication(duplication)
                .mtu(*mtu)
        }).collect();
        let mut net = chain(&links).build(seed).unwrap();
        let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
        let (a, b) = (net.attach(a, Socket::default()), net.attach(b, Socket::default()));
        let ends = Ends::default();
        net.observe(ends.clone());
        net.run_until(Time::ZERO).unwrap();
        let all: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, length)| {
            let mut bytes = payload(*length);
            bytes.iter_mut().for_each(|byte| *byte ^= n as u8);
            bytes
        }).collect();
        for bytes in &all {
            send(&mut net, a, if v6 { B6 } else { B }, bytes);
        }
        while net.step().unwrap() {
            prop_assert_eq!(net.packets_under_way() as u64, net.trace().counts().in_flight);
        }
        accounted_for(&net);
        prop_assert_eq!(net.packets_under_way(), 0);
        for (.., got, _) in &net.program::<Socket>(b).got {
            prop_assert!(all.contains(got), "{} bytes that nobody sent", got.len());
        }
        let mut ended: Vec<_> = ends.0.borrow().iter().map(|(id, _)| *id).collect();
        ended.sort();
        ended.dedup();
        let counts = net.trace().counts();
        prop_assert_eq!(ended.len() as u64, counts.sent + counts.duplicated, "one end each");
    }

    #[test]
    fn without_faults_everything_arrives_once_in_whatever_order_the_fragments_take(
        seed: u64,
        lengths in proptest::collection::vec(0usize..9_000, 1..12),
        mtus in proptest::collection::vec(68u16..1600, 2..5),
    ) {
        let links: Vec<_> = mtus.iter().map(|mtu| {
            narrow(*mtu).jitter(Jitter::Reordering(Duration::from_millis(50)))
        }).collect();
        let mut net = chain(&links).build(seed).unwrap();
        let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
        let (a, b) = (net.attach(a, Socket::default()), net.attach(b, Socket::default()));
        net.run_until(Time::ZERO).unwrap();
        for length in &lengths {
            send(&mut net, a, B, &payload(*length));
        }
        net.run_to_end().unwrap();
        let mut got: Vec<_> = net.program::<Socket>(b).got.iter().map(|got| got.2.clone()).collect();
        let mut sent: Vec<_> = lengths.iter().map(|length| payload(*length)).collect();
        got.sort();
        sent.sort();
        prop_assert_eq!(got, sent);
        prop_assert_eq!(net.trace().counts().dropped, 0);
    }

    #[test]
    fn nothing_that_fragments_claim_does_harm(
        seed: u64,
        claims in proptest::collection::vec(
            (any::<u16>(), any::<bool>(), 0u32..3, 0u32..3_000, any::<bool>()),
            1..60,
        ),
        endings: bool,
    ) {
        // A device that makes every packet a fragment with whatever numbers.
        let numbers = claims.clone();
        let mut next = 0;
        let meddle = move |packet: &mut Packet| {
            let (offset, more, identification, _, near) = numbers[next % numbers.len()];
            next += 1;
            let offset = if near { offset % 64 * 8 } else { offset };
            packet.fragment = Some(Fragment { identification, offset, more });
            packet.dont_fragment = endings;
            true
        };
        let mut plan = meddled(meddle);
        let (core, extra) = (plan.find("core").unwrap(), plan.host("C"));
        let tight = Link::symmetric(narrow(300));
        plan.connect(extra, core, tight, &["192.0.2.3".parse().unwrap()]);
        let mut net = plan.build(seed).unwrap();
        let a = net.topology().find("A").unwrap();
        for name in ["B", "C"] {
            let node = net.topology().find(name).unwrap();
            net.attach(node, Socket::default());
        }
        let a = net.attach(a, Socket::default());
        net.run_until(Time::ZERO).unwrap();
        for (n, (.., length, _)) in claims.iter().enumerate() {
            let to = Endpoint::new(Address::v4(192, 0, 2, 2 + (n % 2) as u8), 9);
            net.act(a, |_: &mut Socket, io| {
                io.allow_fragmentation(true);
                io.send_sized(at(A), to.into(), *length as usize, 1);
            });
        }
        net.run_to_end().unwrap();
        accounted_for(&net);
        prop_assert_eq!(net.packets_under_way(), 0);
    }
}
