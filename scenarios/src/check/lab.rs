//! The laboratory around a device: two hosts inside, two outside, and a raw socket on each. An
//! experiment sends single packets and looks at what arrives where; it never looks into the device.
//!
//! ```text
//!   X1 ──┐                                  ┌── Y1 192.0.2.1
//!        device under test ──── internet ───┤
//!   X2 ──┘ 203.0.113.1, …                   └── Y2 192.0.2.2
//! ```

use std::time::Duration;

use pinhole::link::{Conditions, Link};
use pinhole::packet::{Fragment, Packet, Payload, TcpFlags, TcpSegment, Transport};
use pinhole::topology::{AddressPlan, Site, SiteOptions};
use pinhole::trace::Digest;
use pinhole::{Address, Endpoint, Input, Internet, Io, NodeId, Program, ProgramId, Time, Topology};

use super::proof::{self, Proof};
use super::{CheckError, Subject};

/// How long an experiment waits for what a packet leads to: far more than the longest way there and
/// back takes, and far less than any lifetime.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// One way between the device and a host outside.
const DELAY: Duration = Duration::from_millis(10);

/// A host of the laboratory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Host(usize);

pub(super) const X1: Host = Host(0);
pub(super) const X2: Host = Host(1);
pub(super) const Y1: Host = Host(2);
pub(super) const Y2: Host = Host(3);
/// Outside too, at an address that the device is told not to translate for, if there is one.
pub(super) const W: Host = Host(4);

/// Where W is when the outside has a private network.
pub(super) const IN_PRIVATE: Address = Address::v4(192, 168, 1, 77);

/// What came to a host.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at: Host,
    pub(super) time: Time,
    pub(super) packet: Packet,
}

/// Runs on every host: takes what comes, answers nothing.
struct Ear {
    host: Host,
    heard: Vec<Arrival>,
}

impl Program for Ear {
    fn handle_input(&mut self, _: Time, _: Input<'_>, _: &mut Io<'_>) {}

    fn handle_packet(&mut self, time: Time, packet: &Packet, _: &mut Io<'_>) {
        self.heard.push(Arrival {
            at: self.host,
            time,
            packet: packet.clone(),
        });
    }
}

/// What is special about a laboratory.
#[derive(Clone, Copy, Default)]
pub(super) struct Setting {
    /// The most bytes that the link outside the device carries.
    pub(super) mtu: Option<u16>,
    /// Hosts inside beyond X1 and X2, as far as there is room for them.
    pub(super) more_inside: usize,
    /// Whether the outside has a private network, 192.168.1.0/24, and W is [in it](IN_PRIVATE).
    pub(super) private_outside: bool,
}

/// A laboratory, and what was seen in it.
pub(super) struct Lab<'a> {
    subject: &'a Subject,
    seed: u64,
    net: Internet,
    hosts: Vec<(NodeId, ProgramId)>,
    /// How many of them are inside.
    inside: usize,
    heard: Vec<Arrival>,
    /// Packets that prove nothing one by one: from, and up to but not with.
    bulk: Vec<(usize, usize)>,
    proofs: Vec<Proof>,
    digest: Digest,
}

impl<'a> Lab<'a> {
    pub(super) fn new(subject: &'a Subject, seed: u64) -> Result<Self, CheckError> {
        let mut lab = Lab {
            subject,
            seed,
            net: Internet::default(),
            hosts: Vec::new(),
            inside: 0,
            heard: Vec::new(),
            bulk: Vec::new(),
            proofs: Vec::new(),
            digest: Digest::default(),
        };
        lab.build(Setting::default())?;
        Ok(lab)
    }

    /// Begins anew, with a device that has seen nothing.
    pub(super) fn afresh(&mut self) -> Result<(), CheckError> {
        self.afresh_as(Setting::default())
    }

    pub(super) fn afresh_as(&mut self, setting: Setting) -> Result<(), CheckError> {
        self.put_on_record();
        self.build(setting)
    }

