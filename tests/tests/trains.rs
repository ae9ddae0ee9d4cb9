//! Trains: datagrams that travel together meet what each would have met alone.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::link::{Conditions, GilbertElliott, Jitter, Link, Loss};
use pinhole::nat::NatConfig;
use pinhole::packet::{Car, Train};
use pinhole::trace::Event;
use pinhole::{
    Address, ArrivedTrain, Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Program,
    Time, Topology,
};
use proptest::prelude::*;

const PORT: u16 = 5000;

/// What came: when, how long, and its first byte.
type Arrivals = Rc<RefCell<Vec<(Time, usize, Option<u8>)>>>;

/// Writes to somebody, to be let in, and notes what comes.
struct Listener {
    greets: SocketAddr,
    arrivals: Arrivals,
}

impl Program for Listener {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(PORT).unwrap();
                io.send_from(PORT, self.greets, b"let them in");
            }
            Input::Datagram(it) => {
                let first = it.payload.first().copied();
                self.arrivals.borrow_mut().push((now, it.length, first));
            }
            _ => {}
        }
    }

    fn handle_train(&mut self, now: Time, train: ArrivedTrain<'_>, _: &mut Io<'_>) {
        for car in train.cars {
            assert!(car.at <= now, "nobody sees what hasn't come");
            let first = car.head().first().copied();
            let arrival = (car.at, usize::from(car.length), first);
            self.arrivals.borrow_mut().push(arrival);
        }
    }
}

/// A sender, a router, a NAT, and a listener behind that.
struct Line {
    net: Internet,
    sender: NodeId,
    /// The listener as the NAT lets it be seen.
    to: SocketAddr,
    arrivals: Arrivals,
    /// How often the sender was told that something didn't arrive.
    told: Rc<RefCell<usize>>,
}

fn line(links: [Conditions; 3], seed: u64) -> Line {
    let mut topology = Topology::new();
    let address = |text: &str| -> Address { text.parse().unwrap() };
    let sender = topology.host("sender");
    let core = topology.router("core");
    let home = topology.nat(
        "home",
        NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        ),
    );
    let listener = topology.host("listener");
    let [first, second, third] = links;
    let back = Conditions::new(Duration::from_millis(1));
    let link = |up, down| Link { up, down };
    let at_sender = [address("192.0.2.1")];
    topology.connect(sender, core, link(first, back), &at_sender);
    topology.connect(home, core, link(back, second), &[address("203.0.113.1")]);
    topology.connect(listener, home, link(back, third), &[address("10.0.0.2")]);
    let mut net = topology.build(seed).unwrap();
    let arrivals = Arrivals::default();
    let greets = Endpoint::new(address("192.0.2.1"), PORT).into();
    net.attach(
        listener,
        Listener {
            greets,
            arrivals: Rc::clone(&arrivals),
        },
    );
    // The sender learns where to send by what the NAT makes of the greeting.
    let heard = Rc::new(RefCell::new(None));
    let told = Rc::new(RefCell::new(0));
    let (note, count) = (Rc::clone(&heard), Rc::clone(&told));
    net.attach_fn(sender, move |_, input, io| match input {
        Input::Start => drop(io.bind(PORT).unwrap()),
        Input::Datagram(it) => *note.borrow_mut() = Some(it.remote),
        Input::Unreachable { .. } => *count.borrow_mut() += 1,
        _ => {}
    });
    net.run_until(BEGIN).unwrap();
    let to = heard.borrow().expect("the greeting came");
    Line {
        net,
        sender,
        to,
        arrivals,
        told,
    }
}

const BEGIN: Time = Time::from_millis(100);

/// Sends at the times that a list says, each alone or all together with the last.
struct Sender {
    to: SocketAddr,
    sends: Vec<(Time, u16)>,
    together: bool,
    next: usize,
}

impl Program for Sender {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if !matches!(input, Input::Start | Input::Wake) {
            return;
        }
        let local = SocketAddr::from(([192, 0, 2, 1], PORT));
        let due = match self.together {
            true => self.sends.last().map(|last| last.0),
            false => self.sends.get(self.next).map(|next| next.0),
        };
        let due = due.filter(|_| self.next < self.sends.len());
        if due.is_some_and(|due| due > now) {
            return io.wake_at(due);
        }
        if self.together {
            let mut train = Train::default();
            for (number, (at, length)) in self.sends.iter().enumerate() {
                train.push(*at, *length, &[number as u8]);
            }
            io.send_train(local, self.to, &mut train);
            self.next = self.sends.len();
            return;
        }
        while let Some((at, length)) = self.sends.get(self.next).filter(|it| it.0 <= now) {
            assert_eq!(*at, now);
            let mut payload = vec![0; usize::from(*length)];
            if let Some(first) = payload.first_mut() {
                *first = self.next as u8;
            }
            io.send(local, self.to, &payload);
            self.next += 1;
        }
        io.wake_at(self.sends.get(self.next).map(|next| next.0));
    }
}

