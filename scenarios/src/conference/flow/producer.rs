//! What a place itself sends on a connection: sound, cameras' and screens' encoders, cut into
//! packets.

use std::time::Duration;

use pinhole::{Stream, Time};

use super::packet::{Kind, Media};
use crate::conference::media::{AudioProfile, Encoder, Layer};
use crate::conference::plan::{Plan, SourceId, SourceKind};
use crate::overhead;

/// A track that is made here.
pub(super) struct Producer {
    pub(super) track: u32,
    pub(super) kind: SourceKind,
    name: String,
    layers: Vec<Layer>,
    audio: Option<AudioProfile>,
    /// Since it may send.
    made: Option<Made>,
    key_interval: Option<Duration>,
    seed: u64,
    /// By layer: the next packet's sequence number.
    sequences: Vec<u16>,
    /// Frames that were skipped for want of room.
    pub(super) skipped: u64,
    asked_kbps: Option<u32>,
}

enum Made {
    Audio { began: Time, packets: u64 },
    Video(Encoder),
}

impl Producer {
    pub(super) fn new(plan: &Plan, connection: usize, track: usize, source: SourceId) -> Self {
        let it = plan.source(source);
        Producer {
            track: track as u32,
            kind: it.kind,
            name: format!("{connection}/{}/{track}", plan.name(it.owner)),
            layers: it.layers.clone(),
            audio: plan.config.audio.clone(),
            made: None,
            key_interval: plan.config.key_interval,
            seed: plan.config.seed,
            sequences: vec![0; it.layers.len().max(1)],
            skipped: 0,
            asked_kbps: None,
        }
    }

    /// Begins to send, at a moment of its own: not all cameras tick together.
    pub(super) fn begin(&mut self, now: Time, kbps: u32) {
        if self.made.is_some() {
            return;
        }
        let mut random = Stream::new(self.seed, &format!("{}/phase", self.name));
        let mut phase = |micros: u64| Duration::from_micros(random.below(micros));
        self.made = Some(match self.kind {
            SourceKind::Audio => {
                let interval = self.audio.as_ref().map_or(20, |it| it.packet_ms);
                Made::Audio {
                    began: now + phase(u64::from(interval) * 1_000),
                    packets: 0,
                }
            }
            SourceKind::Camera | SourceKind::Screen => {
                let fps = self.layers.first().map_or(30, |it| it.frames_per_second);
                let began = now + phase(1_000_000 / u64::from(fps));
                let (seed, name) = (self.seed, &self.name);
                let interval = self.key_interval;
                Made::Video(Encoder::new(
                    &self.layers,
                    began,
                    kbps,
                    interval,
                    seed,
                    name,
                ))
            }
        });
    }

    /// What its video is to keep to, all layers together.
    pub(super) fn set_rate(&mut self, now: Time, kbps: u32) {
        if self.asked_kbps == Some(kbps) {
            return;
        }
        self.asked_kbps = Some(kbps);
        if let Some(Made::Video(encoder)) = &mut self.made {
            encoder.set_rate(now, kbps);
        }
    }

    /// Somebody needs a key frame of that layer.
    pub(super) fn request_key_frame(&mut self, layer: u8) {
        if let Some(Made::Video(encoder)) = &mut self.made
            && usize::from(layer) < self.layers.len()
        {
            encoder.source(layer.into()).request_key_frame();
        }
    }

    /// The rate of video for so many kbit/s on the wire: what packets' headers leave of it.
    pub(super) fn payload_kbps(&self, wire_kbps: f64) -> u32 {
        let guess = (wire_kbps * 0.94).max(1.0) as u32;
        let shares = crate::conference::media::profile::share(&self.layers, guess);
        let packets: f64 = (self.layers.iter().zip(shares))
            .filter(|(_, kbps)| *kbps > 0)
            .map(|(layer, kbps)| {
                let fps = f64::from(layer.frames_per_second);
                let frame = f64::from(kbps) * 125.0 / fps;
                fps * overhead::packets(frame as usize).max(1) as f64
            })
            .sum();
        let headers = packets * overhead::VIDEO_PACKET as f64 * 8.0 / 1_000.0;
        (wire_kbps - headers).max(1.0) as u32
    }

    /// The most that its video could use.
    pub(super) fn most_kbps(&self) -> u32 {
        crate::conference::media::profile::share(&self.layers, u32::MAX).sum()
    }

    /// When it has something to send next.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.made.as_ref()? {
            Made::Audio { began, packets } => {
                let interval = self.audio.as_ref()?.packet_ms;
                Some(*began + Duration::from_millis(u64::from(interval) * packets))
            }
            Made::Video(encoder) => encoder.next_at(),
        }
    }

    /// What is captured by now, as packets. `room` says whether the encoder may encode; `captured`
    /// tells when what is sent was captured, if that isn't here and now.
    pub(super) fn poll(
        &mut self,
        now: Time,
        room: bool,
        captured: impl Fn(Time) -> Time,
        mut send: impl FnMut(Media),
    ) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            match self.made.as_mut().expect("it has a due time") {
                Made::Audio { packets, .. } => {
                    *packets += 1;
                    let payload = self.audio.as_ref().map_or(0, AudioProfile::payload);
                    let sequence = &mut self.sequences[0];
                    let media = Media {
                        captured: captured(due),
                        track: self.track,
                        frame: *packets as u32,
                        sequence: *sequence,
                        place: 0,
                        packets: 1,
                        payload: payload as u16,
                        layer: 0,
                        kind: Kind::Audio,
                        is_key: false,
                    };
                    *sequence = sequence.wrapping_add(1);
                    if room {
                        send(media);
                    }
                }
                Made::Video(encoder) => {
                    for layer in 0..self.layers.len() {
                        let source = encoder.source(layer);
                        if source.next_at() != due {
                            continue;
                        }
                        let wants = source.rate_kbps() > 0;
                        let Some(frame) = source.take(room) else {
                            self.skipped += u64::from(wants && !room);
                            continue;
                        };
                        let packets = overhead::packets(frame.bytes).max(1) as u16;
                        for (place, payload) in overhead::payloads(frame.bytes).enumerate() {
                            let sequence = &mut self.sequences[layer];
                            send(Media {
                                captured: captured(due),
                                track: self.track,
                                frame: frame.number,
                                sequence: *sequence,
                                place: place as u16,
                                packets,
                                payload: payload as u16,
                                layer: layer as u8,
                                kind: Kind::Video,
                                is_key: frame.is_key,
                            });
                            *sequence = sequence.wrapping_add(1);
                        }
                    }
                }
            }
        }
    }
}
