//! What a recorded call shows: the lives of its packets, and the journeys that they make up.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::journey::{self, Identity, Journey, What};
use super::lives::Lives;
use crate::call::Call;

/// What a recorded call shows. Whatever its packets' lives tell, it tells.
pub(super) struct Evidence<'a> {
    lives: Lives<'a>,
    /// In the order in which they began.
    pub(super) journeys: Vec<Journey>,
    /// The first answer to each check, by transaction: a place among the journeys.
    answers: BTreeMap<[u8; 12], usize>,
}

impl<'a> Deref for Evidence<'a> {
    type Target = Lives<'a>;

    fn deref(&self) -> &Lives<'a> {
        &self.lives
    }
}

impl<'a> Evidence<'a> {
    pub(super) fn of(call: &'a Call<'a>) -> Self {
        let lives = Lives::of(call);
        let journeys = journey::follow(&lives);
        let mut answers = BTreeMap::new();
        for (place, journey) in journeys.iter().enumerate() {
            if let (What::Answer, Identity::Transaction(id)) = (journey.what, journey.identity) {
                answers.entry(id).or_insert(place);
            }
        }
        Evidence {
            lives,
            journeys,
            answers,
        }
    }

    /// The first answer to a check.
    pub(super) fn answer_to(&self, check: &Journey) -> Option<&Journey> {
        match check.identity {
            Identity::Transaction(id) => Some(&self.journeys[*self.answers.get(&id)?]),
            Identity::Data(_) => None,
        }
    }
}
