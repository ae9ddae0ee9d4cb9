//! What people got, in one number each: how much of the full picture, and how long nobody.

use std::time::Duration;

use pinhole::Time;

use super::outcome::ConferenceOutcome;
use super::plan::{Place, Plan, SourceKind};

/// The share of the full rate of all pictures before a viewer that reached it; `None` if it is to
/// get no picture. More than the last-N at a time count as full.
pub fn share_of_video(plan: &Plan, outcome: &ConferenceOutcome, viewer: usize) -> Option<f64> {
    let place = Place::Participant(viewer);
    let mut full: Vec<u32> = Vec::new();
    for (connection, end) in plan.connections_of(place) {
        for track in &plan.connections[connection].tracks[1 - end] {
            let source = plan.source(track.source);
            full.extend(source.layers.last().map(|layer| layer.max_kbps));
        }
    }
    if let Some(most) = plan.latest(SourceKind::Camera) {
        full.sort_unstable_by(|one, other| other.cmp(one));
        full.truncate(most);
    }
    let full: f64 = full.into_iter().map(f64::from).sum();
    if full == 0.0 {
        return None;
    }
    let got = outcome.participants[viewer].received_kbps(|id| plan.source(id).kind.is_video());
    // A sum of nothing is -0.
    let got = got + 0.0;
    Some((got / full).clamp(0.0, 1.0))
}

/// The mean over all viewers of the [share of video](share_of_video); `None` where there is none.
pub fn mean_share_of_video(plan: &Plan, outcome: &ConferenceOutcome) -> Option<f64> {
    let viewers = 0..plan.participants().len();
    let shares: Vec<f64> = viewers
        .filter_map(|viewer| share_of_video(plan, outcome, viewer))
        .collect();
    let viewers = shares.len() as f64;
    (viewers > 0.0).then(|| shares.iter().sum::<f64>() / viewers)
}

/// How long somebody lacked something, after everybody had had everything: gaps that overlap count
/// once, one that never ended counts to the conference's end.
pub fn time_lost(plan: &Plan, outcome: &ConferenceOutcome) -> Duration {
    let end = plan.config.until();
    let mut gaps: Vec<(Time, Time)> = outcome
        .gaps
        .iter()
        .map(|gap| (gap.from, gap.to.unwrap_or(end)))
        .collect();
    gaps.sort_unstable();
    let mut lost = Duration::ZERO;
    let mut until = Time::ZERO;
    for (from, to) in gaps {
        lost += to.saturating_since(from.max(until));
        until = until.max(to);
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conference::{ConferenceConfig, Fidelity, Gap, SourceId, Topology, run};

    fn computed(config: ConferenceConfig) -> (Plan, ConferenceOutcome) {
        let plan = Plan::new(config).unwrap();
        let outcome = run(&plan, Fidelity::Formula).unwrap();
        (plan, outcome)
    }

    #[test]
    fn where_all_fits_all_is_had() {
        for topology in ["mesh", "sfu", "cascade:2", "mcu"] {
            let topology = topology.parse().unwrap();
            let (plan, outcome) = computed(ConferenceConfig::new(topology, 4, None));
            let share = mean_share_of_video(&plan, &outcome).unwrap();
            assert!((share - 1.0).abs() < 1e-6, "{topology}: {share}");
        }
        let mut chosen = ConferenceConfig::new(Topology::Sfu, 8, None);
        chosen.last_n = std::num::NonZeroUsize::new(3);
        let (plan, outcome) = computed(chosen);
        assert_eq!(mean_share_of_video(&plan, &outcome), Some(1.0));
        let mut heard = ConferenceConfig::new(Topology::Sfu, 3, None);
        heard.video = None;
        let (plan, outcome) = computed(heard);
        assert_eq!(mean_share_of_video(&plan, &outcome), None);
    }

    #[test]
    fn gaps_that_overlap_are_lost_once() {
        let (plan, mut outcome) = computed(ConferenceConfig::new(Topology::Sfu, 3, None));
        let gap = |from, to: Option<u64>| Gap {
            viewer: 0,
            source: SourceId(2),
            from: Time::from_millis(from),
            to: to.map(Time::from_millis),
        };
        outcome.gaps = vec![
            gap(2_000, Some(5_000)),
            gap(3_000, Some(4_000)),
            gap(4_500, Some(6_000)),
            gap(38_000, None),
        ];
        assert_eq!(time_lost(&plan, &outcome), Duration::from_secs(4 + 2));
    }
}
