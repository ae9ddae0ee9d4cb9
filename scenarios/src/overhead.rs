//! What comes on top of media: headers, tags, feedback, keeping connections alive.
//!
//! Constants that are the same for everybody who sends: conferences, simulated and computed, and what
//! a survey's relayed calls cost use these. The production stack is held against them by tests.

use std::time::Duration;

use pinhole::packet::{IPV4_HEADER, UDP_HEADER};

/// IPv4 and UDP, in bytes.
pub const IP_UDP: usize = IPV4_HEADER + UDP_HEADER;

/// The fixed header of RTP (RFC 3550 §5.1).
pub const RTP_HEADER: usize = 12;

/// Header extensions of a video packet (RFC 8285 §4.2): the block's header, the transport-wide
/// sequence number, the sending time, the MID, padded to four bytes.
pub const VIDEO_EXTENSIONS: usize = 16;

/// Header extensions of an audio packet: those of video, and the audio level (RFC 6464).
pub const AUDIO_EXTENSIONS: usize = 16;

/// The authentication tag of SRTP with AES-GCM (RFC 7714 §5).
pub const SRTP_TAG: usize = 16;

/// The index and the tag that SRTCP appends (RFC 7714 §9).
pub const SRTCP_TAIL: usize = 4 + SRTP_TAG;

/// The most bytes of media in one RTP packet: what leaves room for everything else, and TURN's
/// header, in 1,200 bytes of UDP payload.
pub const MAX_PAYLOAD: usize = 1_120;

/// The original sequence number at the head of a retransmission (RFC 4588 §4).
pub const RTX: usize = 2;

/// ChannelData's header, between a client and its TURN server over UDP (RFC 8656 §12.4).
pub const CHANNEL_DATA: usize = 4;

/// How often receivers send transport-wide feedback: what libwebrtc does at these rates.
pub const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);

/// How often senders and receivers report (RFC 3550 §6.2, at the rates of conferences).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How often consent is renewed, about (RFC 7675 §5.1: every 5 s, varied by a fifth).
pub const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes of a video packet on the wire around its media.
pub const VIDEO_PACKET: usize = IP_UDP + RTP_HEADER + VIDEO_EXTENSIONS + SRTP_TAG;

/// Bytes of an audio packet on the wire around its media.
pub const AUDIO_PACKET: usize = IP_UDP + RTP_HEADER + AUDIO_EXTENSIONS + SRTP_TAG;

/// Bytes on the wire of a transport-wide feedback packet about so many packets that all came: its
/// header, one run-length chunk, a byte for each packet (draft-holmer-rmcat-transport-wide-cc
/// §3.1), padded to four.
pub const fn feedback(packets: usize) -> usize {
    IP_UDP + (20 + 2 + packets).next_multiple_of(4) + SRTCP_TAIL
}

/// Bytes on the wire of a receiver report about so many streams (RFC 3550 §6.4.2), by one who sends
/// nothing.
pub const fn receiver_report(streams: usize) -> usize {
    IP_UDP + 8 + 24 * streams + SRTCP_TAIL
}

/// Bytes on the wire of a sender report about one stream (RFC 3550 §6.4.1).
pub const fn sender_report() -> usize {
    IP_UDP + 28 + SRTCP_TAIL
}

/// Bytes on the wire of a check for consent and of its answer, each, about: what the ICE stack of
/// str0m sends.
pub const CONSENT_CHECK: usize = IP_UDP + 100;

/// How many packets a frame of so many bytes makes.
pub const fn packets(frame: usize) -> usize {
    frame.div_ceil(MAX_PAYLOAD)
}

/// The payloads of a frame's packets: as even as can be, as libwebrtc's packetizers cut, so that no
/// last packet is tiny.
pub fn payloads(frame: usize) -> impl Iterator<Item = usize> {
    let packets = packets(frame).max(1);
    let (each, larger) = (frame / packets, frame % packets);
    (0..packets).map(move |place| each + usize::from(place < larger))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_evenly_and_whole() {
        for frame in [1, 100, 1_120, 1_121, 10_000, 99_999] {
            let parts: Vec<usize> = payloads(frame).collect();
            assert_eq!(parts.iter().sum::<usize>(), frame);
            assert_eq!(parts.len(), packets(frame));
            let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
            assert!(most - least <= 1 && *most <= MAX_PAYLOAD);
        }
    }
}
