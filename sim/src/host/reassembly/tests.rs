use proptest::prelude::*;

use super::*;
use crate::packet::{Fragment, PacketArena, Payload, Transport};

/// A host that gets fragments of datagrams.
#[derive(Default)]
struct Bench {
    reassembly: Reassembly,
    arena: PacketArena,
    now: Time,
}

impl Bench {
    fn get(&mut self, identification: u32, offset: u16, more: bool, length: u32) -> (Slot, Kept) {
        self.get_over("192.0.2.1:5", identification, offset, more, length)
    }

    fn get_over(
        &mut self,
        source: &str,
        identification: u32,
        offset: u16,
        more: bool,
        length: u32,
    ) -> (Slot, Kept) {
        let node = NodeId(0);
        let payload = Payload::Sized { length, tag: 0 };
        let mut packet = Packet::new(
            source.parse().unwrap(),
            "192.0.2.2:9".parse().unwrap(),
            Transport::Udp,
            payload,
            node,
        );
        packet.fragment = Some(Fragment {
            identification,
            offset,
            more,
        });
        let slot = self.arena.insert(packet);
        let kept = (self.reassembly).take(self.now, node, self.arena.get(slot), slot);
        (slot, kept)
    }

    /// What must hold at any moment.
    fn check(&self) {
        let Reassembly {
            incomplete,
            deadlines,
            held,
            ..
        } = &self.reassembly;
        assert!(*held <= MEMORY);
        assert_eq!(*held, incomplete.values().map(|packet| packet.held).sum());
        assert_eq!(deadlines.len(), incomplete.len());
        for packet in incomplete.values() {
            let pairs = packet.parts.windows(2);
            assert!(pairs.clone().all(|pair| pair[0].end <= pair[1].start));
            assert!(!packet.is_whole());
        }
    }
}

fn malformed(kept: &Kept) -> bool {
    matches!(
        kept,
        Kept::Dropped(DropReason::Malformed { .. }) | Kept::Spoilt(_, DropReason::Malformed { .. })
    )
}

#[test]
fn fragments_meet_in_any_order() {
    // Eight bytes of UDP header are in the first.
    let parts = [(0, true, 8), (16, true, 16), (32, false, 3)];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut bench = Bench::default();
        let mut slots = [None; 3];
        for (count, place) in order.into_iter().enumerate() {
            let (offset, more, length) = parts[place];
            let (slot, kept) = bench.get(7, offset, more, length);
            slots[place] = Some(slot);
            if count < 2 {
                assert_eq!(kept, Kept::Waits);
            } else {
                let all = slots.iter().flatten().copied().collect();
                assert_eq!(kept, Kept::Whole(all));
            }
        }
        assert_eq!(bench.reassembly.held, 0);
        assert_eq!(bench.reassembly.deadlines.len(), 0);
    }
}

#[test]
fn fragments_of_others_are_kept_apart() {
    let mut bench = Bench::default();
    assert_eq!(bench.get(7, 0, true, 8).1, Kept::Waits);
    assert_eq!(bench.get(8, 16, false, 8).1, Kept::Waits);
    let other = bench.get_over("192.0.2.3:5", 7, 16, false, 8);
    assert_eq!(other.1, Kept::Waits);
    assert!(matches!(bench.get(7, 16, false, 8).1, Kept::Whole(slots) if slots.len() == 2));
}

#[test]
fn a_repetition_is_dropped_and_an_overlap_spoils_all() {
    let mut bench = Bench::default();
    let (first, _) = bench.get(7, 0, true, 24);
    let again = bench.get(7, 0, true, 24).1;
    let why = "a fragment that is here already";
    let host = NodeId(0);
    assert_eq!(again, Kept::Dropped(DropReason::Rejected { host, why }));
    let (second, overlap) = bench.get(7, 24, true, 16);
    assert!(matches!(overlap, Kept::Spoilt(slots, _) if slots == [first, second]));
    // And what still comes of it, for as long as it would have been waited for.
    let late = bench.get(7, 40, false, 16).1;
    assert!(malformed(&late));
    let before = Time::ZERO + Duration::from_secs(30);
    assert_eq!(bench.reassembly.give_up(before), Some(vec![]));
    assert_eq!(bench.reassembly.held, 0);
}

#[test]
fn every_kind_of_overlap_is_seen() {
    // Of a first fragment [0, 32), a middle one [64, 96) and a last one [128, 136).
    for (offset, more, length) in [
        (8, true, 8),
        (56, true, 16),
        (64, true, 8),
        (72, true, 64),
        (88, true, 24),
        (56, true, 48),
        // Beyond the end, or another end.
        (136, true, 8),
        (96, true, 48),
        (96, false, 8),
        (136, false, 8),
        (128, true, 8),
        (128, false, 3),
    ] {
        let mut bench = Bench::default();
        for (offset, more, length) in [(0, true, 24), (64, true, 32), (128, false, 8)] {
            assert_eq!(bench.get(7, offset, more, length).1, Kept::Waits);
        }
        let kept = bench.get(7, offset, more, length).1;
        assert!(
            matches!(&kept, Kept::Spoilt(slots, _) if slots.len() == 4),
            "{offset}, {length}: {kept:?}"
        );
    }
}