    fn build(&mut self, setting: Setting) -> Result<(), CheckError> {
        let mut plan = Topology::new();
        let mut addresses = AddressPlan::new();
        let core = plan.router("internet");
        let conditions = Conditions::new(DELAY / 2);
        let conditions = match setting.mtu {
            Some(mtu) => conditions.mtu(mtu),
            None => conditions,
        };
        let access = Link::symmetric(conditions);
        if setting.private_outside {
            // Somebody has the first private block already.
            addresses.home();
        }
        let options = SiteOptions {
            home: self.subject.inside,
            ..SiteOptions::new(access)
        };
        let mut site: Site = plan.site_of(
            "device",
            core,
            &self.subject.edges,
            &options,
            &mut addresses,
        );
        let mut nodes: Vec<(NodeId, Host)> = Vec::new();
        for (name, host) in [("X1", X1), ("X2", X2)] {
            nodes.push((plan.host_at(&mut site, name, &mut addresses), host));
        }
        let far = Link::with_delay(DELAY / 2);
        for (name, host) in [("Y1", Y1), ("Y2", Y2)] {
            nodes.push((plan.server(name, core, far, 1, false, &mut addresses), host));
        }
        let untranslated = self.subject.not_translated();
        let spare = match untranslated {
            _ if setting.private_outside => IN_PRIVATE,
            Some(address) => address,
            None => Address::v4(192, 0, 2, 250),
        };
        let w = plan.host("W");
        plan.connect(w, core, far, &[spare]);
        nodes.push((w, W));
        let more_inside = setting.more_inside.min(self.subject.room() - 2);
        self.inside = 2 + more_inside;
        for n in 0..more_inside {
            let name = format!("X{}", n + 3);
            let node = plan.host_at(&mut site, name, &mut addresses);
            nodes.push((node, Host(W.0 + n + 1)));
        }
        self.net = plan.build(self.seed)?;
        self.net.record();
        self.hosts.clear();
        for (node, host) in nodes {
            let heard = Vec::new();
            let ear = self.net.attach(node, Ear { host, heard });
            self.net.act(ear, |_: &mut Ear, io| io.open_raw());
            self.hosts.push((node, ear));
        }
        Ok(())
    }

    /// Every host inside: X1, X2, and those that the setting asks for beyond, as far as there is
    /// room for them.
    pub(super) fn hosts_inside(&self) -> impl Iterator<Item = Host> + use<> {
        let more = (2..self.inside).map(|n| Host(W.0 + n - 1));
        [X1, X2].into_iter().chain(more)
    }

    pub(super) fn endpoint(&self, host: Host, port: u16) -> Endpoint {
        Endpoint::new(self.net.address(self.hosts[host.0].0), port)
    }

