//! Trains: datagrams between the same two sockets that travel together, one event to a link.
//!
//! A server that forwards two hundred streams to somebody sends him thousands of small datagrams a
//! second. Simulated one by one, each costs an event at every node. As the cars of a train they share
//! those events, and keep what counts: each car has a time of its own, to the nanosecond, queues,
//! is lost, duplicated and delayed as a datagram that was sent alone at its time would be.
//!
//! What cars share is when others learn of them. A train passes a router or a NAT when its first car
//! does, and its receiver is given all of it when the last car is there. So what depends on the order
//! of a car and of another packet within the span of a train may come out otherwise than it would,
//! and a NAT hears once of the train and not of each car. Trains are for spans of milliseconds.

use super::{IPV4_HEADER, IPV6_HEADER, UDP_HEADER};
use crate::address::Family;
use crate::time::Time;

/// One datagram of a [`Train`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Car {
    /// When it was sent; under way: when it reaches the node where the train is; to the receiver:
    /// when it arrived.
    pub at: Time,
    /// Its place among the datagrams that were sent as this train, by their times.
    pub number: u16,
    /// Bytes of UDP payload.
    pub length: u16,
    head: [u8; Car::HEAD],
}

impl Car {
    /// How many bytes of a datagram's payload travel in a train. The rest are taken for zeros.
    pub const HEAD: usize = 40;

    /// The first bytes of its payload, [`HEAD`](Car::HEAD) at the most.
    pub fn head(&self) -> &[u8] {
        &self.head[..Car::HEAD.min(usize::from(self.length))]
    }

    /// Its payload as a datagram of its own would have it.
    pub(crate) fn payload(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(self.head());
        buffer.resize(usize::from(self.length), 0);
    }
}

/// Datagrams between the same two sockets that travel together. See [the module](self).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Train {
    cars: Vec<Car>,
}

impl Train {
    /// The most cars of one train.
    pub const LONGEST: usize = 4_096;

    /// Appends a datagram that is `length` bytes long, is sent `at` that time and begins with `head`,
    /// of which [`Car::HEAD`] bytes are kept. Returns whether it was taken: a full train takes
    /// nothing. Cars need not come in the order of their times.
    pub fn push(&mut self, at: Time, length: u16, head: &[u8]) -> bool {
        if self.cars.len() == Train::LONGEST {
            return false;
        }
        let mut car = Car {
            at,
            number: 0,
            length,
            head: [0; Car::HEAD],
        };
        match head.first_chunk() {
            Some(head) => car.head = *head,
            None => car.head[..head.len()].copy_from_slice(head),
        }
        self.cars.push(car);
        true
    }

    /// The cars; under way in the order of their times.
    pub fn cars(&self) -> &[Car] {
        &self.cars
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cars.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cars.is_empty()
    }

    /// Takes all cars off.
    pub fn clear(&mut self) {
        self.cars.clear();
    }

    /// The times of the first and of the last car.
    pub(crate) fn span(&self) -> Option<(Time, Time)> {
        Some((self.cars.first()?.at, self.cars.last()?.at))
    }

    /// Bytes of payload, all cars together.
    pub(crate) fn payload_length(&self) -> usize {
        self.cars.iter().map(|car| usize::from(car.length)).sum()
    }

    /// Lets `keep` say which cars go on, and change their times.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut Car) -> bool) {
        self.cars.retain_mut(keep);
    }

    /// Brings the cars into the order of their times, and numbers them.
    pub(crate) fn number(&mut self) {
        self.sort();
        for (number, car) in self.cars.iter_mut().enumerate() {
            car.number = number as u16;
        }
    }

    /// Brings the cars into the order of their times.
    pub(crate) fn sort(&mut self) {
        if !self.cars.is_sorted_by_key(|car| car.at) {
            self.cars.sort_by_key(|car| car.at);
        }
    }

    /// Appends a car of another train.
    pub(crate) fn join(&mut self, car: Car) {
        self.cars.push(car);
    }

    /// A train of one car, as if that had been sent alone, which is there `at` that time.
    pub(crate) fn lone(car: Car, at: Time) -> Train {
        let number = 0;
        Train {
            cars: vec![Car { at, number, ..car }],
        }
    }

    /// A train of one car that keeps its place.
    pub(crate) fn part(car: Car) -> Train {
        Train { cars: vec![car] }
    }
}

/// Bytes of a car on the wire beside its payload.
pub(crate) const fn headers(family: Family) -> usize {
    UDP_HEADER
        + match family {
            Family::V4 => IPV4_HEADER,
            Family::V6 => IPV6_HEADER,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_car_keeps_the_beginning_of_its_datagram() {
        let mut train = Train::default();
        assert!(train.push(Time::from_millis(5), 3, b"abc"));
        assert!(train.push(Time::from_millis(4), 100, &[7; 100]));
        train.number();
        let [second, first] = train.cars() else {
            panic!("two were taken")
        };
        assert_eq!(first.head(), b"abc");
        assert_eq!(second.head(), [7; Car::HEAD]);
        assert_eq!((second.number, first.number), (0, 1), "by time");
        let mut payload = Vec::new();
        second.payload(&mut payload);
        assert_eq!(payload.len(), 100);
        assert_eq!(payload[Car::HEAD..], [0; 100 - Car::HEAD]);
        assert_eq!(train.payload_length(), 103);
    }

    #[test]
    fn a_full_train_takes_nothing() {
        let mut train = Train::default();
        let taken = (0..10_000).filter(|_| train.push(Time::ZERO, 1, &[0]));
        assert_eq!(taken.count(), Train::LONGEST);
        train.clear();
        assert!(train.is_empty() && train.push(Time::ZERO, 1, &[0]));
    }
}
