//! The tests of mapping, filtering and hairpinning (RFC 5780 §4.3, §4.4, §3.4).

use std::net::SocketAddr;

use pinhole::nat::FilterMemory;
use pinhole::server::attribute::ChangeRequest;
use pinhole::{Filtering, Mapping};

use super::prober::Came;
use super::session::{Session, TRIES};
use super::{DiscoverError, Hairpin};
use crate::stun_client::BindingRequest;

/// What these tests find.
pub(super) struct Behaviour {
    pub(super) mapping: Option<Mapping>,
    pub(super) filtering: Filtering,
    pub(super) filter_memory: Option<FilterMemory>,
    pub(super) hairpinning: Hairpin,
    pub(super) external: SocketAddr,
}

/// Does the tests; `None` if UDP is blocked.
pub(super) fn find(session: &mut Session<'_>) -> Result<Option<Behaviour>, DiscoverError> {
    let Some((mapping, external, other)) = find_mapping(session)? else {
        return Ok(None);
    };
    let (filtering, filter_memory) = find_filtering(session, mapping, other)?;
    let hairpinning = match mapping {
        // There is no external endpoint to send to.
        None => Hairpin::No,
        Some(mapping) => find_hairpinning(session, mapping, filtering, filter_memory)?,
    };
    Ok(Some(Behaviour {
        mapping,
        filtering,
        filter_memory,
        hairpinning,
        external,
    }))
}

type Mapped = (Option<Mapping>, SocketAddr, SocketAddr);

/// RFC 5780 §4.3, and §4.2 before it. Returns the mapping behaviour, the external endpoint and the
/// server's OTHER-ADDRESS.
fn find_mapping(session: &mut Session<'_>) -> Result<Option<Mapped>, DiscoverError> {
    let plain = BindingRequest::default();
    let socket = session.socket()?;
    let server = session.server();
    let Some(first) = session.first_test("mapping I", socket)? else {
        session.conclude("no answer: UDP is blocked");
        return Ok(None);
    };
    let external = first.response.mapped;
    let Some(other) = first.response.other else {
        let why = "names no other address";
        return Err(DiscoverError::Unfit { server, why });
    };
    if external == socket {
        session.conclude("mapped address and socket are the same: nothing translates");
        return Ok(Some((None, external, other)));
    }
    session.conclude(format!("something translates: {socket} is {external}"));

    // To the other address and the same port.
    let second_server = SocketAddr::new(other.ip(), server.port());
    let second = session.test("mapping II", socket, second_server, plain)?;
    let second = second.ok_or(silent(second_server))?.response.mapped;
    if second == external {
        session.conclude("the same for another address: endpoint-independent mapping");
        let mapping = Some(Mapping::EndpointIndependent);
        return Ok(Some((mapping, external, other)));
    }
    session.conclude("another for another address: the mapping depends on the address");

    // To the other address and the other port: only the port is new.
    let third = session.test("mapping III", socket, other, plain)?;
    let third = third.ok_or(silent(other))?.response.mapped;
    let mapping = if third == second {
        session.conclude("the same for another port: address-dependent mapping");
        Mapping::AddressDependent
    } else {
        session.conclude("another for another port: address- and port-dependent mapping");
        Mapping::AddressAndPortDependent
    };
    Ok(Some((Some(mapping), external, other)))
}

fn silent(server: SocketAddr) -> DiscoverError {
    let why = "doesn't answer, though its other address does";
    DiscoverError::Unfit { server, why }
}

