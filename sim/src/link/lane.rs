//! One direction of a link at work: what happens to the next packet, and when it arrives.
//!
//! The queue is kept as the time at which the last admitted byte will have left: the bytes that
//! wait are that time's distance from now. Nothing has to happen at a departure, so a packet costs
//! one event per link however long the queue.

use std::time::Duration;

use super::conditions::{Bottleneck, Conditions, Jitter, Loss};
use crate::engine::Stream;
use crate::time::Time;

/// What a lane does with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It arrives, maybe twice.
    Carried { arrival: Time, copy: Option<Time> },
    /// It is lost under way.
    Lost,
    /// The queue has no room.
    QueueFull { queued: u32, limit: u32 },
    /// It is too long.
    TooBig { mtu: u16 },
}

/// The state of one direction of a link.
///
/// Its [`Conditions`] stay in the plan and are handed in: ten thousand idle links hold no copies.
pub(crate) struct Lane {
    /// Nanoseconds that a byte takes, as 32.32 fixed point.
    byte_time: u64,
    /// Nanoseconds that a full queue takes to leave.
    full_queue: u64,
    /// The propagation delay in nanoseconds: the sum of two numbers is cheaper than that of two
    /// [`Duration`]s, and this one stands on every packet's way.
    delay: u64,
    /// When the last admitted byte will have left.
    busy_until: Time,
    /// When the last packet arrives, for lanes that keep order.
    last_arrival: Time,
    in_bad_state: bool,
    random: Stream,
}

impl Lane {
    pub(crate) fn new(conditions: &Conditions, random: Stream) -> Self {
        let mut lane = Lane {
            byte_time: 0,
            full_queue: 0,
            delay: nanos(conditions.delay),
            busy_until: Time::ZERO,
            last_arrival: Time::ZERO,
            in_bad_state: false,
            random,
        };
        lane.set_bottleneck(conditions.bottleneck);
        lane
    }

    /// From now on the lane has this rate and queue. What was admitted leaves when it was to.
    pub(crate) fn set_bottleneck(&mut self, bottleneck: Option<Bottleneck>) {
        self.byte_time = bottleneck.map_or(0, byte_time);
        let queue_bytes = bottleneck.map_or(0, |bottleneck| bottleneck.queue_bytes);
        self.full_queue = transmission_time(self.byte_time, queue_bytes as usize);
    }

    /// Decides about a packet of `length` bytes that is sent now.
    pub(crate) fn admit(&mut self, conditions: &Conditions, now: Time, length: usize) -> Admission {
        if length > usize::from(conditions.mtu) {
            return Admission::TooBig {
                mtu: conditions.mtu,
            };
        }
        let departure = match conditions.bottleneck {
            // What waits from when there was a bottleneck isn't overtaken.
            None => now.max(self.busy_until),
            Some(bottleneck) => match self.enqueue(now, length, bottleneck) {
                Ok(departure) => departure,
                Err(refusal) => return refusal,
            },
        };
        // A lost packet was sent all the same: it took its time on the line.
        if self.loses(conditions.loss) {
            return Admission::Lost;
        }
        let arrival = self.arrival(conditions, departure);
        let duplicated = self.random.chance(conditions.duplication);
        let copy = duplicated.then(|| self.arrival(conditions, departure));
        Admission::Carried { arrival, copy }
    }

    fn enqueue(
        &mut self,
        now: Time,
        length: usize,
        bottleneck: Bottleneck,
    ) -> Result<Time, Admission> {
        let backlog = (self.busy_until.as_nanos()).saturating_sub(now.as_nanos());
        let transmission = transmission_time(self.byte_time, length);
        if backlog > 0 && backlog.saturating_add(transmission) > self.full_queue {
            let bits = u128::from(backlog) * u128::from(bottleneck.bits_per_second.get());
            let queued = u32::try_from(bits / 8_000_000_000).unwrap_or(u32::MAX);
            return Err(Admission::QueueFull {
                queued,
                limit: bottleneck.queue_bytes,
            });
        }
        self.busy_until = later(self.busy_until.max(now), transmission);
        Ok(self.busy_until)
    }

