//! A conference's scenario from its text.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use pinhole::Time;
use pinhole::link::AccessProfile;

use super::super::fields::names;
use super::super::read::{choose, description, milliseconds, whole};
use super::Meeting;
use super::expect;
use super::fields::{CONFERENCE, FIDELITIES, LAYER, ROOT, VIEWS, WITH};
use crate::conference::media::{AudioProfile, Layer, VideoProfile};
use crate::conference::{
    ConferenceConfig, Fidelity, MOST_PARTICIPANTS, Part, Plan, Topology, View, bears,
};
use crate::file::{self, Document, Field, FileError, Table};
use crate::survey;

impl Meeting {
    /// Reads a scenario from the text of a file; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// It makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Meeting, FileError> {
        let document = Document::parse(file, text)?;
        let root = document.root(&names(ROOT))?;
        let about = description(&root.require("description", "description = \"Five in a mesh\"")?)?;
        let example = "[conference] with topology = \"sfu\" and participants = 5";
        let field = root.require("conference", example)?;
        let (mut config, fidelity) = conference(&field)?;
        let seed = root.get("seed");
        if let Some(field) = &seed {
            config.seed = whole(field, 0, 1 << 53)?;
        }
        let plan = Plan::new(config).map_err(|error| field.error(error))?;
        bears(&plan, fidelity).map_err(|error| field.error(error))?;
        let field = root.require("expect", "[[expect]] with connections = 10")?;
        let demands: Vec<_> = field
            .list()?
            .iter()
            .map(|entry| expect::read(entry, &plan, fidelity))
            .collect::<Result<_, FileError>>()?;
        if demands.is_empty() {
            return Err(
                field.error("a scenario that expects nothing can't fail; add an [[expect]]")
            );
        }
        let name = Path::new(file).file_stem();
        Ok(Meeting {
            name: name.map_or_else(|| file.to_owned(), |it| it.to_string_lossy().into_owned()),
            description: about,
            config: plan.config,
            fidelity,
            has_seed: seed.is_some(),
            demands,
        })
    }
}

fn conference(field: &Field<'_>) -> Result<(ConferenceConfig, Fidelity), FileError> {
    let table = field.table(&names(CONFERENCE))?;
    let topology: Topology = table.require("topology", "topology = \"sfu\"")?.parse()?;
    let people = table.require("participants", "participants = 5")?;
    let participants = whole(&people, 2, MOST_PARTICIPANTS as u64)? as usize;
    let access = match table.get("access") {
        Some(field) => Some(profile(&field)?),
        None => None,
    };
    let mut config = ConferenceConfig::new(topology, participants, access);
    if let Some(field) = table.get("viewers") {
        let viewers = whole(&field, 0, participants as u64 - 1)? as usize;
        for participant in &mut config.participants[participants - viewers..] {
            participant.part = Part::Views;
        }
    }
    if let Some(field) = table.get("network") {
        let kind: pinhole::topology::Kind = field.parse()?;
        for participant in &mut config.participants {
            participant.network = kind.clone();
        }
    }
    if let Some(field) = table.get("regions") {
        let regions = whole(&field, 1, MOST_PARTICIPANTS as u64)? as usize;
        for (place, participant) in config.participants.iter_mut().enumerate() {
            participant.region = place % regions;
        }
    }
    media(&table, &mut config)?;
    servers(&table, &mut config)?;
    times(&table, &mut config)?;
    let fidelity = fidelity(&table)?;
    if let Some(field) = table.get("with") {
        for entry in field.list()? {
            with(&entry, &mut config, fidelity)?;
        }
    }
    Ok((config, fidelity))
}

fn fidelity(table: &Table<'_>) -> Result<Fidelity, FileError> {
    let Some(field) = table.get("fidelity") else {
        return Ok(Fidelity::Flow);
    };
    let named = |name: &&'static str| Some((*name, name.parse::<Fidelity>().ok()?));
    let all: Vec<_> = FIDELITIES.iter().filter_map(named).collect();
    choose(&field, &all)
}

fn profile(field: &Field<'_>) -> Result<AccessProfile, FileError> {
    let profiles: Vec<_> = AccessProfile::ALL.iter().map(|it| (it.name, *it)).collect();
    choose(field, &profiles)
}

fn media(table: &Table<'_>, config: &mut ConferenceConfig) -> Result<(), FileError> {
    if let Some(field) = table.get("video") {
        config.video = match field.text()? {
            "off" => None,
            name => Some(VideoProfile::named(name).map_err(|error| field.error(error))?),
        };
    }
    if let Some(field) = table.get("layer") {
        if let Some(video) = table.get("video") {
            return Err(video.error("the layers say what is sent; leave one of the two out"));
        }
        let ladder = field
            .list()?
            .iter()
            .map(layer)
            .collect::<Result<Vec<_>, FileError>>()?;
        let single = ladder.last().copied();
        let video = single.map(|single| VideoProfile::new("own", single, ladder));
        let video = video.ok_or_else(|| field.error("a ladder has at least one layer"))?;
        config.video = Some(video.map_err(|error| field.error(error))?);
    }
    if let Some(field) = table.get("audio") {
        config.audio = match field.text()? {
            "off" => None,
            name => Some(AudioProfile::named(name).map_err(|error| field.error(error))?),
        };
    }
    if let Some(field) = table.get("key_frame_interval_s") {
        config.key_interval = Some(seconds(&field, 1)?);
    }
    Ok(())
}