/// RFC 5780 §4.4, from a fresh socket: the device must not have seen it write to the other address.
///
/// The RFC stops after three tests; erratum 7971 (reported, not verified) says that there can be
/// four. Ours writes to the server's other corner and then asks once more for an answer from there.
/// No filter refuses that for a mapping that serves all destinations, so it shows that the server
/// does answer from there. Where each destination has a mapping of its own, it shows whether the filter remembers
/// what the socket sent or what this mapping did.
fn find_filtering(
    session: &mut Session<'_>,
    mapping: Option<Mapping>,
    other: SocketAddr,
) -> Result<(Filtering, Option<FilterMemory>), DiscoverError> {
    let server = session.server();
    let change = |address, port| BindingRequest {
        change: Some(ChangeRequest { address, port }),
        response_port: None,
    };
    let socket = session.socket()?;
    if session.first_test("filtering I", socket)?.is_none() {
        return Err(silent(server));
    }
    session.conclude("the socket has written to the server's first corner only");
    let from_anywhere = session.test("filtering II", socket, server, change(true, true))?;
    if from_anywhere.is_some() {
        session.conclude("a stranger's answer comes in: endpoint-independent filtering");
        return Ok((Filtering::EndpointIndependent, None));
    }
    session.conclude("a stranger's answer doesn't come in");
    let from_address = session.test("filtering III", socket, server, change(false, true))?;
    let filtering = if from_address.is_some() {
        session.conclude("another port of the same address comes in: address-dependent filtering");
        Filtering::AddressDependent
    } else {
        session.conclude(
            "another port of the same address doesn't: address- and port-dependent filtering",
        );
        Filtering::AddressAndPortDependent
    };

    let written = session.test("filtering IV", socket, other, BindingRequest::default())?;
    written.ok_or(silent(other))?;
    session.conclude("the socket has now written to the server's other corner too");
    let known = session.test("filtering IV", socket, server, change(true, true))?;
    let depends = !matches!(mapping, None | Some(Mapping::EndpointIndependent));
    let memory = match (depends, known.is_some()) {
        (false, true) => {
            session.conclude("the server does answer from there: silence before was the filter's");
            None
        }
        (false, false) => {
            session.conclude(
                "not even now: the server may not answer from there, and more may be let in than it seems",
            );
            None
        }
        (true, true) => {
            session.conclude("what it sent through one mapping counts for all of them");
            Some(FilterMemory::InternalEndpoint)
        }
        (true, false) => {
            session.conclude("what it sent through one mapping counts for that one only");
            Some(FilterMemory::Mapping)
        }
    };
    Ok((filtering, memory))
}

/// RFC 5780 §3.4: a request from one socket to another one's external endpoint.
///
/// The RFC lets the second socket just send. A filter that isn't endpoint-independent drops that,
/// hairpinned or not (RFC 4787 REQ-9 doesn't free hairpinned packets from the filter), so the first
/// socket writes to the second one's external endpoint before. Each try asks the server anew, so
/// that the mappings it speaks of are young whatever their lifetime.
fn find_hairpinning(
    session: &mut Session<'_>,
    mapping: Mapping,
    filtering: Filtering,
    memory: Option<FilterMemory>,
) -> Result<Hairpin, DiscoverError> {
    let sockets = [session.socket()?, session.socket()?];
    for socket in sockets {
        if session.first_test("hairpinning I", socket)?.is_none() {
            return Err(silent(session.server()));
        }
        session.conclude("the socket's external endpoint");
    }
    let plain = BindingRequest::default();
    for last in (0..TRIES).rev() {
        let one = session.refresh(sockets[0])?.response.mapped;
        let other = session.refresh(sockets[1])?.response.mapped;
        // Opens the filter at the first, and may come in at the second already.
        for (from, to) in [(sockets[0], other), (sockets[1], one)] {
            let exchange = session.exchange(from, to, plain, session.once())?;
            let came_back = matches!(exchange.came, Came::Request { .. });
            if came_back || (last == 0 && from == sockets[1]) {
                session.note("hairpinning II", from, to, plain, exchange);
            }
            if came_back {
                session.conclude("it came in at the other socket: hairpinning");
                return Ok(Hairpin::Yes);
            }
        }
    }
    // What a hairpinned datagram's source is can be known beforehand only if it is the endpoint that
    // the server saw. Else the filter can be opened for all ports of the device's address at best,
    // and only if it counts for a mapping what was sent through another one.
    let filter_was_open = mapping == Mapping::EndpointIndependent
        || match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => memory == Some(FilterMemory::InternalEndpoint),
            Filtering::AddressAndPortDependent => false,
        };
    if filter_was_open {
        session.conclude("it didn't come in, though the filter was open for it: no hairpinning");
        return Ok(Hairpin::No);
    }
    session.conclude(
        "it didn't come in, but from its unforeseeable source the filter would not have let it: no telling",
    );
    Ok(Hairpin::Hidden)
}
