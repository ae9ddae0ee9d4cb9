//! Google Congestion Control behind a small wrapper: told of packets sent and of feedback, it gives
//! the rate to send at, the rate to pace at, and probes to be run.
//!
//! The algorithm is the crate `goog_cc`, libwebrtc's own carried over to Rust. It reads no clock and
//! draws nothing random. It learns round trips and loss from transport-wide feedback alone. A panic
//! of it is kept as a [finding](Controller::finding); the last rates stand from then on.

use std::collections::VecDeque;
use std::time::Duration;

use goog_cc::network_control::{NetworkControllerConfig, NetworkControllerInterface};
use goog_cc::transport::{
    NetworkAvailability, NetworkControlUpdate, NetworkRouteChange, PacedPacketInfo, PacketResult,
    ProcessInterval, SentPacket, StreamsConfig, TargetRateConstraints, TransportPacketsFeedback,
};
use goog_cc::units::{DataRate, DataSize, TimeDelta, Timestamp};
use goog_cc::{GoogCcConfig, GoogCcNetworkController};
use pinhole::Time;

use super::feedback::{Feedback, unwrap};
use crate::ice::in_a_stack;

/// How often the controller is to be asked, whatever happens.
const PROCESS: Duration = Duration::from_millis(25);
/// Feedback about what was sent longer ago counts for nothing.
const MEMORY: Duration = Duration::from_secs(10);
/// The algorithm's clock may not stand at zero when it starts.
const HEAD_START: i64 = 1_000_000;

/// Between what the rate may lie, and where it begins, in bits per second of IP packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Never less.
    pub min_bps: u64,
    /// At first: libwebrtc begins with 300 kbit/s.
    pub start_bps: u64,
    /// Never more.
    pub max_bps: u64,
}

/// Packets to be sent at a rate that is to be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeCluster {
    /// The rate.
    pub bps: u64,
    /// At least so many packets.
    pub packets: u32,
    /// At least so many bytes.
    pub bytes: u64,
    id: i32,
}

/// What a packet of a probe is marked with, for the controller to know it by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeMark {
    pub(super) cluster: ProbeCluster,
    pub(super) bytes_sent: u64,
}

/// One connection's congestion control, at the sender.
pub struct Controller {
    /// `None` after it panicked.
    inner: Option<Box<GoogCcNetworkController>>,
    finding: Option<String>,
    bounds: Bounds,
    target_bps: u64,
    pacing_bps: u64,
    probes: VecDeque<ProbeCluster>,
    /// What was sent, from `first` on, and whether it was told to have arrived.
    sent: VecDeque<(SentPacket, bool)>,
    first: u64,
    /// All before this were told of.
    acknowledged: u64,
    in_flight: i64,
    due: Time,
    round_trip: Option<Duration>,
    loss: f32,
}

fn at(time: Time) -> Timestamp {
    Timestamp::from_micros((time.as_nanos() / 1_000) as i64 + HEAD_START)
}

fn rate(bps: u64) -> DataRate {
    DataRate::from_bits_per_sec(bps.min(1 << 50) as i64)
}

impl Controller {
    /// A controller of a connection that begins to send now.
    pub fn new(now: Time, bounds: Bounds) -> Self {
        let mut controller = Controller {
            inner: None,
            finding: None,
            bounds,
            target_bps: bounds.start_bps,
            pacing_bps: bounds.start_bps * 5 / 2,
            probes: VecDeque::new(),
            sent: VecDeque::new(),
            first: 0,
            acknowledged: 0,
            in_flight: 0,
            due: now,
            round_trip: None,
            loss: 0.0,
        };
        let config = NetworkControllerConfig {
            constraints: controller.constraints(now),
            stream_based_config: StreamsConfig {
                at_time: at(now),
                requests_alr_probing: Some(true),
                ..StreamsConfig::default()
            },
            ..NetworkControllerConfig::default()
        };
        let feedback_only = GoogCcConfig {
            feedback_only: true,
        };
        let made = in_a_stack(|| GoogCcNetworkController::new(config, feedback_only));
        match made {
            Ok(inner) => controller.inner = Some(Box::new(inner)),
            Err(panic) => controller.finding = Some(panic),
        }
        let available = NetworkAvailability {
            at_time: at(now),
            network_available: true,
        };
        controller.tell(|inner| inner.on_network_availability(available));
        controller.handle_timeout(now);
        controller
    }

    fn constraints(&self, now: Time) -> TargetRateConstraints {
        TargetRateConstraints {
            at_time: at(now),
            min_data_rate: Some(rate(self.bounds.min_bps)),
            max_data_rate: Some(rate(self.bounds.max_bps)),
            starting_rate: Some(rate(self.bounds.start_bps)),
        }
    }

    /// The rate to send at: media, retransmissions and overhead together, in IP packets.
    pub fn target_bps(&self) -> u64 {
        self.target_bps
    }

    /// The rate that the pacer may send at: two and a half times as much.
    pub fn pacing_bps(&self) -> u64 {
        self.pacing_bps
    }

    /// The shortest round trip of the last feedback, if there was any.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The share of packets that was lost of late.
    pub fn loss(&self) -> f32 {
        self.loss
    }

