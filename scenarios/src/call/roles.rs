//! Who controls (RFC 8445 §6.1.1), and what becomes of it where both sides, or neither, believe
//! that they do (§7.3.1.1).
//!
//! A conflict is read from the checks that the two hosts send, which name their sender's role, and
//! from refusals with 487. Checks that a TURN server carries are not looked into: those between the
//! hosts' own addresses are sent on every network that lets UDP out.

use std::fmt;
use std::str::FromStr;

use pinhole::Time;

use super::data::Side;
use crate::ice::Role;

/// Which side believes that it controls when the call begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Roles {
    /// The one that makes the offer, as it must be.
    #[default]
    Caller,
    /// Both: what comes of a third party that tells each of the two to call the other.
    BothControlling,
    /// Neither: the third party told each that it is called.
    BothControlled,
    /// Both make an offer at the same time, and each takes the other's for the answer to its own.
    Glare,
}

impl Roles {
    /// All of them.
    pub const ALL: [Roles; 4] = [
        Roles::Caller,
        Roles::BothControlling,
        Roles::BothControlled,
        Roles::Glare,
    ];

    /// The name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Roles::Caller => "caller",
            Roles::BothControlling => "both-controlling",
            Roles::BothControlled => "both-controlled",
            Roles::Glare => "glare",
        }
    }

    /// What a side believes that it is.
    pub const fn of(self, side: Side) -> Role {
        match (self, side) {
            (Roles::BothControlling | Roles::Glare, _) | (Roles::Caller, Side::A) => {
                Role::Controlling
            }
            (Roles::BothControlled, _) | (Roles::Caller, Side::B) => Role::Controlled,
        }
    }

    /// Whether a side makes an offer when the call begins.
    pub const fn offers(self, side: Side) -> bool {
        matches!((self, side), (_, Side::A) | (Roles::Glare, _))
    }
}

/// A name that no start of a call has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("roles are caller, both-controlling, both-controlled or glare, not {0:?}")]
pub struct UnknownRoles(String);

impl FromStr for Roles {
    type Err = UnknownRoles;

    fn from_str(name: &str) -> Result<Self, UnknownRoles> {
        let mut all = Roles::ALL.into_iter();
        all.find(|roles| roles.name() == name)
            .ok_or_else(|| UnknownRoles(name.to_owned()))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the wire showed of roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RoleConflict {
    /// When checks of both sides first claimed the same role.
    pub began: Option<Time>,
    /// How often a check was refused with 487 (Role Conflict).
    pub refusals: u32,
    /// What A's and B's last checks claimed.
    pub claimed: [Option<Role>; 2],
}

impl RoleConflict {
    /// How it stands.
    pub fn stands(&self) -> Conflict {
        match (self.began, self.claimed) {
            (None, _) => Conflict::None,
            (Some(_), [a, b]) if a == b => Conflict::Lasting,
            (Some(_), _) => Conflict::Settled,
        }
    }

    /// The side that controls, if one does and the other knows.
    pub fn controlling(&self) -> Option<Side> {
        match self.claimed {
            [Some(Role::Controlling), Some(Role::Controlled)] => Some(Side::A),
            [Some(Role::Controlled), Some(Role::Controlling)] => Some(Side::B),
            _ => None,
        }
    }

    /// A host sent this to somebody.
    pub(super) fn sent(&mut self, time: Time, side: Side, payload: &[u8]) {
        match read(payload) {
            Some(Read::Claim(role)) => {
                self.claimed[side.index()] = Some(role);
                if self.claimed[side.other().index()] == Some(role) {
                    self.began.get_or_insert(time);
                }
            }
            Some(Read::Refusal) => self.refusals += 1,
            None => {}
        }
    }
}

/// How a conflict of roles stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// There was none.
    None,
    /// There was one, and one side has given way.
    Settled,
    /// There is one.
    Lasting,
}

impl Conflict {
    /// All of them.
    pub const ALL: [Conflict; 3] = [Conflict::None, Conflict::Settled, Conflict::Lasting];

    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Conflict::None => "none",
            Conflict::Settled => "settled",
            Conflict::Lasting => "lasting",
        }
    }
}

