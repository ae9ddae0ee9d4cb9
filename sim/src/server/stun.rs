//! A STUN server: Binding requests (RFC 8489) and NAT behaviour discovery (RFC 5780).
//!
//! What it doesn't do: PADDING (there are no fragments here to study), short-term credentials (ICE
//! checks go to agents, not to this), TCP.

use std::net::SocketAddr;

use stun_types::attribute::{AttributeType, ErrorCode, Fingerprint, XorMappedAddress};
use stun_types::message::{BINDING, Message, MessageClass, MessageHeader, MessageWriteMutSlice};
use stun_types::prelude::{AttributeFromRaw, AttributeStaticType, MessageWrite, MessageWriteExt};

use super::attribute::{ChangeRequest, MappedAddress, OtherAddress, ResponseOrigin, ResponsePort};
use crate::address::Address;
use crate::host::{BindError, Datagram, Input, Io, Program};
use crate::time::Time;

/// Answers Binding requests.
///
/// ```
/// use pinhole::server::StunServer;
///
/// // Tells a client its mapped address: all that ICE needs.
/// let plain = StunServer::new(3478);
/// // On a host with two addresses: answers from all four combinations, on demand (RFC 5780).
/// let discovery = StunServer::with_discovery(3478, 3479);
/// # fn takes(_: impl pinhole::Program) {}
/// # takes(plain);
/// # takes(discovery);
/// ```
#[derive(Debug)]
pub struct StunServer {
    port: u16,
    alternate_port: Option<u16>,
    counters: StunCounters,
    bind_error: Option<BindError>,
}

/// What a [`StunServer`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StunCounters {
    /// Binding requests answered with success.
    pub success: u64,
    /// Binding requests answered with an error.
    pub error: u64,
    /// Binding indications (RFC 8489 §6.3.2): keepalives that want no answer.
    pub indications: u64,
    /// Datagrams that were no STUN message a server takes.
    pub rejected: u64,
}

impl StunServer {
    /// A server on one port, on all addresses of its host: RFC 8489 only. CHANGE-REQUEST is
    /// answered with 420 (Unknown Attribute).
    pub fn new(port: u16) -> Self {
        StunServer {
            port,
            alternate_port: None,
            counters: StunCounters::default(),
            bind_error: None,
        }
    }

    /// A server for NAT behaviour discovery (RFC 5780) on two ports of all addresses of its host.
    ///
    /// The first two addresses of a family are each other's alternate. With one address in a
    /// family, requests in that family are served as by [`new`](StunServer::new): RFC 5780 §6 asks
    /// for four sockets or nothing.
    pub fn with_discovery(primary_port: u16, alternate_port: u16) -> Self {
        StunServer {
            alternate_port: Some(alternate_port),
            ..StunServer::new(primary_port)
        }
    }

    /// What it did so far.
    pub fn counters(&self) -> StunCounters {
        self.counters
    }

    /// Why it could not listen, if it could not.
    pub fn bind_error(&self) -> Option<BindError> {
        self.bind_error
    }

    /// Ca:Cp of RFC 5780's table, the opposite corner of the four sockets as seen from `local`; or
    /// `None` where there aren't four.
    fn alternate(&self, local: SocketAddr, io: &Io<'_>) -> Option<SocketAddr> {
        let alternate_port = self.alternate_port?;
        let here = Address::from(local.ip());
        let mut family = io
            .addresses()
            .filter(|address| address.family() == here.family());
        let (first, second) = (family.next()?, family.next()?);
        let address = match here {
            _ if here == first => second,
            _ if here == second => first,
            _ => return None,
        };
        let port = if local.port() == self.port {
            alternate_port
        } else {
            self.port
        };
        Some(SocketAddr::new(address.into(), port))
    }

