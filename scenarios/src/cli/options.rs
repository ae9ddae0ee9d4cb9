//! The options that calls have, wherever they are made.

use std::time::Duration;

use clap::Args;
use pinhole::Time;
use pinhole::nat::FilterMemory;
use pinhole::topology::Kind;

use crate::call::{CallConfig, Trickle, TurnOffer};
use crate::ice::Stack;

#[derive(Args, Clone)]
pub(super) struct CallOptions {
    /// TURN transports that the service offers: off, all, or a comma list of udp, tcp, tls
    #[arg(long, default_value = "all", value_name = "LIST")]
    turn: TurnOffer,
    /// The ICE stack of both endpoints: is or rtc-ice
    #[arg(long, default_value = "is", value_name = "NAME")]
    stack: Stack,
    /// The ICE stack of A
    #[arg(long, value_name = "NAME")]
    stack_a: Option<Stack>,
    /// The ICE stack of B
    #[arg(long, value_name = "NAME")]
    stack_b: Option<Stack>,
    /// One way between any two edges, in milliseconds
    #[arg(long, default_value = "20", value_name = "MS", value_parser = milliseconds)]
    delay_ms: Duration,
    /// Both endpoints have IPv6 too, which every edge forwards untranslated behind a stateful filter
    #[arg(long)]
    ipv6: bool,
    /// A has IPv6 too
    #[arg(long)]
    ipv6_a: bool,
    /// B has IPv6 too
    #[arg(long)]
    ipv6_b: bool,
    /// Endpoints behind a NAT64 that have no IPv4 know that: they write IPv4 candidates as IPv6 ones
    #[arg(long)]
    synthesize: bool,
    /// What a signal takes from one endpoint to the other, in milliseconds
    #[arg(long, default_value = "50", value_name = "MS", value_parser = milliseconds)]
    signaling_delay_ms: Duration,
    /// Who signals candidates as they are found: both (true), only the callee (half), nobody (false)
    #[arg(long, default_value = "true", value_name = "WHO")]
    trickle: Trickle,
    /// NATs send packets from inside to their own external addresses back in
    #[arg(long)]
    hairpin: bool,
    /// Whose past NATs' filters remember: endpoint (RFC 4787) or mapping (connection tracking)
    #[arg(long, default_value = "endpoint", value_name = "WHOSE", value_parser = filter_memory)]
    filter_memory: FilterMemory,
    /// When a call is given up, in virtual milliseconds
    #[arg(long, default_value = "45000", value_name = "MS", value_parser = milliseconds)]
    until_ms: Duration,
}

impl CallOptions {
    /// Whether IPv6 is asked for on one side only.
    pub(super) fn names_one_side_ipv6(&self) -> bool {
        self.ipv6_a != self.ipv6_b && !self.ipv6
    }

    /// A call with these options, between two kinds of network.
    pub(super) fn config(&self, [a, b]: [Kind; 2], seed: u64) -> CallConfig {
        let stack = |side: Option<Stack>| side.unwrap_or(self.stack);
        CallConfig {
            stacks: [stack(self.stack_a), stack(self.stack_b)],
            ipv6: [self.ipv6 || self.ipv6_a, self.ipv6 || self.ipv6_b],
            synthesize: [self.synthesize; 2],
            turn: self.turn.clone(),
            delay: self.delay_ms,
            signaling_delay: self.signaling_delay_ms,
            trickle: self.trickle,
            hairpinning: self.hairpin,
            filter_memory: self.filter_memory,
            until: Time::ZERO + self.until_ms,
            seed,
            ..CallConfig::new(a, b)
        }
    }
}

/// The option of every command whose runs are independent of each other.
#[derive(Args, Clone, Copy)]
pub(super) struct Jobs {
    /// How many runs are made at a time; results don't depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

impl Jobs {
    /// The number of threads; 0 is one for each core.
    pub(super) fn get(self) -> usize {
        usize::from(self.jobs.unwrap_or(0))
    }
}

/// More than a day of virtual time is a slip of the finger.
const MOST_MILLISECONDS: f64 = 86_400_000.0;

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(millis) if (0.0..=MOST_MILLISECONDS).contains(&millis) => {
            Ok(Duration::from_secs_f64(millis / 1000.0))
        }
        _ => Err(format!(
            "milliseconds are a number from 0 to {MOST_MILLISECONDS}"
        )),
    }
}

pub(super) fn filter_memory(text: &str) -> Result<FilterMemory, String> {
    match text {
        "endpoint" => Ok(FilterMemory::InternalEndpoint),
        "mapping" => Ok(FilterMemory::Mapping),
        _ => Err("filters remember by endpoint or by mapping".to_owned()),
    }
}
