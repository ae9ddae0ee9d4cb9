//! Access links by name, each with its numbers and where they come from.

use std::time::Duration;

use super::conditions::{Conditions, ETHERNET_MTU, Link};

/// An access link as published figures describe it: the stretch between a home and the internet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AccessProfile {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// Downstream rate in kbit/s.
    pub down_kbps: u32,
    /// Upstream rate in kbit/s.
    pub up_kbps: u32,
    /// Round-trip time added by the link in milliseconds; half of it each way.
    pub round_trip_ms: u32,
    /// Packets lost at random each way, as a share.
    pub loss: f64,
    /// How long a full queue takes to drain, in milliseconds, each way.
    pub queue_ms: u32,
    /// Where the numbers come from, and how sure they are.
    pub basis: &'static str,
}

/// Where a publication names no queue: a drop-tail buffer of 300 ms, the middle of the range that
/// RFC 8868 §4.3 gives for drop-tail queues.
const USUAL_QUEUE_MS: u32 = 300;

const PROPOSAL: &str = "proposal: round figures near the published medians for this technology; \
     no single source states them";
const WEBPAGETEST: &str = "WebPageTest's connectivity presets (its sample connectivity.ini); \
     queue of 300 ms is ours, after RFC 8868 §4.3";
const DEVTOOLS: &str = "Chrome DevTools' throttling presets as reported by DebugBear, upload from \
     memory; queue of 300 ms is ours, after RFC 8868 §4.3";
const LIGHTHOUSE: &str =
    "Lighthouse's documentation of throttling; queue of 300 ms is ours, after RFC 8868 §4.3";

const fn profile(
    name: &'static str,
    (down_kbps, up_kbps): (u32, u32),
    round_trip_ms: u32,
    loss: f64,
    queue_ms: u32,
    basis: &'static str,
) -> AccessProfile {
    AccessProfile {
        name,
        down_kbps,
        up_kbps,
        round_trip_ms,
        loss,
        queue_ms,
        basis,
    }
}

impl AccessProfile {
    /// Every profile: what people have at home, then the published throttling presets.
    pub const ALL: &'static [AccessProfile] = &[
        profile("fibre", (500_000, 300_000), 8, 0.0001, 70, PROPOSAL),
        profile("cable", (200_000, 15_000), 20, 0.0005, 300, PROPOSAL),
        profile("vdsl", (50_000, 10_000), 25, 0.0005, 200, PROPOSAL),
        profile("adsl", (8_000, 800), 45, 0.001, 300, PROPOSAL),
        profile("5g", (150_000, 20_000), 30, 0.002, 300, PROPOSAL),
        profile("lte", (30_000, 8_000), 50, 0.003, 500, PROPOSAL),
        profile("starlink", (100_000, 12_000), 45, 0.01, 200, PROPOSAL),
        profile(
            "wpt-cable",
            (5_000, 1_000),
            28,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-dsl",
            (1_500, 384),
            50,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-fios",
            (20_000, 5_000),
            4,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-dial-up",
            (49, 30),
            120,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-3g",
            (1_600, 768),
            300,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-3g-fast",
            (1_600, 768),
            150,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-3g-slow",
            (780, 330),
            200,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile(
            "wpt-edge",
            (240, 200),
            840,
            0.0,
            USUAL_QUEUE_MS,
            WEBPAGETEST,
        ),
        profile("wpt-2g", (35, 32), 1_300, 0.0, USUAL_QUEUE_MS, WEBPAGETEST),
        profile(
            "lighthouse-slow-4g",
            (1_600, 750),
            150,
            0.0,
            USUAL_QUEUE_MS,
            LIGHTHOUSE,
        ),
        profile(
            "devtools-slow-3g",
            (400, 400),
            2_000,
            0.0,
            USUAL_QUEUE_MS,
            DEVTOOLS,
        ),
        profile(
            "devtools-fast-3g",
            (1_440, 675),
            560,
            0.0,
            USUAL_QUEUE_MS,
            DEVTOOLS,
        ),
    ];

    /// The profile of that name.
    ///
    /// # Errors
    ///
    /// Nobody defined it; the error lists what exists.
    pub fn named(name: &str) -> Result<AccessProfile, UnknownProfile> {
        let found = AccessProfile::ALL
            .iter()
            .find(|profile| profile.name == name);
        found.copied().ok_or_else(|| UnknownProfile {
            name: name.to_owned(),
        })
    }

    /// The link this profile describes, with Ethernet's MTU.
    pub fn link(&self) -> Link {
        let direction = |kbps: u32| {
            let queue_bytes = u64::from(kbps) * u64::from(self.queue_ms) / 8;
            Conditions::new(Duration::from_micros(u64::from(self.round_trip_ms) * 500))
                .bottleneck(u64::from(kbps) * 1000, queue_bytes as u32)
                .independent_loss(self.loss)
                .mtu(ETHERNET_MTU)
        };
        Link {
            up: direction(self.up_kbps),
            down: direction(self.down_kbps),
        }
    }
}

/// There is no access profile of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no access profile is called {name:?}; there are {}", known())]
pub struct UnknownProfile {
    name: String,
}

fn known() -> String {
    let names: Vec<&str> = AccessProfile::ALL
        .iter()
        .map(|profile| profile.name)
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_becomes_a_link_with_its_numbers() {
        let adsl = AccessProfile::named("adsl").unwrap().link();
        assert_eq!(adsl.up.delay, Duration::from_micros(22_500));
        let up = adsl.up.bottleneck.unwrap();
        assert_eq!(up.bits_per_second.get(), 800_000);
        // 300 ms at 800 kbit/s.
        assert_eq!(up.queue_bytes, 30_000);
    }

    #[test]
    fn an_unknown_profile_lists_the_known_ones() {
        let error = AccessProfile::named("isdn").unwrap_err().to_string();
        assert!(
            error.contains("isdn") && error.contains("starlink"),
            "{error}"
        );
    }
}
