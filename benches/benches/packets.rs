//! What a packet costs: over one link, and through two filtering NATs.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinhole::link::{Conditions, Link};
use pinhole::nat::NatConfig;
use pinhole::{Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Program, Time, Topology};
use pinhole_benches::cpu::CpuTime;

const LENGTH: usize = 1200;
const BATCH: u64 = 10_000;

/// Sends a datagram from each of its sockets in turn, one every `gap`.
struct Sender {
    to: SocketAddr,
    sockets: Vec<SocketAddr>,
    next: usize,
    payload: [u8; LENGTH],
    gap: Duration,
}

impl Program for Sender {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                let address = io.addresses().next().unwrap();
                for socket in &mut self.sockets {
                    *socket = Endpoint::new(address, io.bind(0).unwrap()).into();
                }
            }
            Input::Wake => {
                io.send(self.sockets[self.next], self.to, &self.payload);
                self.next = (self.next + 1) % self.sockets.len();
            }
            _ => {}
        }
        io.wake_at(now + self.gap);
    }
}

/// Copies every datagram out.
struct Receiver {
    port: u16,
    buffer: [u8; LENGTH],
    datagrams: u64,
}

impl Program for Receiver {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(self.port).unwrap();
            }
            Input::Datagram(datagram) => {
                self.buffer.copy_from_slice(datagram.payload);
                black_box(&self.buffer);
                self.datagrams += 1;
            }
            _ => {}
        }
    }
}

fn attach(net: &mut Internet, from: NodeId, to: NodeId, at: Endpoint, flows: usize) {
    net.attach(
        to,
        Receiver {
            port: at.port,
            buffer: [0; LENGTH],
            datagrams: 0,
        },
    );
    net.attach(
        from,
        Sender {
            to: at.into(),
            sockets: vec![at.into(); flows],
            next: 0,
            payload: [7; LENGTH],
            gap: Duration::from_micros(2),
        },
    );
}

/// Two hosts and the cable between them.
fn direct() -> Internet {
    let mut plan = Topology::new();
    let (a, b) = (plan.host("a"), plan.host("b"));
    let [at_a, at_b] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
    plan.cable(
        (a, at_a),
        (b, at_b),
        Link::with_delay(Duration::from_millis(1)),
    );
    let mut net = plan.build(1).expect("a plan that makes sense");
    attach(&mut net, a, b, Endpoint::new(at_b, 9), 1);
    net
}

/// Host, NAT, core, NAT, host: four links with a rate and a queue, two NATs that filter.
fn through_two_nats(flows: usize) -> Internet {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let nat = NatConfig::new(
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    );
    let conditions =
        Conditions::new(Duration::from_millis(1)).bottleneck(10_000_000_000, 1_000_000);
    let link = Link::symmetric(conditions);
    let mut hosts = Vec::new();
    for n in 1..=2u8 {
        let edge = plan.nat(format!("nat{n}"), nat.clone());
        plan.connect(edge, core, link, &[pinhole::Address::v4(203, 0, 113, n)]);
        let host = plan.host(format!("host{n}"));
        plan.connect(host, edge, link, &[pinhole::Address::v4(192, 168, n, 2)]);
        hosts.push(host);
    }
    let mut net = plan.build(1).unwrap();
    let at: Endpoint = "203.0.113.2:9".parse().unwrap();
    attach(&mut net, hosts[0], hosts[1], at, flows);
    let receiver = net.topology().find("host2").unwrap();
    // The receiver's NAT must have seen it speak to every one of the sender's endpoints: ports are
    // preserved, so these are all of the ephemeral ones.
    net.attach_fn(receiver, |_, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            for port in 49_152..=65_535 {
                let remote = Endpoint::new(pinhole::Address::v4(203, 0, 113, 1), port);
                io.send("0.0.0.0:9".parse().unwrap(), remote.into(), b"open");
            }
        }
    });
    net
}

fn run_batch(net: &mut Internet) {
    let goal = net.trace().counts().delivered + BATCH;
    while net.trace().counts().delivered < goal {
        net.step().unwrap();
    }
}

fn packets(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("floor: copied in and out", |bencher| {
        let source = [7u8; LENGTH];
        let mut buffer = Vec::with_capacity(LENGTH);
        let mut out = [0u8; LENGTH];
        bencher.iter(|| {
            for _ in 0..BATCH {
                buffer.clear();
                buffer.extend_from_slice(black_box(&source));
                out.copy_from_slice(black_box(&buffer));
                black_box(&out);
            }
        });
    });
    group.bench_function("direct", |bencher| {
        let mut net = direct();
        run_batch(&mut net);
        bencher.iter(|| run_batch(&mut net));
    });
    for flows in [1, 10_000] {
        group.bench_function(BenchmarkId::new("two NATs, four links", flows), |bencher| {
            let mut net = through_two_nats(flows);
            run_batch(&mut net);
            bencher.iter(|| run_batch(&mut net));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(30);
    targets = packets
}
criterion_main!(benches);