    /// What the algorithm said when it panicked, if it did.
    pub fn finding(&self) -> Option<&str> {
        self.finding.as_deref()
    }

    /// The next probe to be run.
    pub fn poll_probe(&mut self) -> Option<ProbeCluster> {
        self.probes.pop_front()
    }

    /// When to call [`handle_timeout`](Controller::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.inner.is_some().then_some(self.due)
    }

    /// The time that [`poll_timeout`](Controller::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        if now < self.due {
            return;
        }
        self.due = now + PROCESS;
        let interval = ProcessInterval {
            at_time: at(now),
            pacer_queue: None,
        };
        self.tell(|inner| inner.on_process_interval(interval));
    }

    /// The most that all streams could use is so much now: it is worth knowing whether that fits.
    pub fn wants(&mut self, now: Time, bps: u64) {
        let config = StreamsConfig {
            at_time: at(now),
            max_total_allocated_bitrate: Some(rate(bps)),
            ..StreamsConfig::default()
        };
        self.tell(|inner| inner.on_streams_config(config));
    }

    /// Packets go another way from now on: what was learned of the old one counts no more.
    pub fn route_changed(&mut self, now: Time) {
        self.probes.clear();
        self.sent.clear();
        self.in_flight = 0;
        let change = NetworkRouteChange {
            at_time: at(now),
            constraints: self.constraints(now),
        };
        self.tell(|inner| inner.on_network_route_change(change));
    }

    /// A packet of so many bytes, IP header and all, was sent. Sequence numbers go up by one.
    pub fn sent(
        &mut self,
        now: Time,
        sequence: u16,
        bytes: usize,
        audio: bool,
        probe: Option<ProbeMark>,
    ) {
        let sequence = if self.sent.is_empty() {
            self.first = unwrap(self.first.max(1 << 16), sequence);
            self.acknowledged = self.first;
            self.first
        } else {
            let next = self.first + self.sent.len() as u64;
            debug_assert_eq!(next as u16, sequence, "sequence numbers go up by one");
            next
        };
        self.in_flight += bytes as i64;
        let packet = SentPacket {
            send_time: at(now),
            size: DataSize::from_bytes(bytes as i64),
            pacing_info: probe.map_or(PacedPacketInfo::default(), pacing_info),
            audio,
            sequence_number: sequence as i64,
            data_in_flight: DataSize::from_bytes(self.in_flight),
            ..SentPacket::default()
        };
        self.sent.push_back((packet, false));
        self.tell(|inner| inner.on_sent_packet(packet));
        let too_old = at(now) - TimeDelta::from_micros(MEMORY.as_micros() as i64);
        while (self.sent.front()).is_some_and(|(packet, _)| packet.send_time < too_old) {
            let (packet, _) = self.sent.pop_front().expect("it was just seen");
            self.first += 1;
            if self.acknowledged < self.first {
                self.acknowledged = self.first;
                self.in_flight -= packet.size.bytes();
            }
        }
    }

    /// Feedback came in.
    pub fn feedback(&mut self, now: Time, feedback: &Feedback<'_>) {
        if self.inner.is_none() || self.sent.is_empty() {
            return;
        }
        let end = self.first + self.sent.len() as u64;
        let base = unwrap(end, feedback.base);
        let mut packets = Vec::with_capacity(usize::from(feedback.count));
        let mut arrived = 0;
        for (step, arrival) in feedback.arrivals().enumerate() {
            let Some(place) = (base + step as u64).checked_sub(self.first) else {
                continue;
            };
            let Some((_, told)) = self.sent.get_mut(place as usize) else {
                continue;
            };
            if *told {
                continue;
            }
            let receive_time = match arrival {
                Some(ticks) => {
                    *told = true;
                    arrived += 1;
                    Timestamp::from_micros(ticks as i64 * 250 + HEAD_START)
                }
                None => Timestamp::plus_infinity(),
            };
            while self.acknowledged <= base + step as u64 {
                let place = (self.acknowledged - self.first) as usize;
                self.in_flight -= self.sent[place].0.size.bytes();
                self.acknowledged += 1;
            }
            let (packet, _) = self.sent[place as usize];
            packets.push(PacketResult {
                sent_packet: packet,
                receive_time,
                ..PacketResult::default()
            });
        }
        // The algorithm can't do with losses alone; those will be told again or have been.
        if arrived == 0 {
            return;
        }
        let report = TransportPacketsFeedback {
            feedback_time: at(now),
            data_in_flight: DataSize::from_bytes(self.in_flight.max(0)),
            packet_feedbacks: packets,
            ..TransportPacketsFeedback::default()
        };
        self.tell(|inner| inner.on_transport_packets_feedback(report));
    }

    /// Tells the algorithm something and takes what it answers.
    fn tell(&mut self, act: impl FnOnce(&mut GoogCcNetworkController) -> NetworkControlUpdate) {
        let Some(inner) = &mut self.inner else { return };
        let update = match in_a_stack(|| act(inner)) {
            Ok(update) => update,
            Err(panic) => {
                self.inner = None;
                self.finding = Some(panic);
                return;
            }
        };
        if let Some(target) = update.target_rate {
            let bps = u64::try_from(target.target_rate.bps()).unwrap_or(0);
            self.target_bps = bps.clamp(self.bounds.min_bps, self.bounds.max_bps);
            let estimate = target.network_estimate;
            self.loss = estimate.loss_rate_ratio;
            if estimate.round_trip_time.is_finite() {
                let micros = u64::try_from(estimate.round_trip_time.us()).unwrap_or(0);
                self.round_trip = Some(Duration::from_micros(micros));
            }
        }
        if let Some(pacer) = update.pacer_config {
            self.pacing_bps = u64::try_from(pacer.data_rate().bps()).unwrap_or(self.pacing_bps);
        }
        for cluster in update.probe_cluster_configs {
            let bits = cluster.target_data_rate.bps() as f64 * cluster.target_duration.us() as f64;
            self.probes.push_back(ProbeCluster {
                bps: u64::try_from(cluster.target_data_rate.bps())
                    .unwrap_or(1)
                    .max(1),
                packets: cluster.target_probe_count.max(1) as u32,
                bytes: ((bits / 8e6) as u64).max(1),
                id: cluster.id,
            });
        }
    }
}

