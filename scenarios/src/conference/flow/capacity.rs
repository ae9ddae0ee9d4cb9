//! Which connections can fill a link, and so need congestion control.
//!
//! Congestion control costs several microseconds a packet. A connection that uses less than half of
//! every link on its way, together with all others on the same links, is sent on at its full rate:
//! a controller would find nothing to control. What goes through a TCP connection to a TURN server is
//! controlled wherever an access link can hold it up: a little loss is enough for TCP to carry less
//! than half of the link, and what doesn't fit waits.

use crate::conference::media::Layer;
use crate::conference::plan::{Content, Place, Plan, SourceKind, Track};
use crate::overhead;

/// The share of a link from which on connections over it are controlled.
const BUSY: f64 = 0.5;
/// Headers' share of video on the wire, roughly.
const HEADERS: f64 = 1.08;

/// What each end of each connection offers to send, and whether it is controlled.
pub(super) struct Capacity {
    /// In kbit/s on the wire, by connection and end.
    offered: Vec<[f64; 2]>,
    controlled: Vec<[bool; 2]>,
}

impl Capacity {
    pub(super) fn of(plan: &Plan) -> Self {
        let offered: Vec<[f64; 2]> = plan
            .connections
            .iter()
            .map(|connection| {
                [0, 1].map(|end| offered(plan, &connection.tracks[end], connection.ends[1 - end]))
            })
            .collect();
        // By participant: up, down.
        let mut sums = vec![[0.0; 2]; plan.participants().len()];
        for (connection, offered) in plan.connections.iter().zip(&offered) {
            for (end, place) in connection.ends.into_iter().enumerate() {
                if let Place::Participant(number) = place {
                    sums[number][0] += offered[end];
                    sums[number][1] += offered[1 - end];
                }
            }
        }
        let is_busy = |place: Place, is_up: bool| {
            let Place::Participant(number) = place else {
                return false;
            };
            let Some(access) = plan.participants()[number].access else {
                return false;
            };
            let capacity = if is_up {
                access.up_kbps
            } else {
                access.down_kbps
            };
            sums[number][usize::from(!is_up)] > BUSY * f64::from(capacity)
        };
        let is_held_up = |place: Place| {
            let Place::Participant(number) = place else {
                return false;
            };
            let person = &plan.participants()[number];
            let later = person.roams.as_ref().map(|(_, kind)| kind);
            let mut kinds = std::iter::once(&person.network).chain(later);
            person.access.is_some() && kinds.any(|kind| !kind.passes_udp())
        };
        let controlled = plan.connections.iter().map(|connection| {
            [0, 1].map(|end| {
                let ends = connection.ends;
                let sends = !connection.tracks[end].is_empty();
                let is_busy = is_busy(ends[end], true) || is_busy(ends[1 - end], false);
                sends && (is_busy || ends.into_iter().any(is_held_up))
            })
        });
        Capacity {
            controlled: controlled.collect(),
            offered,
        }
    }

    /// What that end may have to send at the most, in kbit/s, if it is to be controlled.
    pub(super) fn to_control(&self, connection: usize, end: usize) -> Option<f64> {
        self.controlled[connection][end].then(|| self.offered[connection][end])
    }
}

fn most(layers: &[Layer], highest: usize) -> f64 {
    let layer = layers.get(highest).or(layers.last());
    layer.map_or(0.0, |layer| f64::from(layer.max_kbps) * HEADERS)
}

/// An audio stream's rate on the wire.
pub(super) fn audio_kbps(plan: &Plan) -> f64 {
    plan.config.audio.as_ref().map_or(0.0, |audio| {
        let packet = audio.payload() + overhead::AUDIO_PACKET;
        packet as f64 * 8.0 / f64::from(audio.packet_ms)
    })
}

fn offered(plan: &Plan, tracks: &[Track], to: Place) -> f64 {
    if matches!(to, Place::Server(_)) {
        return tracks.iter().map(|track| everything(plan, track)).sum();
    }
    let pictures = pictures(plan, tracks);
    let mut left =
        [SourceKind::Audio, SourceKind::Camera].map(|kind| plan.latest(kind).unwrap_or(usize::MAX));
    let mut sum = 0.0;
    for track in tracks {
        let source = plan.source(track.source);
        if track.content == Content::Everything {
            sum += everything(plan, track);
            continue;
        }
        let left = &mut left[usize::from(source.kind.is_video())];
        if *left == 0 {
            continue;
        }
        *left -= 1;
        sum += if source.kind.is_video() {
            most(
                &source.layers,
                plan.config.view.highest(pictures, &source.layers),
            )
        } else {
            audio_kbps(plan)
        };
    }
    sum
}

/// How many pictures of these tracks a viewer has before it at once.
pub(super) fn pictures(plan: &Plan, tracks: &[Track]) -> usize {
    let pictures = tracks
        .iter()
        .filter(|it| plan.source(it.source).kind.is_video());
    let most = plan.latest(SourceKind::Camera).unwrap_or(usize::MAX);
    pictures.count().min(most)
}

fn everything(plan: &Plan, track: &Track) -> f64 {
    let source = plan.source(track.source);
    if !source.kind.is_video() {
        return audio_kbps(plan);
    }
    let rates = crate::conference::media::profile::share(&source.layers, u32::MAX);
    f64::from(rates.sum::<u32>()) * HEADERS
}

#[cfg(test)]
mod tests {
    use pinhole::link::AccessProfile;

    use super::*;
    use crate::conference::{ConferenceConfig, Topology};

    fn controlled(topology: Topology, participants: usize, access: &str) -> Vec<[bool; 2]> {
        let access = AccessProfile::named(access).unwrap();
        let config = ConferenceConfig::new(topology, participants, Some(access));
        Capacity::of(&Plan::new(config).unwrap()).controlled
    }

    #[test]
    fn only_what_can_fill_a_link_is_controlled() {
        // 15 Mbit/s up: two streams of 2.7 fit into half of it, three don't.
        assert_eq!(controlled(Topology::Mesh, 3, "cable"), [[false; 2]; 3]);
        assert_eq!(controlled(Topology::Mesh, 4, "cable"), [[true; 2]; 6]);
        assert_eq!(controlled(Topology::Sfu, 3, "cable"), [[false; 2]; 3]);
        // TCP is slower than the link that it is on.
        let mut config = ConferenceConfig::new(Topology::Sfu, 2, AccessProfile::named("lte").ok());
        config.participants[1].network = "udp-blocked".parse().unwrap();
        let controlled = |config: &ConferenceConfig| {
            Capacity::of(&Plan::new(config.clone()).unwrap()).controlled
        };
        assert_eq!(controlled(&config), [[false; 2], [true; 2]]);
        let kind = "tcp-443-only".parse().unwrap();
        config.participants[0].roams = Some((pinhole::Time::from_millis(9_000), kind));
        assert_eq!(controlled(&config), [[true; 2]; 2]);
    }

    #[test]
    fn a_narrow_uplink_is_controlled() {
        // An ADSL uplink bears no ladder of 3.4 Mbit/s.
        assert!(controlled(Topology::Sfu, 2, "adsl").iter().all(|it| it[0]));
    }
}
