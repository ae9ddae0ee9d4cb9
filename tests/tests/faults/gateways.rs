//! Gateways that reboot, and NATs that lose their mappings.

use pinhole::firewall::FirewallConfig;
use pinhole::topology::Device;

use super::*;

#[test]
fn a_rebooted_nat_has_no_mappings_and_maybe_another_address() {
    for external in [vec![], vec![address("203.0.113.77")]] {
        let mut world = world();
        let y = world.ticker("y", Some("203.0.113.1:4000"), None);
        let x = world.ticker("x", None, None);
        // One packet opens the mapping that y's come in by.
        world.send_once("x", "192.168.1.2:4000", "192.0.2.1:4000");
        let gateway = world.node("home");
        let moves = !external.is_empty();
        world.fault(55, Fault::Reboot { gateway, external });
        world.run(125);
        assert_eq!(y.borrow()[1].1, Seen::Data(socket("203.0.113.1:4000")));
        // y's of 0 and 10 ms come before the mapping is there at 1 ms… but take 20 ms to get here.
        assert_eq!(data(&x), [21, 31, 41, 51], "moves: {moves}");
        // At 60 ms the first finds nothing: neither mapping nor, where it moved, the address.
        let lost = if moves { "no_route" } else { "no_mapping" };
        assert!(world.drops(lost) > 0, "{:?}", world.net.trace().drops());
        let now = if moves { "203.0.113.77" } else { "203.0.113.1" };
        assert_eq!(world.net.address(gateway), address(now));
        // The network finds it at its new address.
        let back = socket(&format!("{now}:4000"));
        world.send_once("x", "192.168.1.2:4000", "192.0.2.1:4000");
        world.run(200);
        assert_eq!(y.borrow().last().unwrap().1, Seen::Data(back));
        let seen = &world.net.inflicted()[0];
        assert_eq!(
            (seen.time, &seen.before[..]),
            (at(55), &[address("203.0.113.1")][..])
        );
    }
}

/// A firewall beside the NAT keeps its pinholes when the NAT is flushed, and loses them when the
/// gateway reboots.
#[test]
fn a_flush_is_the_nats_a_reboot_is_everybodys() {
    for (reboots, comes_in) in [(false, true), (true, false)] {
        let mut plan = world().net.topology().clone();
        let gateway = plan.find("home").unwrap();
        let filter = FirewallConfig {
            family: Some(Family::V6),
            ..FirewallConfig::new(Filtering::AddressAndPortDependent)
        };
        plan.install(gateway, Device::Firewall(filter));
        let far = plan.host("far");
        let core = plan.find("core").unwrap();
        plan.connect(far, core, Link::lan(), &[address("2001:db8::9")]);
        let mut world = Net {
            net: plan.build(1).unwrap(),
        };
        let x = world.ticker("x", None, None);
        world.send_once("x", "[fd00::2]:4000", "[2001:db8::9]:4000");
        world.send_once("x", "192.168.1.2:4000", "192.0.2.1:4000");
        world.run(50);
        let external = Vec::new();
        let fault = if reboots {
            Fault::Reboot { gateway, external }
        } else {
            Fault::Flush { gateway }
        };
        assert_eq!(world.net.nat(gateway).unwrap().mappings(at(50)).count(), 1);
        world.net.inflict(fault).unwrap();
        assert_eq!(world.net.nat(gateway).unwrap().mappings(at(50)).count(), 0);
        world.ticker("far", Some("[fd00::2]:4000"), None);
        world.run(100);
        assert_eq!(!data(&x).is_empty(), comes_in, "reboots: {reboots}");
    }
}
