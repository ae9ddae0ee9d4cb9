//! The media lines of a planned connection: both ends read them off the same plan.

use str0m::media::{Direction, MediaKind, Simulcast, SimulcastLayer};

use super::connection::Line;
use crate::conference::plan::{Content, Place, Plan, SourceId, SourceKind, Track};

/// What one end sends on a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sends {
    /// Nothing.
    Nothing,
    /// A source, all its layers or one of them.
    Source(SourceId),
    /// One layer of a source, always the same.
    Layer(SourceId, usize),
    /// One of those who spoke last.
    Latest,
}

/// A line of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Planned {
    /// Whether it is video.
    pub(super) is_video: bool,
    /// What each end sends.
    pub(super) sends: [Sends; 2],
}

/// The lines of a connection, in the order of the offer.
pub(super) fn of(plan: &Plan, connection: usize) -> Vec<Planned> {
    let connection = &plan.connections[connection];
    let are_servers = connection.ends.iter().all(is_server);
    let mut lines: Vec<Planned> = Vec::new();
    for (end, tracks) in connection.tracks.iter().enumerate() {
        let (all, selected): (Vec<&Track>, Vec<&Track>) = tracks
            .iter()
            .partition(|track| track.content == Content::Everything);
        let is_video = |track: &Track| plan.source(track.source).kind.is_video();
        let mut add = |is_video, sent| {
            let mut sends = [Sends::Nothing; 2];
            sends[end] = sent;
            lines.push(Planned { is_video, sends });
        };
        for track in all {
            let layers = plan.source(track.source).layers.len();
            if are_servers && layers > 1 {
                for layer in 0..layers {
                    add(true, Sends::Layer(track.source, layer));
                }
            } else {
                add(is_video(track), Sends::Source(track.source));
            }
        }
        for kind in [SourceKind::Audio, SourceKind::Camera] {
            let of_kind = selected
                .iter()
                .filter(|track| is_video(track) == kind.is_video());
            match plan.latest(kind) {
                None => of_kind.for_each(|track| add(is_video(track), Sends::Source(track.source))),
                Some(most) => {
                    for _ in 0..of_kind.count().min(most) {
                        add(kind.is_video(), Sends::Latest);
                    }
                }
            }
        }
    }
    if !connection.ends.iter().any(is_server) {
        lines = joined(&lines);
    }
    lines
}

fn is_server(place: &Place) -> bool {
    matches!(place, Place::Server(_))
}

/// Two people who send each other the same kind of thing do it on one line.
fn joined(lines: &[Planned]) -> Vec<Planned> {
    let mut joined: Vec<Planned> = Vec::new();
    for line in lines {
        let partner = joined.iter_mut().find(|other| {
            line.sends[0] == Sends::Nothing
                && other.is_video == line.is_video
                && other.sends[1] == Sends::Nothing
        });
        match partner {
            Some(partner) => partner.sends[1] = line.sends[1],
            None => joined.push(*line),
        }
    }
    joined
}

/// The name of a layer on the wire (RFC 8851).
pub(super) fn rid(layer: usize) -> String {
    format!("l{layer}")
}

/// The line, as the first end offers it.
pub(super) fn offered(plan: &Plan, line: &Planned) -> Line {
    let layers = match line.sends[0] {
        Sends::Source(source) => plan.source(source).layers.len(),
        _ => 1,
    };
    let simulcast = (layers > 1).then(|| {
        let mut simulcast = Simulcast::new();
        for layer in 0..layers {
            simulcast.add_send_layer(SimulcastLayer::new(&rid(layer)));
        }
        simulcast
    });
    Line {
        kind: if line.is_video {
            MediaKind::Video
        } else {
            MediaKind::Audio
        },
        direction: match line.sends.map(|sends| sends != Sends::Nothing) {
            [true, true] => Direction::SendRecv,
            [true, false] => Direction::SendOnly,
            [false, true] => Direction::RecvOnly,
            [false, false] => Direction::Inactive,
        },
        simulcast,
    }
}
