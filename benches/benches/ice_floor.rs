//! CPU time of one ICE session without a network: see [`pinhole_benches::ping_pong`].

use criterion::{Criterion, criterion_group, criterion_main};
use pinhole_benches::{ping_pong, ping_pong_open};
use pinhole_scenarios::ice::Stack;

fn sessions(criterion: &mut Criterion) {
    for (name, run) in [
        ("ice_floor/nats", ping_pong as fn(_, _, _) -> _),
        ("ice_floor/open", ping_pong_open),
    ] {
        let mut group = criterion.benchmark_group(name);
        for a in Stack::ALL {
            for b in Stack::ALL {
                // A seed of its own for each iteration, so that no branch is learned by heart.
                let mut seed = 0;
                group.bench_function(format!("{a} with {b}"), |bencher| {
                    bencher.iter(|| {
                        seed += 1;
                        run(a, b, seed).expect("a session")
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, sessions);
criterion_main!(benches);
