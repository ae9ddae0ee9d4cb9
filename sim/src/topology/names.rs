//! A topology's names, for those who tell what is in a trace.

use std::fmt::Write as _;

use super::{NodeKind, Topology};
use crate::id::{LinkId, NodeId};
use crate::trace::Names;

impl Names for Topology {
    fn node(&self, node: NodeId) -> &str {
        self.name(node)
    }

    fn ends(&self, link: LinkId) -> (NodeId, NodeId) {
        Topology::ends(self, link)
    }

    fn about(&self, node: NodeId, link: LinkId) -> String {
        let is_inner = Topology::ends(self, link).0 == node;
        let mut about = String::new();
        if let NodeKind::Gateway { .. } = self.plan(node).kind {
            about += if is_inner {
                "outside of "
            } else {
                "inside of "
            };
        }
        about += self.role(node);
        if let Some((mapping, filtering)) = self.nat_behaviour(node) {
            let _ = write!(about, " {mapping}/{filtering}");
        }
        if let Some(config) = self.nat64_config(node) {
            let _ = write!(about, " eim/{}", config.filtering);
        }
        if is_inner {
            let link = &self.graph[petgraph::graph::EdgeIndex::new(link.index())];
            for address in &link.addresses {
                let _ = write!(about, ", {address}");
            }
        }
        about
    }
}
