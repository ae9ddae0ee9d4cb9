//! What relayed calls cost: gigabytes that leave the TURN servers.

use crate::overhead::{AUDIO_PACKET, CHANNEL_DATA, MAX_PAYLOAD, VIDEO_PACKET};

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

/// Opus sends every 20 ms.
const AUDIO_PACKETS: f64 = 50.0;

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
        let channel = if channel { CHANNEL_DATA } else { 0 };
        let around =
            |packets: f64, bytes: usize| packets * (bytes + channel) as f64 * 8.0 / 1_000.0;
        let video_packets = self.video_kbps * 1_000.0 / 8.0 / MAX_PAYLOAD as f64;
        let headers = around(AUDIO_PACKETS, AUDIO_PACKET) + around(video_packets, VIDEO_PACKET);
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
        // 50 packets of 80 and 72 bytes: 60.8 kbit/s, and 62.4 with ChannelData.
        let audio = Bitrate::ALL[0];
        assert!((audio.wire_kbps(false) - 60.8).abs() < 1e-9);
        assert!((audio.wire_kbps(true) - 62.4).abs() < 1e-9);
        // 123.2 kbit/s for 60,000 s.
        assert!((gigabytes(1.0, &audio) - 0.924).abs() < 1e-9);
        assert!((gigabytes(0.1, &audio) - 0.0924).abs() < 1e-9);
    }

    #[test]
    fn video_is_cut_into_full_packets() {
        // 1,120 kbit/s are 125 full packets a second of 72 bytes more each: 72 kbit/s; with the
        // audio's 60.8.
        let video = Bitrate::new("by hand", 1_120.0);
        assert!((video.wire_kbps(false) - (1_120.0 + 72.0 + 60.8)).abs() < 1e-9);
        // And 4 bytes for each of 175 packets.
        assert!((video.wire_kbps(true) - video.wire_kbps(false) - 5.6).abs() < 1e-9);
    }
}
