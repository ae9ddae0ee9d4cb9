//! What an idle host costs: bytes that the plan, the running internet and its routes hold for it.
//!
//! No time is measured here: the allocator counts.

use std::alloc::System;

use pinhole::link::Link;
use pinhole::topology::AddressPlan;
use pinhole::{Internet, Topology};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An internet of so many hosts around one router.
fn internet(hosts: usize) -> Internet {
    let mut plan = Topology::new();
    let mut addresses = AddressPlan::new();
    let core = plan.router("internet");
    for host in 0..hosts {
        let host = plan.host(format!("host{host}"));
        plan.connect(host, core, Link::lan(), &[addresses.edge()]);
    }
    plan.build(1).expect("a plan that makes sense")
}

/// Bytes that an internet of so many hosts holds.
fn held(hosts: usize) -> usize {
    let region = Region::new(ALLOCATOR);
    let internet = internet(hosts);
    let change = region.change();
    drop(internet);
    change.bytes_allocated - change.bytes_deallocated
}

fn main() {
    // Powers of two, where growing vectors and tables are full and waste nothing, and the worst
    // case just after.
    for hosts in [1 << 12, (1 << 12) + 64, 1 << 14] {
        let each = (held(hosts) - held(64)) / (hosts - 64);
        println!("an idle host: {each} bytes ({hosts} hosts around one router)");
    }
}
