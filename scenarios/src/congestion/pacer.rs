//! A pacer: packets wait here, so that a frame doesn't hit the network as one burst.
//!
//! A leaky bucket at the controller's pacing rate, two and a half times the media's: a frame of
//! usual size leaves well before the next. Audio never waits. Probes go at their own rate, filled up
//! with padding where media doesn't suffice; without any media only where somebody who has none would
//! have it if the path bore it ([`Pacer::probe_alone`]). What it doesn't do: padding outside probes, several
//! streams taking turns (what comes first goes first), raising the rate to drain a long queue: the
//! encoder is expected to skip frames while the pacer [is backed up](Pacer::is_backed_up).

use std::collections::VecDeque;
use std::time::Duration;

use pinhole::Time;

use super::controller::{ProbeCluster, ProbeMark};

/// A queue that takes longer than this to leave is a reason to skip a frame: it is what a viewer
/// begins to notice, and what a key frame of eight usual ones takes at the pacing factor.
const BACKED_UP: Duration = Duration::from_millis(250);
/// What may leave at once: the time that libwebrtc's pacer sleeps between two looks.
const QUANTUM: Duration = Duration::from_millis(5);
/// A probe that found no media to ride on for so long is void.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// What a packet is to the pacer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Goes at once.
    Audio,
    /// Goes before video.
    Retransmission,
    /// Goes in its turn.
    Video,
}

/// What may leave now.
#[derive(Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// The packet.
    pub what: What<T>,
    /// The probe it belongs to.
    pub probe: Option<ProbeMark>,
}

/// A packet that was given to the pacer, or padding.
#[derive(Debug, PartialEq, Eq)]
pub enum What<T> {
    /// A packet.
    Packet(Class, T),
    /// Padding, to make so many bytes on the wire.
    Padding(usize),
}

struct Running {
    cluster: ProbeCluster,
    began: Time,
    packets: u32,
    bytes: u64,
}

/// A connection's queues, at the sender.
pub struct Pacer<T> {
    audio: VecDeque<(T, usize)>,
    retransmissions: VecDeque<(T, usize)>,
    video: VecDeque<(T, usize)>,
    waiting_bytes: usize,
    bps: u64,
    /// When what has left is paid for.
    free: Time,
    clusters: VecDeque<(Time, ProbeCluster)>,
    running: Option<Running>,
    padding: usize,
    alone: bool,
}

impl<T> Pacer<T> {
    /// A pacer at that rate, whose padding makes packets of so many bytes on the wire.
    pub fn new(bps: u64, padding: usize) -> Self {
        Pacer {
            audio: VecDeque::new(),
            retransmissions: VecDeque::new(),
            video: VecDeque::new(),
            waiting_bytes: 0,
            bps: bps.max(1),
            free: Time::ZERO,
            clusters: VecDeque::new(),
            running: None,
            padding,
            alone: false,
        }
    }

    /// Whether probes may be all padding from now on: where media is held back because the estimate
    /// is too low, waiting for media to ride on would be waiting forever.
    pub fn probe_alone(&mut self, alone: bool) {
        self.alone = alone;
    }

    /// From now on it sends at this rate.
    pub fn set_rate(&mut self, bps: u64) {
        self.bps = bps.max(1);
    }

    /// Runs a probe as soon as there is media to begin it with, or [alone](Pacer::probe_alone).
    pub fn probe(&mut self, now: Time, cluster: ProbeCluster) {
        self.clusters.push_back((now, cluster));
    }

    /// Takes a packet of so many bytes on the wire.
    pub fn push(&mut self, class: Class, bytes: usize, packet: T) {
        let queue = match class {
            Class::Audio => &mut self.audio,
            Class::Retransmission => &mut self.retransmissions,
            Class::Video => &mut self.video,
        };
        queue.push_back((packet, bytes));
        if class != Class::Audio {
            self.waiting_bytes += bytes;
        }
    }

    /// How long what waits takes to leave.
    pub fn queue_time(&self) -> Duration {
        sending(self.waiting_bytes, self.bps)
    }

    /// Whether the encoder had better skip a frame.
    pub fn is_backed_up(&self) -> bool {
        self.queue_time() > BACKED_UP
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.audio.clear();
        self.retransmissions.clear();
        self.video.clear();
        self.waiting_bytes = 0;
        self.clusters.clear();
        self.running = None;
    }

    /// The next packet that may leave now.
    pub fn poll(&mut self, now: Time) -> Option<Released<T>> {
        if let Some((packet, _)) = self.audio.pop_front() {
            let what = What::Packet(Class::Audio, packet);
            return Some(Released { what, probe: None });
        }
        self.begin_probe(now);
        if let Some(running) = &self.running {
            return (running.next() <= now).then(|| self.release_probe(now));
        }
        if self.free > now + QUANTUM {
            return None;
        }
        let (class, packet, bytes) = self.pop()?;
        self.free = self.free.max(now) + sending(bytes, self.bps);
        let what = What::Packet(class, packet);
        Some(Released { what, probe: None })
    }

    /// When to [poll](Pacer::poll) again.
    pub fn poll_timeout(&self, now: Time) -> Option<Time> {
        if !self.audio.is_empty() {
            return Some(now);
        }
        if let Some(running) = &self.running {
            return Some(running.next());
        }
        if self.alone && !self.clusters.is_empty() {
            return Some(now);
        }
        (self.waiting_bytes > 0).then_some(self.free)
    }

    fn pop(&mut self) -> Option<(Class, T, usize)> {
        let (class, (packet, bytes)) = match self.retransmissions.pop_front() {
            Some(first) => (Class::Retransmission, first),
            None => (Class::Video, self.video.pop_front()?),
        };
        self.waiting_bytes -= bytes;
        Some((class, packet, bytes))
    }

