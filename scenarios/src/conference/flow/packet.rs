//! What flows: RTP and RTCP packets with genuine headers and true sizes, without encryption.
//!
//! The first byte tells STUN, RTP and ChannelData apart as in the field (RFC 7983), so NATs, TURN and
//! the meter treat these packets as any others. In the place of the codec's bytes stands a small
//! description of which packet of which frame this is; zeros fill up to the size that header
//! extensions, media and the authentication tag would have.
//!
//! An SSRC is a track's number on its connection, times eight, and the layer: so a receiver finds
//! its state by index. What isn't as in the field: a retransmission has the sequence number of what
//! it repeats in the header, and no own.

use pinhole::Time;
use pinhole::packet::Car;

use crate::congestion::feedback::Feedback;
use crate::overhead;

/// Payload types.
const AUDIO: u8 = 111;
const VIDEO: u8 = 96;
const RTX: u8 = 97;

/// What the meter has to know of these packets.
pub(super) fn is_rtx(payload_type: u8) -> bool {
    payload_type == RTX
}

/// What an RTP packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Audio,
    Video,
    /// A packet of video once more.
    Rtx,
    /// What fills up a probe.
    Padding,
}

/// An RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Media {
    pub(super) captured: Time,
    pub(super) track: u32,
    pub(super) frame: u32,
    pub(super) sequence: u16,
    /// Its place among the packets of its frame, and how many those are.
    pub(super) place: u16,
    pub(super) packets: u16,
    /// Bytes of media.
    pub(super) payload: u16,
    pub(super) layer: u8,
    pub(super) kind: Kind,
    pub(super) is_key: bool,
}

const HEADERS: usize = overhead::RTP_HEADER + overhead::VIDEO_EXTENSIONS;
// Audio's extensions are as long as video's; one layout serves both.
const _: () = assert!(overhead::VIDEO_EXTENSIONS == overhead::AUDIO_EXTENSIONS);
/// The description, behind the headers.
const DESCRIPTION: usize = 9;
/// What isn't zero of a datagram.
pub(super) const HEAD: usize = HEADERS + DESCRIPTION;
const _: () = assert!(HEAD <= Car::HEAD, "a car has room for it");
const _: () = assert!(
    DESCRIPTION <= overhead::SRTP_TAG,
    "it fits whatever the media"
);
const IS_KEY: u8 = 1;
const IS_PADDING: u8 = 2;

fn ssrc(track: u32, layer: u8) -> u32 {
    track << 3 | u32::from(layer)
}

fn stream(ssrc: u32) -> (u32, u8) {
    (ssrc >> 3, (ssrc & 7) as u8)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Media {
    /// Padding that makes packets as large as full ones.
    pub(super) fn padding() -> Media {
        Media {
            captured: Time::ZERO,
            track: 0,
            frame: 0,
            sequence: 0,
            place: 0,
            packets: 0,
            payload: overhead::MAX_PAYLOAD as u16,
            layer: 0,
            kind: Kind::Padding,
            is_key: false,
        }
    }

    /// Bytes of UDP payload.
    pub(super) fn length(&self) -> usize {
        let rtx = match self.kind {
            Kind::Rtx | Kind::Padding => overhead::RTX,
            Kind::Audio | Kind::Video => 0,
        };
        HEADERS + usize::from(self.payload) + overhead::SRTP_TAG + rtx
    }

    /// Bytes of the IP packet.
    pub(super) fn wire_length(&self) -> usize {
        overhead::IP_UDP + self.length()
    }

    /// Writes the datagram over what `out` holds.
    pub(super) fn write(&self, transport_sequence: u16, out: &mut Vec<u8>) {
        // What follows the description is zero in every packet that was ever written here.
        out.resize(self.length(), 0);
        out[..HEAD].copy_from_slice(&self.head(transport_sequence));
    }

    /// The first bytes of the datagram: all others are zero.
    pub(super) fn head(&self, transport_sequence: u16) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let payload_type = match self.kind {
            Kind::Audio => AUDIO,
            Kind::Video => VIDEO,
            Kind::Rtx | Kind::Padding => RTX,
        };
        out[0] = 0x90;
        out[1] = payload_type;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        let timestamp = self.captured.as_nanos() / 1_000_000 * 90;
        out[4..8].copy_from_slice(&(timestamp as u32).to_be_bytes());
        out[8..12].copy_from_slice(&ssrc(self.track, self.layer).to_be_bytes());
        // One-byte header extensions (RFC 8285 §4.2); the transport-wide number is the third.
        out[12..17].copy_from_slice(&[0xbe, 0xde, 0, 3, 0x31]);
        out[17..19].copy_from_slice(&transport_sequence.to_be_bytes());
        out[20..28].copy_from_slice(&self.captured.as_nanos().to_be_bytes());
        out[28..32].copy_from_slice(&self.frame.to_be_bytes());
        out[32..34].copy_from_slice(&self.place.to_be_bytes());
        out[34..36].copy_from_slice(&self.packets.to_be_bytes());
        out[36] = match self.kind {
            Kind::Padding => IS_PADDING,
            _ => u8::from(self.is_key) * IS_KEY,
        };
        out
    }

    /// Reads a datagram of so many bytes, of which the first are here, and its transport-wide
    /// sequence number. `None`: it isn't one of ours.
    pub(super) fn read(datagram: &[u8], length: usize) -> Option<(Media, u16)> {
        if length < HEADERS + overhead::SRTP_TAG || datagram.len() < HEAD || datagram[0] != 0x90 {
            return None;
        }
        let flags = datagram[36];
        let kind = match datagram[1] {
            AUDIO => Kind::Audio,
            VIDEO => Kind::Video,
            RTX if flags & IS_PADDING != 0 => Kind::Padding,
            RTX => Kind::Rtx,
            _ => return None,
        };
        let rtx = match kind {
            Kind::Rtx | Kind::Padding => overhead::RTX,
            Kind::Audio | Kind::Video => 0,
        };
        let around = HEADERS + overhead::SRTP_TAG + rtx;
        let (track, layer) = stream(u32_at(datagram, 8));
        let captured: [u8; 8] = datagram[20..28].try_into().ok()?;
        let media = Media {
            captured: Time::from_nanos(u64::from_be_bytes(captured)),
            track,
            frame: u32_at(datagram, 28),
            sequence: u16_at(datagram, 2),
            place: u16_at(datagram, 32),
            packets: u16_at(datagram, 34),
            payload: u16::try_from(length.checked_sub(around)?).ok()?,
            layer,
            kind,
            is_key: flags & IS_KEY != 0,
        };
        Some((media, u16_at(datagram, 17)))
    }
}

