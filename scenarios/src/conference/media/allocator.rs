//! Which layer of each source a receiver is given, within what its connection bears.
//!
//! "The same layer for everybody, whatever fits right now" flaps: each switch costs a key frame, the
//! key frame fills the queue, the estimate falls, all go down together and come up together. So:
//! each source for itself, one step up at a time, and only after a while of peace with room to
//! spare. Down at once: what doesn't fit hurts now.

use std::time::Duration;

use pinhole::Time;

/// How long there must have been no switch before one goes up.
pub const PEACE: Duration = Duration::from_secs(5);

/// How much more than all layers together the connection must bear before one goes up, as a share.
pub const HEADROOM: f64 = 0.15;

/// What there is of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer<'a> {
    /// What each layer costs at present in kbit/s on the wire, the smallest first; 0 for one that
    /// isn't sent.
    pub layers: &'a [u32],
    /// The highest layer that the receiver has a use for.
    pub highest: usize,
}

impl Offer<'_> {
    fn cost(&self, layer: Option<usize>) -> u32 {
        layer.map_or(0, |layer| self.layers[layer])
    }

    fn is_sent(&self, layer: usize) -> bool {
        layer <= self.highest && self.layers.get(layer).is_some_and(|kbps| *kbps > 0)
    }

    /// The nearest layer below that is sent.
    fn below(&self, layer: usize) -> Option<usize> {
        (0..layer.min(self.layers.len()))
            .rev()
            .find(|at| self.is_sent(*at))
    }

    /// The nearest layer above that is sent.
    fn above(&self, layer: Option<usize>) -> Option<usize> {
        let from = layer.map_or(0, |layer| layer + 1);
        (from..self.layers.len()).find(|at| self.is_sent(*at))
    }
}

/// A change of a source's layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    /// The source.
    pub source: usize,
    /// What it was; `None` is nothing.
    pub from: Option<usize>,
    /// What it is now; `None` is nothing.
    pub to: Option<usize>,
}

/// One receiver's layers.
#[derive(Clone, Debug)]
pub struct Allocator {
    layers: Vec<Option<usize>>,
    /// When a layer last changed because of what the connection bears.
    changed: Option<Time>,
}

impl Allocator {
    /// Nothing of any of so many sources.
    pub fn new(sources: usize) -> Self {
        Allocator {
            layers: vec![None; sources],
            changed: None,
        }
    }

    /// What the receiver is given of a source.
    pub fn layer(&self, source: usize) -> Option<usize> {
        self.layers[source]
    }

