//! What one direction of a link does to packets.

use std::num::NonZeroU64;
use std::time::Duration;

/// How a direction varies its delay.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// By up to this much more than the delay, each amount as likely; a packet never overtakes one
    /// sent before it, as on a single path with a varying queue.
    InOrder(Duration),
    /// By up to this much more than the delay, each amount as likely; packets may overtake each
    /// other, as on parallel paths.
    Reordering(Duration),
}

impl Jitter {
    /// Whether packets arrive in the order in which they were sent.
    pub const fn keeps_order(&self) -> bool {
        !matches!(self, Jitter::Reordering(_))
    }
}

/// How a direction loses packets.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Loss {
    /// It doesn't.
    #[default]
    None,
    /// Each packet with this probability, whatever happened to the others.
    Independent(f64),
    /// In bursts: a two-state Markov chain (Gilbert 1960, Elliott 1963), one step for each packet.
    GilbertElliott(GilbertElliott),
}

/// The four parameters of the burst loss model, all probabilities.
///
/// The long-run share of packets seen in the bad state is
/// `to_bad / (to_bad + to_good)`, and the mean burst is `1 / to_good` packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GilbertElliott {
    /// Of going from the good to the bad state, for each packet.
    pub to_bad: f64,
    /// Of going from the bad to the good state, for each packet.
    pub to_good: f64,
    /// Of losing a packet in the good state.
    pub loss_good: f64,
    /// Of losing a packet in the bad state.
    pub loss_bad: f64,
}

impl GilbertElliott {
    /// The classic Gilbert model: nothing is lost in the good state, everything in the bad one;
    /// `loss` of all packets in the long run, in bursts of `burst` packets on average.
    ///
    /// ```
    /// let one_percent_in_bursts_of_five = pinhole::link::GilbertElliott::bursts(0.01, 5.0);
    /// assert!((one_percent_in_bursts_of_five.mean_loss() - 0.01).abs() < 1e-12);
    /// ```
    pub fn bursts(loss: f64, burst: f64) -> Self {
        let to_good = 1.0 / burst.max(1.0);
        GilbertElliott {
            to_bad: (to_good * loss / (1.0 - loss)).min(1.0),
            to_good,
            loss_good: 0.0,
            loss_bad: 1.0,
        }
    }

    /// The share of packets lost in the long run.
    pub fn mean_loss(&self) -> f64 {
        let bad = self.to_bad / (self.to_bad + self.to_good);
        bad * self.loss_bad + (1.0 - bad) * self.loss_good
    }
}

/// A bottleneck: how fast bytes leave, and how many may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bottleneck {
    /// Bits per second, counted over IP packets.
    pub bits_per_second: NonZeroU64,
    /// Bytes that may wait or be under transmission; what comes on top is dropped at the tail. An
    /// idle link takes any packet.
    pub queue_bytes: u32,
}

/// What one direction of a link does to packets.
///
/// ```
/// use pinhole::link::Conditions;
/// use std::time::Duration;
///
/// let uplink = Conditions::new(Duration::from_millis(10))
///     .bottleneck(5_000_000, 64_000)
///     .independent_loss(0.01);
/// assert_eq!(uplink.delay, Duration::from_millis(10));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    /// Propagation delay, one way.
    pub delay: Duration,
    /// Variation on top of it.
    pub jitter: Jitter,
    /// Rate and queue; `None` sends everything at once.
    pub bottleneck: Option<Bottleneck>,
    /// Loss.
    pub loss: Loss,
    /// The probability of a packet arriving twice.
    pub duplication: f64,
    /// The longest IP packet in bytes that passes; longer ones are dropped.
    pub mtu: u16,
}

impl Conditions {
    /// A clean direction with `delay` one way.
    pub const fn new(delay: Duration) -> Self {
        Conditions {
            delay,
            jitter: Jitter::None,
            bottleneck: None,
            loss: Loss::None,
            duplication: 0.0,
            mtu: u16::MAX,
        }
    }

    /// The same, with a rate in bits per second and a queue of so many bytes. A rate of 0 means 1:
    /// a link that is down is not a slow link.
    pub fn bottleneck(mut self, bits_per_second: u64, queue_bytes: u32) -> Self {
        let bits_per_second = NonZeroU64::new(bits_per_second).unwrap_or(NonZeroU64::MIN);
        self.bottleneck = Some(Bottleneck {
            bits_per_second,
            queue_bytes,
        });
        self
    }

    /// The same, losing each packet with this probability.
    pub fn independent_loss(mut self, probability: f64) -> Self {
        self.loss = Loss::Independent(probability);
        self
    }

    /// The same, with this loss model.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// The same, with this jitter.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same, duplicating each packet with this probability.
    pub fn duplication(mut self, probability: f64) -> Self {
        self.duplication = probability;
        self
    }

    /// The same, carrying IP packets of at most so many bytes.
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.mtu = bytes;
        self
    }
}

/// A link between two nodes: what it does each way.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Link {
    /// From the inner node to the outer one: a home's upstream.
    pub up: Conditions,
    /// From the outer node to the inner one: a home's downstream.
    pub down: Conditions,
}

impl Link {
    /// The same both ways.
    pub const fn symmetric(conditions: Conditions) -> Self {
        Link {
            up: conditions,
            down: conditions,
        }
    }

    /// Clean, with this delay each way.
    pub const fn with_delay(delay: Duration) -> Self {
        Link::symmetric(Conditions::new(delay))
    }

    /// A local network: 1 ms each way, which is what a quiet Wi-Fi hop costs (a cable costs less),
    /// and Ethernet's 1,500 bytes.
    pub const fn lan() -> Self {
        let mut conditions = Conditions::new(Duration::from_millis(1));
        conditions.mtu = ETHERNET_MTU;
        Link::symmetric(conditions)
    }
}

/// The longest IP packet that Ethernet carries.
pub const ETHERNET_MTU: u16 = 1500;
