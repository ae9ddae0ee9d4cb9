//! The options that conferences have, wherever they are held.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use pinhole::Time;
use pinhole::link::AccessProfile;
use pinhole::topology::Kind;

use super::options::milliseconds;
use crate::call::TurnOffer;
use crate::conference::media::{AudioProfile, VideoProfile};
use crate::conference::{ConferenceConfig, Fidelity, Participant, Prices, Topology, View};

/// What everybody has in common, and how the conference is measured.
#[derive(Args, Clone)]
pub(super) struct MeetingOptions {
    /// The access link of every participant, or none for no limit; of several, separated by commas,
    /// each has the next
    #[arg(long, default_value = "cable", value_name = "PROFILE", value_delimiter = ',', value_parser = access)]
    access: Vec<Access>,
    /// The kind of network of every participant; of several, separated by commas, each has the next
    #[arg(
        long,
        default_value = "nat:eim/apdf",
        value_name = "KIND",
        value_delimiter = ','
    )]
    network: Vec<Kind>,
    /// The video that everybody sends: 1080p, 720p, 360p, 180p or off
    #[arg(long, default_value = "720p", value_name = "PROFILE", value_parser = video)]
    video: Off<VideoProfile>,
    /// The audio that everybody sends: opus-32k, opus-20k, opus-12k or off
    #[arg(long, default_value = "opus-32k", value_name = "PROFILE", value_parser = audio)]
    audio: Off<AudioProfile>,
    /// Whether cameras are sent in several layers, of which servers select: on or off [default: on]
    #[arg(long, value_name = "ON|OFF", value_parser = on_or_off)]
    simulcast: Option<bool>,
    /// How many of the last speakers servers forward to each viewer: a number, or all [default: all]
    #[arg(long, value_name = "N|all", value_parser = last_n)]
    last_n: Option<Off<NonZeroUsize>>,
    /// How large viewers want pictures: best (as the link bears) or grid (tiles of one screen)
    #[arg(long, value_name = "VIEW", value_parser = view)]
    view: Option<View>,
    /// How often cameras send a key frame that nobody asked for, in seconds [default: never]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    key_frame_interval: Option<u32>,
    /// TURN transports that the service offers: off, all, or a comma list of udp, tcp, tls
    #[arg(long, default_value = "all", value_name = "LIST")]
    turn: TurnOffer,
    /// One way between any two edges of one region, in milliseconds; access links come on top
    #[arg(long, default_value = "20", value_name = "MS", value_parser = milliseconds)]
    delay_ms: Duration,
    /// One way from one region to another, on top, in milliseconds
    #[arg(long, default_value = "40", value_name = "MS", value_parser = milliseconds)]
    between_regions_ms: Duration,
    /// What a signal takes from one end to another, in milliseconds [default: 50]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    signaling_delay_ms: Option<Duration>,
}

/// What a month costs.
#[derive(Args, Clone, Copy)]
pub(super) struct PriceOptions {
    /// The price of a gigabyte that leaves servers and TURN servers; the default is a proposal
    #[arg(long, default_value_t = Prices::default().per_gb, value_name = "PRICE", value_parser = amount)]
    price_per_gb: f64,
    /// The price of an hour of a server; the default is a proposal
    #[arg(long, default_value_t = Prices::default().per_server_hour, value_name = "PRICE", value_parser = amount)]
    price_per_server_hour: f64,
    /// Hours a month that conferences like this one last, all together
    #[arg(long, default_value_t = Prices::default().hours, value_name = "HOURS", value_parser = amount)]
    hours: f64,
}

impl PriceOptions {
    pub(super) fn prices(self) -> Prices {
        Prices {
            per_gb: self.price_per_gb,
            per_server_hour: self.price_per_server_hour,
            hours: self.hours,
        }
    }
}

/// Something, or nothing because somebody said so.
#[derive(Clone, Debug)]
pub(super) enum Off<T> {
    On(T),
    Off,
}

impl<T: Clone> Off<T> {
    fn get(&self) -> Option<T> {
        match self {
            Off::On(it) => Some(it.clone()),
            Off::Off => None,
        }
    }
}

impl MeetingOptions {
    /// A conference of so many with these options. Those of them that a topology has no use for are
    /// left as they are.
    pub(super) fn config(
        &self,
        topology: Topology,
        participants: usize,
        (warmup, measured): (Duration, Duration),
        seed: u64,
    ) -> ConferenceConfig {
        let usual = ConferenceConfig::new(topology, participants, None);
        let dealt = |(place, participant): (usize, Participant)| Participant {
            network: self.network[place % self.network.len()].clone(),
            access: self.access[place % self.access.len()].0,
            ..participant
        };
        let participants = usual.participants.into_iter().enumerate().map(dealt);
        let selects = topology.selects();
        ConferenceConfig {
            participants: participants.collect(),
            audio: self.audio.get(),
            video: self.video.get(),
            simulcast: self.simulcast.unwrap_or(usual.simulcast),
            key_interval: self
                .key_frame_interval
                .map(|seconds| Duration::from_secs(seconds.into())),
            last_n: self.last_n().filter(|_| selects),
            view: self.view.unwrap_or_default(),
            turn: self.turn.clone(),
            delay: self.delay_ms,
            between_regions: self.between_regions_ms,
            signaling_delay: self.signaling_delay_ms.unwrap_or(usual.signaling_delay),
            warmup,
            measured,
            seed,
            ..usual
        }
    }

