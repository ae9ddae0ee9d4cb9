//! What a packet costs: over one link, through two filtering NATs, and as the car of a train.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinhole::link::{Conditions, Link};
use pinhole::nat::NatConfig;
use pinhole::packet::{Car, Train};
use pinhole::{
    ArrivedTrain, Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Program, Time,
    Topology,
};
use pinhole_benches::cpu::CpuTime;

const LENGTH: usize = 1200;
const BATCH: u64 = 10_000;

/// Sends a datagram from each of its sockets in turn, one every `gap`; or as many at a time as make
/// a train.
struct Sender {
    to: SocketAddr,
    sockets: Vec<SocketAddr>,
    next: usize,
    payload: [u8; LENGTH],
    gap: Duration,
    cars: u32,
    train: Train,
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
                let local = self.sockets[self.next];
                if self.cars == 1 {
                    io.send(local, self.to, &self.payload);
                } else {
                    for _ in 0..self.cars {
                        self.train.push(now, LENGTH as u16, &self.payload);
                    }
                    io.send_train(local, self.to, &mut self.train);
                }
                self.next = (self.next + 1) % self.sockets.len();
            }
            _ => {}
        }
        io.wake_at(now + self.gap * self.cars);
    }
}

/// Copies every datagram out, and what there is of a train's.
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

    fn handle_train(&mut self, _: Time, train: ArrivedTrain<'_>, _: &mut Io<'_>) {
        for car in train.cars {
            self.buffer[..Car::HEAD].copy_from_slice(car.head());
            black_box(&self.buffer);
            self.datagrams += 1;
        }
    }
}

fn attach(net: &mut Internet, from: NodeId, to: NodeId, at: Endpoint, flows: usize, cars: u32) {
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
            cars,
            train: Train::default(),
        },
    );
}

/// Copies every datagram out, and sends as many bytes back.
struct Player {
    local: SocketAddr,
    other: SocketAddr,
    serves: usize,
    buffer: [u8; LENGTH],
}

impl Program for Player {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind_to(self.local).expect("a free port");
                for _ in 0..self.serves {
                    io.send(self.local, self.other, &self.buffer);
                }
            }
            Input::Datagram(datagram) => {
                self.buffer.copy_from_slice(datagram.payload);
                io.send(self.local, self.other, &self.buffer);
            }
            _ => {}
        }
    }
}

/// Links between the two hosts behind NATs.
const HOPS: u32 = 4;

/// The delay of a cable or link, and how many datagrams are on a cable at a time.
const DELAY: Duration = Duration::from_micros(100);
const ON_THE_CABLE: usize = 8;

/// Two hosts, the cable between them, and datagrams that go back and forth on it.
fn direct() -> Internet {
    let mut plan = Topology::new();
    let hosts = [plan.host("a"), plan.host("b")];
    let ends: [Endpoint; 2] =
        ["192.0.2.1:9", "192.0.2.2:9"].map(|end| end.parse().expect("an endpoint"));
    let link = Link::with_delay(DELAY);
    plan.cable(
        (hosts[0], ends[0].address),
        (hosts[1], ends[1].address),
        link,
    );
    let mut net = plan.build(1).expect("a plan that makes sense");
    for (side, serves) in [(1, 0), (0, ON_THE_CABLE)] {
        let (local, other) = (ends[side].into(), ends[1 - side].into());
        net.attach(
            hosts[side],
            Player {
                local,
                other,
                serves,
                buffer: [7; LENGTH],
            },
        );
    }
    net
}

/// Host, NAT, core, NAT, host: four links with a rate and a queue, two NATs that filter.
fn through_two_nats(flows: usize, cars: u32) -> Internet {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let nat = NatConfig::new(
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    );
    let conditions = Conditions::new(DELAY).bottleneck(10_000_000_000, 1_000_000);
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
    attach(&mut net, hosts[0], hosts[1], at, flows, cars);
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

/// Lets time pass until at least a batch of packets has arrived, and returns how many have.
fn run_batch(net: &mut Internet) -> u64 {
    let before = net.trace().counts().delivered;
    while net.trace().counts().delivered < before + BATCH {
        net.run_for(DELAY).expect("no budget is spent");
    }
    net.trace().counts().delivered - before
}

/// Lets `iterations` packets arrive, and what comes with the last of them; returns the CPU time of
/// as many.
fn cost_of(net: &mut Internet, iterations: u64) -> Duration {
    let begun = ThreadTime::now();
    let mut arrived = 0;
    while arrived < iterations {
        arrived += run_batch(net);
    }
    begun.elapsed().mul_f64(iterations as f64 / arrived as f64)
}

/// An internet that has warmed up: every flow has its mappings, every buffer its memory.
fn warm(mut net: Internet, flows: u64) -> Internet {
    while net.trace().counts().delivered < 2 * flows.max(BATCH) {
        run_batch(&mut net);
    }
    net
}

fn packets(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    group.bench_function("floor: 1200 bytes copied in and out", |bencher| {
        let source = [7u8; LENGTH];
        let mut buffer = Vec::with_capacity(LENGTH);
        let mut out = [0u8; LENGTH];
        bencher.iter(|| {
            buffer.clear();
            buffer.extend_from_slice(black_box(&source));
            out.copy_from_slice(black_box(&buffer));
            black_box(&mut out);
        });
    });
    group.bench_function("direct, one link", |bencher| {
        let mut net = warm(direct(), 1);
        bencher.iter_custom(|iterations| cost_of(&mut net, iterations));
    });
    for flows in [1, 10_000] {
        let id = BenchmarkId::new("two filtering NATs, four links, flows", flows);
        group.bench_function(id, |bencher| {
            let mut net = warm(through_two_nats(flows as usize, 1), flows);
            bencher.iter_custom(|iterations| cost_of(&mut net, iterations));
        });
        let id = BenchmarkId::new("the same, each hop, flows", flows);
        group.bench_function(id, |bencher| {
            let mut net = warm(through_two_nats(flows as usize, 1), flows);
            bencher.iter_custom(|iterations| cost_of(&mut net, iterations) / HOPS);
        });
    }
    group.bench_function(
        "two filtering NATs, four links, trains of 50, each car",
        |bencher| {
            let mut net = warm(through_two_nats(1, 50), 1);
            bencher.iter_custom(|iterations| cost_of(&mut net, iterations));
        },
    );
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(30);
    targets = packets
}
criterion_main!(benches);