    /// Begins with the best that fits into so many kbit/s, the first source first; every source gets
    /// its lowest layer before any gets more. For a receiver that has just come.
    pub fn begin(&mut self, now: Time, kbps: u32, offers: &[Offer<'_>]) -> Vec<Switch> {
        let before = self.layers.clone();
        self.layers.fill(None);
        while let Some((source, to)) = self.cheapest_step(f64::from(kbps), offers) {
            self.layers[source] = Some(to);
        }
        self.changed = Some(now);
        let pairs = before.into_iter().zip(&self.layers).enumerate();
        pairs
            .filter(|(_, (from, to))| from != *to)
            .map(|(source, (from, to))| Switch {
                source,
                from,
                to: *to,
            })
            .collect()
    }

    /// Looks again: what changes now, with so many kbit/s. Call it until it answers `None`; it goes
    /// down as often as needed, and up once.
    pub fn step(&mut self, now: Time, kbps: u32, offers: &[Offer<'_>]) -> Option<Switch> {
        // A layer that is no longer sent, or too large for its use, goes without asking the rate.
        for (source, offer) in offers.iter().enumerate() {
            if let Some(layer) = self.layers[source]
                && !offer.is_sent(layer)
            {
                let to = offer.below(layer);
                return Some(self.switch(source, to));
            }
        }
        if self.cost(offers) > kbps {
            let (source, to) = self.dearest(offers)?;
            self.changed = Some(now);
            return Some(self.switch(source, to));
        }
        let peace = self.changed.is_none_or(|changed| now >= changed + PEACE);
        let bearable = f64::from(kbps) / (1.0 + HEADROOM);
        // The lowest layer costs little and is worth most: it needs no peace.
        let (source, to) = self.cheapest_step(bearable, offers)?;
        if !peace && self.layers[source].is_some() {
            return None;
        }
        if self.layers[source].is_some() {
            self.changed = Some(now);
        }
        Some(self.switch(source, Some(to)))
    }

    fn switch(&mut self, source: usize, to: Option<usize>) -> Switch {
        let from = std::mem::replace(&mut self.layers[source], to);
        Switch { source, from, to }
    }

    /// Whether it is given nothing at all, and would be if the connection bore more.
    pub fn starves(&self, offers: &[Offer<'_>]) -> bool {
        let nothing = self.layers.iter().all(Option::is_none);
        nothing && offers.iter().any(|offer| offer.above(None).is_some())
    }

    /// What all layers cost at present, in kbit/s on the wire.
    pub fn cost(&self, offers: &[Offer<'_>]) -> u32 {
        let costs = offers.iter().zip(&self.layers);
        costs.map(|(offer, layer)| offer.cost(*layer)).sum()
    }

    /// The step up that fits and starts from the lowest layer; of several the first source's.
    fn cheapest_step(&self, kbps: f64, offers: &[Offer<'_>]) -> Option<(usize, usize)> {
        let cost = self.cost(offers);
        offers
            .iter()
            .enumerate()
            .filter_map(|(source, offer)| {
                let from = self.layers[source];
                let to = offer.above(from)?;
                let after = cost - offer.cost(from) + offer.cost(Some(to));
                (f64::from(after) <= kbps).then_some((from, source, to))
            })
            .min()
            .map(|(_, source, to)| (source, to))
    }

    /// The step down from the highest layer; of several the last source's. Sources are stopped only
    /// where all have come down to their lowest.
    fn dearest(&self, offers: &[Offer<'_>]) -> Option<(usize, Option<usize>)> {
        let given = offers.iter().enumerate().filter_map(|(source, offer)| {
            let layer = self.layers[source]?;
            Some((layer, source, offer.below(layer)))
        });
        given.max().map(|(_, source, to)| (source, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: [u32; 3] = [200, 600, 2_600];

    fn offers(sources: usize) -> Vec<Offer<'static>> {
        vec![
            Offer {
                layers: &LADDER,
                highest: 2,
            };
            sources
        ]
    }

    fn settled(allocator: &mut Allocator, now: Time, kbps: u32, offers: &[Offer<'_>]) -> usize {
        std::iter::from_fn(|| allocator.step(now, kbps, offers)).count()
    }

    #[test]
    fn everybody_is_seen_before_anybody_is_sharp() {
        let mut allocator = Allocator::new(3);
        let offers = offers(3);
        allocator.begin(Time::ZERO, 1_000, &offers);
        let layers: Vec<_> = (0..3).map(|source| allocator.layer(source)).collect();
        assert_eq!(layers, [Some(1), Some(0), Some(0)]);
        assert_eq!(allocator.cost(&offers), 1_000);
    }

    #[test]
    fn down_at_once_and_up_one_step_in_peace() {
        let mut allocator = Allocator::new(2);
        let offers = offers(2);
        allocator.begin(Time::ZERO, 10_000, &offers);
        assert_eq!(allocator.cost(&offers), 5_200);
        assert_eq!(settled(&mut allocator, Time::from_secs(6), 900, &offers), 3);
        assert_eq!(allocator.cost(&offers), 800);
        // Room again, but no peace yet.
        assert_eq!(
            settled(&mut allocator, Time::from_secs(8), 10_000, &offers),
            0
        );
        for (seconds, cost) in [(11, 1_200), (16, 3_200), (21, 5_200)] {
            let now = Time::from_secs(seconds);
            assert_eq!(settled(&mut allocator, now, 10_000, &offers), 1);
            assert_eq!(allocator.cost(&offers), cost);
        }
    }

    #[test]
    fn who_has_nothing_and_would_have_more_starves() {
        let mut allocator = Allocator::new(2);
        let stopped = [Offer {
            layers: &[0, 0, 0],
            highest: 2,
        }; 2];
        assert!(!allocator.starves(&stopped));
        let offers = offers(2);
        assert!(allocator.starves(&offers));
        allocator.begin(Time::ZERO, 250, &offers);
        assert!(!allocator.starves(&offers), "one picture flows");
    }

    #[test]
    fn going_up_needs_headroom() {
        let mut allocator = Allocator::new(1);
        let offers = offers(1);
        allocator.begin(Time::ZERO, 700, &offers);
        let later = Time::from_secs(60);
        assert_eq!(allocator.step(later, 2_989, &offers), None);
        assert!(allocator.step(later, 2_990, &offers).is_some());
    }

    #[test]
    fn a_layer_that_ends_is_left_and_one_too_large_too() {
        let mut allocator = Allocator::new(1);
        allocator.begin(Time::ZERO, 10_000, &offers(1));
        let now = Time::from_millis(10);
        let weak = [200, 600, 0];
        let gone = [Offer {
            layers: &weak,
            highest: 2,
        }];
        let switch = allocator.step(now, 10_000, &gone).unwrap();
        assert_eq!((switch.from, switch.to), (Some(2), Some(1)));
        let small = [Offer {
            layers: &LADDER,
            highest: 0,
        }];
        let switch = allocator.step(now, 10_000, &small).unwrap();
        assert_eq!(switch.to, Some(0));
    }

    #[test]
    fn nothing_fits_into_nothing() {
        let mut allocator = Allocator::new(2);
        let offers = offers(2);
        allocator.begin(Time::ZERO, 10_000, &offers);
        settled(&mut allocator, Time::from_secs(1), 100, &offers);
        assert_eq!(allocator.cost(&offers), 0);
    }
}
