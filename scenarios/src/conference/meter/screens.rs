//! What viewers saw and heard.

use std::time::Duration;

use pinhole::Time;

use crate::conference::media::{Arrival, Freezes, Jitter, JitterBuffer};
use crate::conference::outcome::{Gap, Percentiles, Received, Roam};
use crate::conference::plan::{Place, Plan, SourceId, SourceKind};
use crate::histogram::Histogram;

/// From when on a time without anything of a source is a gap.
const GAP: Duration = Duration::from_secs(1);

/// A frame that a viewer was shown, or a packet of sound that it heard.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Who.
    pub viewer: usize,
    /// What of.
    pub source: SourceId,
    /// The layer; 0 for sound.
    pub layer: usize,
    /// Whether it is a key frame.
    pub is_key: bool,
    /// When it was captured and how it came.
    pub arrival: Arrival,
}

/// What a viewer got of one source. Small: there may be tens of thousands, and each is looked at for
/// every packet of sound.
#[derive(Clone, Debug, Default)]
struct Reception {
    bytes: u64,
    jitter: Jitter,
    least_delay: Option<Duration>,
    last: Option<Time>,
    picture: Option<Box<Picture>>,
}

/// What it saw of one source.
#[derive(Clone, Debug, Default)]
struct Picture {
    by_layer: [u32; 4],
    key_frames: u32,
    buffer: JitterBuffer,
    freezes: Freezes,
    /// From capture to screen, in microseconds, all frames together.
    playout: u64,
}

/// What a viewer got, found by the source's number.
#[derive(Clone, Debug, Default)]
struct Receptions {
    /// By source: its place among all, and one; 0 before anything of it came.
    places: Vec<u32>,
    all: Vec<(SourceId, Reception)>,
}

impl Receptions {
    fn of(&mut self, source: SourceId) -> &mut Reception {
        if self.places.len() <= source.0 {
            self.places.resize(source.0 + 1, 0);
        }
        let place = &mut self.places[source.0];
        if *place == 0 {
            self.all.push((source, Reception::default()));
            *place = self.all.len() as u32;
        }
        &mut self.all[*place as usize - 1].1
    }

    fn get_mut(&mut self, source: SourceId) -> Option<&mut Reception> {
        let place = self.places.get(source.0).filter(|place| **place > 0)?;
        Some(&mut self.all[*place as usize - 1].1)
    }
}

#[derive(Clone, Debug, Default)]
struct Screen {
    receptions: Receptions,
    delay: Histogram,
    queueing: Histogram,
    /// Sources it has had something of: sound, pictures.
    seen: [usize; 2],
    /// How many it is to get.
    expected: [usize; 2],
}

/// A change of networks: who lacked what when it came.
#[derive(Clone, Debug)]
struct Roaming {
    roam: Roam,
    /// Viewers and sources; `None` before the change.
    lacking: Option<Vec<(usize, SourceId)>>,
}

impl Roaming {
    /// Strikes out what a viewer has again, or isn't to get any more.
    fn has(&mut self, now: Time, viewer: usize, source: SourceId) {
        let Some(lacking) = &mut self.lacking else {
            return;
        };
        if let Some(place) = lacking.iter().position(|it| *it == (viewer, source)) {
            lacking.swap_remove(place);
            self.look(now);
        }
    }

    fn look(&mut self, now: Time) {
        let Some(lacking) = &self.lacking else { return };
        let roam = &mut self.roam;
        let is_own = |it: &(usize, SourceId)| it.0 == roam.participant;
        if lacking.iter().all(is_own) {
            roam.seen_again.get_or_insert(now);
        }
        if !lacking.iter().any(is_own) {
            roam.sees_again.get_or_insert(now);
        }
    }
}

/// All viewers' screens and loudspeakers.
#[derive(Clone, Debug)]
pub struct Screens {
    screens: Vec<Screen>,
    kinds: Vec<SourceKind>,
    owners: Vec<Place>,
    roamings: Vec<Roaming>,
    /// When something was shown last.
    now: Time,
    /// Viewers who lack something.
    waiting: usize,
    all_seen: Option<Time>,
    gaps: Vec<Gap>,
    /// Whether servers forward whom they choose: then silence is no gap.
    selects: bool,
    /// Whether delay is measured with sound.
    has_audio: bool,
    from: Time,
}

