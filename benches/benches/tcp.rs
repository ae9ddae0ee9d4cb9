//! What a TCP segment costs: bulk data over one link, one way, with real bytes.
//!
//! Every packet on the wire counts as a segment: those that carry 1,460 bytes of data, and those
//! that only acknowledge, one for every two of them. What is measured is all of it: the sender's
//! program and TCP, the link, the receiver's TCP and its program, which copies the bytes out.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinhole::host::{CongestionControl, TcpSettings};
use pinhole::link::{Conditions, ETHERNET_MTU, Link};
use pinhole::{Endpoint, Input, Internet, Io, Program, TcpEvent, TcpId, Time, Topology};
use pinhole_benches::cpu::CpuTime;

const BATCH: u64 = 10_000;
const PORT: u16 = 80;
const DELAY: Duration = Duration::from_micros(500);
const PIECE: usize = 64 * 1024;

/// Opens so many connections, and sends on all of them without end.
struct Source {
    to: SocketAddr,
    settings: TcpSettings,
    connections: usize,
    piece: Vec<u8>,
}

impl Source {
    fn send(&self, stream: TcpId, io: &mut Io<'_>) {
        while io.tcp_send(stream, &self.piece) == PIECE {}
    }
}

impl Program for Source {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.tcp_settings(self.settings);
                for _ in 0..self.connections {
                    let any = Endpoint::UNSPECIFIED.into();
                    io.tcp_connect(any, self.to).expect("a free port");
                }
            }
            Input::Tcp {
                stream,
                event: TcpEvent::Connected { .. } | TcpEvent::Writable,
            } => self.send(stream, io),
            _ => {}
        }
    }
}

/// Copies every byte out.
struct Sink {
    buffer: Vec<u8>,
}

impl Program for Sink {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.tcp_listen(PORT).expect("a free port");
            }
            Input::Tcp {
                event: TcpEvent::Data(bytes),
                ..
            } => {
                self.buffer[..bytes.len()].copy_from_slice(bytes);
                black_box(&self.buffer);
            }
            _ => {}
        }
    }
}

/// Two hosts and a link of 10 Gbit/s, with room for all windows in its queue.
fn bulk(connections: usize, congestion_control: CongestionControl) -> Internet {
    let mut plan = Topology::new();
    let hosts = [plan.host("a"), plan.host("b")];
    let ends = [
        pinhole::Address::v4(192, 0, 2, 1),
        pinhole::Address::v4(192, 0, 2, 2),
    ];
    let conditions = Conditions::new(DELAY)
        .bottleneck(10_000_000_000, u32::MAX)
        .mtu(ETHERNET_MTU);
    plan.cable(
        (hosts[0], ends[0]),
        (hosts[1], ends[1]),
        Link::symmetric(conditions),
    );
    plan.budget(pinhole::Budget {
        events: u64::MAX,
        packets: u64::MAX,
        ..pinhole::Budget::default()
    });
    let mut net = plan.build(1).expect("a plan that makes sense");
    net.attach(
        hosts[1],
        Sink {
            buffer: vec![0; PIECE],
        },
    );
    net.attach(
        hosts[0],
        Source {
            to: Endpoint::new(ends[1], PORT).into(),
            settings: TcpSettings {
                congestion_control,
                backlog: u32::MAX,
                ..TcpSettings::default()
            },
            connections,
            piece: vec![7; PIECE],
        },
    );
    net
}

/// Lets time pass until at least a batch of segments has arrived, and returns how many have.
fn run_batch(net: &mut Internet) -> u64 {
    let before = net.trace().counts().delivered;
    while net.trace().counts().delivered < before + BATCH {
        net.run_for(Duration::from_micros(100))
            .expect("no budget is spent");
    }
    net.trace().counts().delivered - before
}

fn cost_of(net: &mut Internet, iterations: u64) -> Duration {
    let begun = ThreadTime::now();
    let mut arrived = 0;
    while arrived < iterations {
        arrived += run_batch(net);
    }
    begun.elapsed().mul_f64(iterations as f64 / arrived as f64)
}

fn segments(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("tcp segment");
    group.throughput(Throughput::Elements(1));
    for (name, control) in [
        ("Reno", CongestionControl::Reno),
        ("CUBIC", CongestionControl::Cubic),
    ] {
        group.bench_function(BenchmarkId::new("bulk over one link", name), |bencher| {
            let mut net = bulk(1, control);
            for _ in 0..20 {
                run_batch(&mut net);
            }
            let counts = net.trace().counts();
            assert_eq!(counts.dropped, 0, "the link loses nothing");
            bencher.iter_custom(|iterations| cost_of(&mut net, iterations));
        });
    }
    for connections in [100, 1_000] {
        let id = BenchmarkId::new("bulk over one link, connections", connections);
        group.bench_function(id, |bencher| {
            let mut net = bulk(connections, CongestionControl::Reno);
            for _ in 0..20 {
                run_batch(&mut net);
            }
            bencher.iter_custom(|iterations| cost_of(&mut net, iterations));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(30);
    targets = segments
}
criterion_main!(benches);