    /// After how many participants networks and links come in the same order again.
    pub(super) fn pattern(&self) -> usize {
        self.network.len() * self.access.len()
    }

    /// How many of the last speakers are forwarded, if not all.
    pub(super) fn last_n(&self) -> Option<NonZeroUsize> {
        self.last_n.as_ref().and_then(Off::get)
    }

    /// Options that were given and make no difference, each with the reason.
    pub(super) fn idle(&self, topology: Topology, fidelity: Fidelity) -> Vec<String> {
        let mut idle = Vec::new();
        if !topology.selects() {
            let named = [
                ("--simulcast", self.simulcast.is_some()),
                ("--view", self.view.is_some()),
            ];
            for (option, _) in named.into_iter().filter(|(_, is_given)| *is_given) {
                idle.push(format!(
                    "{option} makes no difference here: in {topology} no server selects layers, and \
                     cameras send one stream"
                ));
            }
        }
        if fidelity == Fidelity::Formula {
            let named = [
                ("--key-frame-interval", self.key_frame_interval.is_some()),
                ("--signaling-delay-ms", self.signaling_delay_ms.is_some()),
            ];
            for (option, _) in named.into_iter().filter(|(_, is_given)| *is_given) {
                idle.push(format!(
                    "{option} makes no difference here: a formula has no time in which anything \
                     happens"
                ));
            }
        }
        idle
    }

    /// The options as they are written, those that differ from the usual: for commands that repeat.
    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        let mut add = |option: &str, value: String, usual: &str| {
            if value != usual {
                out.push_str(&format!(" {option} {value}"));
            }
        };
        let accesses: Vec<&str> = self.access.iter().map(|it| it.name()).collect();
        add("--access", accesses.join(","), "cable");
        let networks: Vec<String> = self.network.iter().map(ToString::to_string).collect();
        add("--network", networks.join(","), "nat:eim/apdf");
        let video = self.video.get().map(|it| it.name);
        add("--video", video.unwrap_or_else(|| "off".into()), "720p");
        let audio = self.audio.get().map(|it| it.name);
        add("--audio", audio.unwrap_or_else(|| "off".into()), "opus-32k");
        if self.simulcast == Some(false) {
            add("--simulcast", "off".into(), "on");
        }
        if let Some(last_n) = self.last_n() {
            add("--last-n", last_n.to_string(), "all");
        }
        if self.view == Some(View::Grid) {
            add("--view", "grid".into(), "best");
        }
        if let Some(seconds) = self.key_frame_interval {
            add("--key-frame-interval", seconds.to_string(), "");
        }
        let turn = self.turn.to_string();
        add("--turn", turn, &TurnOffer::all().to_string());
        let millis = |duration: Duration| (duration.as_secs_f64() * 1_000.0).to_string();
        add("--delay-ms", millis(self.delay_ms), "20");
        add(
            "--between-regions-ms",
            millis(self.between_regions_ms),
            "40",
        );
        if let Some(delay) = self.signaling_delay_ms {
            add("--signaling-delay-ms", millis(delay), "50");
        }
        out
    }
}

/// An access profile, or a link without any limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Access(pub(super) Option<AccessProfile>);

pub(super) fn access(text: &str) -> Result<Access, String> {
    if text == "none" {
        return Ok(Access(None));
    }
    let found = AccessProfile::named(text).map_err(|error| format!("{error}, and none"))?;
    Ok(Access(Some(found)))
}

impl Access {
    fn name(self) -> &'static str {
        self.0.map_or("none", |profile| profile.name)
    }
}

/// When a participant roams, and to which kind of network: `nat:eim/apdf@20s`.
pub(super) fn roams(text: &str) -> Result<(Time, Kind), String> {
    let wrong = || {
        format!(
            "roams: {text:?} should be a kind of network and a second, such as nat:eim/apdf@20s"
        )
    };
    let (kind, at) = text.rsplit_once('@').ok_or_else(wrong)?;
    let seconds: f64 = at
        .strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .ok_or_else(wrong)?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(wrong());
    }
    let kind = kind.parse().map_err(|error| format!("roams: {error}"))?;
    Ok((Time::ZERO + Duration::from_secs_f64(seconds), kind))
}

fn video(text: &str) -> Result<Off<VideoProfile>, String> {
    match text {
        "off" => Ok(Off::Off),
        _ => VideoProfile::named(text)
            .map(Off::On)
            .map_err(|error| error.to_string()),
    }
}

fn audio(text: &str) -> Result<Off<AudioProfile>, String> {
    match text {
        "off" => Ok(Off::Off),
        _ => AudioProfile::named(text)
            .map(Off::On)
            .map_err(|error| error.to_string()),
    }
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("this is on or off".to_owned()),
    }
}

fn last_n(text: &str) -> Result<Off<NonZeroUsize>, String> {
    if text == "all" {
        return Ok(Off::Off);
    }
    text.parse().map(Off::On).map_err(|_| {
        "servers forward at least the last speaker; this is a whole number from 1, or all"
            .to_owned()
    })
}

fn view(text: &str) -> Result<View, String> {
    match text {
        "best" => Ok(View::Best),
        "grid" => Ok(View::Grid),
        _ => Err("views are best and grid".to_owned()),
    }
}

fn amount(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if (0.0..=1e9).contains(&amount) => Ok(amount),
        _ => Err("this is a number from 0 to a thousand million".to_owned()),
    }
}