impl Screens {
    pub(super) fn new(plan: &Plan, from: Time) -> Self {
        let screens: Vec<Screen> = (0..plan.participants().len())
            .map(|viewer| {
                let mut expected = [0; 2];
                let own = Place::Participant(viewer);
                for (connection, end) in plan.connections_of(own) {
                    for track in &plan.connections[connection].tracks[1 - end] {
                        let kind = plan.source(track.source).kind;
                        expected[usize::from(kind.is_video())] += 1;
                    }
                }
                for kind in [SourceKind::Audio, SourceKind::Camera] {
                    let expected = &mut expected[usize::from(kind.is_video())];
                    *expected = plan.latest(kind).unwrap_or(usize::MAX).min(*expected);
                }
                Screen {
                    expected,
                    ..Screen::default()
                }
            })
            .collect();
        let lacks = |screen: &&Screen| screen.expected != [0; 2];
        let participants = plan.participants().iter().enumerate();
        let roamings = participants.filter_map(|(participant, it)| {
            let (at, _) = it.roams.as_ref()?;
            Some(Roaming {
                roam: Roam {
                    participant,
                    at: *at,
                    seen_again: None,
                    sees_again: None,
                },
                lacking: None,
            })
        });
        Screens {
            waiting: screens.iter().filter(lacks).count(),
            screens,
            kinds: plan.sources.iter().map(|source| source.kind).collect(),
            owners: plan.sources.iter().map(|source| source.owner).collect(),
            roamings: roamings.collect(),
            now: Time::ZERO,
            all_seen: None,
            gaps: Vec::new(),
            selects: plan.config.last_n.is_some(),
            has_audio: plan.config.audio.is_some(),
            from,
        }
    }

    /// A whole frame has come to a viewer and can be decoded, or a packet of sound has. When the
    /// frame is shown is for the viewer's [jitter buffer](JitterBuffer) to say.
    pub fn shown(&mut self, now: Time, shown: Shown) {
        let Shown {
            viewer,
            source,
            arrival,
            ..
        } = shown;
        let captured = arrival.captured;
        self.mind_roams(now, viewer, source, captured);
        self.now = now;
        let is_video = self.kinds[source.0].is_video();
        let screen = &mut self.screens[viewer];
        let reception = screen.receptions.of(source);
        match reception.last.replace(now) {
            None => {
                let lacked =
                    screen.seen[0] < screen.expected[0] || screen.seen[1] < screen.expected[1];
                screen.seen[usize::from(is_video)] += 1;
                let lacks =
                    screen.seen[0] < screen.expected[0] || screen.seen[1] < screen.expected[1];
                if lacked && !lacks {
                    self.waiting -= 1;
                    if self.waiting == 0 {
                        self.all_seen = Some(now);
                    }
                }
            }
            Some(last) if now > last + GAP && !self.selects => {
                if self.all_seen.is_some_and(|all_seen| all_seen <= last) {
                    self.gaps.push(Gap {
                        viewer,
                        source,
                        from: last,
                        to: Some(now),
                    });
                }
            }
            Some(_) => {}
        }
        // The least of all times, not only of those measured: a queue may be full from then on.
        let delay = now.saturating_since(captured);
        let least = reception
            .least_delay
            .map_or(delay, |least| least.min(delay));
        reception.least_delay = Some(least);
        reception.jitter.arrived(captured, now);
        let is_measured = now >= self.from;
        if is_video {
            let picture = reception.picture.get_or_insert_default();
            let on_screen = picture.buffer.play(now, arrival);
            picture.freezes.shown(on_screen);
            if is_measured {
                let playout = on_screen.saturating_since(captured);
                picture.playout += playout.as_micros() as u64;
                picture.by_layer[shown.layer.min(3)] += 1;
                picture.key_frames += u32::from(shown.is_key);
            } else {
                // Intervals count from the first frame on, so that the first measured isn't a freeze.
                (picture.freezes.count, picture.freezes.frames) = (0, 0);
                picture.freezes.total = Duration::ZERO;
            }
        }
        if !is_measured {
            return;
        }
        reception.bytes += arrival.bytes as u64;
        if is_video != self.has_audio {
            screen.delay.add(delay.as_micros() as u64);
            screen.queueing.add((delay - least).as_micros() as u64);
        }
    }