    fn begin_probe(&mut self, now: Time) {
        while self.running.is_none() && (self.waiting_bytes > 0 || self.alone) {
            let Some((asked, cluster)) = self.clusters.pop_front() else {
                return;
            };
            if asked + PROBE_PATIENCE >= now {
                self.running = Some(Running {
                    cluster,
                    began: now,
                    packets: 0,
                    bytes: 0,
                });
            }
        }
    }

    fn release_probe(&mut self, now: Time) -> Released<T> {
        let (what, bytes) = match self.pop() {
            Some((class, packet, bytes)) => (What::Packet(class, packet), bytes),
            None => (What::Padding(self.padding), self.padding),
        };
        // What a probe sends is paid for like all else, but doesn't wait for it.
        self.free = self.free.max(now) + sending(bytes, self.bps);
        let running = self.running.as_mut().expect("a probe is running");
        let mark = ProbeMark {
            cluster: running.cluster,
            bytes_sent: running.bytes,
        };
        running.packets += 1;
        running.bytes += bytes as u64;
        if running.packets >= running.cluster.packets && running.bytes >= running.cluster.bytes {
            self.running = None;
        }
        Released {
            what,
            probe: Some(mark),
        }
    }
}

impl Running {
    /// When its next packet is due: so that all before it were sent at the cluster's rate.
    fn next(&self) -> Time {
        self.began + sending(self.bytes as usize, self.cluster.bps)
    }
}

fn sending(bytes: usize, bps: u64) -> Duration {
    let nanos = bytes as u128 * 8_000_000_000 / u128::from(bps);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Controller};
    use super::*;

    /// Everything that leaves until it has nothing more to say: when, and how many bytes.
    fn run(pacer: &mut Pacer<usize>, mut now: Time) -> Vec<(Time, usize, bool)> {
        let mut left = Vec::new();
        loop {
            while let Some(released) = pacer.poll(now) {
                let bytes = match released.what {
                    What::Packet(_, bytes) | What::Padding(bytes) => bytes,
                };
                left.push((now, bytes, released.probe.is_some()));
            }
            match pacer.poll_timeout(now) {
                Some(due) => now = now.max(due),
                None => return left,
            }
        }
    }

    #[test]
    fn a_frame_leaves_at_the_pacing_rate() {
        let mut pacer = Pacer::new(1_000_000, 1_000);
        for _ in 0..10 {
            pacer.push(Class::Video, 1_250, 1_250);
        }
        assert_eq!(pacer.queue_time(), Duration::from_millis(100));
        assert!(!pacer.is_backed_up());
        let left = run(&mut pacer, Time::from_millis(1_000));
        let last = left.last().unwrap().0;
        assert_eq!(last, Time::from_millis(1_090));
        assert!(pacer.queue_time().is_zero());
    }

    #[test]
    fn audio_waits_for_nobody_and_retransmissions_for_no_video() {
        let mut pacer = Pacer::new(100_000, 1_000);
        for _ in 0..4 {
            pacer.push(Class::Video, 1_000, 0);
        }
        pacer.push(Class::Retransmission, 1_000, 1);
        pacer.push(Class::Audio, 100, 2);
        assert!(pacer.is_backed_up());
        let now = Time::from_millis(1);
        let mut order = Vec::new();
        while let Some(released) = pacer.poll(now) {
            order.push(released.what);
        }
        let expected = [
            What::Packet(Class::Audio, 2),
            What::Packet(Class::Retransmission, 1),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_probe_goes_at_its_rate_with_padding_where_media_ends() {
        let bounds = Bounds {
            min_bps: 50_000,
            start_bps: 300_000,
            max_bps: 5_000_000,
        };
        let probe = Controller::new(Time::ZERO, bounds).poll_probe().unwrap();
        let mut pacer = Pacer::new(750_000, 1_000);
        pacer.probe(Time::ZERO, probe);
        assert_eq!(run(&mut pacer, Time::ZERO), [], "nothing to ride on");
        pacer.push(Class::Video, 1_200, 1_200);
        let left = run(&mut pacer, Time::from_millis(100));
        assert!(left.iter().all(|(_, _, probe)| *probe));
        let bytes: usize = left.iter().map(|(_, bytes, _)| bytes).sum();
        assert!(bytes as u64 >= probe.bytes, "{bytes} of {probe:?}");
        assert_eq!(left.len(), probe.packets as usize, "{probe:?}");
        let (first, last) = (left[0].0, left.last().unwrap());
        let span = (last.0 - first).as_secs_f64();
        let seen = (bytes - last.1) as f64 * 8.0 / span;
        assert!((seen / probe.bps as f64 - 1.0).abs() < 0.01, "{seen}");
    }

    #[test]
    fn who_has_no_media_may_probe_alone() {
        let bounds = Bounds {
            min_bps: 50_000,
            start_bps: 300_000,
            max_bps: 5_000_000,
        };
        let mut controller = Controller::new(Time::ZERO, bounds);
        let mut pacer = Pacer::new(750_000, 1_000);
        while let Some(probe) = controller.poll_probe() {
            pacer.probe(Time::ZERO, probe);
        }
        // Sound is too little to ride on.
        pacer.push(Class::Audio, 100, 100);
        assert_eq!(run(&mut pacer, Time::ZERO), [(Time::ZERO, 100, false)]);
        pacer.probe_alone(true);
        let left = run(&mut pacer, Time::from_millis(100));
        assert!(left.len() > 9, "two probes of five packets and more");
        assert!(
            left.iter()
                .all(|(_, bytes, probe)| *bytes == 1_000 && *probe)
        );
        assert_eq!(run(&mut pacer, Time::from_millis(900)), [], "once");
    }
}
