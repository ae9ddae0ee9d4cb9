//! A choice among things by weight.

/// Things to choose from, each as likely as its weight says. Weights are normalised.
#[derive(Clone, PartialEq, Debug)]
pub struct Weighted<T> {
    entries: Vec<(T, f64)>,
    /// The sum of weights up to and including each entry, as a share of all.
    cumulative: Vec<f64>,
}

/// Why weights make no choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WeightError {
    /// A weight is below zero, or no number.
    #[error("a weight is 0 or more")]
    Negative,
    /// There is nothing to choose.
    #[error("the weights sum to 0; at least one must be above it")]
    Nothing,
    /// The sum isn't finite.
    #[error("the weights sum to more than can be counted")]
    TooMuch,
}

impl<T> Weighted<T> {
    /// A choice among these.
    ///
    /// # Errors
    ///
    /// A weight is negative, or all sum to nothing.
    pub fn new(entries: Vec<(T, f64)>) -> Result<Self, WeightError> {
        // Written so that a weight that is no number is refused too.
        if !entries.iter().all(|(_, weight)| *weight >= 0.0) {
            return Err(WeightError::Negative);
        }
        let sum: f64 = entries.iter().map(|(_, weight)| weight).sum();
        if sum <= 0.0 {
            return Err(WeightError::Nothing);
        }
        if !sum.is_finite() {
            return Err(WeightError::TooMuch);
        }
        let mut so_far = 0.0;
        let mut cumulative: Vec<f64> = entries
            .iter()
            .map(|(_, weight)| {
                so_far += weight;
                so_far / sum
            })
            .collect();
        // Rounding must not leave a gap at the end, nor give it to an entry without weight.
        let last = entries.iter().rposition(|(_, weight)| *weight > 0.0);
        cumulative[last.expect("the sum is above 0")..].fill(1.0);
        Ok(Weighted {
            entries,
            cumulative,
        })
    }

    /// The choice that a number from 0 up to but not including 1 stands for.
    pub fn at(&self, unit: f64) -> &T {
        let place = self.cumulative.partition_point(|share| *share <= unit);
        &self.entries[place.min(self.entries.len() - 1)].0
    }

    /// What there is to choose, with the weights as they were given.
    pub fn entries(&self) -> &[(T, f64)] {
        &self.entries
    }

    /// How likely each entry is, in their order; the sum is 1.
    pub fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        let sum: f64 = self.entries.iter().map(|(_, weight)| weight).sum();
        self.entries.iter().map(move |(_, weight)| weight / sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_that_make_no_choice_are_refused() {
        let error = |weights: &[f64]| {
            let entries = weights.iter().map(|weight| ((), *weight)).collect();
            Weighted::new(entries).unwrap_err()
        };
        assert_eq!(error(&[]), WeightError::Nothing);
        assert_eq!(error(&[0.0, 0.0]), WeightError::Nothing);
        assert_eq!(error(&[1.0, -0.5]), WeightError::Negative);
        assert_eq!(error(&[f64::NAN]), WeightError::Negative);
        assert_eq!(error(&[f64::MAX, f64::MAX]), WeightError::TooMuch);
    }

    proptest! {
        #[test]
        fn what_has_no_weight_is_never_chosen(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1.0], 1..8),
            unit in prop_oneof![0.0..1.0, Just(0.0), Just(1.0_f64.next_down())],
        ) {
            let entries: Vec<_> = weights.iter().copied().enumerate().collect();
            if let Ok(choice) = Weighted::new(entries) {
                prop_assert!(weights[*choice.at(unit)] > 0.0);
            }
        }
    }

    #[test]
    fn each_is_chosen_over_as_much_as_its_weight_says() {
        let choice = Weighted::new(vec![('a', 1.0), ('b', 3.0)]).unwrap();
        assert_eq!(choice.shares().collect::<Vec<_>>(), [0.25, 0.75]);
        for (unit, chosen) in [(0.0, 'a'), (0.2499, 'a'), (0.25, 'b'), (0.9999, 'b')] {
            assert_eq!(*choice.at(unit), chosen, "{unit}");
        }
    }
}
