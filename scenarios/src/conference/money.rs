//! What a conference costs who runs its servers, at prices that somebody states.
//!
//! Only what is counted here is paid for here: bytes that leave servers and TURN servers, and hours
//! that machines run. Prices differ by a factor of ten between providers, so they are an input; the
//! defaults are proposals.

use super::outcome::ConferenceOutcome;

/// Prices, in one currency, and how much a month holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prices {
    /// For a gigabyte (10⁹ bytes) that leaves a server, TURN servers included.
    pub per_gb: f64,
    /// For an hour of a conference's server.
    pub per_server_hour: f64,
    /// Hours that conferences like this one last in a month, all together.
    pub hours: f64,
}

impl Default for Prices {
    /// Proposals: a list price of cloud providers for traffic once the first terabytes are over, a
    /// machine of a few cores, eight hours on twenty days.
    fn default() -> Self {
        Prices {
            per_gb: 0.05,
            per_server_hour: 0.10,
            hours: 160.0,
        }
    }
}

/// What a month comes to.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Bill {
    /// Gigabytes that leave the conference's servers, those between servers included.
    pub servers_gb: f64,
    /// Gigabytes that leave TURN servers.
    pub turn_gb: f64,
    /// What the servers' traffic costs.
    pub traffic: f64,
    /// What TURN's traffic costs.
    pub turn: f64,
    /// What the machines cost.
    pub machines: f64,
}

impl Bill {
    /// What all of it costs.
    pub fn total(&self) -> f64 {
        self.traffic + self.turn + self.machines
    }
}

impl Prices {
    /// A month of conferences that go as this one.
    pub fn bill(&self, outcome: &ConferenceOutcome) -> Bill {
        let servers = outcome.servers.len();
        self.bill_for(
            servers,
            outcome.server_out_kbps(),
            outcome.turn.relayed_kbps,
        )
    }

    /// A month in which so many servers send so much, and TURN servers so much, in kbit/s.
    pub fn bill_for(&self, servers: usize, servers_kbps: f64, turn_kbps: f64) -> Bill {
        // A sum of nothing is -0, and nobody's bill is.
        let gigabytes = |kbps: f64| (kbps + 0.0) * 1_000.0 / 8.0 * 3_600.0 * self.hours / 1e9;
        let (servers_gb, turn_gb) = (gigabytes(servers_kbps), gigabytes(turn_kbps));
        Bill {
            servers_gb,
            turn_gb,
            traffic: servers_gb * self.per_gb,
            turn: turn_gb * self.per_gb,
            machines: servers as f64 * self.per_server_hour * self.hours,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conference::{ConferenceConfig, Fidelity, Plan, Topology, run};

    #[test]
    fn a_bill_is_gigabytes_and_hours_at_their_prices() {
        let config = ConferenceConfig::new(Topology::Sfu, 5, None);
        let plan = Plan::new(config).unwrap();
        let outcome = run(&plan, Fidelity::Formula).unwrap();
        let prices = Prices {
            per_gb: 0.1,
            per_server_hour: 2.0,
            hours: 10.0,
        };
        let bill = prices.bill(&outcome);
        // Twenty streams of about 2.7 Mbit/s for ten hours.
        assert!((235.0..250.0).contains(&bill.servers_gb), "{bill:?}");
        assert!((bill.traffic - bill.servers_gb * 0.1).abs() < 1e-9);
        assert_eq!((bill.machines, bill.turn), (20.0, 0.0));
        let mesh = Plan::new(ConferenceConfig::new(Topology::Mesh, 5, None)).unwrap();
        let outcome = run(&mesh, Fidelity::Formula).unwrap();
        assert_eq!(prices.bill(&outcome), Bill::default());
    }
}
