//! Which fields scenario files of conferences have.

use super::super::fields::Shape::*;
use super::super::fields::{DESCRIPTION, FieldDoc, SEED, WHY};

pub(in crate::scenario) const ROOT: &[FieldDoc] = &[
    DESCRIPTION,
    SEED,
    ("conference", "The conference", Table(CONFERENCE)),
    ("expect", "What must come of it", Tables(EXPECT)),
];

pub(super) const CONFERENCE: &[FieldDoc] = &[
    (
        "topology",
        "How streams travel: mesh, sfu, mcu, or cascade:K with K servers",
        Text,
    ),
    (
        "fidelity",
        "How exactly it is simulated [flow]",
        Choice(FIDELITIES),
    ),
    (
        "participants",
        "How many take part, called alice, bob, carol and so on",
        Number(2.0),
    ),
    (
        "viewers",
        "How many of them, the last, only watch [0]",
        Number(0.0),
    ),
    (
        "network",
        "Everybody's kind of network [nat:eim/apdf]",
        Text,
    ),
    (
        "access",
        "The profile of everybody's access link [none: no delay, no loss, no bottleneck]",
        Access,
    ),
    (
        "video",
        "What everybody lets see: 1080p, 720p, 360p, 180p or off [720p]",
        Text,
    ),
    (
        "layer",
        "A video of one's own: its simulcast layers, the smallest first; without simulcast the \
         last one is sent",
        Tables(LAYER),
    ),
    (
        "audio",
        "What everybody lets hear: opus-32k, opus-20k, opus-12k or off [opus-32k]",
        Text,
    ),
    (
        "simulcast",
        "Whether cameras are sent in layers where servers select [true]",
        Flag,
    ),
    (
        "last_n",
        "How many of the last speakers servers forward to each viewer [all]",
        Number(1.0),
    ),
    (
        "view",
        "How large viewers want pictures [best]",
        Choice(VIEWS),
    ),
    (
        "key_frame_interval_s",
        "How often cameras send a key frame that nobody asked for [never]",
        Number(1.0),
    ),
    (
        "turn",
        "The transports that the TURN servers offer; [] for no TURN [all]",
        Turn,
    ),
    (
        "regions",
        "Over how many regions participants are spread, in turn [one for each server]",
        Number(1.0),
    ),
    (
        "delay_ms",
        "One way between any two edges of one region [20]",
        Number(0.0),
    ),
    (
        "between_regions_ms",
        "One way from one region to another, on top [40]",
        Number(0.0),
    ),
    (
        "signaling_delay_ms",
        "What a signal takes from one end to another [50]",
        Number(0.0),
    ),
    (
        "warmup_s",
        "What passes before measuring begins [10]",
        Number(0.0),
    ),
    ("seconds", "How long is measured [30]", Number(1.0)),
    (
        "with",
        "What is different about one participant",
        Tables(WITH),
    ),
];

pub(super) const FIDELITIES: &[&str] = &["full", "flow", "formula"];
pub(super) const VIEWS: &[&str] = &["best", "grid"];

pub(super) const LAYER: &[FieldDoc] = &[
    ("width", "Pixels across", Number(1.0)),
    ("height", "Pixels down", Number(1.0)),
    ("frames_per_s", "Frames in a second [30]", Number(1.0)),
    (
        "max_kbps",
        "The most it uses, where nothing above it is sent",
        Number(1.0),
    ),
    (
        "target_kbps",
        "What it is given before anything goes to the layer above [its maximum]",
        Number(1.0),
    ),
    ("min_kbps", "Below this it isn't sent [30]", Number(1.0)),
];

pub(super) const WITH: &[FieldDoc] = &[
    ("name", "Who: alice, bob, carol …", Text),
    ("network", "Its kind of network", Text),
    ("access", "The profile of its access link", Access),
    ("region", "The region it is in, from 1", Number(1.0)),
    ("screen", "Whether it shares its screen [false]", Flag),
    (
        "roams_to",
        "The kind of network that it leaves its own for",
        Text,
    ),
    ("roams_at_s", "When it does", Number(0.0)),
];

pub(super) const EXPECT: &[FieldDoc] = &[
    WHY,
    (
        "who",
        "Of whom the bounds on participants are said: a name or a list [everybody]",
        Names,
    ),
    ("connections", "So many connections", Number(0.0)),
    ("relayed", "So many of them go over TURN", Number(0.0)),
    (
        "everybody_seen_within_ms",
        "Everybody has something of everybody by then",
        Number(0.0),
    ),
    (
        "lost_at_least_ms",
        "Later on somebody lacks somebody for so long, or longer",
        Number(0.0),
    ),
    (
        "lost_at_most_ms",
        "Later on nobody lacks anybody, or not for longer than this",
        Number(0.0),
    ),
    (
        "seen_at_the_end",
        "Whether everybody has everybody when it ends",
        Flag,
    ),
    (
        "up_at_least_kbps",
        "What each sends is no less",
        Number(0.0),
    ),
    ("up_at_most_kbps", "What each sends is no more", Number(0.0)),
    (
        "down_at_least_kbps",
        "What each gets is no less",
        Number(0.0),
    ),
    (
        "down_at_most_kbps",
        "What each gets is no more",
        Number(0.0),
    ),
    (
        "video_share_at_least",
        "The share of the full video rate that each gets is no less",
        Share,
    ),
    (
        "video_share_at_most",
        "The share of the full video rate that each gets is no more",
        Share,
    ),
    (
        "freezes_at_least",
        "Each sees so many freezes or more",
        Number(0.0),
    ),
    (
        "freezes_at_most",
        "Each sees so many freezes or fewer",
        Number(0.0),
    ),
    (
        "queueing_p95_at_least_ms",
        "What queues add to delay, 95 % of it, is no less for each",
        Number(0.0),
    ),
    (
        "queueing_p95_at_most_ms",
        "What queues add to delay, 95 % of it, is no more for each",
        Number(0.0),
    ),
    (
        "delay_p95_at_most_ms",
        "95 % of what each hears was captured no longer ago",
        Number(0.0),
    ),
    (
        "loss_at_most",
        "The share of media lost on the way down to each is no more",
        Share,
    ),
    (
        "server_out_at_least_kbps",
        "What all servers send together is no less",
        Number(0.0),
    ),
    (
        "server_out_at_most_kbps",
        "What all servers send together is no more",
        Number(0.0),
    ),
];
