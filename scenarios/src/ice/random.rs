//! Randomness that belongs to one agent, for a stack that draws from its thread's generator.
//!
//! `is` takes ufrags, passwords, tie-breakers and transaction ids from `fastrand`'s generator of
//! the thread. Two agents live interleaved on one thread there, and calls are spread over many
//! threads. So each agent keeps a generator's state of its own and lends it to the thread for as
//! long as a call into the stack lasts: what one agent draws depends on nothing but its seed and
//! what was asked of it.

/// The state of one agent's generator, while the agent is not running.
pub(crate) struct OwnRandom {
    state: u64,
}

impl OwnRandom {
    pub(crate) fn new(seed: u64) -> Self {
        OwnRandom { state: seed }
    }

    /// Runs `draw` with this generator as the thread's, and puts the thread's back afterwards, also
    /// when `draw` panics.
    pub(crate) fn lend<R>(&mut self, draw: impl FnOnce() -> R) -> R {
        let lent = Lent {
            theirs: fastrand::get_seed(),
            own: &mut self.state,
        };
        fastrand::seed(*lent.own);
        draw()
    }
}

struct Lent<'a> {
    theirs: u64,
    own: &'a mut u64,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.own = fastrand::get_seed();
        fastrand::seed(self.theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(random: &mut OwnRandom) -> u64 {
        random.lend(|| fastrand::u64(..))
    }

    #[test]
    fn interleaving_two_agents_changes_neither() {
        let (mut a, mut b) = (OwnRandom::new(1), OwnRandom::new(2));
        let interleaved = [draw(&mut a), draw(&mut b), draw(&mut a), draw(&mut b)];

        let (mut a, mut b) = (OwnRandom::new(1), OwnRandom::new(2));
        let (a1, a2) = (draw(&mut a), draw(&mut a));
        let (b1, b2) = (draw(&mut b), draw(&mut b));
        assert_eq!(interleaved, [a1, b1, a2, b2]);
        assert_ne!(a1, b1);
    }

    #[test]
    fn the_thread_gets_its_generator_back_even_after_a_panic() {
        fastrand::seed(99);
        let expected = fastrand::u64(..);

        fastrand::seed(99);
        let mut own = OwnRandom::new(1);
        draw(&mut own);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            own.lend(|| -> u64 { panic!("a stack panicked") })
        }));
        assert!(panicked.is_err());
        assert_eq!(fastrand::u64(..), expected);
    }
}
