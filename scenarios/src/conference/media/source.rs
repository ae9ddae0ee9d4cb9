//! Where video comes from: frames with times and sizes, as an encoder that keeps to a rate makes
//! them.
//!
//! No picture is coded; sizes are all that a network sees of one. Four habits of encoders are
//! modelled: a frame's size varies around its mean; a key frame is several times as large, and what
//! it borrows the following frames pay back; a new rate takes a moment to be followed; frames that
//! nobody could send are skipped.

use std::time::Duration;

use pinhole::{Stream, Time};

use super::profile::{Layer, share};

/// How much larger a key frame is than the mean of all frames. No source states one number; four
/// lies in the middle of what VP8 does with a talking head.
pub const KEY_FRAME: f64 = 4.0;

/// The share of each frame that goes to paying for the key frame before, as long as it isn't paid.
pub const PAYING_BACK: f64 = 0.25;

/// How far a frame's size may lie from the mean, as a share of it: the variation of RFC 8867 §4.3.
pub const VARIATION: f64 = 0.05;

/// How long an encoder takes to follow a new rate: the responsiveness of RFC 8867 §4.3.
pub const REACTION: Duration = Duration::from_millis(100);

/// The shortest time between two key frames that are made because somebody asked: requests that come
/// closer together are one (RFC 4585 §6.3.1 bounds what a request may cost; libwebrtc takes 300 ms).
pub const KEY_FRAME_SPACING: Duration = Duration::from_millis(300);

/// One encoded frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its number in its layer, from 0.
    pub number: u32,
    /// When the camera took it.
    pub captured: Time,
    /// Bytes.
    pub bytes: usize,
    /// Whether it can be decoded without those before it.
    pub is_key: bool,
}

/// One layer of a video, being encoded.
#[derive(Clone, Debug)]
pub struct VideoSource {
    layer: Layer,
    began: Time,
    ticks: u64,
    number: u32,
    rate_kbps: f64,
    wanted_kbps: f64,
    changes_at: Time,
    /// Bytes that key frames have borrowed.
    debt: f64,
    needs_key: bool,
    last_key: Option<Time>,
    key_interval: Option<Duration>,
    stream: Stream,
}

impl VideoSource {
    /// A layer whose first frame, a key frame, is taken at `began`. `key_interval` makes a key frame
    /// at least so often; `None` makes one only where somebody asks, as conferences do.
    pub fn new(
        layer: Layer,
        began: Time,
        kbps: u32,
        key_interval: Option<Duration>,
        stream: Stream,
    ) -> Self {
        VideoSource {
            layer,
            began,
            ticks: 0,
            number: 0,
            rate_kbps: f64::from(kbps),
            wanted_kbps: f64::from(kbps),
            changes_at: began,
            debt: 0.0,
            needs_key: true,
            last_key: None,
            key_interval,
            stream,
        }
    }

    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// When the next frame is taken.
    pub fn next_at(&self) -> Time {
        let fps = u64::from(self.layer.frames_per_second);
        self.began + Duration::from_nanos(self.ticks * 1_000_000_000 / fps)
    }

    /// The rate it is to keep to, from [`REACTION`] after `now` on. 0 stops it; when it is started
    /// again it begins with a key frame.
    pub fn set_rate(&mut self, now: Time, kbps: u32) {
        let kbps = f64::from(kbps);
        if kbps != self.wanted_kbps {
            if self.changes_at <= now {
                // What was wanted before has come true by now.
                self.rate_kbps = self.wanted_kbps;
                self.changes_at = now + REACTION;
            }
            self.wanted_kbps = kbps;
        }
    }

    /// Somebody can't decode what comes, or is to get this layer from now on: the next frame is a
    /// key frame, unless there was one [just now](KEY_FRAME_SPACING).
    pub fn request_key_frame(&mut self) {
        self.needs_key = true;
    }

    /// What it was told to send, in kbit/s.
    pub fn rate_kbps(&self) -> u32 {
        self.wanted_kbps as u32
    }

    /// Takes the frame that is due, `None` if the layer is stopped. `room` says whether what was
    /// encoded before has been sent off so far that another frame makes sense; where it hasn't, the
    /// frame is skipped.
    pub fn take(&mut self, room: bool) -> Option<Frame> {
        let captured = self.next_at();
        self.ticks += 1;
        if self.changes_at <= captured {
            self.rate_kbps = self.wanted_kbps;
        }
        if self.rate_kbps <= 0.0 {
            self.needs_key = true;
            return None;
        }
        let mean = self.mean_bytes();
        if !room {
            // What isn't encoded pays back too.
            self.debt = (self.debt - mean).max(0.0);
            return None;
        }
        let since_key = self.last_key.map(|last| captured.saturating_since(last));
        let is_due = |interval: Duration| since_key.is_none_or(|since| since >= interval);
        let is_key =
            (self.needs_key && is_due(KEY_FRAME_SPACING)) || self.key_interval.is_some_and(is_due);
        let varied = mean * (1.0 + VARIATION * (2.0 * self.stream.unit() - 1.0));
        let bytes = if is_key {
            self.needs_key = false;
            self.last_key = Some(captured);
            self.debt += varied * (KEY_FRAME - 1.0);
            varied * KEY_FRAME
        } else {
            let paid = self.debt.min(varied * PAYING_BACK);
            self.debt -= paid;
            varied - paid
        };
        let number = self.number;
        self.number += 1;
        Some(Frame {
            number,
            captured,
            bytes: (bytes as usize).max(1),
            is_key,
        })
    }