/// An RTCP packet.
#[derive(Debug)]
pub(super) enum Rtcp<'a> {
    /// Transport-wide feedback.
    Feedback(Feedback<'a>),
    /// Packets of a stream are to be sent again (RFC 4585 §6.2.1).
    Nack(u32, u8, Nacked<'a>),
    /// A key frame is wanted (RFC 4585 §6.3.1).
    KeyFrame(u32, u8),
    /// A sender's or a receiver's report: nobody acts on it.
    Report,
}

/// The sequence numbers of a NACK.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nacked<'a>(&'a [u8]);

impl<'a> Nacked<'a> {
    pub(super) fn sequences(self) -> impl Iterator<Item = u16> + 'a {
        self.0.chunks_exact(4).flat_map(|pair| {
            let (first, mask) = (u16_at(pair, 0), u16_at(pair, 2));
            let others = (0..16).filter(move |bit| mask >> bit & 1 == 1);
            let others = others.map(move |bit| first.wrapping_add(bit + 1));
            std::iter::once(first).chain(others)
        })
    }
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// The most report blocks in one packet (RFC 3550 §6.4.1).
const BLOCKS: usize = 31;

impl<'a> Rtcp<'a> {
    /// Whether a datagram is RTCP (RFC 5761 §4).
    pub(super) fn is(datagram: &[u8]) -> bool {
        matches!(datagram, [0x80..=0xbf, 192..=223, ..])
    }

    pub(super) fn read(datagram: &'a [u8]) -> Option<Rtcp<'a>> {
        let [first, kind, high, low, ..] = *datagram else {
            return None;
        };
        match (kind, first & 0x1f) {
            (SENDER_REPORT | RECEIVER_REPORT, _) => Some(Rtcp::Report),
            (TRANSPORT_FEEDBACK, 15) => Feedback::read(datagram).map(Rtcp::Feedback),
            (TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK, 1) => {
                let words = usize::from(u16::from_be_bytes([high, low]));
                let packet = datagram.get(..(words + 1) * 4)?;
                let rest = packet.get(12..)?;
                let (track, layer) = stream(u32_at(packet, 8));
                Some(match kind {
                    TRANSPORT_FEEDBACK => Rtcp::Nack(track, layer, Nacked(rest)),
                    _ => Rtcp::KeyFrame(track, layer),
                })
            }
            _ => None,
        }
    }
}

fn begin(first: u8, kind: u8, words: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend([first, kind]);
    out.extend((words as u16 - 1).to_be_bytes());
    out.extend([0; 4]);
}

/// Ends an RTCP packet with what encryption appends.
pub(super) fn seal(out: &mut Vec<u8>) {
    out.resize(out.len() + overhead::SRTCP_TAIL, 0);
}

/// Asks for packets of a stream; their numbers ascend.
pub(super) fn write_nack(track: u32, layer: u8, sequences: &[u16], out: &mut Vec<u8>) {
    begin(0x81, TRANSPORT_FEEDBACK, 3, out);
    out.extend(ssrc(track, layer).to_be_bytes());
    let mut rest = sequences;
    while let [first, others @ ..] = rest {
        let near = |it: &&u16| (1..=16).contains(&it.wrapping_sub(*first));
        let taken = others.iter().take_while(near).count();
        let bits = others[..taken].iter();
        let mask = bits.fold(0, |mask, it| mask | 1u16 << (it.wrapping_sub(*first) - 1));
        out.extend(first.to_be_bytes());
        out.extend(mask.to_be_bytes());
        rest = &others[taken..];
    }
    let words = (out.len() / 4) as u16 - 1;
    out[2..4].copy_from_slice(&words.to_be_bytes());
    seal(out);
}

/// Asks for a key frame.
pub(super) fn write_key_request(track: u32, layer: u8, out: &mut Vec<u8>) {
    begin(0x81, PAYLOAD_FEEDBACK, 3, out);
    out.extend(ssrc(track, layer).to_be_bytes());
    seal(out);
}

/// A sender's report about one stream.
pub(super) fn write_sender_report(out: &mut Vec<u8>) {
    begin(0x80, SENDER_REPORT, 7, out);
    out.resize(28, 0);
    seal(out);
}

/// A receiver's report about some of so many streams. Returns how many are left.
pub(super) fn write_receiver_report(streams: usize, out: &mut Vec<u8>) -> usize {
    let blocks = streams.min(BLOCKS);
    begin(0x80 | blocks as u8, RECEIVER_REPORT, 2 + 6 * blocks, out);
    out.resize(8 + 24 * blocks, 0);
    seal(out);
    streams - blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media(kind: Kind, payload: u16) -> Media {
        Media {
            captured: Time::from_nanos(123_456_789_012),
            track: 70_000,
            frame: 99_999,
            sequence: 65_535,
            place: 3,
            packets: 9,
            payload,
            layer: 2,
            kind,
            is_key: true,
        }
    }

    #[test]
    fn media_is_read_as_it_was_written_and_is_as_long_as_it_would_be() {
        let mut out = Vec::new();
        for (kind, payload, around) in [
            (Kind::Audio, 80, overhead::AUDIO_PACKET),
            (Kind::Video, 1_120, overhead::VIDEO_PACKET),
            (Kind::Rtx, 1, overhead::VIDEO_PACKET + overhead::RTX),
        ] {
            let media = media(kind, payload);
            media.write(4_711, &mut out);
            assert_eq!(Media::read(&out, out.len()), Some((media, 4_711)));
            assert_eq!(Media::read(&out[..HEAD], out.len()), Some((media, 4_711)));
            assert_eq!(out.len() + overhead::IP_UDP, around + usize::from(payload));
            assert_eq!(media.wire_length(), around + usize::from(payload));
            assert!(!Rtcp::is(&out));
        }
    }

    #[test]
    fn reports_and_requests_have_their_sizes() {
        let mut out = Vec::new();
        write_sender_report(&mut out);
        assert_eq!(out.len() + overhead::IP_UDP, overhead::sender_report());
        assert_eq!(write_receiver_report(5, &mut out), 0);
        assert_eq!(out.len() + overhead::IP_UDP, overhead::receiver_report(5));
        assert_eq!(write_receiver_report(40, &mut out), 9);
        write_key_request(7, 1, &mut out);
        assert!(matches!(Rtcp::read(&out), Some(Rtcp::KeyFrame(7, 1))));
    }

    proptest! {
        #[test]
        fn a_nack_asks_for_what_it_was_to_ask_for(
            first in any::<u16>(),
            gaps in proptest::collection::vec(1u16..40, 0..50),
        ) {
            let mut sequences = vec![first];
            for gap in gaps {
                sequences.push(sequences.last().unwrap().wrapping_add(gap));
            }
            let mut out = Vec::new();
            write_nack(9, 2, &sequences, &mut out);
            let Some(Rtcp::Nack(9, 2, nacked)) = Rtcp::read(&out) else {
                panic!("{out:?}")
            };
            prop_assert_eq!(nacked.sequences().collect::<Vec<_>>(), sequences);
        }

        #[test]
        fn garbage_is_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Media::read(&bytes, bytes.len());
            if let Some(Rtcp::Nack(_, _, nacked)) = Rtcp::read(&bytes) {
                prop_assert!(nacked.sequences().count() <= 17 * bytes.len() / 4);
            }
        }
    }
}
