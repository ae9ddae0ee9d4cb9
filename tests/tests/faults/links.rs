//! Links that are cut, and nodes that are parted.

use pinhole::link::Conditions;
use pinhole::trace::DropReason;

use super::*;

#[test]
fn a_link_that_is_down_takes_nothing_and_what_it_took_before_arrives() {
    let mut world = world();
    let diary = world.ticker("y", None, None);
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let link = world.link("home", "core");
    world.fault(50, Fault::LinkDown { link });
    world.fault(80, Fault::LinkUp { link });
    world.run(125);
    // Sent at 0, 10, …; 1 ms to home, 20 ms from there. Those that reach home at 51, 61 and 71 find
    // the link down. What left home at 41 was under way at 50, and arrives.
    assert_eq!(data(&diary), [21, 31, 41, 51, 61, 101, 111, 121]);
    assert_eq!(world.drops("link_down"), 3);
    let drop = world.net.trace().drops()[0].example;
    assert_eq!(drop, DropReason::LinkDown { on: link.forward() });
    assert_eq!(
        drop.sentence(world.net.topology()),
        "dropped before home>core: the link is down"
    );
}

/// Whatever else happens at that time comes first.
#[test]
fn a_fault_comes_last_of_its_moment() {
    for (millis, arrives) in [(0, true), (1, false)] {
        let mut world = world();
        let diary = world.ticker("y", None, None);
        let link = world.link("x", "home");
        // Scheduled first: the order of scheduling doesn't count against other things.
        world.fault(0, Fault::LinkDown { link });
        let x = world.node("x");
        world.net.attach_fn(x, move |now, input, io| match input {
            Input::Start => io.wake_at(now + Duration::from_millis(millis)),
            Input::Wake => io.send_from(9, socket("192.0.2.1:4000"), b"once"),
            _ => {}
        });
        world.run(100);
        assert_eq!(!data(&diary).is_empty(), arrives, "sent at {millis} ms");
    }
}

#[test]
fn a_partition_parts_two_nodes_and_nobody_else() {
    let mut world = world();
    let (y, z) = (world.ticker("y", None, None), world.ticker("z", None, None));
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let x = world.node("x");
    world.net.attach_fn(x, move |_, input, io| {
        if let Input::Start | Input::Wake = input {
            io.send_from(9, socket("192.0.2.2:4000"), b"tick");
            io.wake_after(Duration::from_millis(10));
        }
    });
    let between = [world.node("y"), x];
    world.fault(50, Fault::Partition { between });
    world.fault(80, Fault::Heal { between });
    world.run(125);
    // Those sent at 60, 70 and 80 end at y's door; what was sent until 50 was on its way already.
    assert_eq!(data(&y), [21, 31, 41, 51, 61, 71, 111, 121]);
    assert_eq!(data(&z), [21, 31, 41, 51, 61, 71, 81, 91, 101, 111, 121]);
    assert_eq!(world.drops("partitioned"), 3);
    let drop = world.net.trace().drops()[0].example;
    let told = "dropped by y: it came by way of x, and the two are parted";
    assert_eq!(drop.sentence(world.net.topology()), told);
}

/// A node in the middle counts as much as one at the end, and a copy that a link makes is stopped as
/// its original is.
#[test]
fn a_partition_holds_for_what_passes_through_and_for_copies() {
    for pair in [["home", "y"], ["x", "core"], ["home", "core"]] {
        let mut plan = world().net.topology().clone();
        let doubling = Conditions {
            duplication: 1.0,
            ..Conditions::new(Duration::from_millis(10))
        };
        let far = plan.host("far");
        let core = plan.find("core").unwrap();
        let link = Link {
            up: doubling,
            down: doubling,
        };
        plan.connect(far, core, link, &[address("192.0.2.9")]);
        let mut world = Net {
            net: plan.build(1).unwrap(),
        };
        let y = world.ticker("y", None, None);
        let far = world.ticker("far", Some("192.0.2.1:4000"), None);
        world.ticker("x", Some("192.0.2.9:4000"), None);
        let x = world.node("x");
        world.net.attach_fn(x, |_, input, io| {
            if let Input::Start = input {
                io.send_from(9, socket("192.0.2.1:4000"), b"one");
            }
        });
        let between = pair.map(|name| world.node(name));
        world.net.inflict(Fault::Partition { between }).unwrap();
        world.run(100);
        let from_x = |diary: &Diary| {
            let diary = diary.borrow();
            let nat = Seen::Data(socket("203.0.113.1:9"));
            diary.iter().filter(|(_, seen)| *seen == nat).count()
        };
        assert_eq!(from_x(&y), 0, "{pair:?}");
        assert_eq!(data(&far).is_empty(), pair[1] == "core", "{pair:?}");
        let between = [pair[1], pair[0]].map(|name| world.node(name));
        world.net.inflict(Fault::Heal { between }).unwrap();
        world.run(200);
        assert!(!data(&far).is_empty(), "{pair:?} are healed");
    }
}
