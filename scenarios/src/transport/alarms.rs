//! Which of many things wants to be woken next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pinhole::Time;

/// The wishes of many sleepers, numbered from 0. Changing one costs a heap's step; asking for the
/// next costs nothing but the wishes that were changed meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    wishes: Vec<Option<Time>>,
    queue: BinaryHeap<Reverse<(Time, u32)>>,
}

impl Alarms {
    /// This sleeper wants to be woken then.
    pub(crate) fn set(&mut self, sleeper: usize, time: Option<Time>) {
        if sleeper >= self.wishes.len() {
            self.wishes.resize(sleeper + 1, None);
        }
        if self.wishes[sleeper] == time {
            return;
        }
        self.wishes[sleeper] = time;
        if let Some(time) = time {
            self.queue.push(Reverse((time, sleeper as u32)));
        }
    }

    /// The next time that somebody wants.
    pub(crate) fn next(&mut self) -> Option<Time> {
        while let Some(Reverse((time, sleeper))) = self.queue.peek() {
            if self.wishes[*sleeper as usize] == Some(*time) {
                return Some(*time);
            }
            self.queue.pop();
        }
        None
    }

    /// A sleeper whose time has come; its wish is granted.
    pub(crate) fn pop(&mut self, now: Time) -> Option<usize> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, sleeper)) = self.queue.pop()?;
        self.wishes[sleeper as usize] = None;
        Some(sleeper as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_come_true_in_their_order_and_the_last_word_counts() {
        let at = Time::from_millis;
        let mut alarms = Alarms::default();
        alarms.set(3, Some(at(30)));
        alarms.set(1, Some(at(20)));
        alarms.set(2, Some(at(20)));
        alarms.set(3, Some(at(10)));
        alarms.set(1, None);
        assert_eq!(alarms.next(), Some(at(10)));
        assert_eq!(alarms.pop(at(9)), None);
        assert_eq!(alarms.pop(at(20)), Some(3));
        alarms.set(3, Some(at(15)));
        assert_eq!(alarms.pop(at(20)), Some(3));
        assert_eq!(alarms.pop(at(20)), Some(2));
        assert_eq!(alarms.pop(at(99)), None);
        assert_eq!(alarms.next(), None);
    }
}