    fn mean_bytes(&self) -> f64 {
        self.rate_kbps * 1_000.0 / 8.0 / f64::from(self.layer.frames_per_second)
    }
}

/// A camera's encoder: one layer, or several at once.
#[derive(Clone, Debug)]
pub struct Encoder {
    sources: Vec<VideoSource>,
}

impl Encoder {
    /// An encoder that begins at `began` with so many kbit/s for all layers. All its randomness is
    /// drawn from the stream of that name.
    pub fn new(
        layers: &[Layer],
        began: Time,
        kbps: u32,
        key_interval: Option<Duration>,
        seed: u64,
        name: &str,
    ) -> Self {
        let source = |(place, (layer, kbps)): (usize, (&Layer, u32))| {
            let stream = Stream::new(seed, &format!("{name}/layer {place}"));
            VideoSource::new(*layer, began, kbps, key_interval, stream)
        };
        let sources = layers.iter().zip(share(layers, kbps)).enumerate();
        Encoder {
            sources: sources.map(source).collect(),
        }
    }

    /// Its layers, the smallest first.
    pub fn sources(&self) -> &[VideoSource] {
        &self.sources
    }

    /// The layer at that place.
    pub fn source(&mut self, layer: usize) -> &mut VideoSource {
        &mut self.sources[layer]
    }

    /// What all layers together are to keep to.
    pub fn set_rate(&mut self, now: Time, kbps: u32) {
        let layers: Vec<Layer> = self.sources.iter().map(|source| source.layer).collect();
        for (source, kbps) in self.sources.iter_mut().zip(share(&layers, kbps)) {
            source.set_rate(now, kbps);
        }
    }

    /// When the next frame of any layer is taken.
    pub fn next_at(&self) -> Option<Time> {
        self.sources.iter().map(VideoSource::next_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: Layer = Layer {
        width: 1280,
        height: 720,
        frames_per_second: 30,
        max_kbps: 2_500,
        target_kbps: 2_500,
        min_kbps: 600,
    };

    fn source(kbps: u32) -> VideoSource {
        VideoSource::new(LAYER, Time::ZERO, kbps, None, Stream::new(1, "camera"))
    }

    fn sent(source: &mut VideoSource, frames: usize) -> usize {
        let frames = (0..frames).filter_map(|_| source.take(true));
        frames.map(|frame| frame.bytes).sum()
    }

    #[test]
    fn a_source_keeps_its_rate_whatever_key_frames_cost() {
        let mut source = source(2_400);
        // 10 kB a frame; the key frame is paid back within 12 frames.
        let bytes = sent(&mut source, 300) as f64;
        assert!((bytes / 3e6 - 1.0).abs() < 0.01, "{bytes}");
        source.request_key_frame();
        let bytes = sent(&mut source, 300) as f64;
        assert!((bytes / 3e6 - 1.0).abs() < 0.01, "{bytes}");
    }

    #[test]
    fn key_frames_come_when_asked_and_not_too_close() {
        let mut source = source(600);
        let keys = |source: &mut VideoSource, frames: usize| -> usize {
            (0..frames)
                .filter_map(|_| source.take(true))
                .filter(|frame| frame.is_key)
                .count()
        };
        assert_eq!(keys(&mut source, 30), 1);
        source.request_key_frame();
        assert!(source.take(true).unwrap().is_key);
        source.request_key_frame();
        // 300 ms are nine frames.
        assert_eq!(keys(&mut source, 8), 0);
        assert_eq!(keys(&mut source, 1), 1);
    }

    #[test]
    fn a_new_rate_is_followed_after_the_reaction() {
        let mut source = source(2_400);
        sent(&mut source, 30);
        source.set_rate(source.next_at(), 600);
        // Three frames are 100 ms.
        assert!(sent(&mut source, 3) > 27_000);
        let after = sent(&mut source, 30);
        assert!((70_000..80_000).contains(&after), "{after}");
    }

    #[test]
    fn a_layer_that_was_stopped_begins_with_a_key_frame() {
        let mut source = source(0);
        assert_eq!(source.take(true), None);
        source.set_rate(source.next_at(), 600);
        let first = (0..10).find_map(|_| source.take(true)).unwrap();
        assert!(first.is_key);
    }

    #[test]
    fn an_encoder_shares_its_rate_between_layers() {
        let profile = super::super::VideoProfile::named("720p").unwrap();
        let layers = profile.layers(true);
        let mut encoder = Encoder::new(layers, Time::ZERO, 3_150, None, 1, "alice");
        let rates = |encoder: &Encoder| -> Vec<u32> {
            encoder
                .sources()
                .iter()
                .map(VideoSource::rate_kbps)
                .collect()
        };
        assert_eq!(rates(&encoder), [150, 500, 2_500]);
        encoder.set_rate(Time::ZERO, 500);
        assert_eq!(rates(&encoder), [150, 350, 0]);
    }
}