    pub(super) fn address(&self, host: Host) -> Address {
        self.endpoint(host, 0).address
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.net.now().as_nanos())
    }

    /// Sends a packet, and doesn't wait. Returns its place among all packets.
    pub(super) fn send(&mut self, from: Host, packet: Packet) -> usize {
        let place = self.count();
        let (_, ear) = self.hosts[from.0];
        self.net.act(ear, |_: &mut Ear, io| io.send_raw(packet));
        place
    }

    /// How many packets there were so far.
    fn count(&self) -> usize {
        let recording = self.net.trace().recording();
        recording.map_or(0, |recording| recording.packets().len())
    }

    pub(super) fn packet(
        &self,
        from: (Host, u16),
        to: Endpoint,
        transport: Transport,
        payload: &[u8],
    ) -> Packet {
        let (node, _) = self.hosts[from.0.0];
        let payload = Payload::Bytes(payload.to_vec());
        let source = self.endpoint(from.0, from.1);
        Packet::new(source, to, transport, payload, node)
    }

    /// Lets time pass until nothing more is to come, and returns what came.
    pub(super) fn settle(&mut self) -> Result<Vec<Arrival>, CheckError> {
        self.wait(PATIENCE)
    }

    /// Lets so much time pass, and returns what came.
    pub(super) fn wait(&mut self, span: Duration) -> Result<Vec<Arrival>, CheckError> {
        self.net.run_for(span)?;
        let mut heard = std::mem::take(&mut self.heard);
        for (_, ear) in &self.hosts {
            self.net
                .act(*ear, |ear: &mut Ear, _| heard.append(&mut ear.heard));
        }
        heard.sort_by_key(|arrival| arrival.time);
        Ok(heard)
    }

    /// Lets time pass until so long after the start of this laboratory; what comes meanwhile counts
    /// for nothing.
    pub(super) fn until(&mut self, since_start: Duration) -> Result<(), CheckError> {
        let span = since_start.saturating_sub(self.now());
        self.wait(span).map(drop)
    }

    /// Sends a packet and waits for it: where it arrived, if it did.
    pub(super) fn try_out(
        &mut self,
        from: Host,
        packet: Packet,
    ) -> Result<Option<Arrival>, CheckError> {
        let place = self.send(from, packet);
        let mut heard = self.settle()?.into_iter();
        Ok(heard.find(|arrival| arrival.packet.id.index() == place))
    }

    /// The same for a datagram with a few bytes.
    pub(super) fn udp(
        &mut self,
        from: (Host, u16),
        to: Endpoint,
    ) -> Result<Option<Arrival>, CheckError> {
        let packet = self.packet(from, to, Transport::Udp, b"probe");
        self.try_out(from.0, packet)
    }

    /// The same for a TCP segment with these flags. Segments with SYN or FIN count as one byte, and
    /// both sides number theirs as the story that they are part of wants it.
    pub(super) fn tcp(
        &mut self,
        from: (Host, u16),
        to: Endpoint,
        segment: TcpSegment,
        payload: &[u8],
    ) -> Result<Option<Arrival>, CheckError> {
        let packet = self.packet(from, to, Transport::Tcp(segment), payload);
        self.try_out(from.0, packet)
    }

    /// The external endpoint that a datagram from inside comes from, if it gets out.
    pub(super) fn mapped(
        &mut self,
        from: (Host, u16),
        to: Endpoint,
    ) -> Result<Option<Endpoint>, CheckError> {
        Ok(self.udp(from, to)?.map(|arrival| arrival.packet.source))
    }

    /// The same for the first segment of a TCP connection.
    pub(super) fn mapped_tcp(
        &mut self,
        from: (Host, u16),
        to: Endpoint,
    ) -> Result<Option<Endpoint>, CheckError> {
        let arrival = self.tcp(from, to, syn(CLIENT), b"")?;
        Ok(arrival.map(|arrival| arrival.packet.source))
    }

    /// Whether a datagram reaches a host.
    pub(super) fn reaches(
        &mut self,
        from: (Host, u16),
        to: Endpoint,
        host: Host,
    ) -> Result<bool, CheckError> {
        let arrival = self.udp(from, to)?;
        Ok(arrival.is_some_and(|arrival| arrival.at == host))
    }

    /// Runs something whose packets prove nothing one by one.
    pub(super) fn in_bulk<R>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<R, CheckError>,
    ) -> Result<R, CheckError> {
        let before = self.count();
        let result = act(self);
        self.bulk.push((before, self.count()));
        result
    }

    fn put_on_record(&mut self) {
        proof::collect(&self.net, &self.bulk, &mut self.proofs);
        self.bulk.clear();
        self.digest.fold(self.net.trace().digest());
    }

    /// Ends the laboratory: what happened in it, and its digest.
    pub(super) fn finish(mut self) -> (Vec<Proof>, Digest) {
        self.put_on_record();
        (self.proofs, self.digest)
    }
}

/// The first sequence number of those who connect, and of those who are connected to.
pub(super) const CLIENT: u32 = 1_000;
pub(super) const SERVER: u32 = 9_000;

/// SYN.
pub(super) fn syn(sequence: u32) -> TcpSegment {
    TcpSegment {
        sequence,
        flags: TcpFlags::SYN,
        window: 65_535,
        ..TcpSegment::default()
    }
}

/// A segment with ACK and these flags beside it.
pub(super) fn ack(sequence: u32, acknowledgment: u32, more: TcpFlags) -> TcpSegment {
    TcpSegment {
        sequence,
        acknowledgment,
        flags: TcpFlags::ACK | more,
        window: 65_535,
        ..TcpSegment::default()
    }
}

/// Cuts a datagram into fragments of so many bytes of IP payload (a multiple of eight).
pub(super) fn fragments(whole: &Packet, identification: u32, size: usize) -> Vec<Packet> {
    let payload = whole.payload.bytes();
    let header = whole.transport_header();
    let total = header + payload.len();
    let starts = (0..total).step_by(size);
    let cut = starts.map(|start| {
        let end = (start + size).min(total);
        let (from, to) = (start.saturating_sub(header), end - header);
        let mut part = whole.clone();
        part.payload = Payload::Bytes(payload[from..to].to_vec());
        part.dont_fragment = false;
        part.fragment = Some(Fragment {
            identification,
            offset: start as u16,
            more: end < total,
        });
        if start > 0 {
            part.source = part.source.without_port();
            part.destination = part.destination.without_port();
        }
        part
    });
    cut.collect()
}
