//! Group calls on the page: mesh against SFU, cascade and MCU.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use pinhole::link::AccessProfile;
use serde::Serialize;

use super::html::escaped;
use super::page::command;
use super::seed_option;
use crate::conference::compare::{Break, CompareConfig, Comparison, FARTHEST, usual_topologies};
use crate::conference::{ConferenceConfig, Fidelity, Prices, Topology};
use crate::grouped::grouped;
use crate::report::compare::{Compared, crossover, plots, summary};
use crate::report::conference::rate;
use crate::report::style::{BOLD, DIM};
use crate::report::text::wrap;

/// The sizes that are compared: around where meshes on usual links break, and well beyond.
const SIZES: [usize; 6] = [2, 4, 6, 7, 8, 10];

/// How long each is measured, and what passes before, in seconds: enough to see who has to give way.
const SECONDS: u64 = 5;

/// The link that everybody is on.
const ACCESS: &str = "cable";

/// Columns of a sentence on the terminal.
const WIDTH: usize = 96;

/// What was compared, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Groups {
    /// What was compared.
    pub config: CompareConfig,
    /// What came of it.
    pub comparison: Comparison,
}

/// The comparison in the tour's summary.
#[derive(Serialize)]
pub(super) struct GroupsRow {
    sizes: Vec<usize>,
    access: &'static str,
    fidelity: &'static str,
    mesh_stops_at: Option<usize>,
    words: Option<String>,
    complete: bool,
    command: String,
    digest: String,
}

impl Groups {
    /// What the tour compares.
    ///
    /// # Panics
    ///
    /// Never: the access profile is one that there is.
    pub fn config(seed: u64, jobs: usize) -> CompareConfig {
        let access = AccessProfile::named(ACCESS).expect("a profile of ours");
        CompareConfig {
            base: ConferenceConfig {
                warmup: Duration::from_secs(SECONDS),
                measured: Duration::from_secs(SECONDS),
                seed,
                ..ConferenceConfig::new(Topology::Sfu, 2, Some(access))
            },
            sizes: SIZES.into(),
            topologies: usual_topologies(),
            fidelity: Fidelity::Flow,
            crossovers: AccessProfile::ALL.to_vec(),
            jobs,
        }
    }

    /// The command that compares the same again.
    fn command(&self) -> String {
        let sizes: Vec<String> = SIZES.iter().map(ToString::to_string).collect();
        let seed = seed_option(self.config.base.seed);
        let sizes = sizes.join(",");
        format!(
            "pinhole compare --participants {sizes} --seconds {SECONDS} --warmup {SECONDS}{seed}"
        )
    }

    /// What was run, how to repeat it, and its digest.
    pub(super) fn run(&self) -> (String, String, String) {
        let digest = self.comparison.digest.to_string();
        ("mesh against SFU".to_owned(), self.command(), digest)
    }

    pub(super) fn row(&self) -> GroupsRow {
        let command = self.command();
        let its = self.comparison.crossovers.iter();
        let mut its = its.filter(|it| it.access.name == ACCESS);
        let mesh = its.next().and_then(|it| it.mesh.as_ref());
        GroupsRow {
            sizes: SIZES.into(),
            access: ACCESS,
            fidelity: self.comparison.fidelity.name(),
            mesh_stops_at: mesh.map(|mesh| mesh.participants),
            words: summary(&self.compared(&command)),
            complete: self.comparison.complete,
            digest: self.comparison.digest.to_string(),
            command,
        }
    }

    fn compared<'c>(&'c self, command: &'c str) -> Compared<'c> {
        Compared {
            config: &self.config,
            comparison: &self.comparison,
            prices: Prices::default(),
            command,
        }
    }

    /// What stands in the section of the page.
    pub(super) fn section(&self, page: &mut String) {
        let again = self.command();
        let compared = self.compared(&again);
        page.push_str(
            "<p>The same group call four \
             ways: everybody sends to everybody (mesh), once to a server that forwards (SFU), to \
             the nearer of two such servers (cascade), or to a server that mixes all into one \
             picture (MCU). Every packet was simulated, with congestion control on every link that \
             can fill.</p>\n",
        );
        if let Some(summary) = summary(&compared) {
            let _ = writeln!(page, "<p class=\"lead\">{}</p>", escaped(&summary));
        }
        for plot in plots(&self.compared("")) {
            let _ = writeln!(
                page,
                "<figure>\n<div class=\"scroll\" tabindex=\"0\">{}</div>\n<figcaption>",
                plot.svg
            );
            command(page, &again);
            page.push_str("</figcaption>\n</figure>\n");
        }
        self.links(page);
    }

    /// Where full quality stops on which link, as a table.
    fn links(&self, page: &mut String) {
        page.push_str(
            "<figure>\n<h3>Where everything in full quality stops fitting</h3>\n\
             <div class=\"scroll\"><table class=\"times\">\n<thead><tr><th></th>\
             <th>up</th><th>down</th><th>mesh stops at</th><th>SFU stops at</th></tr></thead>\n\
             <tbody>\n",
        );
        let stops = |it: &Option<Break>| {
            it.as_ref().map_or(format!("beyond {FARTHEST}"), |it| {
                it.participants.to_string()
            })
        };
        for it in &self.comparison.crossovers {
            let access = &it.access;
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(access.name),
                rate(access.up_kbps),
                rate(access.down_kbps),
                stops(&it.mesh),
                stops(&it.sfu)
            );
        }
        page.push_str(
            "</tbody></table></div>\n<figcaption>\n<p class=\"soft\">Beyond it an SFU forwards \
             smaller layers; a mesh has none, and every stream gets worse. Where a link bears not \
             even two, both make do with less from the start.</p>\n\
             <details><summary>Each link in words, with what simulations showed</summary>\n",
        );
        for it in &self.comparison.crossovers {
            let _ = writeln!(page, "<p>{}</p>", escaped(&crossover(it)));
        }
        page.push_str("</details>\n");
        command(page, &self.command());
        page.push_str("</figcaption>\n</figure>\n");
    }

    /// What it comes to, on a terminal.
    pub(super) fn print(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let again = self.command();
        let conferences = grouped(self.comparison.rows.len() as u64);
        writeln!(out, "{BOLD}A mesh against an SFU{BOLD:#}")?;
        writeln!(out, "{DIM}{conferences} conferences on {ACCESS}{DIM:#}")?;
        if let Some(summary) = summary(&self.compared(&again)) {
            for line in wrap(&summary, WIDTH) {
                writeln!(out, "{line}")?;
            }
        }
        writeln!(out, "{DIM}{again}{DIM:#}\n")
    }
}
