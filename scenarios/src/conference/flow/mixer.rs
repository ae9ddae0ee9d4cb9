//! What a mixer knows of what it mixes: no picture is decoded, but what goes into one has its time.

use pinhole::Time;

use crate::conference::media::Speech;
use crate::conference::plan::Plan;

/// What a mixer has decoded of late.
pub(super) struct Mixer {
    speech: Speech,
    publishers: Vec<usize>,
    /// When what came last was captured, by participant: sound, picture.
    pub(super) captured: Vec<[Option<Time>; 2]>,
    /// The last two who spoke.
    latest: [usize; 2],
}

impl Mixer {
    pub(super) fn new(plan: &Plan) -> Self {
        let publishers: Vec<usize> = plan.publishers().collect();
        let mut mixer = Mixer {
            speech: Speech::new(publishers.len(), plan.config.until(), plan.config.seed),
            latest: [publishers[0]; 2],
            publishers,
            captured: vec![[None; 2]; plan.participants().len()],
        };
        mixer.listen(Time::ZERO);
        mixer
    }

    pub(super) fn listen(&mut self, now: Time) {
        let latest = self.speech.latest(now, 2);
        for (place, speaker) in latest.into_iter().enumerate() {
            self.latest[place] = self.publishers[speaker];
        }
    }

    /// When what a viewer gets mixed now was captured: what the last speaker but itself sent last.
    pub(super) fn captured_for(&self, viewer: usize, is_video: bool) -> Option<Time> {
        let speaker = self.latest.iter().find(|it| **it != viewer)?;
        self.captured[*speaker][usize::from(is_video)]
    }
}