    fn handle_datagram(&mut self, datagram: &Datagram<'_>, io: &mut Io<'_>) {
        let message = match parse(datagram.payload) {
            Ok(message) => message,
            Err(why) => {
                self.counters.rejected += 1;
                return io.reject(why);
            }
        };
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) => self.handle_request(&message, datagram, io),
            (MessageClass::Indication, BINDING) => self.counters.indications += 1,
            _ => {
                self.counters.rejected += 1;
                io.reject("STUN message that is no Binding request or indication");
            }
        }
    }

    fn handle_request(&mut self, message: &Message<'_>, datagram: &Datagram<'_>, io: &mut Io<'_>) {
        let alternate = self.alternate(datagram.local, io);
        let mut reply = Reply::new();
        let known: &[AttributeType] = match alternate {
            Some(_) => &[ChangeRequest::TYPE, ResponsePort::TYPE],
            None => &[ResponsePort::TYPE],
        };
        match Request::read(message, known) {
            Ok(request) => {
                let mut origin = datagram.local;
                if let Some(alternate) = alternate {
                    if request.change.address {
                        origin.set_ip(alternate.ip());
                    }
                    if request.change.port {
                        origin.set_port(alternate.port());
                    }
                }
                let mut destination = datagram.remote;
                if let Some(port) = request.response_port {
                    destination.set_port(port);
                }
                let discovery = alternate.map(|alternate| (origin, alternate));
                let bytes = reply.success(message, datagram.remote, discovery, request.fingerprint);
                self.counters.success += 1;
                io.send(origin, destination, bytes);
            }
            Err(refusal) => {
                self.counters.error += 1;
                let bytes = reply.error(message, &refusal);
                io.send(datagram.local, datagram.remote, bytes);
            }
        }
    }
}

impl Program for StunServer {
    fn handle_input(&mut self, _now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                for port in [Some(self.port), self.alternate_port].into_iter().flatten() {
                    if let Err(error) = io.bind(port) {
                        self.bind_error.get_or_insert(error);
                    }
                }
            }
            Input::Datagram(datagram) => self.handle_datagram(&datagram, io),
            Input::Wake
            | Input::Unreachable { .. }
            | Input::Tcp { .. }
            | Input::Message { .. }
            | Input::EchoReply(_)
            | Input::NetworkChanged => {}
        }
    }
}

/// The datagram as a STUN message, or why it is none.
pub(super) fn parse(payload: &[u8]) -> Result<Message<'_>, &'static str> {
    let Ok(header) = MessageHeader::from_bytes(payload) else {
        return Err("not a STUN message");
    };
    // RFC 8489 §5: lengths are multiples of four. A datagram holds one message and nothing else;
    // `stun-types` alone would read attributes on into what follows it.
    let length = usize::from(header.data_length());
    if length % 4 != 0 || length + MessageHeader::LENGTH != payload.len() {
        return Err("STUN message of the wrong length");
    }
    Message::from_bytes(payload).map_err(|_| "malformed STUN message")
}

/// What a Binding request asks for.
struct Request {
    change: ChangeRequest,
    response_port: Option<u16>,
    fingerprint: bool,
}

/// Why a request gets an error response.
enum Refusal {
    /// 400 (Bad Request).
    Malformed,
    /// 420 (Unknown Attribute), with the first eight of them.
    Unknown([u16; 8], usize),
}

impl Request {
    /// Reads a request for a server that knows these of the attributes that must be understood.
    fn read(message: &Message<'_>, known: &[AttributeType]) -> Result<Self, Refusal> {
        let mut request = Request {
            change: ChangeRequest::default(),
            response_port: None,
            fingerprint: false,
        };
        let mut change = None;
        let mut unknown = [0; 8];
        let mut unknown_count = 0;
        for (_, attribute) in message.iter_attributes() {
            let kind = attribute.header.get_type();
            match kind {
                ChangeRequest::TYPE if known.contains(&kind) => {
                    let read =
                        ChangeRequest::from_raw_ref(&attribute).map_err(|_| Refusal::Malformed)?;
                    // Of an attribute that comes twice, the first counts (RFC 8489 §14).
                    change.get_or_insert(read);
                }
                ResponsePort::TYPE if known.contains(&kind) => {
                    let read =
                        ResponsePort::from_raw_ref(&attribute).map_err(|_| Refusal::Malformed)?;
                    request.response_port.get_or_insert(read.0);
                }
                Fingerprint::TYPE => request.fingerprint = true,
                _ if kind.comprehension_required() && unknown_count < unknown.len() => {
                    unknown[unknown_count] = kind.value();
                    unknown_count += 1;
                }
                _ => {}
            }
        }
        if unknown_count > 0 {
            return Err(Refusal::Unknown(unknown, unknown_count));
        }
        request.change = change.unwrap_or_default();
        Ok(request)
    }
}

