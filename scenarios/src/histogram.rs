//! Times in a space that doesn't grow: logarithmic buckets.

/// Buckets to each doubling. A bucket is at most 1/64 of its times wide, and its middle at most
/// 1/128, 0.8 %, from any of them.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of times in microseconds, from which quantiles can be read within 0.8 %; times below
/// 128 µs are exact. How many there are changes nothing in its size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// As long as the longest time needs: under 4,000 entries for any.
    buckets: Vec<u64>,
    count: u64,
    least: u64,
    most: u64,
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, micros: u64) {
        let bucket = bucket(micros);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.least = if self.count == 0 {
            micros
        } else {
            self.least.min(micros)
        };
        self.most = self.most.max(micros);
        self.count += 1;
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time, in microseconds, that this share of all are no longer than (the nearest-rank
    /// quantile, within 0.8 %); `None` of nothing.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut so_far = 0;
        let found = self.buckets.iter().position(|count| {
            so_far += count;
            so_far >= rank.min(self.count)
        });
        let (low, width) = span(found.filter(|_| self.count > 0)?);
        let middle = low as f64 + (width - 1) as f64 / 2.0;
        Some(middle.clamp(self.least as f64, self.most as f64))
    }

    /// The distribution as steps: up to which time, in microseconds, which share of all.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mut so_far = 0;
        let filled = self.buckets.iter().enumerate().filter(|(_, n)| **n > 0);
        filled.map(move |(bucket, n)| {
            so_far += n;
            let (low, width) = span(bucket);
            (
                (low + width - 1).min(self.most) as f64,
                so_far as f64 / self.count as f64,
            )
        })
    }
}

/// The bucket of a time: itself below 128, then 64 to each doubling.
fn bucket(micros: u64) -> usize {
    let doublings = u64::from((63 - (micros | 1).leading_zeros()).saturating_sub(STEP_BITS));
    (doublings * STEPS + (micros >> doublings)) as usize
}

/// The least time of a bucket, and how many are in it.
fn span(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    let doublings = (bucket / STEPS).saturating_sub(1);
    ((bucket - doublings * STEPS) << doublings, 1 << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_in_the_span_of_its_bucket(micros: u64) {
            for micros in [micros, micros >> 20, micros >> 40, micros >> 56] {
                let (low, width) = span(bucket(micros));
                prop_assert!(low <= micros && micros - low < width);
                prop_assert!(width == 1 || width as f64 / low as f64 <= 1.0 / 64.0);
            }
        }

        #[test]
        fn quantiles_are_within_a_percent_of_the_exact_ones(
            mut times in prop::collection::vec(0..100_000_000u64, 1..500),
            share in 0.0..=1.0f64,
        ) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|time| histogram.add(*time));
            times.sort_unstable();
            let rank = ((share * times.len() as f64).ceil() as usize).max(1);
            let exact = times[rank - 1] as f64;
            let read = histogram.quantile(share).unwrap();
            prop_assert!((read - exact).abs() <= exact * 0.008 + 1e-9, "{read} for {exact}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_one_time_is_exact() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(612_345);
        assert_eq!(histogram.quantile(0.5), Some(612_345.0));
        assert_eq!(histogram.quantile(0.0), Some(612_345.0));
        let steps: Vec<_> = histogram.steps().collect();
        assert_eq!(steps, [(612_345.0, 1.0)]);
    }
}
