//! How far a share that was counted may be from the true one.

/// The quantile of the normal distribution that leaves 2.5 % on either side.
const Z95: f64 = 1.959_963_984_540_054;

/// A share with its 95 % interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// How many were counted.
    pub count: u64,
    /// The share that was counted.
    pub share: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Interval {
    /// The Wilson score interval (Wilson 1927) of `count` among `of`; `None` among none. It holds
    /// the true share in 95 of 100 samples, stays within 0 and 1, and is no point where the count is
    /// 0 or everything, as the textbook interval would be.
    pub fn wilson(count: u64, of: u64) -> Option<Interval> {
        if of == 0 {
            return None;
        }
        let n = of as f64;
        let share = count as f64 / n;
        let z2 = Z95 * Z95;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        Some(Interval {
            count,
            share,
            // At the ends the interval ends exactly where the share is; rounding may not.
            low: if count == 0 {
                0.0
            } else {
                (middle - half).max(0.0)
            },
            high: if count >= of {
                1.0
            } else {
                (middle + half).min(1.0)
            },
        })
    }

    /// Whether a true share of this much would be no surprise.
    pub fn holds(&self, share: f64) -> bool {
        (self.low..=self.high).contains(&share)
    }

    /// Whether any share between these two would be no surprise.
    pub fn meets(&self, low: f64, high: f64) -> bool {
        self.low <= high && low <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Brown, Cai and DasGupta 2001 and Newcombe 1998 (Table I: 81/263, 15/148, 0/20, 1/29) print
    /// these to four places.
    #[test]
    fn the_values_that_newcombe_printed() {
        for (count, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = Interval::wilson(count, of).unwrap();
            assert!((interval.low - low).abs() < 0.000_05, "{interval:?}");
            assert!((interval.high - high).abs() < 0.000_05, "{interval:?}");
        }
        assert_eq!(Interval::wilson(0, 0), None);
    }

    proptest! {
        #[test]
        fn an_interval_is_within_0_and_1_and_holds_its_share(of in 1..1u64 << 40, part in 0.0..=1.0f64) {
            let count = (of as f64 * part) as u64;
            let interval = Interval::wilson(count, of).unwrap();
            prop_assert!(0.0 <= interval.low && interval.low <= interval.share);
            prop_assert!(interval.share <= interval.high && interval.high <= 1.0);
            prop_assert!(interval.holds(interval.share));
            let mirrored = Interval::wilson(of - count, of).unwrap();
            prop_assert!((1.0 - mirrored.high - interval.low).abs() < 1e-9);
        }
    }
}
