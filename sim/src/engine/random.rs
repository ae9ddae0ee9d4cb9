//! Random streams, one for each entity, keyed by the run's seed and the entity's name.
//!
//! An entity draws from its own stream only, so that adding a host, or one draw more in one link,
//! changes nobody else's numbers.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A repeatable source of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(fastrand::Rng);

impl Stream {
    /// The stream of the entity called `name` in the run with `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        Stream::from_key(seed, name_key(name))
    }

    /// The stream of an entity whose name was hashed before, by [`name_key`].
    pub(crate) fn from_key(seed: u64, key: u64) -> Self {
        Stream(fastrand::Rng::with_seed(xxh3_64_with_seed(
            &key.to_le_bytes(),
            seed,
        )))
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `bound`, each as likely; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.u64(..bound) }
    }

    /// True with the given probability; never draws for 0 and 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && (probability >= 1.0 || self.0.f64() < probability)
    }

    /// A number from 0 up to but not including 1.
    pub fn unit(&mut self) -> f64 {
        self.0.f64()
    }
}

/// The number that stands for an entity's name.
pub(crate) fn name_key(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), 0)
}

/// The number that stands for something between two named entities, the `ordinal`th of its kind.
pub(crate) fn pair_key(first: u64, second: u64, ordinal: u64) -> u64 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..16].copy_from_slice(&second.to_le_bytes());
    bytes[16..].copy_from_slice(&ordinal.to_le_bytes());
    xxh3_64_with_seed(&bytes, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_seed_and_name_only() {
        let draw = |seed, name| Stream::new(seed, name).next_u64();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn chances_come_true_as_often_as_they_say() {
        let mut stream = Stream::new(7, "dice");
        let hits = (0..100_000).filter(|_| stream.chance(0.25)).count();
        // Four standard deviations of a binomial distribution around 25,000.
        assert!((24_450..25_550).contains(&hits), "{hits}");
        assert!(!stream.chance(0.0));
        assert!(stream.chance(1.0));
    }
}
