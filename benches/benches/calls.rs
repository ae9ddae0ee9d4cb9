//! What a whole call costs, beside its two ICE agents alone.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pinhole_benches::cpu::CpuTime;
use pinhole_benches::{ping_pong, ping_pong_told};
use pinhole_scenarios::call::{CallConfig, Caller, TurnOffer};
use pinhole_scenarios::ice::Stack;

fn calls(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(1));
    group.bench_function("floor: two `is` agents back to back", |bencher| {
        let mut seed = 0;
        bencher.iter(|| {
            seed += 1;
            ping_pong(Stack::Is, Stack::Is, seed).expect("a session")
        });
    });
    group.bench_function(
        "floor: the same two, told what a call tells them",
        |bencher| {
            let mut seed = 0;
            bencher.iter(|| {
                seed += 1;
                ping_pong_told(Stack::Is, Stack::Is, seed).expect("a session")
            });
        },
    );
    group.bench_function("`is` behind nat:eim/apdf, STUN, no TURN", |bencher| {
        let home = || "nat:eim/apdf".parse().expect("a kind");
        let mut config = CallConfig {
            turn: TurnOffer::OFF,
            ..CallConfig::new(home(), home())
        };
        let mut caller = Caller::new();
        bencher.iter(|| {
            config.seed += 1;
            let call = caller.call(&config).expect("a call");
            assert!(call.outcome.is_connected());
            call.outcome
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = calls
}
criterion_main!(benches);
