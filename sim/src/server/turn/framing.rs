//! TURN messages in a stream of bytes (RFC 8656 §12.5, RFC 8489 §6.2.2).
//!
//! Over TCP and TLS nothing but the messages themselves says where one ends: a STUN message by the
//! length in its header, ChannelData by its own, padded to a multiple of four bytes. The protocol
//! crates neither write that padding nor expect it, so both ends here cut and pad with this.

use std::ops::Range;

/// The fixed field of a STUN header (RFC 8489 §5).
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;

/// Cuts a stream into TURN messages.
///
/// ```
/// use pinhole::server::StreamFraming;
///
/// let mut framing = StreamFraming::default();
/// // Two bytes on channel 0x4000, two bytes of padding, the beginning of the next.
/// framing.push(&[0x40, 0x00, 0, 2, b'h', b'i', 0, 0, 0x40]);
/// assert_eq!(framing.next_message(), Ok(Some(&[0x40, 0x00, 0, 2, b'h', b'i'][..])));
/// assert_eq!(framing.next_message(), Ok(None));
/// ```
///
/// It holds what was pushed and not yet taken. Where every message is taken after every push, that
/// is less than one message: 65,555 bytes at the most.
#[derive(Clone, Debug, Default)]
pub struct StreamFraming {
    buffer: Vec<u8>,
    /// How much of the buffer has been taken.
    taken: usize,
}

/// The stream holds something that is no TURN message. Where the next one begins can't be told:
/// the connection is to be closed (RFC 8656 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("neither STUN nor ChannelData in the stream; nothing after it can be read")]
pub struct LostFraming;

impl StreamFraming {
    /// Bytes that came in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, without its padding.
    ///
    /// # Errors
    ///
    /// What comes next is no TURN message.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, LostFraming> {
        let rest = &self.buffer[self.taken..];
        let Some(Message { length, padded }) = Message::at_start(rest)? else {
            return Ok(None);
        };
        if rest.len() < padded {
            return Ok(None);
        }
        let message: Range<usize> = self.taken..self.taken + length;
        self.taken += padded;
        Ok(Some(&self.buffer[message]))
    }

    /// How many bytes wait for the rest of their message.
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// How many zeros have to follow `message` in a stream.
    pub fn padding(message: &[u8]) -> usize {
        message.len().next_multiple_of(4) - message.len()
    }
}

/// How long the first message of a stream is, alone and with its padding.
struct Message {
    length: usize,
    padded: usize,
}

impl Message {
    fn at_start(bytes: &[u8]) -> Result<Option<Message>, LostFraming> {
        let Some(first) = bytes.first() else {
            return Ok(None);
        };
        // RFC 8656 §12: the first two bits tell STUN from ChannelData, whose numbers end at 0x4fff.
        let header = match first {
            0x00..=0x3f => STUN_HEADER,
            0x40..=0x4f => CHANNEL_HEADER,
            _ => return Err(LostFraming),
        };
        let Some(length) = bytes.get(2..4) else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if header == STUN_HEADER {
            // As early as it can be told, so that garbage doesn't wait for more of its kind.
            let cookie = &bytes[4..bytes.len().min(8)];
            if length % 4 != 0 || !MAGIC_COOKIE.starts_with(cookie) {
                return Err(LostFraming);
            }
        }
        let length = header + length;
        let padded = length.next_multiple_of(4);
        Ok(Some(Message { length, padded }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stun(attributes: usize) -> Vec<u8> {
        let length = (attributes as u16).to_be_bytes();
        let mut message = vec![0x00, 0x01, length[0], length[1]];
        message.extend(MAGIC_COOKIE);
        message.resize(STUN_HEADER + attributes, 7);
        message
    }

    fn channel_data(data: usize) -> Vec<u8> {
        let length = (data as u16).to_be_bytes();
        let mut message = vec![0x40, 0x01, length[0], length[1]];
        message.resize(CHANNEL_HEADER + data, 8);
        message
    }

    fn cut(stream: &[u8], pieces: &[usize]) -> Result<Vec<Vec<u8>>, LostFraming> {
        let mut framing = StreamFraming::default();
        let mut messages = Vec::new();
        let mut rest = stream;
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
            rest = after;
            framing.push(piece);
            while let Some(message) = framing.next_message()? {
                messages.push(message.to_vec());
            }
            assert!(framing.waiting() <= 65_555);
        }
        Ok(messages)
    }

    #[test]
    fn the_longest_messages_pass_whole() {
        for message in [stun(65_532), channel_data(65_535), channel_data(0)] {
            let mut stream = message.clone();
            stream.resize(message.len() + StreamFraming::padding(&message), 0);
            assert_eq!(cut(&stream, &[1000]), Ok(vec![message]));
        }
    }

    #[test]
    fn what_is_no_message_is_known_by_its_first_bytes() {
        for garbage in [
            &b"SSH-2.0-OpenSSH\r\n"[..],
            b"\x80",
            b"\x50\x00",
            b"\x16\x03\x01\x02",
            b"\x00\x01\x00\x03",
            b"\x00\x01\x00\x04\x21\x13",
        ] {
            assert_eq!(cut(garbage, &[1]), Err(LostFraming), "{garbage:?}");
        }
        assert_eq!(cut(b"\x00\x01\x00\x04\x21\x12", &[1]), Ok(vec![]));
        // A web browser says "GE" and means channel 0x4745: only patience helps.
        assert_eq!(cut(b"GET / HTTP/1.1\r\n", &[1]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            lengths in prop::collection::vec((any::<bool>(), 0..300usize), 1..20),
            pieces in prop::collection::vec(1..200usize, 1..10),
        ) {
            let messages: Vec<Vec<u8>> = lengths
                .iter()
                .map(|(is_stun, length)| if *is_stun { stun(length / 4 * 4) } else { channel_data(*length) })
                .collect();
            let mut stream = Vec::new();
            for message in &messages {
                stream.extend_from_slice(message);
                stream.resize(stream.len() + StreamFraming::padding(message), 0);
            }
            prop_assert_eq!(cut(&stream, &pieces), Ok(messages));
        }

        #[test]
        fn no_bytes_make_it_panic_or_hoard(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            pieces in prop::collection::vec(1..200usize, 1..10),
        ) {
            let _ = cut(&bytes, &pieces);
        }
    }
}
