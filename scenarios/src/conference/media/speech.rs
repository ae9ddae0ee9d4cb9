//! Who speaks when.
//!
//! A server chooses by audio level whom it forwards. Here one speaks at a time, for turns of
//! exponentially distributed length; the next is any of the others, as likely. Everybody's turns are
//! drawn beforehand from the seed, so both simulators forward the same people at the same time.

use std::time::Duration;

use pinhole::{Stream, Time};

/// How long a turn is on average: a proposal, no source states one.
pub const TURN: Duration = Duration::from_secs(8);

/// Shorter turns change nobody's picture: servers wait for so long before they take somebody for the
/// speaker.
pub const SHORTEST_TURN: Duration = Duration::from_secs(2);

/// The turns of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Speech {
    /// When a turn begins, and whose it is.
    turns: Vec<(Time, usize)>,
    people: usize,
}

impl Speech {
    /// A conversation between so many people until then.
    pub fn new(people: usize, until: Time, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "speech");
        let mut turns = Vec::new();
        let mut now = Time::ZERO;
        let mut speaker = 0;
        while now < until && people > 0 {
            turns.push((now, speaker));
            let beyond = (TURN - SHORTEST_TURN).as_secs_f64();
            let more = -beyond * (1.0 - stream.unit()).ln();
            now = now + SHORTEST_TURN + Duration::from_secs_f64(more);
            if people > 1 {
                let step = 1 + stream.below(people as u64 - 1) as usize;
                speaker = (speaker + step) % people;
            }
        }
        Speech { turns, people }
    }

    /// How many people there are.
    pub fn people(&self) -> usize {
        self.people
    }

    /// Who speaks.
    pub fn speaker(&self, now: Time) -> Option<usize> {
        let begun = self.turns.partition_point(|(from, _)| *from <= now);
        Some(self.turns[begun.checked_sub(1)?].1)
    }

    /// When the next turn begins.
    pub fn next_turn(&self, now: Time) -> Option<Time> {
        let begun = self.turns.partition_point(|(from, _)| *from <= now);
        self.turns.get(begun).map(|(from, _)| *from)
    }

    /// The `count` people who spoke last, the present speaker first; who hasn't spoken yet comes
    /// after all who have, in the order of their numbers.
    pub fn latest(&self, now: Time, count: usize) -> Vec<usize> {
        let begun = self.turns.partition_point(|(from, _)| *from <= now);
        let mut latest: Vec<usize> = Vec::with_capacity(count.min(self.people));
        let mut is_in = vec![false; self.people];
        let spoken = self.turns[..begun].iter().rev().map(|(_, who)| *who);
        for who in spoken.chain(0..self.people) {
            if latest.len() == count {
                break;
            }
            if !std::mem::replace(&mut is_in[who], true) {
                latest.push(who);
            }
        }
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_a_turn_in_the_end() {
        let speech = Speech::new(5, Time::from_secs(3_600), 1);
        let mut heard = [0_u32; 5];
        let mut now = Time::ZERO;
        while let Some(next) = speech.next_turn(now) {
            assert!(next.saturating_since(now) >= SHORTEST_TURN);
            assert_ne!(speech.speaker(now), speech.speaker(next));
            now = next;
            heard[speech.speaker(now).unwrap()] += 1;
        }
        // 450 turns of 8 s, give or take four standard deviations.
        let turns: u32 = heard.iter().sum();
        assert!((390..510).contains(&turns), "{turns}");
        assert!(heard.iter().all(|turns| *turns > 50), "{heard:?}");
    }

    #[test]
    fn the_latest_begin_with_the_speaker() {
        let speech = Speech::new(6, Time::from_secs(600), 3);
        let now = Time::from_secs(100);
        let latest = speech.latest(now, 3);
        assert_eq!(latest.len(), 3);
        assert_eq!(Some(latest[0]), speech.speaker(now));
        let mut all = speech.latest(now, 100);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_person_speaks_alone() {
        let speech = Speech::new(1, Time::from_secs(60), 1);
        assert_eq!(speech.speaker(Time::from_secs(59)), Some(0));
        assert!(
            Speech::new(0, Time::from_secs(60), 1)
                .latest(Time::ZERO, 3)
                .is_empty()
        );
    }
}
