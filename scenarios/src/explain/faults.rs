//! What went wrong while the call went on, and how it bore that.

use pinhole::internet::{Fault, Inflicted};
use pinhole::{Internet, NodeId};

use super::evidence::Evidence;
use super::story::{Chapter, Sentence};
use super::words;
use crate::call::{Course, Interruption, Milestone, Side};

pub(super) fn chapter(evidence: &Evidence<'_>) -> Chapter {
    let mut sentences = Vec::new();
    if let Some(course) = &evidence.call.outcome.course {
        sentences.extend(evidence.call.net.inflicted().iter().map(|inflicted| {
            let text = format!("{}.", fault(evidence.call.net, inflicted));
            Sentence::at(inflicted.time, text, [])
        }));
        sentences.extend(borne(course));
        sentences.sort_by_key(|sentence| sentence.time);
    }
    Chapter {
        title: "What went wrong, and how the call went on",
        sentences,
    }
}

/// What struck, in words: `a.nat reboots: its mappings are gone`.
pub fn fault(net: &Internet, Inflicted { fault, before, .. }: &Inflicted) -> String {
    let name = |node: &NodeId| net.name(*node);
    let ends = |link| {
        let (inner, outer) = net.topology().ends(link);
        format!("{} and {}", name(&inner), name(&outer))
    };
    let list = |addresses: &[pinhole::Address]| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        words::list(&addresses)
    };
    match fault {
        Fault::Reboot { gateway, external } => {
            let moved = match external.as_slice() {
                [] => String::new(),
                new => format!(
                    ", and it is at {} now, no longer at {}",
                    list(new),
                    list(before)
                ),
            };
            let mappings = match net.topology().nat_config(*gateway) {
                Some(_) => "its mappings are gone",
                None => "all that it remembered is gone",
            };
            format!("{} reboots: {mappings}{moved}", name(gateway))
        }
        Fault::Flush { gateway } => format!("{} forgets its mappings", name(gateway)),
        Fault::Roam { host, to } => {
            let (_, outer) = net.topology().ends(*to);
            let (host, was) = (name(host), list(before));
            format!(
                "{host} roams to the network behind {}: its sockets at {was} are dead",
                name(&outer)
            )
        }
        Fault::LinkDown { link } => format!("the link between {} goes down", ends(*link)),
        Fault::LinkUp { link } => format!("the link between {} is up again", ends(*link)),
        Fault::Bottleneck {
            direction,
            bottleneck,
        } => {
            let rate = bottleneck.map(|it| it.bits_per_second.get() / 1_000);
            let rate = rate.map_or("no limit".to_owned(), |kbps| format!("{kbps} kbit/s"));
            format!(
                "one direction of the link between {} has {rate} now",
                ends(direction.link())
            )
        }
        Fault::Partition {
            between: [one, other],
        } => format!(
            "from here on nothing gets from {} to {}, or back",
            name(one),
            name(other)
        ),
        Fault::Heal {
            between: [one, other],
        } => {
            format!("{} and {} reach each other again", name(one), name(other))
        }
        Fault::Restart { host } => {
            format!("the server {} restarts and remembers nothing", name(host))
        }
        Fault::FamilyLost { host, family } => {
            format!(
                "{} loses its IP{} addresses",
                name(host),
                lowercase(*family)
            )
        }
        Fault::FamilyRegained { host, family } => {
            format!(
                "{} has its IP{} addresses again",
                name(host),
                lowercase(*family)
            )
        }
    }
}

fn lowercase(family: pinhole::Family) -> &'static str {
    match family {
        pinhole::Family::V4 => "v4",
        pinhole::Family::V6 => "v6",
    }
}

/// What befell the endpoints from the first loss on, and the times without data.
fn borne(course: &Course) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut selected = [false; 2];
    for (time, side, event) in &course.events {
        let name = side.name();
        let text = match event {
            // The first pair is part of how the call began.
            Milestone::Selected { .. } if !std::mem::replace(&mut selected[side.index()], true) => {
                continue;
            }
            Milestone::Selected { local, remote } => {
                format!("{name} goes on with {local} to {remote}.")
            }
            Milestone::Disconnected => format!("{name}'s stack says that its pair is lost."),
            Milestone::Failed => format!("{name}'s stack gives up."),
            Milestone::NetworkChanged => format!("{name} learns of its new addresses."),
            Milestone::AskedForRestart => {
                format!("{name} asks {} for an ICE restart.", other(*side))
            }
            Milestone::Restarted => {
                format!("{name} restarts ICE: new credentials, new sockets, new candidates.")
            }
            _ => continue,
        };
        sentences.push(Sentence::at(*time, text, []));
    }
    sentences.extend(course.interruptions.iter().map(|interruption| {
        let Interruption { sender, from, to } = interruption;
        let (sender, receiver) = (sender.name(), other(*sender));
        let text = match to {
            Some(to) => format!(
                "The last data of {sender}'s reaches {receiver} for a while; the next does at {}.",
                words::time(*to)
            ),
            None => format!("The last data of {sender}'s reaches {receiver}."),
        };
        Sentence::at(*from, text, [])
    }));
    sentences
}

fn other(side: Side) -> &'static str {
    side.other().name()
}
