//! What came of a conference: rates, delays, quality, for each participant, server and second.

use std::time::Duration;

use pinhole::Time;
use pinhole::trace::{Counts, Digest};

use super::config::{Fidelity, Topology};
use super::plan::SourceId;

/// Rates on the wire by what travels, in kbit/s of whole IP packets.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rates {
    /// RTP packets sent for the first time.
    pub media: f64,
    /// Retransmissions (RFC 4588).
    pub rtx: f64,
    /// Forward error correction; neither simulator sends any, the field says so.
    pub fec: f64,
    /// RTCP: reports, feedback, requests for key frames.
    pub rtcp: f64,
    /// STUN: gathering, checks, consent.
    pub stun: f64,
    /// DTLS handshakes.
    pub dtls: f64,
    /// What TURN adds to all of them: ChannelData headers, indications, TCP, TLS, its own messages.
    pub turn: f64,
}

impl Rates {
    /// All together.
    pub fn total(&self) -> f64 {
        self.media + self.rtx + self.fec + self.rtcp + self.stun + self.dtls + self.turn
    }

    /// Each with its name in results.
    pub fn parts(&self) -> [(&'static str, f64); 7] {
        [
            ("media", self.media),
            ("rtx", self.rtx),
            ("fec", self.fec),
            ("rtcp", self.rtcp),
            ("stun", self.stun),
            ("dtls", self.dtls),
            ("turn", self.turn),
        ]
    }
}

impl std::ops::AddAssign for Rates {
    fn add_assign(&mut self, more: Rates) {
        self.media += more.media;
        self.rtx += more.rtx;
        self.fec += more.fec;
        self.rtcp += more.rtcp;
        self.stun += more.stun;
        self.dtls += more.dtls;
        self.turn += more.turn;
    }
}

impl std::ops::Add for Rates {
    type Output = Rates;

    fn add(mut self, more: Rates) -> Rates {
        self += more;
        self
    }
}

impl std::ops::Mul<f64> for Rates {
    type Output = Rates;

    fn mul(self, by: f64) -> Rates {
        Rates {
            media: self.media * by,
            rtx: self.rtx * by,
            fec: self.fec * by,
            rtcp: self.rtcp * by,
            stun: self.stun * by,
            dtls: self.dtls * by,
            turn: self.turn * by,
        }
    }
}

/// Three quantiles of a distribution of times.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Percentiles {
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// 95 % are no longer.
    pub p95_ms: f64,
    /// 99 % are no longer.
    pub p99_ms: f64,
}

/// One second of a participant's life.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Second {
    /// What its host sent, in kbit/s.
    pub up_kbps: f64,
    /// What reached its host, in kbit/s.
    pub down_kbps: f64,
    /// What its own estimate says it could send, in kbit/s, where it has one.
    pub estimate_kbps: Option<f64>,
}

/// What a participant got of one source.
#[derive(Clone, PartialEq, Debug)]
pub struct Received {
    /// The source.
    pub source: SourceId,
    /// Media, without any header, in kbit/s.
    pub kbps: f64,
    /// The share of the time measured in which each layer was shown, the smallest first.
    pub layers: Vec<f64>,
    /// Frames shown in a second.
    pub frames_per_second: f64,
    /// Freezes, as webrtc-stats counts them.
    pub freezes: u32,
    /// How long they were together.
    pub frozen: Duration,
    /// Key frames among what came.
    pub key_frames: u32,
    /// Interarrival jitter (RFC 3550).
    pub jitter: Duration,
    /// From a picture's capture to the screen, the wait in the jitter buffer included, in the mean.
    /// Sound has none, nor has a formula.
    pub playout: Option<Duration>,
}

/// What a participant sent and got.
#[derive(Clone, PartialEq, Debug)]
pub struct ParticipantOutcome {
    /// Its name.
    pub name: String,
    /// What its host sent.
    pub up: Rates,
    /// What reached its host.
    pub down: Rates,
    /// The share of the media sent to it that was lost on the last leg, retransmissions aside.
    pub loss: f64,
    /// The share of the media that it sent that was lost on the first leg.
    pub up_loss: f64,
    /// From the capture of sound (of a picture, in a conference without sound) to its arrival here.
    pub delay: Percentiles,
    /// The part of that which isn't the least seen on the same way: queues.
    pub queueing: Percentiles,
    /// What it got, source by source.
    pub received: Vec<Received>,
    /// Every second from the beginning, the warm-up included.
    pub seconds: Vec<Second>,
}