fn pacing_info(mark: ProbeMark) -> PacedPacketInfo {
    let ProbeMark {
        cluster,
        bytes_sent,
    } = mark;
    PacedPacketInfo {
        send_bitrate: rate(cluster.bps),
        probe_cluster_id: cluster.id,
        probe_cluster_min_probes: cluster.packets.into(),
        probe_cluster_min_bytes: cluster.bytes as i64,
        probe_cluster_bytes_sent: bytes_sent as i64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::feedback::Recorder;
    use super::*;

    const BOUNDS: Bounds = Bounds {
        min_bps: 50_000,
        start_bps: 300_000,
        max_bps: 5_000_000,
    };

    /// Sends packets at the controller's own rate for a while over a path that takes so long and
    /// carries so much, and says at what rate that ends.
    fn over(capacity: u64, seconds: u64) -> u64 {
        let mut controller = Controller::new(Time::ZERO, BOUNDS);
        let mut recorder = Recorder::new();
        let (mut now, mut free) = (Time::ZERO, Time::ZERO);
        let mut arrivals = VecDeque::new();
        let mut packet = Vec::new();
        let mut sequence = 0u16;
        while now < Time::from_millis(seconds * 1_000) {
            now += Duration::from_secs_f64(8_000.0 / controller.target_bps() as f64);
            controller.handle_timeout(now);
            free = free.max(now) + Duration::from_secs_f64(8_000.0 / capacity as f64);
            controller.sent(now, sequence, 1_000, false, None);
            arrivals.push_back((free + Duration::from_millis(20), sequence));
            sequence = sequence.wrapping_add(1);
            while arrivals.front().is_some_and(|(time, _)| *time <= now) {
                let (time, sequence) = arrivals.pop_front().unwrap();
                recorder.arrived(time, sequence, 1_000);
            }
            packet.clear();
            if recorder.write(now, 1, 2, &mut packet) {
                controller.feedback(now, &Feedback::read(&packet).unwrap());
            }
        }
        assert_eq!(controller.finding(), None);
        assert!(controller.round_trip().is_some());
        controller.target_bps()
    }

    #[test]
    fn the_rate_finds_what_the_path_carries() {
        let narrow = over(800_000, 30);
        assert!((500_000..900_000).contains(&narrow), "{narrow}");
        let wide = over(50_000_000, 60);
        assert!(wide > 2_000_000, "{wide}");
    }

    #[test]
    fn it_asks_for_probes_at_the_start() {
        let mut controller = Controller::new(Time::ZERO, BOUNDS);
        let probes: Vec<_> = std::iter::from_fn(|| controller.poll_probe()).collect();
        let rates: Vec<u64> = probes.iter().map(|probe| probe.bps).collect();
        assert_eq!(rates, [900_000, 1_800_000]);
    }

    proptest! {
        /// Feedback from anybody about anything neither panics here nor kills the algorithm.
        #[test]
        fn no_feedback_kills_it(
            events in proptest::collection::vec((0u64..200, any::<[u8; 24]>(), any::<bool>()), 1..60),
        ) {
            let mut controller = Controller::new(Time::ZERO, BOUNDS);
            let mut now = Time::ZERO;
            for (sequence, (millis, mut bytes, near)) in events.into_iter().enumerate() {
                now += Duration::from_millis(millis);
                controller.handle_timeout(now);
                controller.sent(now, sequence as u16, 1_000, false, None);
                bytes[..4].copy_from_slice(&[0x8f, 205, 0, 5]);
                if near {
                    bytes[12..16].copy_from_slice(&[0, sequence as u8, 0, 4]);
                }
                if let Some(feedback) = Feedback::read(&bytes) {
                    controller.feedback(now, &feedback);
                }
                let target = controller.target_bps();
                prop_assert!((BOUNDS.min_bps..=BOUNDS.max_bps).contains(&target));
            }
        }
    }
}
