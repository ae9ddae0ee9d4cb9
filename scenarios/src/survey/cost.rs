//! What relayed calls cost: gigabytes that leave the TURN servers.

/// Media of one direction of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bitrate {
    /// What results call it.
    pub name: &'static str,
    /// Video in kbit/s; 0 for none.
    pub video_kbps: f64,
    /// Audio in kbit/s.
    pub audio_kbps: f64,
}

/// Bytes around each packet's payload: RTP 12, header extensions 16, SRTP's tag 10, UDP 8, IPv4 20.
const OVERHEAD: f64 = 66.0;
/// ChannelData's header (RFC 8656 §12.4), on the leg between client and server.
const CHANNEL: f64 = 4.0;
/// Opus sends every 20 ms.
const AUDIO_PACKETS: f64 = 50.0;
/// What libwebrtc fills packets with, about.
const VIDEO_PAYLOAD: f64 = 1_100.0;

impl Bitrate {
    /// Opus alone, and with libwebrtc's simulcast maxima of VP8 by resolution, as `kSimulcastFormatsVP8`
    /// lists them; Opus as `kOpusBitrateFb`.
    pub const ALL: [Bitrate; 5] = [
        Bitrate::new("opus-32k", 0.0),
        Bitrate::new("180p", 200.0),
        Bitrate::new("360p", 700.0),
        Bitrate::new("720p", 2_500.0),
        Bitrate::new("1080p", 5_000.0),
    ];

    const fn new(name: &'static str, video_kbps: f64) -> Self {
        Bitrate {
            name,
            video_kbps,
            audio_kbps: 32.0,
        }
    }

    /// One direction on the wire in kbit/s, with all headers; on the leg to a TURN client if
    /// `channel`.
    pub fn wire_kbps(&self, channel: bool) -> f64 {
        let overhead = if channel {
            OVERHEAD + CHANNEL
        } else {
            OVERHEAD
        };
        let video_packets = self.video_kbps * 1_000.0 / 8.0 / VIDEO_PAYLOAD;
        let headers = (AUDIO_PACKETS + video_packets) * overhead * 8.0 / 1_000.0;
        self.video_kbps + self.audio_kbps + headers
    }
}

/// Gigabytes (10⁹ bytes) that leave TURN servers in 1,000 minutes of calls of which this share is
/// relayed, both sides sending. As much comes in. One allocation a call: of the two streams that
/// leave, one goes to the client and one to its peer.
pub fn gigabytes(relayed: f64, bitrate: &Bitrate) -> f64 {
    let kbps = bitrate.wire_kbps(true) + bitrate.wire_kbps(false);
    relayed * 60_000.0 * kbps * 1_000.0 / 8.0 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_costs_what_one_counts_by_hand() {
        // 50 packets of 80 and 66 bytes: 58.4 kbit/s, and 60 with ChannelData.
        let audio = Bitrate::ALL[0];
        assert!((audio.wire_kbps(false) - 58.4).abs() < 1e-9);
        assert!((audio.wire_kbps(true) - 60.0).abs() < 1e-9);
        // 118.4 kbit/s for 60,000 s.
        assert!((gigabytes(1.0, &audio) - 0.888).abs() < 1e-9);
        assert!((gigabytes(0.1, &audio) - 0.0888).abs() < 1e-9);
    }
}
