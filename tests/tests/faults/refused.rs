//! What can't be a fault, and what the error says of it.

use pinhole::internet::FaultError;

use super::*;

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut world = world();
    world.ticker("y", None, None);
    let (x, home, core) = (world.node("x"), world.node("home"), world.node("core"));
    let wifi = world.link("x", "home");
    let uplink = world.link("home", "core");
    let new = |text: &str| vec![address(text)];
    let reboot = |gateway, external| Fault::Reboot { gateway, external };
    let other = {
        let mut plan = Topology::new();
        let nodes: Vec<NodeId> = (0..40).map(|n| plan.host(n.to_string())).collect();
        let links: Vec<LinkId> = nodes
            .windows(2)
            .map(|pair| plan.connect(pair[0], pair[1], Link::lan(), &[]))
            .collect();
        (nodes[39], links[38])
    };
    for (fault, told) in [
        (
            Fault::Flush { gateway: x },
            "\"x\" is a host; only a NAT can lose its mappings",
        ),
        (
            reboot(core, vec![]),
            "\"core\" is a router; only a gateway can reboot",
        ),
        (
            Fault::Roam {
                host: home,
                to: wifi,
            },
            "\"home\" is a NAT; only a host can roam",
        ),
        (
            Fault::Roam {
                host: x,
                to: uplink,
            },
            "\"x\" has no attachment over the link between \"home\" and \"core\"",
        ),
        (
            Fault::Restart { host: x },
            "\"x\" runs nothing that can be restarted; attach its program as a service",
        ),
        (
            Fault::Restart { host: core },
            "\"core\" is a router; only a host can restart its programs",
        ),
        (
            Fault::Partition { between: [x, x] },
            "\"x\" can't be parted from itself; name two nodes",
        ),
        (
            Fault::FamilyLost {
                host: world.node("y"),
                family: Family::V6,
            },
            "\"y\" has no V6 address to lose or to get back",
        ),
        (
            reboot(home, new("192.0.2.1")),
            "192.0.2.1 is used twice in one network: by \"home\" and by \"y\"",
        ),
        (
            reboot(home, vec![address("203.0.113.9"); 2]),
            "203.0.113.9 is used twice in one network: by \"home\" and by \"home\"",
        ),
        (
            reboot(home, new("2001:db8::1")),
            "\"home\" needs external addresses of the families it has now: 203.0.113.1",
        ),
        (
            Fault::Flush { gateway: other.0 },
            "node 39 is none of this internet's, which has 6",
        ),
        (
            Fault::LinkUp { link: other.1 },
            "link 38 is none of this internet's, which has 6",
        ),
    ] {
        let scheduled = world.net.schedule_fault(at(10), fault.clone()).unwrap_err();
        assert_eq!(scheduled.to_string(), told);
        assert_eq!(world.net.inflict(fault).unwrap_err(), scheduled);
    }
    // An address is promised to one NAT only, and another may have it only once it is given up.
    world.fault(50, reboot(home, new("203.0.113.77")));
    let mobile = world.node("mobile");
    for taken in ["203.0.113.77", "203.0.113.1"] {
        let error = world.net.schedule_fault(at(60), reboot(mobile, new(taken)));
        assert!(matches!(error, Err(FaultError::Addresses(_))), "{error:?}");
    }
    world.run(50);
    world.fault(60, reboot(mobile, new("203.0.113.1")));
    world.run(60);
    assert_eq!(world.net.address(mobile), address("203.0.113.1"));
    assert_eq!(
        world.net.inflicted().len(),
        2,
        "what was refused never struck"
    );
}

#[test]
fn the_past_is_over() {
    let mut world = world();
    let link = world.link("home", "core");
    world.run(100);
    let late = world.net.schedule_fault(at(99), Fault::LinkDown { link });
    let (at, now) = (at(99), at(100));
    assert_eq!(late, Err(FaultError::InThePast { at, now }));
    assert_eq!(
        late.unwrap_err().to_string(),
        "a fault at 99.000 ms comes too late: it is 100.000 ms already"
    );
    assert_eq!(
        world.net.schedule_fault(now, Fault::LinkDown { link }),
        Ok(())
    );
}
