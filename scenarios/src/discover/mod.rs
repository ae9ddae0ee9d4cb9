//! NAT behaviour discovery (RFC 5780): a client behind a device asks a STUN server with two
//! addresses and two ports, and concludes from the answers what the device does.
//!
//! The client runs on a host of the virtual network and knows only what it sends and what comes
//! back. [`discover`] puts it behind a device of some [`Kind`]; [`discover_from`] starts it on any
//! host of any internet.
//!
//! | module | asks |
//! |---|---|
//! | `behaviour` | mapping, filtering, hairpinning (RFC 5780 §3.4, §4.3, §4.4) |
//! | `lifetime` | how long a mapping lives (RFC 5780 §4.6) |
//! | `session` | runs the transactions and keeps the log |
//! | `prober` | is the program on the host |
//!
//! **Lost answers.** Most conclusions are drawn from answers that do not come, so each request is
//! repeated as RFC 8489 §6.2.1 has it: seven times over 31.5 s, given up after 39.5 s. Where a
//! repeated request would spoil what is measured, the whole experiment is repeated instead, as
//! often.
//!
//! **Behind a NAT64** the client has only IPv6, and reaches the server by the addresses that its
//! network's DNS64 synthesizes. What the server tells is IPv4, and so is all that is concluded and
//! logged, but for the client's own sockets.
//!
//! What it doesn't do: fragments (RFC 5780 §3.5), TCP, detection of devices that rewrite addresses
//! in payloads (§3.6).

mod behaviour;
mod lifetime;
mod prober;
mod session;

pub use session::{Answer, Step};

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat::{FilterMemory, Hairpinning};
use pinhole::server::StunServer;
use pinhole::topology::{AddressPlan, BuildError, Kind, SiteOptions};
use pinhole::{BudgetExceeded, Endpoint, Filtering, Internet, Mapping, NodeId, Topology};

use session::Session;

/// What is on the way between client and server, beyond the device's kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoverOptions {
    /// One way between the device and the server.
    pub delay: Duration,
    /// Whether NATs hairpin.
    pub hairpinning: Hairpinning,
    /// Whose past the NATs' filters remember.
    pub filter_memory: FilterMemory,
    /// The longest lifetime that is waited for.
    pub longest: Duration,
}

/// The step between lifetimes that are told apart.
pub const RESOLUTION: Duration = Duration::from_millis(100);

/// The name of the test that is done again and again until a lifetime is found.
pub const LIFETIME_SEARCH: &str = "lifetime II";

/// Two hours: nobody keeps a UDP mapping that long.
pub const LONGEST: Duration = Duration::from_secs(7_200);

impl Default for DiscoverOptions {
    fn default() -> Self {
        DiscoverOptions {
            delay: Duration::from_millis(20),
            hairpinning: Hairpinning::default(),
            filter_memory: FilterMemory::default(),
            longest: LONGEST,
        }
    }
}

/// What was discovered, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovery {
    /// What lies between client and server, seen as one device; `None` if no UDP gets through.
    pub device: Option<Device>,
    /// The tests, in the order in which they were done.
    pub log: Vec<Step>,
}

/// A device, or several in a row that look like this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its mapping behaviour; `None` if nothing translates.
    pub mapping: Option<Mapping>,
    /// Its filtering behaviour.
    pub filtering: Filtering,
    /// Whose past its filter remembers; `None` where both would look the same: every internal
    /// endpoint has one mapping only, or there is no filter.
    pub filter_memory: Option<FilterMemory>,
    /// Whether it hairpins.
    pub hairpinning: Hairpin,
    /// Whether a socket's first mapping has the socket's port, for most of the sockets tried.
    /// True where nothing translates.
    pub port_preservation: bool,
    /// How long an answer may come in after the last packet went out: the mapping's lifetime;
    /// where nothing translates, the lifetime of a firewall's pinhole.
    pub lifetime: Lifetime,
    /// What the server saw of the client's first socket.
    pub external: SocketAddr,
}

/// Whether a device hairpins (RFC 4787 §6), as far as its inside can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hairpin {
    /// A datagram from one socket to another one's external endpoint came in.
    Yes,
    /// None came in, though the filter would have let it.
    No,
    /// None came in, but the filter might have refused it: there is no telling from which of the
    /// device's endpoints it would have come, and so no way to open the filter for it beforehand.
    /// No two hosts behind such a device reach each other through it, so to them it doesn't
    /// hairpin.
    Hidden,
}