/// Room for the longest response: a header, four IPv6 addresses, a fingerprint.
const LONGEST_RESPONSE: usize = 20 + 4 * 24 + 8;

/// A response in the making, on the stack.
pub(super) struct Reply([u8; LONGEST_RESPONSE]);

impl Reply {
    pub(super) fn new() -> Self {
        Reply([0; LONGEST_RESPONSE])
    }

    /// The response of a server that knows nothing of RFC 5780: success, or 420 where the request
    /// wants something special.
    pub(super) fn plain(&mut self, request: &Message<'_>, mapped: SocketAddr) -> &[u8] {
        match Request::read(request, &[]) {
            Ok(read) => self.success(request, mapped, None, read.fingerprint),
            Err(refusal) => self.error(request, &refusal),
        }
    }

    /// A success response; with discovery, also says where it is sent from and where else it could
    /// be (RFC 5780 §6.1).
    fn success(
        &mut self,
        request: &Message<'_>,
        mapped: SocketAddr,
        discovery: Option<(SocketAddr, SocketAddr)>,
        fingerprint: bool,
    ) -> &[u8] {
        let mut writer = Message::builder_success(request, MessageWriteMutSlice::new(&mut self.0));
        let id = request.transaction_id();
        // Writing fails only where the buffer is too small, and it is made for the longest.
        let _ = writer.add_attribute(&XorMappedAddress::new(mapped, id));
        if let Some((origin, other)) = discovery {
            let _ = writer.add_attribute(&MappedAddress::new(mapped));
            let _ = writer.add_attribute(&ResponseOrigin::new(origin));
            let _ = writer.add_attribute(&OtherAddress::new(other));
        }
        if fingerprint {
            let _ = writer.add_fingerprint();
        }
        let length = writer.finish();
        &self.0[..length]
    }

    fn error(&mut self, request: &Message<'_>, refusal: &Refusal) -> &[u8] {
        let mut writer = Message::builder_error(request, MessageWriteMutSlice::new(&mut self.0));
        let code = match refusal {
            Refusal::Malformed => ErrorCode::BAD_REQUEST,
            Refusal::Unknown(..) => ErrorCode::UNKNOWN_ATTRIBUTE,
        };
        if let Ok(code) = ErrorCode::builder(code).build() {
            let _ = writer.add_attribute(&code);
        }
        if let Refusal::Unknown(kinds, count) = refusal {
            let kinds: Vec<_> = kinds[..*count]
                .iter()
                .map(|kind| AttributeType::new(*kind))
                .collect();
            let unknown = stun_types::attribute::UnknownAttributes::new(&kinds);
            let _ = writer.add_attribute(&unknown);
        }
        let length = writer.finish();
        &self.0[..length]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stun_types::attribute::{Nonce, UnknownAttributes, Username};
    use stun_types::message::{MessageType, MessageWriteVec, Method};
    use stun_types::prelude::AttributeWrite;

    use super::super::lone_host::LoneHost;
    use super::*;

    const CLIENT: &str = "203.0.113.7:40000";

    fn request(attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut writer = Message::builder(kind, 7.into(), MessageWriteVec::new());
        for attribute in attributes {
            writer.add_attribute(*attribute).unwrap();
        }
        writer.finish()
    }

    fn discovery() -> LoneHost<StunServer> {
        let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];
        LoneHost::start(StunServer::with_discovery(3478, 3479), &addresses)
    }

