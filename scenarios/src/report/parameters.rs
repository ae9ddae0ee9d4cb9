//! Every parameter of a device by name, for people and for programs.

use std::time::Duration;

use pinhole::Lifetimes;
use pinhole::nat::{
    Conflict, FilterMemory, Fragments, Hairpinning, IcmpErrors, NatConfig, Pooling, PortAllocation,
    PortConflict, PortOverloading, Refresh, RouterInput, TooBig, UnsolicitedSyn, WhenFull,
};
use serde_json::{Value, json};

use super::span::span;

/// A NAT's parameters: all of them, in the order in which they are explained.
pub(super) fn nat(config: &NatConfig) -> Vec<(&'static str, Value)> {
    // Taken apart field by field: a new one can't be forgotten here.
    let NatConfig {
        mapping,
        filtering,
        filter_memory,
        ports,
        port_parity,
        port_contiguity,
        port_overloading,
        port_range,
        port_blocks,
        port_rest,
        subscriber_limit,
        pooling,
        static_addresses,
        not_translated,
        lifetimes,
        refresh,
        capacity,
        reports_exhaustion,
        hairpinning,
        icmp_errors,
        fragments,
        too_big,
        unsolicited_syn,
        change_of_mind,
        rewrites_payloads,
        router_input,
    } = config;
    let mut parameters = vec![
        ("mapping", json!(mapping.name())),
        ("filtering", json!(filtering.name())),
        (
            "filter_memory",
            json!(match filter_memory {
                FilterMemory::InternalEndpoint => "endpoint",
                FilterMemory::Mapping => "mapping",
            }),
        ),
        (
            "ports",
            match ports {
                PortAllocation::Preserving { on_conflict } => json!(format!(
                    "preserving, {} on conflict",
                    match on_conflict {
                        PortConflict::NextFree => "next free",
                        PortConflict::Sequential => "sequential",
                        PortConflict::Random => "random",
                        PortConflict::Takeover => "takeover",
                    }
                )),
                PortAllocation::Sequential { step } => json!(format!("sequential by {step}")),
                PortAllocation::Random => json!("random"),
            },
        ),
        ("port_parity", json!(port_parity)),
        ("port_contiguity", json!(port_contiguity)),
        (
            "port_overloading",
            json!(match port_overloading {
                PortOverloading::Never => "never",
                PortOverloading::DistinctRemotes => "toward distinct remotes",
                PortOverloading::Always => "always",
            }),
        ),
        (
            "port_range",
            json!(format!("{}-{}", port_range.start(), port_range.end())),
        ),
        (
            "port_blocks",
            match port_blocks {
                None => Value::Null,
                Some(blocks) => json!(format!("{} of {} ports", blocks.most, blocks.size)),
            },
        ),
        ("port_rest_ms", milliseconds(*port_rest)),
        ("subscriber_limit", json!(subscriber_limit)),
        (
            "pooling",
            json!(match pooling {
                Pooling::Paired => "paired",
                Pooling::Arbitrary => "arbitrary",
            }),
        ),
        (
            "static_addresses",
            static_addresses
                .iter()
                .map(|(inside, outside)| json!(format!("{inside}={outside}")))
                .collect(),
        ),
        (
            "not_translated",
            not_translated
                .iter()
                .map(|prefix| json!(prefix.to_string()))
                .collect(),
        ),
    ];
    parameters.extend(self::lifetimes(lifetimes));
    parameters.extend([
        (
            "refresh",
            json!(match refresh {
                Refresh::Outbound => "outbound",
                Refresh::BothWays => "both ways",
                Refresh::RefusedToo => "refused too",
            }),
        ),
        (
            "capacity",
            match capacity {
                None => Value::Null,
                Some(capacity) => json!(format!(
                    "{} mappings, then {}",
                    capacity.mappings,
                    match capacity.when_full {
                        WhenFull::Drop => "drop",
                        WhenFull::EvictOldest => "evict the oldest",
                    }
                )),
            },
        ),
        ("reports_exhaustion", json!(reports_exhaustion)),
        (
            "hairpinning",
            json!(match hairpinning {
                Hairpinning::Off => "off",
                Hairpinning::ExternalSource => "external source",
                Hairpinning::InternalSource => "internal source",
            }),
        ),
        (
            "icmp_errors",
            json!(match icmp_errors {
                IcmpErrors::Translated => "translated",
                IcmpErrors::Dropped => "dropped",
                IcmpErrors::EndMapping => "end the mapping",
            }),
        ),
        (
            "fragments",
            match fragments {
                Fragments::AnyOrder { limit } => json!(format!("any order, up to {limit} bytes")),
                Fragments::InOrder => json!("in order"),
                Fragments::Dropped => json!("dropped"),
            },
        ),
        (
            "too_big",
            json!(match too_big {
                TooBig::Reported => "reported",
                TooBig::Silent => "silent",
            }),
        ),
        (
            "unsolicited_syn",
            match unsolicited_syn {
                UnsolicitedSyn::Wait(span) => {
                    json!(format!("wait {} s, then ICMP", span.as_secs_f64()))
                }
                UnsolicitedSyn::Silence => json!("silence"),
                UnsolicitedSyn::Reset => json!("reset"),
            },
        ),
        (
            "change_of_mind",
            match change_of_mind {
                None => Value::Null,
                Some(change) => {
                    let when = match change.when {
                        Conflict::PortTaken => "where a port is taken".to_owned(),
                        Conflict::Mappings(count) => format!("after {count} mappings"),
                    };
                    json!(format!("{}/{} {when}", change.mapping, change.filtering))
                }
            },
        ),
        ("rewrites_payloads", json!(rewrites_payloads)),
        (
            "router_input",
            json!(match router_input {
                RouterInput::Drop => "drop",
                RouterInput::Accept => "accept",
            }),
        ),
    ]);
    parameters
}

/// How long what is remembered lives.
pub(super) fn lifetimes(lifetimes: &Lifetimes) -> Vec<(&'static str, Value)> {
    vec![
        ("udp_ms", milliseconds(lifetimes.udp)),
        (
            "udp_unanswered_ms",
            lifetimes.udp_unanswered.map_or(Value::Null, milliseconds),
        ),
        ("tcp_transitory_ms", milliseconds(lifetimes.tcp_transitory)),
        (
            "tcp_established_ms",
            milliseconds(lifetimes.tcp_established),
        ),
        ("icmp_query_ms", milliseconds(lifetimes.icmp_query)),
    ]
}

fn milliseconds(span: Duration) -> Value {
    json!(span.as_millis() as u64)
}

/// A parameter for people: `udp 3 min`, `port parity no`.
pub(super) fn words(name: &str, value: &Value) -> String {
    let label = name.strip_suffix("_ms").unwrap_or(name).replace('_', " ");
    let value = match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if name.ends_with("_ms") => {
            span(Duration::from_millis(number.as_u64().unwrap_or_default()))
        }
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => {
            let texts = values.iter().filter_map(Value::as_str);
            texts.collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{label} {value}")
}
