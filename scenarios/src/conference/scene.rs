//! The internet that a conference happens on: a site for each participant, servers, one router for
//! each region.

use std::time::Duration;

use pinhole::internet::Fault;
use pinhole::link::Link;
use pinhole::topology::{AddressPlan, BuildError, SiteOptions};
use pinhole::{Internet, LinkId, NodeId, Time, Topology};

use super::plan::Plan;

/// Who is where.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The participants' hosts.
    pub hosts: Vec<NodeId>,
    /// The servers' hosts.
    pub servers: Vec<NodeId>,
    /// A STUN server for each region.
    pub stun: Vec<NodeId>,
    /// A TURN server for each region; none where the service offers no TURN.
    pub turn: Vec<NodeId>,
    /// Who roams, when, and to which attachment.
    pub roaming: Vec<(usize, Time, LinkId)>,
}

impl Scene {
    /// Plans the conference's internet and makes it, in place of what `net` was before. Those who
    /// roam will.
    ///
    /// # Errors
    ///
    /// The networks make no sense.
    pub fn set(net: &mut Internet, plan: &Plan) -> Result<Self, BuildError> {
        let config = &plan.config;
        let mut topology = Topology::new();
        let mut addresses = AddressPlan::new();
        topology.budget(config.budget);
        let of_people = plan.participants().iter().map(|it| it.region + 1);
        let of_servers = plan.servers.iter().map(|it| it.region + 1);
        let regions = of_people.chain(of_servers).max().unwrap_or(1);
        let cores: Vec<NodeId> = (0..regions)
            .map(|region| match regions {
                1 => topology.router("internet"),
                _ => topology.router(format!("region{}", region + 1)),
            })
            .collect();
        for (number, one) in cores.iter().enumerate() {
            for other in &cores[number + 1..] {
                topology.connect(*one, *other, Link::with_delay(config.between_regions), &[]);
            }
        }
        // Half the way between two edges lies on either side of the core.
        let half = config.delay / 2;
        let mut hosts = Vec::with_capacity(plan.participants().len());
        let mut roaming = Vec::new();
        for (number, participant) in plan.participants().iter().enumerate() {
            let core = cores[participant.region];
            let access = participant.link();
            let options = SiteOptions::new(lengthened(access, half));
            let name = &participant.name;
            let mut site =
                topology.site(name, core, &participant.network, &options, &mut addresses);
            let host = topology.host_at(&mut site, name, &mut addresses);
            if let Some((at, kind)) = &participant.roams {
                let name = format!("{name}.mobile");
                let mut site = topology.site(&name, core, kind, &options, &mut addresses);
                let standby = topology.standby_at(&mut site, host, &mut addresses);
                roaming.push((number, *at, standby));
            }
            hosts.push(host);
        }
        let access = Link::with_delay(half);
        let mut server = |topology: &mut Topology, name: &str, region: usize| {
            topology.server(name, cores[region], access, 1, false, &mut addresses)
        };
        let mut of_each_region = |topology: &mut Topology, name: &str| -> Vec<NodeId> {
            (0..regions)
                .map(|region| match regions {
                    1 => server(topology, name, region),
                    _ => server(topology, &format!("{name}{}", region + 1), region),
                })
                .collect()
        };
        let stun = of_each_region(&mut topology, "stun");
        let turn = if config.turn.transports().is_empty() {
            Vec::new()
        } else {
            of_each_region(&mut topology, "turn")
        };
        let servers = plan
            .servers
            .iter()
            .map(|it| server(&mut topology, &it.name, it.region))
            .collect();
        net.rebuild(topology, config.seed)?;
        let scene = Scene {
            hosts,
            servers,
            stun,
            turn,
            roaming,
        };
        for (number, at, to) in &scene.roaming {
            let roam = Fault::Roam {
                host: scene.hosts[*number],
                to: *to,
            };
            let scheduled = net.schedule_fault(*at, roam);
            scheduled.expect("the attachment is the host's own");
        }
        Ok(scene)
    }

    /// The region's STUN server, and its TURN server if there is one.
    pub fn services(&self, region: usize) -> (NodeId, Option<NodeId>) {
        (self.stun[region], self.turn.get(region).copied())
    }
}

/// An access link with so much more delay each way.
fn lengthened(access: Option<Link>, more: Duration) -> Link {
    match access {
        None => Link::with_delay(more),
        Some(mut link) => {
            link.up.delay += more;
            link.down.delay += more;
            link
        }
    }
}