enum Read {
    /// A check, by one who claims this role.
    Claim(Role),
    /// A check's refusal for that.
    Refusal,
}

const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
const STUN_HEADER: usize = 20;
const ERROR_CODE: u16 = 0x0009;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// What a STUN message says of roles (RFC 8489 §14, RFC 8445 §16.1).
fn read(payload: &[u8]) -> Option<Read> {
    let kind = payload.first_chunk()?;
    if ![BINDING_REQUEST, BINDING_ERROR].contains(kind) {
        return None;
    }
    let mut rest = payload.get(STUN_HEADER..)?;
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let value = after.get(..length)?;
        match u16::from_be_bytes([a, b]) {
            ICE_CONTROLLING => return Some(Read::Claim(Role::Controlling)),
            ICE_CONTROLLED => return Some(Read::Claim(Role::Controlled)),
            // Hundreds and the rest: 4 and 87 (RFC 8489 §14.8).
            ERROR_CODE if matches!(value, [_, _, 4, 87, ..]) => return Some(Read::Refusal),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallConfig, Caller, TurnOffer};
    use crate::ice::Stack;

    fn call(stacks: [Stack; 2], roles: Roles, seed: u64) -> crate::call::CallOutcome {
        let kind = || "nat:eim/apdf".parse().unwrap();
        let config = CallConfig {
            stacks,
            roles,
            seed,
            turn: TurnOffer::OFF,
            ..CallConfig::new(kind(), kind())
        };
        Caller::new().call(&config).unwrap().outcome
    }

    #[test]
    fn whoever_believes_what_about_control_the_wire_shows_it_and_the_call_connects() {
        for a in Stack::ALL {
            for b in Stack::ALL {
                let mut controlled_by = [0, 0];
                for seed in 1..=6 {
                    for roles in Roles::ALL {
                        let outcome = call([a, b], roles, seed);
                        let what = format!("{a} and {b}, {roles}, seed {seed}: {outcome:?}");
                        assert!(outcome.is_connected(), "{what}");
                        let Some(conflict) = outcome.role_conflict else {
                            assert_eq!(roles, Roles::Caller, "{what}");
                            continue;
                        };
                        assert_eq!(conflict.stands(), Conflict::Settled, "{what}");
                        let side = conflict.controlling().expect("settled");
                        controlled_by[side.index()] += 1;
                    }
                }
                // The higher tie-breaker wins, and neither side always has it.
                assert!(controlled_by.iter().all(|calls| *calls > 0), "{a} and {b}");
            }
        }
    }

    #[test]
    fn garbage_claims_nothing() {
        let check = |attributes: &[u8]| [&[0, 1], &[0; 18][..], attributes].concat();
        let controlling = [0x80, 0x2a, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7];
        assert!(matches!(
            read(&check(&controlling)),
            Some(Read::Claim(Role::Controlling))
        ));
        for cut in 0..check(&controlling).len() {
            assert!(read(&check(&controlling)[..cut]).is_none(), "{cut}");
        }
        // An attribute longer than what is left, and one that is nothing but its length.
        assert!(read(&check(&[0, 6, 0xff, 0xff, 1, 2])).is_none());
        assert!(read(&check(&[0, 6, 0, 0])).is_none());
        let refusal = [&[1, 0x11], &[0; 18][..], &[0, 9, 0, 4, 0, 0, 4, 87]].concat();
        assert!(matches!(read(&refusal), Some(Read::Refusal)));
        let other = [&[1, 0x11], &[0; 18][..], &[0, 9, 0, 4, 0, 0, 4, 1]].concat();
        assert!(read(&other).is_none());
    }

    #[test]
    fn names_go_there_and_back() {
        for roles in Roles::ALL {
            assert_eq!(roles.to_string().parse(), Ok(roles));
        }
        assert!("both".parse::<Roles>().is_err());
    }
}