    fn plain() -> LoneHost<StunServer> {
        LoneHost::start(StunServer::new(3478), &["192.0.2.1", "2001:db8::1"])
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_plain_server_tells_the_mapped_address_and_nothing_else() {
        let mut host = plain();
        for (client, server, length) in [
            (CLIENT, "192.0.2.1:3478", 32),
            ("[2001:db8::7]:40000", "[2001:db8::1]:3478", 44),
        ] {
            let sent = host.datagram(client, server, &request(&[]));
            assert_eq!(
                (sent.len(), sent[0].from, sent[0].to),
                (1, address(server), address(client))
            );
            assert_eq!(sent[0].payload.len(), length);
            let message = Message::from_bytes(&sent[0].payload).unwrap();
            assert_eq!(message.transaction_id(), 7.into());
            let mapped = message.attribute::<XorMappedAddress>().unwrap();
            assert_eq!(mapped.addr(message.transaction_id()), address(client));
        }
        assert_eq!(host.program.counters().success, 2);
    }

    /// RFC 5780 §6.1, its table: which socket answers, and what OTHER-ADDRESS says.
    #[test]
    fn change_request_moves_the_source_as_the_table_says() {
        let ports = [3478, 3479];
        for ips in [["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2"]] {
            let client = if ips[0].contains(':') {
                "[2001:db8::7]:40000"
            } else {
                CLIENT
            };
            let socket =
                |ip: usize, port: usize| SocketAddr::new(ips[ip].parse().unwrap(), ports[port]);
            let mut host = discovery();
            for (ip, port) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                for change in [(false, false), (true, false), (false, true), (true, true)] {
                    let attribute = ChangeRequest {
                        address: change.0,
                        port: change.1,
                    };
                    let to = socket(ip, port).to_string();
                    let sent = host.datagram(client, &to, &request(&[&attribute]));
                    let origin = socket(ip ^ usize::from(change.0), port ^ usize::from(change.1));
                    assert_eq!(sent[0].from, origin);
                    let message = Message::from_bytes(&sent[0].payload).unwrap();
                    let said = message.attribute::<ResponseOrigin>().unwrap().address();
                    assert_eq!(said, origin);
                    let other = message.attribute::<OtherAddress>().unwrap().address();
                    assert_eq!(other, socket(1 - ip, 1 - port));
                    let mapped = message.attribute::<MappedAddress>().unwrap().address();
                    assert_eq!(mapped, address(client));
                }
            }
        }
    }

    #[test]
    fn response_port_moves_the_destination() {
        let sent = plain().datagram(CLIENT, "192.0.2.1:3478", &request(&[&ResponsePort(50_000)]));
        assert_eq!(sent[0].to, address("203.0.113.7:50000"));
    }

    #[test]
    fn without_an_alternate_address_change_request_is_unknown() {
        let both = ChangeRequest {
            address: true,
            port: true,
        };
        let one_address = LoneHost::start(
            StunServer::with_discovery(3478, 3479),
            &["192.0.2.1", "2001:db8::1"],
        );
        for mut host in [plain(), one_address] {
            let sent = host.datagram(CLIENT, "192.0.2.1:3478", &request(&[&both]));
            let message = Message::from_bytes(&sent[0].payload).unwrap();
            assert_eq!(message.attribute::<ErrorCode>().unwrap().code(), 420);
            let unknown = message.attribute::<UnknownAttributes>().unwrap();
            assert!(unknown.has_attribute(ChangeRequest::TYPE));
            assert!(!message.has_attribute(OtherAddress::TYPE));
        }
    }

    #[test]
    fn unknown_attributes_are_named_and_optional_ones_passed_over() {
        let required = stun_types::attribute::RawAttribute::new(AttributeType::new(0x7abc), &[1]);
        let optional = stun_types::attribute::RawAttribute::new(AttributeType::new(0x9abc), &[1]);
        let mut host = plain();
        let sent = host.datagram(CLIENT, "192.0.2.1:3478", &request(&[&required, &optional]));
        let message = Message::from_bytes(&sent[0].payload).unwrap();
        let unknown = message.attribute::<UnknownAttributes>().unwrap();
        assert!(unknown.has_attribute(AttributeType::new(0x7abc)));
        assert!(!unknown.has_attribute(AttributeType::new(0x9abc)));
        let sent = host.datagram(CLIENT, "192.0.2.1:3478", &request(&[&optional]));
        assert!(
            Message::from_bytes(&sent[0].payload)
                .unwrap()
                .has_class(MessageClass::Success)
        );
        assert_eq!(
            (
                host.program.counters().success,
                host.program.counters().error
            ),
            (1, 1)
        );
    }

    #[test]
    fn a_fingerprint_is_answered_with_one() {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut writer = Message::builder(kind, 7.into(), MessageWriteVec::new());
        writer.add_fingerprint().unwrap();
        let sent = plain().datagram(CLIENT, "192.0.2.1:3478", &writer.finish());
        assert!(
            Message::from_bytes(&sent[0].payload)
                .unwrap()
                .has_attribute(Fingerprint::TYPE)
        );
    }

