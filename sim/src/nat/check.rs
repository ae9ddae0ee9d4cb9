//! Configurations that contradict themselves.

use std::time::Duration;

use super::config::{
    Conflict, FilterMemory, Fragments, NatConfig, PortAllocation, PortConflict, PortOverloading,
    RouterInput,
};
use crate::address::Address;
use crate::behaviour::{Filtering, Mapping};

/// Why a NAT can't be told this: which fields of [`NatConfig`] contradict each other, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", Fields(.field, .other.as_ref()))]
pub struct NatConfigError {
    /// The field.
    pub field: &'static str,
    /// The field that it contradicts, unless it makes no sense by itself.
    pub other: Option<&'static str>,
    /// What is wrong, and what would be right.
    pub why: String,
}

struct Fields<'a>(&'a &'static str, Option<&'a &'static str>);

impl std::fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.1 {
            None => f.write_str(self.0),
            Some(other) => write!(f, "{} and {other}", self.0),
        }
    }
}

type Checked = Result<(), NatConfigError>;

/// Refuses a field by itself.
fn alone(wrong: bool, field: &'static str, why: impl Into<String>) -> Checked {
    refuse(wrong, field, None, why)
}

/// Refuses two fields together.
fn both(wrong: bool, fields: [&'static str; 2], why: impl Into<String>) -> Checked {
    refuse(wrong, fields[0], Some(fields[1]), why)
}

fn refuse(
    wrong: bool,
    field: &'static str,
    other: Option<&'static str>,
    why: impl Into<String>,
) -> Checked {
    match wrong {
        false => Ok(()),
        true => Err(NatConfigError {
            field,
            other,
            why: why.into(),
        }),
    }
}

impl NatConfig {
    /// Whether it makes sense. [`build`](crate::Topology::build) asks this of every NAT; whoever
    /// reads configurations can ask earlier.
    ///
    /// ```
    /// use pinhole::nat::NatConfig;
    /// use pinhole::{Filtering, Mapping};
    ///
    /// let mut config = NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressDependent);
    /// config.port_parity = true;
    /// config.port_range = 5000..=5000;
    /// let error = config.check().unwrap_err();
    /// assert_eq!((error.field, error.other), ("port_parity", Some("port_range")));
    /// ```
    ///
    /// # Errors
    ///
    /// Two fields contradict each other, or one makes no sense. The error names them.
    pub fn check(&self) -> Result<(), NatConfigError> {
        self.check_ports()?;
        self.check_blocks()?;
        self.check_limits()?;
        self.check_lifetimes()?;
        self.check_overloading()?;
        self.check_change_of_mind()?;
        self.check_static_addresses()?;
        alone(
            self.fragments == Fragments::AnyOrder { limit: 0 },
            "fragments",
            "in any order means that some must wait, but none may: say InOrder",
        )
    }

    /// Whether it makes sense for a NAT with these external addresses.
    ///
    /// # Errors
    ///
    /// As [`check`](NatConfig::check), and if a static address is none of these.
    pub fn check_with(&self, external: &[Address]) -> Result<(), NatConfigError> {
        self.check()?;
        for (internal, address) in &self.static_addresses {
            alone(
                !external.contains(address),
                "static_addresses",
                format!(
                    "{internal} is to have {address}, which is none of the NAT's external \
                     addresses"
                ),
            )?;
        }
        Ok(())
    }

    fn check_ports(&self) -> Checked {
        let range = &self.port_range;
        let (start, end) = (range.start(), range.end());
        alone(
            range.is_empty() || *start == 0,
            "port_range",
            format!("there are no ports from {start} to {end}; the lowest is 1"),
        )?;
        alone(
            matches!(self.ports, PortAllocation::Sequential { step: 0 }),
            "ports",
            "a step of 0 leads nowhere; 1 counts up",
        )?;
        both(
            self.port_parity && range.len() == 1,
            ["port_parity", "port_range"],
            format!("of even and odd ports, {start} alone has only one kind"),
        )?;
        both(
            self.port_contiguity && range.len() == 1,
            ["port_contiguity", "port_range"],
            format!("{start} alone has no next port"),
        )
    }

    fn check_blocks(&self) -> Checked {
        let Some(blocks) = self.port_blocks else {
            return Ok(());
        };
        alone(
            blocks.size == 0 || blocks.most == 0,
            "port_blocks",
            "a subscriber needs at least one block of at least one port",
        )?;
        let ports = self.port_range.len();
        both(
            usize::from(blocks.size) > ports,
            ["port_blocks", "port_range"],
            format!(
                "a block of {} ports is larger than the range of {ports}",
                blocks.size
            ),
        )?;
        both(
            self.port_parity && blocks.size == 1,
            ["port_parity", "port_blocks"],
            "a block of one port has even ports or odd ones, not both",
        )?;
        both(
            self.port_overloading != PortOverloading::Never,
            ["port_blocks", "port_overloading"],
            "a block is one subscriber's alone, and shared ports are not: say Never",
        )?;
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        both(
            self.ports == takeover,
            ["ports", "port_blocks"],
            "a subscriber can't take over a port of another's block",
        )?;
        let most = u32::from(blocks.size) * u32::from(blocks.most);
        both(
            self.subscriber_limit.is_some_and(|limit| limit > most),
            ["subscriber_limit", "port_blocks"],
            format!("a subscriber's blocks have {most} ports, so it never gets that far"),
        )
    }

    fn check_limits(&self) -> Checked {
        let limit = self.subscriber_limit;
        alone(
            limit == Some(0),
            "subscriber_limit",
            "nobody could have a mapping; say None for no limit",
        )?;
        let Some(capacity) = self.capacity else {
            return Ok(());
        };
        alone(
            capacity.mappings == 0,
            "capacity",
            "a table of no mappings translates nothing; say None for no limit",
        )?;
        both(
            limit.is_some_and(|limit| limit > capacity.mappings),
            ["subscriber_limit", "capacity"],
            format!(
                "one subscriber may have more mappings than the table's {}",
                capacity.mappings
            ),
        )
    }

    fn check_lifetimes(&self) -> Checked {
        let lifetimes = &self.lifetimes;
        let all = [
            lifetimes.udp,
            lifetimes.udp_unanswered.unwrap_or(lifetimes.udp),
            lifetimes.tcp_transitory,
            lifetimes.tcp_established,
            lifetimes.icmp_query,
        ];
        alone(
            all.contains(&Duration::ZERO),
            "lifetimes",
            "what lives for no time is never there",
        )?;
        both(
            lifetimes.udp_unanswered > Some(lifetimes.udp),
            ["lifetimes.udp_unanswered", "lifetimes.udp"],
            "an answer can't shorten a life",
        )?;
        both(
            lifetimes.tcp_transitory > lifetimes.tcp_established,
            ["lifetimes.tcp_transitory", "lifetimes.tcp_established"],
            "an established connection can't live shorter than one that is opening",
        )
    }

    fn check_overloading(&self) -> Checked {
        let preserves = matches!(self.ports, PortAllocation::Preserving { .. });
        both(
            self.router_input == RouterInput::Accept
                && self.port_overloading != PortOverloading::DistinctRemotes,
            ["router_input", "port_overloading"],
            "the router claims a pair of endpoints, which only a NAT that tells mappings apart by \
             both of them knows: say DistinctRemotes",
        )?;
        both(
            self.port_overloading != PortOverloading::Never && !self.port_rest.is_zero(),
            ["port_rest", "port_overloading"],
            "a shared port is never free, and can't rest",
        )?;
        match self.port_overloading {
            PortOverloading::Never => Ok(()),
            PortOverloading::Always => {
                both(
                    !preserves,
                    ["port_overloading", "ports"],
                    "every internal endpoint is to keep its port: say Preserving",
                )?;
                both(
                    self.mapping != Mapping::EndpointIndependent,
                    ["port_overloading", "mapping"],
                    "an internal endpoint that always keeps its port has the same external \
                     endpoint for every destination: say eim",
                )
            }
            PortOverloading::DistinctRemotes => self.check_pairs(preserves),
        }
    }

    fn check_pairs(&self, preserves: bool) -> Checked {
        both(
            self.filtering != Filtering::AddressAndPortDependent,
            ["port_overloading", "filtering"],
            "whose a packet to a shared port is shows by its remote address and port alone: say \
             apdf",
        )?;
        both(
            self.filter_memory != FilterMemory::Mapping,
            ["port_overloading", "filter_memory"],
            "whose a packet to a shared port is shows by the one mapping that was made for its \
             sender: say Mapping",
        )?;
        both(
            self.mapping == Mapping::AddressDependent,
            ["port_overloading", "mapping"],
            "ports are shared by mappings that are of one remote address and port each: say apdm, \
             or eim for using an endpoint's port again where it can be",
        )?;
        let wrong = self.mapping == Mapping::AddressAndPortDependent && preserves;
        both(
            wrong,
            ["mapping", "ports"],
            "with shared ports every mapping of an endpoint keeps the port, and is no other for \
             another destination: say eim, or other ports",
        )?;
        both(
            self.port_contiguity,
            ["port_contiguity", "port_overloading"],
            "where ports are shared, no port follows another",
        )?;
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        both(
            self.ports == takeover,
            ["ports", "port_overloading"],
            "what can be shared need not be taken over",
        )?;
        both(
            self.change_of_mind.is_some(),
            ["change_of_mind", "port_overloading"],
            "mappings that share ports are of one destination each, and can't change to another \
             kind",
        )
    }

    fn check_change_of_mind(&self) -> Checked {
        let Some(change) = self.change_of_mind else {
            return Ok(());
        };
        both(
            (change.mapping, change.filtering) == (self.mapping, self.filtering),
            ["change_of_mind", "mapping"],
            "it changes nothing",
        )?;
        match change.when {
            Conflict::PortTaken => {
                let conflicts = match self.ports {
                    PortAllocation::Preserving { on_conflict } => {
                        on_conflict != PortConflict::Takeover
                    }
                    _ => false,
                };
                both(
                    !conflicts,
                    ["change_of_mind", "ports"],
                    "no port is ever found taken; ports that are preserved, and not taken over, \
                     can be",
                )?;
                both(
                    self.port_overloading == PortOverloading::Always,
                    ["change_of_mind", "port_overloading"],
                    "no port is ever found taken where all are shared",
                )
            }
            Conflict::Mappings(most) => {
                alone(
                    most == 0,
                    "change_of_mind",
                    "it has changed its mind before the first mapping: say so in mapping and \
                     filtering",
                )?;
                let capacity = self.capacity.map(|capacity| capacity.mappings);
                both(
                    capacity.is_some_and(|capacity| capacity <= most),
                    ["change_of_mind", "capacity"],
                    format!("there are never {most} mappings before a new one"),
                )
            }
        }
    }

    fn check_static_addresses(&self) -> Checked {
        let pairs = &self.static_addresses;
        for (place, (internal, external)) in pairs.iter().enumerate() {
            alone(
                internal.family() != external.family(),
                "static_addresses",
                format!("{internal} and {external} are of two families"),
            )?;
            for (other_internal, other_external) in &pairs[..place] {
                let twice = match () {
                    () if other_internal == internal => Some(internal),
                    () if other_external == external => Some(external),
                    () => None,
                };
                if let Some(twice) = twice {
                    alone(
                        true,
                        "static_addresses",
                        format!("{twice} stands there twice"),
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::{Capacity, ChangeOfMind, PortBlocks, WhenFull};

    fn eim() -> NatConfig {
        NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        )
    }

    /// What is wrong after a change to a configuration that makes sense.
    fn wrong(change: impl FnOnce(&mut NatConfig)) -> Vec<&'static str> {
        let mut config = eim();
        change(&mut config);
        let error = config.check().unwrap_err();
        let fields: Vec<_> = [Some(error.field), error.other]
            .into_iter()
            .flatten()
            .collect();
        for field in &fields {
            assert!(error.to_string().contains(field), "{error}");
        }
        fields
    }

    fn pairs(config: &mut NatConfig) {
        config.filter_memory = FilterMemory::Mapping;
        config.port_overloading = PortOverloading::DistinctRemotes;
    }

    #[test]
    fn what_makes_sense_is_accepted() {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                NatConfig::new(mapping, filtering).check().unwrap();
            }
        }
        let mut config = eim();
        pairs(&mut config);
        config.router_input = RouterInput::Accept;
        config.check().unwrap();
    }

    #[test]
    fn a_field_that_makes_no_sense_is_named() {
        assert_eq!(wrong(|c| c.port_range = 0..=9), ["port_range"]);
        #[expect(clippy::reversed_empty_ranges)]
        let empty = wrong(|c| c.port_range = 9..=8);
        assert_eq!(empty, ["port_range"]);
        let step = PortAllocation::Sequential { step: 0 };
        assert_eq!(wrong(|c| c.ports = step), ["ports"]);
        let blocks = |size, most| Some(PortBlocks { size, most });
        assert_eq!(wrong(|c| c.port_blocks = blocks(0, 1)), ["port_blocks"]);
        assert_eq!(wrong(|c| c.port_blocks = blocks(1, 0)), ["port_blocks"]);
        assert_eq!(
            wrong(|c| c.subscriber_limit = Some(0)),
            ["subscriber_limit"]
        );
        let nothing = Fragments::AnyOrder { limit: 0 };
        assert_eq!(wrong(|c| c.fragments = nothing), ["fragments"]);
        assert_eq!(
            wrong(|c| c.lifetimes.icmp_query = Duration::ZERO),
            ["lifetimes"]
        );
        let capacity = |mappings| {
            let when_full = WhenFull::Drop;
            Some(Capacity {
                mappings,
                when_full,
            })
        };
        assert_eq!(wrong(|c| c.capacity = capacity(0)), ["capacity"]);
        let [one, two] = [1, 2].map(|last| Address::v4(192, 168, 1, last));
        let external = Address::v4(203, 0, 113, 1);
        let pair = |c: &mut NatConfig| c.static_addresses = vec![(one, external), (two, external)];
        assert_eq!(wrong(pair), ["static_addresses"]);
        let mixed = |c: &mut NatConfig| {
            c.static_addresses = vec![(one, "2001:db8::1".parse().unwrap())];
        };
        assert_eq!(wrong(mixed), ["static_addresses"]);
    }

    #[test]
    fn two_fields_that_contradict_each_other_are_both_named() {
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        let blocks = |size, most| Some(PortBlocks { size, most });
        let capacity = |mappings| {
            let when_full = WhenFull::EvictOldest;
            Some(Capacity {
                mappings,
                when_full,
            })
        };
        let change = |when| {
            Some(ChangeOfMind {
                when,
                mapping: Mapping::AddressAndPortDependent,
                filtering: Filtering::AddressAndPortDependent,
            })
        };
        let one_port = |c: &mut NatConfig| c.port_range = 7000..=7000;
        type Change<'a> = &'a dyn Fn(&mut NatConfig);
        let cases: [([&str; 2], Change<'_>); 21] = [
            (["port_parity", "port_range"], &|c| {
                one_port(c);
                c.port_parity = true;
            }),
            (["port_contiguity", "port_range"], &|c| {
                one_port(c);
                c.port_contiguity = true;
            }),
            (["port_blocks", "port_range"], &|c| {
                one_port(c);
                c.port_blocks = blocks(2, 1);
            }),
            (["port_parity", "port_blocks"], &|c| {
                c.port_parity = true;
                c.port_blocks = blocks(1, 9);
            }),
            (["port_blocks", "port_overloading"], &|c| {
                pairs(c);
                c.port_blocks = blocks(8, 1);
            }),
            (["ports", "port_blocks"], &|c| {
                c.ports = takeover;
                c.port_blocks = blocks(8, 1);
            }),
            (["subscriber_limit", "port_blocks"], &|c| {
                c.subscriber_limit = Some(17);
                c.port_blocks = blocks(8, 2);
            }),
            (["subscriber_limit", "capacity"], &|c| {
                c.subscriber_limit = Some(17);
                c.capacity = capacity(16);
            }),
            (["lifetimes.udp_unanswered", "lifetimes.udp"], &|c| {
                c.lifetimes.udp_unanswered = Some(Duration::from_secs(301));
            }),
            (["router_input", "port_overloading"], &|c| {
                c.router_input = RouterInput::Accept;
            }),
            (["port_rest", "port_overloading"], &|c| {
                pairs(c);
                c.port_rest = Duration::from_secs(120);
            }),
            (["port_overloading", "ports"], &|c| {
                c.port_overloading = PortOverloading::Always;
                c.ports = PortAllocation::Random;
            }),
            (["port_overloading", "mapping"], &|c| {
                c.port_overloading = PortOverloading::Always;
                c.mapping = Mapping::AddressDependent;
            }),
            (["port_overloading", "filtering"], &|c| {
                pairs(c);
                c.filtering = Filtering::AddressDependent;
            }),
            (["port_overloading", "filter_memory"], &|c| {
                c.port_overloading = PortOverloading::DistinctRemotes;
            }),
            (["mapping", "ports"], &|c| {
                pairs(c);
                c.mapping = Mapping::AddressAndPortDependent;
            }),
            (["ports", "port_overloading"], &|c| {
                pairs(c);
                c.ports = takeover;
            }),
            (["change_of_mind", "port_overloading"], &|c| {
                pairs(c);
                c.change_of_mind = change(Conflict::PortTaken);
            }),
            (["change_of_mind", "ports"], &|c| {
                c.ports = PortAllocation::Random;
                c.change_of_mind = change(Conflict::PortTaken);
            }),
            (["change_of_mind", "mapping"], &|c| {
                c.mapping = Mapping::AddressAndPortDependent;
                c.change_of_mind = change(Conflict::PortTaken);
            }),
            (["change_of_mind", "capacity"], &|c| {
                c.capacity = capacity(9);
                c.change_of_mind = change(Conflict::Mappings(9));
            }),
        ];
        for (fields, change) in cases {
            assert_eq!(wrong(change), fields);
        }
    }
}