/// How long a mapping lives without a packet from inside.
///
/// Tested in steps of [`RESOLUTION`]. A lifetime that is a multiple of
/// it is found exactly, as long as the device is less than a quarter of it away from the client
/// and the delay varies by less than that; any other is found rounded to the nearest multiple, give
/// or take one where it lies halfway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// It dies after this time.
    Expires(Duration),
    /// It was still alive after this time, the longest that was waited for.
    Outlives(Duration),
}

impl Lifetime {
    /// The lifetime in milliseconds; `None` if it never seemed to end.
    pub fn as_millis(self) -> Option<u64> {
        match self {
            Lifetime::Expires(after) => Some(after.as_millis() as u64),
            Lifetime::Outlives(_) => None,
        }
    }
}

/// Why nothing was discovered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The network makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The run's budget was spent first.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// The client's host cannot ask this server.
    #[error("{host} has no address or no free port to ask {server} from")]
    NoSocket {
        /// The client's host.
        host: String,
        /// The server.
        server: SocketAddr,
    },
    /// The server is there, and isn't one for discovery.
    #[error(
        "{server} {why}: discovery needs a server with two addresses and two ports (RFC 5780 §6)"
    )]
    Unfit {
        /// Who was asked.
        server: SocketAddr,
        /// What it did.
        why: &'static str,
    },
    /// The server answered before, and then no longer.
    #[error("{server} answered earlier tests, and then not once in {tries} tries")]
    FellSilent {
        /// Who was asked.
        server: SocketAddr,
        /// How often.
        tries: u32,
    },
}

/// The server's ports: the one of RFC 8489 §18.5, and the next.
const PORTS: [u16; 2] = [3478, 3479];

/// Discovers what a device of this kind does, from a host inside it.
///
/// ```
/// use pinhole::{Filtering, Mapping};
/// use pinhole_scenarios::discover::{DiscoverOptions, discover};
///
/// let found = discover(&"nat:eim/adf".parse()?, &DiscoverOptions::default(), 1)?;
/// let device = found.device.ok_or("UDP is blocked")?;
/// assert_eq!(device.mapping, Some(Mapping::EndpointIndependent));
/// assert_eq!(device.filtering, Filtering::AddressDependent);
/// assert_eq!(device.lifetime.as_millis(), Some(300_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The run's budget was spent.
pub fn discover(
    kind: &Kind,
    options: &DiscoverOptions,
    seed: u64,
) -> Result<Discovery, DiscoverError> {
    let mut plan = Topology::new();
    let mut addresses = AddressPlan::new();
    let core = plan.router("internet");
    // Half the way on either side of the core.
    let access = Link::with_delay(options.delay / 2);
    let site = SiteOptions {
        hairpinning: options.hairpinning,
        filter_memory: options.filter_memory,
        ..SiteOptions::new(access)
    };
    let mut home = plan.site("home", core, kind, &site, &mut addresses);
    let host = plan.host_at(&mut home, "client", &mut addresses);
    let server = plan.server("stun", core, access, 2, false, &mut addresses);
    let mut net = plan.build(seed)?;
    let primary = Endpoint::new(net.address(server), PORTS[0]);
    net.attach(server, StunServer::with_discovery(PORTS[0], PORTS[1]));
    let has_ipv4 = net.topology().addresses(host).any(|own| own.is_ipv4());
    let through = home.prefix64().filter(|_| !has_ipv4);
    let session = Session::begin(&mut net, host, primary.into(), through);
    conclude(session, options.longest)
}

/// Discovers what lies between `host` and the RFC 5780 server at `server`, in an internet as it
/// stands, waiting for no lifetime longer than `longest`. Whatever else happens there goes on
/// meanwhile.
///
/// # Errors
///
/// The host can't ask, or the server is no server for discovery.
pub fn discover_from(
    net: &mut Internet,
    host: NodeId,
    server: SocketAddr,
    longest: Duration,
) -> Result<Discovery, DiscoverError> {
    conclude(Session::begin(net, host, server, None), longest)
}

fn conclude(mut session: Session<'_>, longest: Duration) -> Result<Discovery, DiscoverError> {
    let device = match behaviour::find(&mut session)? {
        None => None,
        Some(behaviour) => Some(Device {
            mapping: behaviour.mapping,
            filtering: behaviour.filtering,
            filter_memory: behaviour.filter_memory,
            hairpinning: behaviour.hairpinning,
            lifetime: lifetime::find(&mut session, longest)?,
            port_preservation: session.ports_preserved(),
            external: behaviour.external,
        }),
    };
    Ok(Discovery {
        device,
        log: session.into_log(),
    })
}