    fn mind_roams(&mut self, now: Time, viewer: usize, source: SourceId, captured: Time) {
        for roaming in &mut self.roamings {
            let Roam {
                participant, at, ..
            } = roaming.roam;
            if now < at {
                continue;
            }
            if roaming.lacking.is_none() && self.all_seen.is_some_and(|seen| seen <= at) {
                let mut lacking = Vec::new();
                for (viewer, screen) in self.screens.iter().enumerate() {
                    for (source, reception) in &screen.receptions.all {
                        // What a mixer makes has everybody in it.
                        let concerns = viewer == participant
                            || match self.owners[source.0] {
                                Place::Participant(owner) => owner == participant,
                                Place::Server(_) => true,
                            };
                        let was_there = reception.last.is_some_and(|last| last + GAP >= at);
                        if concerns && was_there {
                            lacking.push((viewer, *source));
                        }
                    }
                }
                roaming.lacking = Some(lacking);
                roaming.look(at);
            }
            if captured >= at {
                roaming.has(now, viewer, source);
            }
        }
    }

    /// A source isn't forwarded to a viewer any more, or in another layer: until the next frame is
    /// no freeze.
    pub fn paused(&mut self, viewer: usize, source: SourceId) {
        if let Some(reception) = self.screens[viewer].receptions.get_mut(source)
            && let Some(picture) = &mut reception.picture
        {
            picture.freezes.pause();
        }
        // Whoever isn't chosen any more isn't missed.
        if self.selects {
            for roaming in &mut self.roamings {
                roaming.has(self.now, viewer, source);
            }
        }
    }

    /// What changes of networks cost.
    pub(super) fn roams(&self) -> Vec<Roam> {
        let measured = self.roamings.iter().filter(|it| it.lacking.is_some());
        measured.map(|it| it.roam).collect()
    }

    /// When everybody had something of everything it was to get.
    pub fn all_seen(&self) -> Option<Time> {
        self.all_seen
    }

    /// Gaps, those included that have not ended by `until`.
    pub(super) fn gaps(&self, until: Time) -> Vec<Gap> {
        let mut gaps = self.gaps.clone();
        if self.all_seen.is_some() && !self.selects {
            for (viewer, screen) in self.screens.iter().enumerate() {
                for (source, reception) in &screen.receptions.all {
                    if let Some(from) = reception.last.filter(|last| *last + GAP < until) {
                        gaps.push(Gap {
                            viewer,
                            source: *source,
                            from,
                            to: None,
                        });
                    }
                }
            }
        }
        gaps.sort_by_key(|gap| (gap.from, gap.viewer, gap.source));
        gaps
    }

    /// Delay, and the part of it that queues make.
    pub(super) fn delays(&self, viewer: usize) -> (Percentiles, Percentiles) {
        let screen = &self.screens[viewer];
        (percentiles(&screen.delay), percentiles(&screen.queueing))
    }

    pub(super) fn received(&self, plan: &Plan, viewer: usize, seconds: f64) -> Vec<Received> {
        let mut received: Vec<Received> = self.screens[viewer]
            .receptions
            .all
            .iter()
            .map(|(source, reception)| {
                let picture = reception.picture.as_deref();
                let by_layer = picture.map_or([0; 4], |it| it.by_layer);
                let frames: u32 = by_layer.iter().sum();
                let layers = 0..plan.source(*source).layers.len();
                let share =
                    |layer: usize| f64::from(by_layer[layer.min(3)]) / f64::from(frames.max(1));
                Received {
                    source: *source,
                    kbps: reception.bytes as f64 * 8.0 / 1_000.0 / seconds,
                    layers: layers.map(share).collect(),
                    frames_per_second: f64::from(frames) / seconds,
                    freezes: picture.map_or(0, |it| it.freezes.count),
                    frozen: picture.map_or(Duration::ZERO, |it| it.freezes.total),
                    key_frames: picture.map_or(0, |it| it.key_frames),
                    jitter: reception.jitter.get(),
                    playout: picture
                        .map(|it| Duration::from_micros(it.playout / u64::from(frames.max(1)))),
                }
            })
            .collect();
        received.sort_by_key(|it| it.source);
        received
    }
}

fn percentiles(times: &Histogram) -> Percentiles {
    let at = |share| times.quantile(share).unwrap_or(0.0) / 1_000.0;
    Percentiles {
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
    }
}
