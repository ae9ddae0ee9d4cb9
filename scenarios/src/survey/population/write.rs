//! A population's file, written.

use std::fmt::{self, Write};
use std::time::Duration;

use pinhole::nat::FilterMemory;

use super::Population;
use crate::call::Trickle;

impl Population {
    /// The population as a file, complete: what [`parse`](Population::parse) reads it as again.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.write_toml(&mut out).expect("a string takes any text");
        out
    }

    fn write_toml(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "name = {}", quoted(&self.name))?;
        if let Some(basis) = &self.basis {
            writeln!(out, "basis = {}", quoted(basis))?;
        }
        writeln!(out, "same_lan = {}", self.same_lan)?;
        let transports = self.call.turn.transports().iter();
        let turn: Vec<String> = transports.map(|it| quoted(it.name())).collect();
        writeln!(out, "turn = [{}]", turn.join(", "))?;
        let [a, b] = &self.stacks;
        if a == b {
            writeln!(out, "stacks = {}", mix(a.entries(), |stack| stack.name()))?;
        } else {
            writeln!(out, "stacks_a = {}", mix(a.entries(), |stack| stack.name()))?;
            writeln!(out, "stacks_b = {}", mix(b.entries(), |stack| stack.name()))?;
        }
        for class in &self.classes {
            writeln!(out, "\n[[class]]")?;
            let network = class.kind.to_string();
            if class.name != network {
                writeln!(out, "name = {}", quoted(&class.name))?;
            }
            writeln!(out, "network = {}", quoted(&network))?;
            writeln!(out, "weight = {}", class.weight)?;
            writeln!(out, "ipv6 = {}", class.ipv6)?;
            if let Some(access) = &class.access {
                writeln!(out, "access = {}", mix(access.entries(), |it| it.name))?;
            }
        }
        for group in &self.groups {
            writeln!(out, "\n[[group]]")?;
            writeln!(out, "name = {}", quoted(&group.name))?;
            writeln!(out, "share = {}", group.share)?;
            let classes = group.classes.iter();
            let names: Vec<String> = classes
                .map(|place| quoted(&self.classes[*place].name))
                .collect();
            writeln!(out, "classes = [{}]", names.join(", "))?;
        }
        let call = &self.call;
        writeln!(out, "\n[call]")?;
        writeln!(out, "delay_ms = {}", millis(call.delay))?;
        writeln!(out, "signaling_delay_ms = {}", millis(call.signaling_delay))?;
        let trickle = match call.trickle {
            Trickle::Half => quoted(call.trickle.name()),
            _ => call.trickle.to_string(),
        };
        writeln!(out, "trickle = {trickle}")?;
        writeln!(out, "hairpin = {}", call.hairpinning)?;
        let memory = match call.filter_memory {
            FilterMemory::InternalEndpoint => "endpoint",
            FilterMemory::Mapping => "mapping",
        };
        writeln!(out, "filter_memory = {}", quoted(memory))?;
        writeln!(out, "until_ms = {}", call.until.as_millis_f64())?;
        writeln!(out, "packets = {}", call.budget.packets)
    }
}

fn quoted(text: &str) -> String {
    // A text of JSON is one of TOML, which wants this character escaped as well.
    let text = serde_json::to_string(text).expect("any text is JSON");
    text.replace('\u{7f}', "\\u007F")
}

fn mix<T>(entries: &[(T, f64)], name: impl Fn(&T) -> &str) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(entry, weight)| format!("{} = {weight}", name(entry)))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