#[test]
fn what_no_sender_would_send_is_malformed() {
    for (offset, more, length) in [
        (8, true, 0),
        (8, true, 9),
        (3, false, 8),
        (65_528, false, 8),
        (65_528, true, 60_000),
        (0, true, 3),
    ] {
        let kept = Bench::default().get(7, offset, more, length).1;
        assert!(malformed(&kept), "{offset}, {length}: {kept:?}");
    }
    // Seven bytes fit just so.
    assert_eq!(Bench::default().get(7, 65_528, false, 7).1, Kept::Waits);
    // One that is all of its packet waits for nobody (RFC 6946).
    let mut bench = Bench::default();
    let (slot, kept) = bench.get(7, 0, false, 100);
    assert_eq!(kept, Kept::Whole(vec![slot]));
}

#[test]
fn each_family_is_given_its_time() {
    let mut bench = Bench::default();
    let (six, _) = bench.get_over("[2001:db8::1]:5", 7, 8, true, 8);
    let (when, _) = bench.reassembly.set_alarm().unwrap();
    assert_eq!(when, Time::ZERO + Duration::from_secs(60));
    bench.now = Time::from_millis(1);
    let (four, _) = bench.get(7, 8, true, 8);
    let (when, _) = bench.reassembly.set_alarm().unwrap();
    assert_eq!(when, Time::from_millis(30_001), "an earlier one is set too");
    assert_eq!(bench.reassembly.set_alarm(), None, "once");
    assert_eq!(bench.reassembly.give_up(Time::from_millis(30_000)), None);
    assert_eq!(bench.reassembly.give_up(when), Some(vec![four]));
    assert_eq!(bench.reassembly.give_up(when), None);
    assert!(bench.reassembly.is_due(when));
    let last = Time::ZERO + Duration::from_secs(60);
    assert_eq!(
        bench.reassembly.set_alarm().map(|(when, _)| when),
        Some(last)
    );
    assert_eq!(bench.reassembly.give_up(last), Some(vec![six]));
}

#[test]
fn the_shortest_fragments_are_bounded_too() {
    let mut bench = Bench::default();
    let full = (0..100_000u32)
        .position(|n| {
            let kept = bench.get(n, 8, true, 8).1;
            matches!(kept, Kept::Dropped(DropReason::FragmentsFull { .. }))
        })
        .unwrap();
    // 256 bytes each, and 28 on the wire.
    assert_eq!(full, MEMORY as usize / 284);
    bench.check();
    let later = Time::ZERO + Duration::from_secs(30);
    let given_up = std::iter::from_fn(|| bench.reassembly.give_up(later)).count();
    assert_eq!((given_up, bench.reassembly.held), (full, 0));
    assert_eq!(bench.get(7, 8, true, 8).1, Kept::Waits);
}

proptest! {
    #[test]
    fn garbage_is_accounted_for(
        pieces in proptest::collection::vec(
            (0u32..4, 0u16..40, any::<bool>(), 0u32..80, 0u64..4_000, any::<bool>()),
            1..400,
        ),
    ) {
        let mut bench = Bench::default();
        let (mut came, mut gone) = (0, 0);
        for (identification, place, more, length, pause, aligned) in pieces {
            bench.now += Duration::from_millis(pause);
            let (offset, length) = if aligned {
                (place * 8, length * 8)
            } else {
                (place, length)
            };
            came += 1;
            match bench.get(identification, offset, more, length).1 {
                Kept::Waits => {}
                Kept::Dropped(_) => gone += 1,
                Kept::Whole(slots) | Kept::Spoilt(slots, _) => gone += slots.len(),
            }
            while let Some(slots) = bench.reassembly.give_up(bench.now) {
                gone += slots.len();
            }
            bench.check();
        }
        let waiting: usize = bench.reassembly.incomplete.values().map(|p| p.parts.len()).sum();
        prop_assert_eq!(came, gone + waiting);
    }

    #[test]
    fn a_packet_is_whole_exactly_when_all_of_it_is_here(
        lengths in proptest::collection::vec(1u32..20, 1..30),
        shuffle in any::<u64>(),
        lost in 0usize..30,
    ) {
        // Cut anywhere, shuffled, and one lost if that one exists.
        let mut bench = Bench::default();
        let mut parts = Vec::new();
        let mut offset = 0u16;
        for (place, length) in lengths.iter().enumerate() {
            let more = place + 1 < lengths.len() || lengths.len() == 1;
            // The first one's header is eight of its bytes.
            let header = if place == 0 { 8 } else { 0 };
            parts.push((offset, more, length * 8));
            offset += (length * 8 + header) as u16;
        }
        if lengths.len() == 1 {
            parts.push((offset, false, 5));
        }
        let count = parts.len();
        let mut random = crate::engine::Stream::new(shuffle, "shuffle");
        for place in (1..count).rev() {
            parts.swap(place, random.below(place as u64 + 1) as usize);
        }
        if lost < count {
            parts.remove(lost);
        }
        let mut whole = None;
        for (offset, more, length) in parts {
            match bench.get(7, offset, more, length).1 {
                Kept::Waits => prop_assert!(whole.is_none()),
                Kept::Whole(slots) => whole = Some(slots),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(whole.is_some(), lost >= count);
        if let Some(slots) = whole {
            let offsets = slots.iter().map(|slot| bench.arena.get(*slot).fragment.unwrap().offset);
            prop_assert!(offsets.is_sorted() && slots.len() == count);
        }
    }
}