impl ParticipantOutcome {
    /// Media that came, of sources that `which` accepts, in kbit/s.
    pub fn received_kbps(&self, which: impl Fn(SourceId) -> bool) -> f64 {
        let received = self.received.iter().filter(|it| which(it.source));
        received.map(|it| it.kbps).sum()
    }

    /// From the capture of a picture to its being shown here, in the mean of all frames.
    pub fn playout(&self) -> Option<Duration> {
        let timed = || self.received.iter().filter(|it| it.playout.is_some());
        let frames: f64 = timed().map(|it| it.frames_per_second).sum();
        let sum = timed()
            .map(|it| it.playout.unwrap_or_default().as_secs_f64() * it.frames_per_second)
            .sum::<f64>();
        (frames > 0.0).then(|| Duration::from_secs_f64(sum / frames))
    }

    /// All freezes.
    pub fn freezes(&self) -> u32 {
        self.received.iter().map(|it| it.freezes).sum()
    }
}

/// What a server did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ServerOutcome {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: usize,
    /// What reached it.
    pub into: Rates,
    /// What it sent.
    pub out: Rates,
    /// Packets that reached it in a second.
    pub packets_in_per_s: f64,
    /// Packets that it sent in a second.
    pub packets_out_per_s: f64,
    /// Streams that come in: every layer of every source is one.
    pub streams_in: usize,
    /// Streams that go out.
    pub streams_out: usize,
    /// Media packets forwarded in a second.
    pub forwarded_per_s: f64,
    /// Encryptions and decryptions in a second: with forwarding, what its processor does.
    pub crypto_per_s: f64,
    /// Frames decoded in a second, by a mixer.
    pub decoded_per_s: f64,
    /// Frames encoded in a second, by a mixer.
    pub encoded_per_s: f64,
}

/// What went over TURN.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TurnOutcome {
    /// Connections that went over it, as a share of all.
    pub relayed_share: f64,
    /// What left TURN servers, in kbit/s.
    pub relayed_kbps: f64,
}

/// A time in which somebody didn't see somebody, after everybody had seen everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Who.
    pub viewer: usize,
    /// What.
    pub source: SourceId,
    /// From the last frame or packet before.
    pub from: Time,
    /// To the first after; `None` if there is none.
    pub to: Option<Time>,
}

/// What somebody's change of networks cost. Frames count that were captured after it: they came the new
/// way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roam {
    /// Who changed networks.
    pub participant: usize,
    /// When.
    pub at: Time,
    /// When everybody who saw or heard it had something of each of its sources again; `None` if that
    /// never happened.
    pub seen_again: Option<Time>,
    /// When it had something again of each source that it saw or heard.
    pub sees_again: Option<Time>,
}

impl Roam {
    /// How long it took until all was as before; `None` if that never happened.
    pub fn lost(&self) -> Option<Duration> {
        Some(self.seen_again?.max(self.sees_again?) - self.at)
    }
}

/// What came of a conference.
#[derive(Clone, PartialEq, Debug)]
pub struct ConferenceOutcome {
    /// How streams travelled.
    pub topology: Topology,
    /// How exactly it was simulated.
    pub fidelity: Fidelity,
    /// Connections.
    pub connections: usize,
    /// How long was measured.
    pub measured: Duration,
    /// Each participant's.
    pub participants: Vec<ParticipantOutcome>,
    /// Each server's.
    pub servers: Vec<ServerOutcome>,
    /// TURN's.
    pub turn: TurnOutcome,
    /// When everybody had something of every source that they were to get; `None` if that never
    /// happened, and in a formula.
    pub all_seen: Option<Time>,
    /// Gaps longer than a second in what was seen after that.
    pub gaps: Vec<Gap>,
    /// What each change of networks cost, however little, of those after everybody had everything.
    pub roams: Vec<Roam>,
    /// Whom a stack's panic or failure took out, and what it said.
    pub findings: Vec<String>,
    /// All packets; none in a formula.
    pub packets: Counts,
    /// The run's digest; zeros in a formula.
    pub digest: Digest,
    /// Whether every run of the same seed has that digest. Always, but where production stacks had
    /// losses to repair, for example because somebody changed networks: str0m repairs the streams of
    /// a connection in the order of a map whose keys the standard library draws anew in each process.
    pub repeats: bool,
}

impl ConferenceOutcome {
    /// What leaves all servers, in kbit/s.
    pub fn server_out_kbps(&self) -> f64 {
        self.servers.iter().map(|it| it.out.total()).sum()
    }
}
