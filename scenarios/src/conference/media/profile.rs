//! What is sent: resolutions, rates, ladders of simulcast layers.
//!
//! Rates are what the encoder puts out, in kbit/s of RTP payload; headers come on top
//! ([`overhead`](crate::overhead)). The numbers are libwebrtc's: its VP8 simulcast table
//! (`kSimulcastFormatsVP8` in `video/config/simulcast.cc`), its caps for a single stream
//! (`GetMaxDefaultVideoBitrateKbps`), its rate for Opus (`kOpusBitrateFb`).

/// One encoding of a video: a simulcast layer, or the only one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Frames in a second.
    pub frames_per_second: u8,
    /// The most it uses, where nothing above it is sent.
    pub max_kbps: u32,
    /// What it is given before anything goes to the layer above.
    pub target_kbps: u32,
    /// Below this it isn't sent.
    pub min_kbps: u32,
}

const fn layer(
    (width, height): (u16, u16),
    (max_kbps, target_kbps, min_kbps): (u32, u32, u32),
) -> Layer {
    Layer {
        width,
        height,
        frames_per_second: 30,
        max_kbps,
        target_kbps,
        min_kbps,
    }
}

/// A video: as one stream, and as a ladder of simulcast layers, the smallest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoProfile {
    /// Its name on the command line and in files.
    pub name: String,
    /// What is sent without simulcast.
    pub single: Layer,
    /// What is sent with simulcast: at least one layer, ascending.
    ladder: Vec<Layer>,
}

/// Why a ladder is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LadderError {
    /// There is no layer.
    #[error("a ladder has at least one layer")]
    Empty,
    /// A layer isn't above the one before.
    #[error(
        "a ladder ascends: layer {place} ({above} lines, {above_kbps} kbit/s) isn't above layer \
         {before_place} ({below} lines, {below_kbps} kbit/s)",
        before_place = .place - 1
    )]
    NotAscending {
        /// The layer's place, counted from 1.
        place: usize,
        /// Its lines.
        above: u16,
        /// Its rate.
        above_kbps: u32,
        /// The lines of the one before.
        below: u16,
        /// The rate of the one before.
        below_kbps: u32,
    },
    /// A layer's rates contradict each other.
    #[error(
        "layer {place}: minimum {min_kbps}, target {target_kbps} and maximum {max_kbps} kbit/s \
         must ascend from above 0"
    )]
    Rates {
        /// The layer's place, counted from 1.
        place: usize,
        /// Its minimum.
        min_kbps: u32,
        /// Its target.
        target_kbps: u32,
        /// Its maximum.
        max_kbps: u32,
    },
    /// A layer has no frames, or too many.
    #[error("layer {place}: {frames_per_second} frames per second; from 1 to 120 make sense")]
    FrameRate {
        /// The layer's place, counted from 1.
        place: usize,
        /// Its frame rate.
        frames_per_second: u8,
    },
}

impl VideoProfile {
    /// A video of one's own.
    ///
    /// # Errors
    ///
    /// The ladder doesn't ascend, or a layer contradicts itself.
    pub fn new(name: &str, single: Layer, ladder: Vec<Layer>) -> Result<Self, LadderError> {
        if ladder.is_empty() {
            return Err(LadderError::Empty);
        }
        for (place, layer) in ladder.iter().enumerate().map(|(place, it)| (place + 1, it)) {
            check(place, layer)?;
        }
        check(1, &single)?;
        for (place, pair) in ladder.windows(2).enumerate() {
            let [below, above] = [pair[0], pair[1]];
            if above.height <= below.height || above.max_kbps <= below.max_kbps {
                return Err(LadderError::NotAscending {
                    place: place + 2,
                    above: above.height,
                    above_kbps: above.max_kbps,
                    below: below.height,
                    below_kbps: below.max_kbps,
                });
            }
        }
        Ok(VideoProfile {
            name: name.to_owned(),
            single,
            ladder,
        })
    }

    /// The profiles that every command knows, the largest first.
    pub fn all() -> Vec<VideoProfile> {
        let small = layer((320, 180), (200, 150, 30));
        let half = layer((640, 360), (700, 500, 150));
        // One stream has the lowest rate that libwebrtc sends at all (`kMinVideoBitrate`).
        let single = |size, max| layer(size, (max, max, 30));
        let profile = |name, single, ladder| {
            VideoProfile::new(name, single, ladder).expect("the ladders here ascend")
        };
        vec![
            profile(
                "1080p",
                single((1920, 1080), 2_500),
                vec![
                    layer((480, 270), (450, 350, 150)),
                    layer((960, 540), (1_200, 1_200, 350)),
                    layer((1920, 1080), (5_000, 4_000, 800)),
                ],
            ),
            profile(
                "720p",
                single((1280, 720), 2_500),
                vec![small, half, layer((1280, 720), (2_500, 2_500, 600))],
            ),
            profile("360p", single((640, 360), 1_700), vec![small, half]),
            profile("180p", single((320, 180), 600), vec![small]),
        ]
    }

    /// A shared screen: few frames, and never more than libwebrtc's conference mode allows.
    pub fn screen() -> VideoProfile {
        let layer = |max_kbps, min_kbps, (width, height)| Layer {
            width,
            height,
            frames_per_second: 5,
            max_kbps,
            target_kbps: max_kbps,
            min_kbps,
        };
        let single = layer(1_000, 200, (1920, 1080));
        let below = layer(1_000, 200, (1280, 720));
        VideoProfile::new(
            "screen",
            single,
            vec![below, layer(1_250, 600, (1920, 1080))],
        )
        .expect("this ladder ascends")
    }

