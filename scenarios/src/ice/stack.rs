//! Which stack: the one place that knows them all.

use std::fmt;
use std::str::FromStr;

use pinhole::Time;

use super::is::Is;
use super::rtc::Rtc;
use super::{IceAgent, Role};

/// A production ICE stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Stack {
    /// The crate `is`, the ICE agent of str0m.
    Is,
    /// The crate `rtc-ice`, the ICE agent of webrtc-rs.
    Rtc,
}

impl Stack {
    /// Every stack, in the order lists show them.
    pub const ALL: [Stack; 2] = [Stack::Is, Stack::Rtc];

    /// The name of the crate, which is also how commands and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Stack::Is => "is",
            Stack::Rtc => "rtc-ice",
        }
    }

    /// Makes an agent that starts its life at `now`, all its randomness drawn from `seed`.
    ///
    /// Timing is what the stack ships with.
    ///
    /// ```
    /// use pinhole::Time;
    /// use pinhole_scenarios::ice::{Role, Stack};
    ///
    /// let one = Stack::Is.agent(Time::ZERO, Role::Controlling, 7);
    /// let same = Stack::Is.agent(Time::ZERO, Role::Controlling, 7);
    /// assert_eq!(one.local_credentials(), same.local_credentials());
    /// ```
    pub fn agent(self, now: Time, role: Role, seed: u64) -> Box<dyn IceAgent> {
        match self {
            Stack::Is => Box::new(Is::new(role, seed)),
            Stack::Rtc => Box::new(Rtc::new(now, role, seed)),
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no stack has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no ICE stack is called `{0}`; there are: {known}", known = Stack::ALL.map(Stack::name).join(", "))]
pub struct UnknownStack(pub String);

impl FromStr for Stack {
    type Err = UnknownStack;

    fn from_str(name: &str) -> Result<Self, UnknownStack> {
        Stack::ALL
            .into_iter()
            .find(|stack| stack.name() == name)
            .ok_or_else(|| UnknownStack(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for stack in Stack::ALL {
            assert_eq!(stack.to_string().parse(), Ok(stack));
        }
    }

    #[test]
    fn an_unknown_name_is_told_which_names_exist() {
        let error = "pion".parse::<Stack>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no ICE stack is called `pion`; there are: is, rtc-ice"
        );
    }
}
