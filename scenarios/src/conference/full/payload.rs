//! What is in frames: as much as stacks look at, who made it and when, and zeros.
//!
//! Nothing is encoded or decoded. A video frame begins like a VP8 frame (RFC 6386 §9.1: the lowest bit of the
//! first byte is 0 in key frames), because stacks read that; behind it stands the [`Mark`].

use pinhole::Time;

/// What a frame tells about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The source that it is of.
    pub source: u32,
    /// Its layer, the smallest is 0.
    pub layer: u8,
    /// How many its source had made before, on this layer.
    pub number: u32,
    /// When.
    pub captured: Time,
}

impl Mark {
    /// The bytes of the first byte and the mark.
    pub const LENGTH: usize = 18;

    /// A frame of this length, or of [`LENGTH`](Mark::LENGTH) if that is longer.
    pub fn frame(self, is_key: bool, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length.max(Self::LENGTH)];
        frame[0] = u8::from(!is_key);
        frame[1..5].copy_from_slice(&self.source.to_be_bytes());
        frame[5..9].copy_from_slice(&self.number.to_be_bytes());
        frame[17] = self.layer;
        frame[9..17].copy_from_slice(&self.captured.as_nanos().to_be_bytes());
        frame
    }

    /// Reads it off a frame.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let field = |at: usize, length: usize| frame.get(at..at + length);
        Some(Mark {
            source: u32::from_be_bytes(field(1, 4)?.try_into().ok()?),
            layer: *frame.get(17)?,
            number: u32::from_be_bytes(field(5, 4)?.try_into().ok()?),
            captured: Time::from_nanos(u64::from_be_bytes(field(9, 8)?.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_there_and_back() {
        let mark = Mark {
            source: 7,
            layer: 2,
            number: 70_000,
            captured: Time::from_nanos(1_234_567_890_123),
        };
        let frame = mark.frame(true, 1000);
        assert_eq!(frame.len(), 1000);
        assert_eq!(frame[0] & 1, 0);
        assert_eq!(Mark::of(&frame), Some(mark));
        assert_eq!(Mark::of(&mark.frame(false, 0)), Some(mark));
        assert_eq!(Mark::of(&frame[..Mark::LENGTH - 1]), None);
    }
}
