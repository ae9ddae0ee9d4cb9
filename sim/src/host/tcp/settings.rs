//! What can be set about a host's TCP.

use std::time::Duration;

/// How a host's TCP behaves, for the connections that are opened or accepted after it was
/// [set](crate::Io::tcp_settings).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpSettings {
    /// Bytes that wait to be sent or acknowledged, per connection. From 1,024 to 2²⁶; what lies
    /// outside becomes the nearest.
    pub send_buffer: usize,
    /// Bytes that may be under way to this host, per connection: the largest window, and the most
    /// that is kept out of order. Same bounds. A connection carries at most this much per round
    /// trip.
    pub receive_buffer: usize,
    /// How fast it sends.
    pub congestion_control: CongestionControl,
    /// How long an acknowledgment may wait for company (RFC 9293 §3.8.6.3: less than half a
    /// second); every second full segment is acknowledged at once. `None` acknowledges each.
    pub delayed_ack: Option<Duration>,
    /// Whether small pieces wait for the acknowledgment of those before them (RFC 896).
    pub nagle: bool,
    /// After how long without a word an idle connection is tried (RFC 9293 §3.8.4). `None`: never.
    pub keep_alive: Option<Duration>,
    /// How long the other side may leave data, a FIN or a keep-alive without an answer.
    pub user_timeout: Duration,
    /// How long opening a connection may take (RFC 9293 §3.8.3: three minutes at least).
    pub handshake_timeout: Duration,
    /// How many connections may be half open, all ports together; more are dropped.
    pub backlog: u32,
}

impl Default for TcpSettings {
    /// 256 KiB buffers, CUBIC as common systems have it, acknowledgments 40 ms delayed as on
    /// Linux, Nagle, no keep-alive, five minutes (the default that RFC 793 §3.8 gave) without an
    /// answer, three to connect, 1,024 half open.
    fn default() -> Self {
        TcpSettings {
            send_buffer: 256 * 1024,
            receive_buffer: 256 * 1024,
            congestion_control: CongestionControl::Cubic,
            delayed_ack: Some(Duration::from_millis(40)),
            nagle: true,
            keep_alive: None,
            user_timeout: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(180),
            backlog: 1024,
        }
    }
}

impl TcpSettings {
    /// A buffer of a length that TCP can work with.
    pub(super) fn buffer(length: usize) -> Vec<u8> {
        vec![0; length.clamp(1 << 10, 1 << 26)]
    }
}

/// How a TCP finds its rate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CongestionControl {
    /// RFC 5681: one segment more per round trip, half after a loss.
    Reno,
    /// RFC 9438, with floating-point arithmetic.
    Cubic,
    /// As fast as the other side's window allows.
    None,
}