/// What arrives of datagrams that are sent so long after each other.
fn arrivals(
    links: [Conditions; 3],
    seed: u64,
    sends: &[(u64, u16)],
    together: bool,
) -> (Vec<(Time, usize, Option<u8>)>, Internet) {
    let Line {
        mut net,
        sender,
        to,
        arrivals,
        ..
    } = line(links, seed);
    let mut at = BEGIN;
    let sends = sends.iter().map(|(gap, length)| {
        at += Duration::from_nanos(*gap);
        (at, *length)
    });
    let sends = sends.collect();
    net.attach(
        sender,
        Sender {
            to,
            sends,
            together,
            next: 0,
        },
    );
    net.run_to_end().unwrap();
    let arrived = std::mem::take(&mut *arrivals.borrow_mut());
    (arrived, net)
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let loss = prop_oneof![
        Just(Loss::None),
        (0.0..0.5).prop_map(Loss::Independent),
        (0.01..0.3).prop_map(|mean| Loss::GilbertElliott(GilbertElliott::bursts(mean, 3.0))),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        (0u64..3_000).prop_map(|most| Jitter::InOrder(Duration::from_micros(most))),
    ];
    let bottleneck = proptest::option::of((500_000u64..100_000_000, 2_000u32..40_000));
    (5u64..40, loss, jitter, bottleneck).prop_map(|(delay, loss, jitter, bottleneck)| {
        let delay = Duration::from_millis(delay);
        let conditions = Conditions::new(delay).loss(loss).jitter(jitter);
        match bottleneck {
            Some((rate, queue)) => conditions.bottleneck(rate, queue),
            None => conditions,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Over three links with rates, queues, losses and jitter, and through a NAT: the same cars
    /// arrive, each at the nanosecond at which it would have arrived alone.
    #[test]
    fn a_car_meets_what_it_would_meet_alone(
        links in [conditions(), conditions(), conditions()],
        duplication in 0.0..0.3f64,
        seed: u64,
        sends in proptest::collection::vec((0u64..60_000, 0u16..1_400), 1..80),
    ) {
        let [first, second, third] = links;
        // On the last link, for copies under way meet other copies in another order.
        let links = [first, second, third.duplication(duplication)];
        let (mut alone, apart) = arrivals(links, seed, &sends, false);
        let (mut together, joined) = arrivals(links, seed, &sends, true);
        alone.sort_unstable();
        together.sort_unstable();
        prop_assert_eq!(alone, together);
        prop_assert_eq!(apart.trace().counts(), joined.trace().counts());
        let reasons = |net: &Internet| {
            let drops = net.trace().drops().iter();
            let mut drops: Vec<_> = drops
                .map(|it| (it.example.code(), net.place_name(it.example.place()), it.count))
                .collect();
            drops.sort_unstable();
            drops
        };
        prop_assert_eq!(reasons(&apart), reasons(&joined));
        prop_assert!(joined.events() <= apart.events());
    }
}

fn clean() -> Conditions {
    Conditions::new(Duration::from_millis(10))
}

#[test]
fn a_train_costs_an_event_to_a_link() {
    let sends = [(1_000, 200); 50];
    let (arrived, joined) = arrivals([clean(); 3], 1, &sends, true);
    assert_eq!(arrived.len(), 50);
    let (_, apart) = arrivals([clean(); 3], 1, &sends, false);
    let saved = apart.events() - joined.events();
    assert_eq!(saved, 49 * 3 + 49, "49 times three links and a wake");
}

#[test]
fn a_car_that_is_too_long_is_dropped_and_its_sender_told() {
    let narrow = clean().mtu(1_000);
    let Line {
        mut net,
        sender,
        to,
        arrivals,
        told,
    } = line([clean(), narrow, clean()], 1);
    net.attach_fn(sender, move |_, input, io| {
        if let Input::Start = input {
            let mut train = Train::default();
            for length in [900, 1_100, 972, 973] {
                train.push(io.now(), length, b"x");
            }
            let local = SocketAddr::from(([192, 0, 2, 1], PORT));
            io.send_train(local, to, &mut train);
        }
    });
    net.run_to_end().unwrap();
    assert_eq!(*told.borrow(), 2);
    let lengths: Vec<usize> = arrivals.borrow().iter().map(|it| it.1).collect();
    assert_eq!(lengths, [900, 972]);
    let drops = net.trace().drops();
    let too_big = drops.iter().find(|it| it.example.code() == "too_big");
    assert_eq!(too_big.map(|it| it.count), Some(2));
}

#[test]
fn who_knows_nothing_of_trains_is_given_datagrams() {
    let Line {
        mut net, sender, ..
    } = line([clean(); 3], 1);
    let came = Arrivals::default();
    let note = Rc::clone(&came);
    net.attach_fn(sender, move |now, input, io| match input {
        Input::Start => {
            io.bind(7).unwrap();
            let mut train = Train::default();
            train.push(now, 100, &[9; 100]);
            train.push(now, 3, &[8; 3]);
            // To itself.
            io.send_train(
                SocketAddr::from(([192, 0, 2, 1], 7)),
                SocketAddr::from(([192, 0, 2, 1], 7)),
                &mut train,
            );
            assert!(train.is_empty());
            io.send_train(
                SocketAddr::from(([192, 0, 2, 1], 7)),
                SocketAddr::from(([192, 0, 2, 1], 7)),
                &mut train,
            );
        }
        Input::Datagram(it) => {
            assert!(it.payload.len() == it.length);
            let first = it.payload.first().copied();
            note.borrow_mut().push((now, it.length, first));
        }
        _ => {}
    });
    net.run_to_end().unwrap();
    assert_eq!(*came.borrow(), [(BEGIN, 100, Some(9)), (BEGIN, 3, Some(8))]);
}

#[test]
fn a_recording_has_every_car_at_its_time() {
    let mut topology = Topology::new();
    let [one, other] = ["one", "other"].map(|name| topology.host(name));
    let addresses = ["192.0.2.1", "192.0.2.2"].map(|it| it.parse::<Address>().unwrap());
    let link = Link::symmetric(clean());
    topology.cable((one, addresses[0]), (other, addresses[1]), link);
    let mut net = topology.build(1).unwrap();
    net.record();
    let to = Endpoint::new(addresses[1], PORT).into();
    let came = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&came);
    net.attach_fn(other, move |now, input, io| match input {
        Input::Start => drop(io.bind(PORT).unwrap()),
        // It knows nothing of trains, and is given whole datagrams, when all are there.
        Input::Datagram(it) => {
            assert_eq!(now, Time::from_millis(15));
            note.borrow_mut().push((it.id, it.payload.to_vec()));
        }
        _ => {}
    });
    net.attach_fn(one, move |now, input, io| match input {
        Input::Start => {
            io.bind(PORT).unwrap();
            io.wake_at(Time::from_millis(5));
        }
        Input::Wake => {
            assert_eq!(now, Time::from_millis(5));
            let mut train = Train::default();
            train.push(Time::from_millis(3), 60, &[1; 60]);
            train.push(now, 20, &[2; 20]);
            io.send_train("0.0.0.0:5000".parse().unwrap(), to, &mut train);
        }
        _ => {}
    });
    net.run_to_end().unwrap();
    let recording = net.trace().recording().unwrap();
    let sent: Vec<_> = recording
        .packets()
        .iter()
        .map(|it| (it.time, it.wire_length, it.payload_length))
        .collect();
    let at = Time::from_millis;
    assert_eq!(sent, [(at(3), 88, 60), (at(5), 48, 20)]);
    let ids: Vec<_> = recording.ids().collect();
    assert_eq!(recording.payload(ids[0]), [1; Car::HEAD]);
    let mut whole = vec![1; Car::HEAD];
    whole.resize(60, 0);
    assert_eq!(*came.borrow(), [(ids[0], whole), (ids[1], vec![2; 20])]);
    let ended: Vec<_> = recording
        .records()
        .iter()
        .filter(|it| matches!(it.event, Event::Ended(_)))
        .map(|it| (it.time, it.packet))
        .collect();
    assert_eq!(ended, [(at(13), ids[0]), (at(15), ids[1])]);
    let mut file = Vec::new();
    net.write_pcapng(&mut file).unwrap();
    assert!(file.len() > 200);
}