fn layer(field: &Field<'_>) -> Result<Layer, FileError> {
    let table = field.table(&names(LAYER))?;
    let number = |name: &str, usual: Option<u64>, most: u64| -> Result<u64, FileError> {
        match (table.get(name), usual) {
            (Some(field), _) => whole(&field, 1, most),
            (None, Some(usual)) => Ok(usual),
            (None, None) => Err(table.error(format!(
                "{name} is missing; a layer has width, height, max_kbps"
            ))),
        }
    };
    let max = number("max_kbps", None, 1_000_000)?;
    Ok(Layer {
        width: number("width", None, 16_384)? as u16,
        height: number("height", None, 16_384)? as u16,
        frames_per_second: number("frames_per_s", Some(30), 255)? as u8,
        max_kbps: max as u32,
        target_kbps: number("target_kbps", Some(max), 1_000_000)? as u32,
        min_kbps: number("min_kbps", Some(30), 1_000_000)? as u32,
    })
}

/// What only servers that select have a use for.
fn servers(table: &Table<'_>, config: &mut ConferenceConfig) -> Result<(), FileError> {
    for name in ["simulcast", "last_n", "view"] {
        if let Some(field) = table.get(name)
            && !config.topology.selects()
        {
            let topology = config.topology;
            return Err(field.error(format!(
                "{topology} has no server that selects, so this would change nothing; leave it out"
            )));
        }
    }
    if let Some(field) = table.get("simulcast") {
        config.simulcast = field.flag()?;
    }
    if let Some(field) = table.get("last_n") {
        config.last_n = NonZeroUsize::new(whole(&field, 1, MOST_PARTICIPANTS as u64)? as usize);
    }
    if let Some(field) = table.get("view") {
        let views = [View::Best, View::Grid];
        let all: Vec<_> = VIEWS.iter().copied().zip(views).collect();
        config.view = choose(&field, &all)?;
    }
    if let Some(field) = table.get("turn") {
        config.turn = survey::turn(&field)?;
    }
    Ok(())
}

fn times(table: &Table<'_>, config: &mut ConferenceConfig) -> Result<(), FileError> {
    for (name, time) in [
        ("delay_ms", &mut config.delay),
        ("between_regions_ms", &mut config.between_regions),
        ("signaling_delay_ms", &mut config.signaling_delay),
    ] {
        if let Some(field) = table.get(name) {
            *time = milliseconds(&field)?;
        }
    }
    if let Some(field) = table.get("warmup_s") {
        config.warmup = seconds(&field, 0)?;
    }
    if let Some(field) = table.get("seconds") {
        config.measured = seconds(&field, 1)?;
    }
    Ok(())
}

/// Whole seconds, up to an hour.
fn seconds(field: &Field<'_>, least: u64) -> Result<Duration, FileError> {
    Ok(Duration::from_secs(whole(field, least, 3_600)?))
}

fn with(
    field: &Field<'_>,
    config: &mut ConferenceConfig,
    fidelity: Fidelity,
) -> Result<(), FileError> {
    let table = field.table(&names(WITH))?;
    let until = config.until();
    let named = table.require("name", "name = \"bob\"")?;
    let place = participant(&named, &config.participants)?;
    let participant = &mut config.participants[place];
    if let Some(field) = table.get("network") {
        participant.network = field.parse()?;
    }
    if let Some(field) = table.get("access") {
        participant.access = Some(profile(&field)?);
    }
    if let Some(field) = table.get("region") {
        participant.region = whole(&field, 1, MOST_PARTICIPANTS as u64)? as usize - 1;
    }
    if let Some(field) = table.get("screen") {
        if field.flag()? && participant.part == Part::Views {
            return Err(field.error("who only watches shares nothing"));
        }
        participant.shares_screen = field.flag()?;
    }
    match (table.get("roams_to"), table.get("roams_at_s")) {
        (None, None) => {}
        (Some(to), Some(at)) => {
            if fidelity == Fidelity::Formula {
                return Err(to.error("a formula has no time in which anybody could roam"));
            }
            let time = Time::ZERO + seconds(&at, 0)?;
            if time >= until {
                let end = until.as_millis_f64() / 1_000.0;
                return Err(at.error(format!("the conference ends at {end} s")));
            }
            participant.roams = Some((time, to.parse()?));
        }
        (Some(alone), None) => return Err(alone.error("when? add roams_at_s = 20")),
        (None, Some(alone)) => return Err(alone.error("where to? add roams_to")),
    }
    Ok(())
}

/// The place of the one whom a text names.
pub(super) fn participant(
    field: &Field<'_>,
    participants: &[crate::conference::Participant],
) -> Result<usize, FileError> {
    let name = field.text()?;
    let found = participants.iter().position(|it| it.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = participants.iter().map(|it| &*it.name).take(30).collect();
        let instead = file::instead(name, &names);
        field.error(format!("nobody is called {name:?}; {instead}"))
    })
}