    /// The profile of that name.
    ///
    /// # Errors
    ///
    /// Nobody defined it; the error lists what exists.
    pub fn named(name: &str) -> Result<VideoProfile, UnknownProfile> {
        let all = VideoProfile::all();
        let known = || all.iter().map(|profile| profile.name.clone()).collect();
        all.iter()
            .find(|profile| profile.name == name)
            .cloned()
            .ok_or_else(|| UnknownProfile::new("video", name, known()))
    }

    /// The layers that are sent, the smallest first: all with simulcast, else the single one.
    pub fn layers(&self, simulcast: bool) -> &[Layer] {
        if simulcast {
            &self.ladder
        } else {
            std::slice::from_ref(&self.single)
        }
    }
}

fn check(place: usize, layer: &Layer) -> Result<(), LadderError> {
    let Layer {
        max_kbps,
        target_kbps,
        min_kbps,
        frames_per_second,
        ..
    } = *layer;
    if min_kbps == 0 || min_kbps > target_kbps || target_kbps > max_kbps {
        return Err(LadderError::Rates {
            place,
            min_kbps,
            target_kbps,
            max_kbps,
        });
    }
    if !(1..=120).contains(&frames_per_second) {
        return Err(LadderError::FrameRate {
            place,
            frames_per_second,
        });
    }
    Ok(())
}

/// What a layer gets of so many kbit/s for all, the smallest layer first: each its target from the
/// bottom up as long as it lasts, a layer that would get less than its minimum nothing, and what is
/// left over to the highest that is sent, up to its maximum. It is how libwebrtc shares
/// (`SimulcastRateAllocator`).
pub fn share(layers: &[Layer], kbps: u32) -> impl Iterator<Item = u32> + '_ {
    let mut left = kbps;
    let mut is_over = false;
    layers.iter().enumerate().map(move |(place, layer)| {
        // The lowest is sent however little there is: no picture is no answer.
        let is_sent = !is_over && (left >= layer.min_kbps || place == 0);
        if !is_sent {
            is_over = true;
            return 0;
        }
        let to_it = left.min(layer.target_kbps);
        left -= to_it;
        let next = layers.get(place + 1);
        let is_highest = next.is_none_or(|next| left < next.min_kbps);
        if !is_highest {
            return to_it;
        }
        let more = left.min(layer.max_kbps - to_it);
        left -= more;
        to_it + more
    })
}

/// An audio stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioProfile {
    /// Its name on the command line and in files.
    pub name: String,
    /// Its constant rate.
    pub kbps: u32,
    /// How much sound goes into a packet.
    pub packet_ms: u32,
}

impl AudioProfile {
    /// The profiles that every command knows: Opus at libwebrtc's rates for full, wide and narrow
    /// band, 20 ms to a packet.
    pub fn all() -> Vec<AudioProfile> {
        [32, 20, 12]
            .map(|kbps| AudioProfile {
                name: format!("opus-{kbps}k"),
                kbps,
                packet_ms: 20,
            })
            .into()
    }

    /// The profile of that name.
    ///
    /// # Errors
    ///
    /// Nobody defined it; the error lists what exists.
    pub fn named(name: &str) -> Result<AudioProfile, UnknownProfile> {
        let all = AudioProfile::all();
        let known = || all.iter().map(|profile| profile.name.clone()).collect();
        all.iter()
            .find(|profile| profile.name == name)
            .cloned()
            .ok_or_else(|| UnknownProfile::new("audio", name, known()))
    }

    /// Bytes of one packet's payload.
    pub fn payload(&self) -> usize {
        (self.kbps * self.packet_ms / 8) as usize
    }
}

/// There is no profile of that name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no {what} profile is called {name:?}; there are {}, and off", known.join(", "))]
pub struct UnknownProfile {
    what: &'static str,
    name: String,
    known: Vec<String>,
}

impl UnknownProfile {
    fn new(what: &'static str, name: &str, known: Vec<String>) -> Self {
        UnknownProfile {
            what,
            name: name.to_owned(),
            known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(kbps: u32) -> Vec<u32> {
        let profile = VideoProfile::named("720p").unwrap();
        share(profile.layers(true), kbps).collect()
    }

    #[test]
    fn layers_are_filled_from_the_bottom_up() {
        assert_eq!(shares(10_000), [150, 500, 2_500]);
        assert_eq!(shares(3_150), [150, 500, 2_500]);
        assert_eq!(shares(1_250), [150, 500, 600]);
        // Too little for the top: what is left goes to the middle, up to its maximum.
        assert_eq!(shares(1_249), [150, 700, 0]);
        assert_eq!(shares(299), [200, 0, 0]);
        assert_eq!(shares(10), [10, 0, 0]);
    }

    #[test]
    fn a_ladder_that_does_not_ascend_is_refused() {
        let [small, half] = [
            layer((320, 180), (200, 150, 30)),
            layer((640, 360), (700, 500, 150)),
        ];
        let error = VideoProfile::new("mine", half, vec![half, small]).unwrap_err();
        assert!(error.to_string().contains("layer 2 (180 lines"), "{error}");
        assert_eq!(
            VideoProfile::new("mine", half, Vec::new()),
            Err(LadderError::Empty)
        );
        let contradiction = layer((320, 180), (200, 300, 30));
        let error = VideoProfile::new("mine", half, vec![contradiction]).unwrap_err();
        assert!(matches!(error, LadderError::Rates { place: 1, .. }));
    }

    #[test]
    fn names_are_known_or_listed() {
        for profile in VideoProfile::all() {
            assert_eq!(VideoProfile::named(&profile.name), Ok(profile));
        }
        let error = VideoProfile::named("4k").unwrap_err().to_string();
        assert!(error.contains("1080p, 720p, 360p, 180p"), "{error}");
        assert_eq!(AudioProfile::named("opus-32k").unwrap().payload(), 80);
    }
}