    fn loses(&mut self, loss: Loss) -> bool {
        match loss {
            Loss::None => false,
            Loss::Independent(probability) => self.random.chance(probability),
            Loss::GilbertElliott(model) => {
                let (leave, loss) = if self.in_bad_state {
                    (model.to_good, model.loss_bad)
                } else {
                    (model.to_bad, model.loss_good)
                };
                let lost = self.random.chance(loss);
                self.in_bad_state ^= self.random.chance(leave);
                lost
            }
        }
    }

    fn arrival(&mut self, conditions: &Conditions, departure: Time) -> Time {
        let clean = later(departure, self.delay);
        match conditions.jitter {
            Jitter::None => clean,
            Jitter::Reordering(most) => clean + self.varied(most),
            Jitter::InOrder(most) => {
                let arrival = (clean + self.varied(most)).max(self.last_arrival);
                self.last_arrival = arrival;
                arrival
            }
        }
    }

    fn varied(&mut self, most: Duration) -> Duration {
        let most = nanos(most).saturating_add(1);
        Duration::from_nanos(self.random.below(most))
    }
}

fn later(time: Time, nanos: u64) -> Time {
    Time::from_nanos(time.as_nanos().saturating_add(nanos))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn byte_time(bottleneck: Bottleneck) -> u64 {
    let fixed_point = (8_000_000_000u128 << 32) / u128::from(bottleneck.bits_per_second.get());
    u64::try_from(fixed_point).unwrap_or(u64::MAX)
}

/// Nanoseconds, rounded to the nearest.
fn transmission_time(byte_time: u64, length: usize) -> u64 {
    let fixed_point = u128::from(byte_time) * length as u128 + (1 << 31);
    (fixed_point >> 32) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::GilbertElliott;

    const DELAY: Duration = Duration::from_millis(10);

    /// A lane with its conditions.
    struct Whole(Conditions, Lane);

    impl Whole {
        fn admit(&mut self, now: Time, length: usize) -> Admission {
            self.1.admit(&self.0, now, length)
        }
    }

    fn lane(conditions: Conditions) -> Whole {
        Whole(conditions, Lane::new(&conditions, Stream::new(1, "lane")))
    }

    fn arrival(admission: Admission) -> Time {
        match admission {
            Admission::Carried { arrival, .. } => arrival,
            other => panic!("expected the packet to be carried, it was {other:?}"),
        }
    }

    #[test]
    fn without_a_bottleneck_every_packet_takes_the_delay() {
        let mut lane = lane(Conditions::new(DELAY));
        for _ in 0..10 {
            assert_eq!(arrival(lane.admit(Time::ZERO, 1228)), Time::ZERO + DELAY);
        }
    }

    #[test]
    fn a_bottleneck_spaces_packets_by_their_length() {
        // 1,250 bytes at 10 Mbit/s take exactly 1 ms.
        let mut lane = lane(Conditions::new(DELAY).bottleneck(10_000_000, 100_000));
        for n in 1..=50u64 {
            let expected = Time::from_millis(n) + DELAY;
            assert_eq!(arrival(lane.admit(Time::ZERO, 1250)), expected);
        }
        // After a pause the line is idle again.
        let later = Time::from_millis(500);
        assert_eq!(
            arrival(lane.admit(later, 1250)),
            later + DELAY + Duration::from_millis(1)
        );
    }

    #[test]
    fn the_queue_drops_at_its_tail_and_says_how_full_it_was() {
        let mut lane = lane(Conditions::new(DELAY).bottleneck(10_000_000, 5_000));
        for _ in 0..4 {
            arrival(lane.admit(Time::ZERO, 1250));
        }
        let full = Admission::QueueFull {
            queued: 5_000,
            limit: 5_000,
        };
        assert_eq!(lane.admit(Time::ZERO, 1250), full);
        // One packet leaves, one fits.
        arrival(lane.admit(Time::from_millis(1), 1250));
        assert_eq!(lane.admit(Time::from_millis(1), 1250), full);
    }

    #[test]
    fn a_slower_rate_holds_for_what_comes_after_it() {
        let fast = Conditions::new(DELAY).bottleneck(10_000_000, 5_000);
        let slow = Conditions::new(DELAY).bottleneck(1_000_000, 5_000);
        let mut lane = lane(fast);
        for n in 1..=2u64 {
            let expected = Time::from_millis(n) + DELAY;
            assert_eq!(arrival(lane.admit(Time::ZERO, 1250)), expected);
        }
        lane.0 = slow;
        lane.1.set_bottleneck(slow.bottleneck);
        // Behind the two that leave within 2 ms, 10 ms for itself.
        assert_eq!(
            arrival(lane.admit(Time::ZERO, 1250)),
            Time::from_millis(12) + DELAY
        );
        // Time is what waits: 5,000 bytes are 40 ms now.
        let full =
            (0..).take_while(|_| matches!(lane.admit(Time::ZERO, 1250), Admission::Carried { .. }));
        assert_eq!(full.count(), 2);
        lane.0 = Conditions::new(DELAY);
        lane.1.set_bottleneck(None);
        let last = Time::from_millis(32) + DELAY;
        assert_eq!(arrival(lane.admit(Time::ZERO, 1250)), last);
    }

    #[test]
    fn an_idle_line_takes_a_packet_longer_than_its_queue() {
        let mut lane = lane(Conditions::new(DELAY).bottleneck(10_000_000, 100));
        arrival(lane.admit(Time::ZERO, 1250));
        assert!(matches!(
            lane.admit(Time::ZERO, 40),
            Admission::QueueFull { .. }
        ));
    }

    #[test]
    fn too_long_is_too_big() {
        let mut lane = lane(Conditions::new(DELAY).mtu(1500));
        arrival(lane.admit(Time::ZERO, 1500));
        assert_eq!(
            lane.admit(Time::ZERO, 1501),
            Admission::TooBig { mtu: 1500 }
        );
    }

    #[test]
    fn burst_loss_has_the_mean_and_the_bursts_it_was_asked_for() {
        let model = GilbertElliott::bursts(0.05, 4.0);
        let mut lane = lane(Conditions::new(DELAY).loss(Loss::GilbertElliott(model)));
        let lost: Vec<bool> = (0..400_000)
            .map(|_| lane.admit(Time::ZERO, 100) == Admission::Lost)
            .collect();
        let losses = lost.iter().filter(|lost| **lost).count() as f64;
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        // 20,000 losses in 5,000 bursts; bounds at about five standard deviations.
        assert!((losses / 400_000.0 - 0.05).abs() < 0.004, "{losses}");
        assert!((losses / bursts - 4.0).abs() < 0.3, "{losses} in {bursts}");
    }

    #[test]
    fn jitter_reorders_only_where_it_may() {
        let most = Duration::from_millis(5);
        for (jitter, ordered) in [
            (Jitter::InOrder(most), true),
            (Jitter::Reordering(most), false),
        ] {
            let mut lane = lane(Conditions::new(DELAY).jitter(jitter));
            let arrivals: Vec<Time> = (0..1000)
                .map(|n| arrival(lane.admit(Time::from_nanos(n * 100_000), 100)))
                .collect();
            assert_eq!(arrivals.is_sorted(), ordered, "{jitter:?}");
            assert_eq!(jitter.keeps_order(), ordered);
            for (n, arrival) in arrivals.iter().enumerate() {
                let sent = Time::from_nanos(n as u64 * 100_000);
                assert!((DELAY..=DELAY + most).contains(&(*arrival - sent)));
            }
        }
    }

    proptest! {
        /// However packets come, a bottleneck never sends faster than its rate and never holds more
        /// than its queue and the packet that an idle line takes.
        #[test]
        fn rate_and_queue_are_never_exceeded(
            rate in 100_000u64..1_000_000_000,
            queue in 0u32..200_000,
            packets in proptest::collection::vec((0u64..2_000_000, 28usize..1500), 1..200),
        ) {
            let mut lane = lane(Conditions::new(Duration::ZERO).bottleneck(rate, queue));
            let mut now = Time::ZERO;
            let mut line_free = 0.0f64;
            for (gap, length) in packets {
                now += Duration::from_nanos(gap);
                let sending = length as f64 * 8e9 / rate as f64;
                if let Admission::Carried { arrival, .. } = lane.admit(now, length) {
                    let earliest = line_free.max(now.as_nanos() as f64) + sending;
                    let rounding = 200.0;
                    prop_assert!(arrival.as_nanos() as f64 >= earliest - rounding);
                    line_free = arrival.as_nanos() as f64;
                    let waited = (arrival - now).as_nanos() as f64 * rate as f64 / 8e9;
                    let limit = f64::from(queue).max(length as f64);
                    prop_assert!(waited <= limit + 1.0, "{waited} bytes waited, {limit} may");
                }
            }
        }
    }
}