    #[test]
    fn responses_are_never_answered_and_indications_only_counted() {
        let mut host = plain();
        for (class, method, rejected) in [
            (MessageClass::Success, BINDING, true),
            (MessageClass::Error, BINDING, true),
            (MessageClass::Request, Method::new(3), true),
            (MessageClass::Indication, BINDING, false),
        ] {
            let kind = MessageType::from_class_method(class, method);
            let bytes = Message::builder(kind, 7.into(), MessageWriteVec::new()).finish();
            assert_eq!(host.datagram(CLIENT, "192.0.2.1:3478", &bytes), []);
            assert_eq!(host.rejected.is_some(), rejected);
        }
        assert_eq!(
            (
                host.program.counters().rejected,
                host.program.counters().indications
            ),
            (3, 1)
        );
    }

    /// Messages that a client might send, and some that it shouldn't.
    fn messages() -> impl Strategy<Value = Vec<u8>> {
        (
            any::<bool>(),
            any::<bool>(),
            any::<u16>(),
            0..3usize,
            any::<bool>(),
        )
            .prop_map(|(address, port, response_port, extra, fingerprint)| {
                let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
                let mut writer = Message::builder(kind, 7.into(), MessageWriteVec::new());
                writer
                    .add_attribute(&ChangeRequest { address, port })
                    .unwrap();
                writer.add_attribute(&ResponsePort(response_port)).unwrap();
                for _ in 0..extra {
                    writer
                        .add_attribute(&Username::new("someone").unwrap())
                        .unwrap();
                    writer.add_attribute(&Nonce::new("nonce").unwrap()).unwrap();
                }
                if fingerprint {
                    writer.add_fingerprint().unwrap();
                }
                writer.finish()
            })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            for mut host in [plain(), discovery()] {
                let sent = host.datagram(CLIENT, "192.0.2.1:3478", &bytes);
                prop_assert!(sent.len() <= 1);
            }
        }

        #[test]
        fn no_damaged_message_makes_it_panic(
            mut bytes in messages(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..4),
            cut in any::<prop::sample::Index>(),
            fix_length in any::<bool>(),
        ) {
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let keep = bytes.len() - cut.index(bytes.len()) / 4 * 4;
            bytes.truncate(keep);
            if fix_length && bytes.len() >= 20 {
                let length = (bytes.len() as u16 - 20).to_be_bytes();
                bytes[2..4].copy_from_slice(&length);
            }
            for mut host in [plain(), discovery()] {
                let sent = host.datagram(CLIENT, "192.0.2.1:3478", &bytes);
                let counters = host.program.counters();
                let answered = counters.success + counters.error;
                prop_assert_eq!(answered, sent.len() as u64);
                prop_assert_eq!(answered + counters.rejected + counters.indications, 1);
                prop_assert_eq!(host.rejected.is_some(), counters.rejected == 1);
            }
        }
    }

    #[test]
    fn the_largest_datagram_is_taken() {
        let mut host = plain();
        let mut bytes = vec![0xff; crate::packet::LARGEST_UDP_PAYLOAD];
        assert_eq!(host.datagram(CLIENT, "192.0.2.1:3478", &bytes), []);
        // A header, and one optional attribute that fills the datagram to the last multiple of 4.
        bytes.truncate(65_504);
        bytes[..20].copy_from_slice(&request(&[])[..20]);
        bytes[2..4].copy_from_slice(&(65_504u16 - 20).to_be_bytes());
        bytes[20..24].copy_from_slice(&[0x9a, 0xbc, 0xff, 0xc8]);
        let sent = host.datagram(CLIENT, "192.0.2.1:3478", &bytes);
        assert_eq!(sent.len(), 1, "{:?}", host.rejected);
    }

    /// Not a test of anything: `cargo test --release -p pinhole stun_cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures, asserts nothing"]
    fn stun_cost() {
        let bytes = request(&[]);
        for (name, mut host) in [("plain", plain()), ("discovery", discovery())] {
            let (from, to) = (address(CLIENT), address("192.0.2.1:3478"));
            let start = std::time::Instant::now();
            const COUNT: u32 = 1_000_000;
            for _ in 0..COUNT {
                let sent = host.input(Input::Datagram(Datagram {
                    id: crate::packet::PacketId(0),
                    local: to,
                    remote: from,
                    payload: &bytes,
                    length: bytes.len(),
                    tag: 0,
                }));
                assert_eq!(sent.len(), 1);
            }
            println!("{name}: {:?} a request", start.elapsed() / COUNT);
        }
    }
}
