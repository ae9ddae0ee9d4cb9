//! One STUN Binding transaction (RFC 8489 §6.2), with what NAT behaviour discovery adds to it
//! (RFC 5780 §7).
//!
//! Candidate gathering runs one for each server, the discovery client a handful. The caller owns
//! the socket: it sends what [`poll_transmit`](StunTransaction::poll_transmit) gives it, and hands
//! in what arrives. Nothing here allocates.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::server::attribute::{
    ChangeRequest, MappedAddress, OtherAddress, ResponseOrigin, ResponsePort,
};
use pinhole::{Stream, Time};
use stun_types::attribute::{ErrorCode, XorMappedAddress};
use stun_types::message::{
    BINDING, Message, MessageClass, MessageHeader, MessageType, MessageWriteMutSlice, TransactionId,
};
use stun_types::prelude::{AttributeFromRaw, AttributeStaticType, MessageWrite, MessageWriteExt};

/// When a request is sent again, and when its sender gives up (RFC 8489 §6.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retransmission {
    /// RTO: the time to the first retransmission; doubles with each.
    pub rto: Duration,
    /// Rc: how often the request is sent in all.
    pub count: u32,
    /// Rm: how many RTOs to wait for an answer to the last one.
    pub last: u32,
}

impl Default for Retransmission {
    /// RFC 8489's: sent after 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up after 39.5 s.
    fn default() -> Self {
        Retransmission {
            rto: Duration::from_millis(500),
            count: 7,
            last: 16,
        }
    }
}

/// What a Binding request asks for. The default is what ICE sends: nothing special.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BindingRequest {
    /// Answer from another address or port (RFC 5780 §7.2).
    pub change: Option<ChangeRequest>,
    /// Answer to another port of the sender's mapped address (RFC 5780 §7.5).
    pub response_port: Option<u16>,
}

/// What a Binding success response says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindingResponse {
    /// The sender's address as the server sees it: XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS from a
    /// server that sends no other.
    pub mapped: SocketAddr,
    /// Where the response came from, as its IP and UDP headers say.
    pub from: SocketAddr,
    /// Where the server says that it answered from: RESPONSE-ORIGIN.
    pub origin: Option<SocketAddr>,
    /// The opposite corner of the server's four sockets: OTHER-ADDRESS.
    pub other: Option<SocketAddr>,
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindingOutcome {
    /// A success response came.
    Success(BindingResponse),
    /// An error response came, with this code.
    Error(u16),
    /// A response came that names no address, or has attributes that must be understood and
    /// aren't (RFC 8489 §6.3.3).
    Unusable,
    /// ICMP reported that the server isn't there.
    Unreachable,
    /// No response came to any of the requests.
    TimedOut,
}

/// Header, CHANGE-REQUEST, RESPONSE-PORT.
const LONGEST_REQUEST: usize = 20 + 8 + 8;

/// One Binding transaction.
///
/// ```
/// use pinhole::{Stream, Time};
/// use pinhole_scenarios::stun_client::{BindingRequest, Retransmission, StunTransaction};
///
/// let mut random = Stream::new(1, "alice");
/// let now = Time::ZERO;
/// let mut transaction =
///     StunTransaction::new(now, BindingRequest::default(), Retransmission::default(), &mut random);
/// assert_eq!(transaction.poll_transmit().unwrap().len(), 20);
/// assert_eq!(transaction.poll_transmit(), None);
/// assert_eq!(transaction.poll_timeout(), Some(Time::from_millis(500)));
/// ```
#[derive(Clone, Debug)]
pub struct StunTransaction {
    id: TransactionId,
    request: [u8; LONGEST_REQUEST],
    length: u8,
    retransmission: Retransmission,
    /// Requests sent or waiting to be.
    sent: u32,
    transmit: bool,
    /// The wait after the last request; doubles.
    interval: Duration,
    deadline: Time,
    outcome: Option<BindingOutcome>,
}

impl StunTransaction {
    /// Starts a transaction: its first request waits in
    /// [`poll_transmit`](StunTransaction::poll_transmit). The transaction id is drawn from
    /// `random`, so that runs repeat to the byte.
    pub fn new(
        now: Time,
        request: BindingRequest,
        retransmission: Retransmission,
        random: &mut Stream,
    ) -> Self {
        let high = u128::from(random.next_u64() & 0xffff_ffff) << 64;
        let id = TransactionId::from(high | u128::from(random.next_u64()));
        let mut bytes = [0; LONGEST_REQUEST];
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut writer = Message::builder(kind, id, MessageWriteMutSlice::new(&mut bytes));
        // Writing fails only where the buffer is too small, and it is made for the longest.
        if let Some(change) = request.change {
            let _ = writer.add_attribute(&change);
        }
        if let Some(port) = request.response_port {
            let _ = writer.add_attribute(&ResponsePort(port));
        }
        let length = writer.finish() as u8;
        let mut transaction = StunTransaction {
            id,
            request: bytes,
            length,
            retransmission,
            sent: 0,
            transmit: false,
            interval: retransmission.rto,
            deadline: now,
            outcome: None,
        };
        transaction.send(now);
        transaction
    }

    fn send(&mut self, now: Time) {
        self.sent += 1;
        self.transmit = true;
        if self.sent < self.retransmission.count {
            self.deadline = now + self.interval;
            self.interval = self.interval.saturating_mul(2);
        } else {
            self.deadline = now
                + self
                    .retransmission
                    .rto
                    .saturating_mul(self.retransmission.last);
        }
    }

    /// A datagram arrived from `from`. Returns whether it answers this transaction; if so, the
    /// [`outcome`](StunTransaction::outcome) is known.
    ///
    /// Any source will do, for with CHANGE-REQUEST the answer comes from elsewhere: what makes it
    /// this transaction's answer is the transaction id.
    pub fn handle_datagram(&mut self, from: SocketAddr, payload: &[u8]) -> bool {
        let Ok(header) = MessageHeader::from_bytes(payload) else {
            return false;
        };
        let kind = header.get_type();
        if self.outcome.is_some()
            || header.transaction_id() != self.id
            || !kind.is_response()
            || kind.method() != BINDING
        {
            return false;
        }
        let whole = usize::from(header.data_length()) + MessageHeader::LENGTH == payload.len();
        let Some(message) = Message::from_bytes(payload).ok().filter(|_| whole) else {
            return false;
        };
        self.transmit = false;
        self.outcome = Some(outcome(&message, from));
        true
    }

    /// ICMP reported that a request could not be delivered.
    pub fn handle_unreachable(&mut self) {
        self.transmit = false;
        self.outcome.get_or_insert(BindingOutcome::Unreachable);
    }

    /// The time that [`poll_timeout`](StunTransaction::poll_timeout) named has come. Too early a
    /// call does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        if self.sent < self.retransmission.count {
            self.send(now);
        } else {
            self.transmit = false;
            self.outcome = Some(BindingOutcome::TimedOut);
        }
    }

    /// The request, if it is to be sent now.
    pub fn poll_transmit(&mut self) -> Option<&[u8]> {
        std::mem::take(&mut self.transmit).then(|| &self.request[..usize::from(self.length)])
    }

    /// When to call [`handle_timeout`](StunTransaction::handle_timeout); `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<BindingOutcome> {
        self.outcome
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u32 {
        self.sent - u32::from(self.transmit)
    }
}

fn outcome(message: &Message<'_>, from: SocketAddr) -> BindingOutcome {
    if message.has_class(MessageClass::Error) {
        return match message.attribute::<ErrorCode>() {
            Ok(error) => BindingOutcome::Error(error.code()),
            Err(_) => BindingOutcome::Unusable,
        };
    }
    let id = message.transaction_id();
    let (mut mapped, mut plain, mut origin, mut other) = (None, None, None, None);
    for (_, attribute) in message.iter_attributes() {
        match attribute.header.get_type() {
            XorMappedAddress::TYPE => mapped = XorMappedAddress::from_raw(attribute).ok(),
            MappedAddress::TYPE => plain = MappedAddress::from_raw(attribute).ok(),
            ResponseOrigin::TYPE => origin = ResponseOrigin::from_raw(attribute).ok(),
            OtherAddress::TYPE => other = OtherAddress::from_raw(attribute).ok(),
            kind if kind.comprehension_required() => return BindingOutcome::Unusable,
            _ => {}
        }
    }
    let mapped = mapped.map(|mapped| mapped.addr(id));
    let Some(mapped) = mapped.or_else(|| plain.map(|plain| plain.address())) else {
        return BindingOutcome::Unusable;
    };
    BindingOutcome::Success(BindingResponse {
        mapped,
        from,
        origin: origin.map(|origin| origin.address()),
        other: other.map(|other| other.address()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stun_types::attribute::{AttributeType, RawAttribute};
    use stun_types::message::MessageWriteVec;
    use stun_types::prelude::AttributeWrite;

    use super::*;

    const SERVER: &str = "192.0.2.1:3478";

    fn transaction(request: BindingRequest) -> StunTransaction {
        let mut random = Stream::new(1, "client");
        StunTransaction::new(Time::ZERO, request, Retransmission::default(), &mut random)
    }

    fn response(
        request: &[u8],
        class: MessageClass,
        attributes: &[&dyn AttributeWrite],
    ) -> Vec<u8> {
        let id = Message::from_bytes(request).unwrap().transaction_id();
        let kind = MessageType::from_class_method(class, BINDING);
        let mut writer = Message::builder(kind, id, MessageWriteVec::new());
        for attribute in attributes {
            writer.add_attribute(*attribute).unwrap();
        }
        writer.finish()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn requests_are_repeated_at_the_times_of_the_rfc() {
        let mut transaction = transaction(BindingRequest::default());
        let mut sent = Vec::new();
        let mut now = Time::ZERO;
        let first = transaction.clone().poll_transmit().unwrap().to_vec();
        while transaction.outcome().is_none() {
            if let Some(bytes) = transaction.poll_transmit() {
                assert_eq!(bytes, first);
                sent.push(now.as_nanos() / 1_000_000);
            }
            now = transaction.poll_timeout().unwrap();
            transaction.handle_timeout(now);
        }
        assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(now, Time::from_millis(39_500));
        assert_eq!(transaction.outcome(), Some(BindingOutcome::TimedOut));
        assert_eq!(
            (transaction.poll_timeout(), transaction.requests()),
            (None, 7)
        );
    }

    #[test]
    fn an_early_timeout_changes_nothing() {
        let mut transaction = transaction(BindingRequest::default());
        transaction.poll_transmit();
        transaction.handle_timeout(Time::from_millis(499));
        assert_eq!(transaction.poll_transmit(), None);
        assert_eq!(transaction.poll_timeout(), Some(Time::from_millis(500)));
    }

    #[test]
    fn the_request_carries_what_was_asked_for() {
        let change = ChangeRequest {
            address: true,
            port: false,
        };
        let request = BindingRequest {
            change: Some(change),
            response_port: Some(50_000),
        };
        let mut transaction = transaction(request);
        let message = Message::from_bytes(transaction.poll_transmit().unwrap()).unwrap();
        assert_eq!(message.attribute::<ChangeRequest>().unwrap(), change);
        assert_eq!(
            message.attribute::<ResponsePort>().unwrap(),
            ResponsePort(50_000)
        );
    }

    #[test]
    fn a_response_tells_all_its_addresses() {
        let mut transaction = transaction(BindingRequest::default());
        let request = transaction.poll_transmit().unwrap().to_vec();
        let id = Message::from_bytes(&request).unwrap().transaction_id();
        let (mapped, from, other) = (
            address("203.0.113.7:40000"),
            address("192.0.2.2:3478"),
            address("192.0.2.2:3479"),
        );
        let bytes = response(
            &request,
            MessageClass::Success,
            &[
                &XorMappedAddress::new(mapped, id),
                &ResponseOrigin::new(from),
                &OtherAddress::new(other),
            ],
        );
        assert!(transaction.handle_datagram(from, &bytes));
        let expected = BindingResponse {
            mapped,
            from,
            origin: Some(from),
            other: Some(other),
        };
        assert_eq!(
            transaction.outcome(),
            Some(BindingOutcome::Success(expected))
        );
        // A late duplicate is nobody's.
        assert!(!transaction.handle_datagram(from, &bytes));
    }

    #[test]
    fn only_its_own_response_ends_it() {
        let mut first = transaction(BindingRequest::default());
        let request = first.poll_transmit().unwrap().to_vec();
        let server = address(SERVER);
        assert!(!first.handle_datagram(server, &request));
        let mut random = Stream::new(2, "client");
        let mut second = StunTransaction::new(
            Time::ZERO,
            BindingRequest::default(),
            Retransmission::default(),
            &mut random,
        );
        let foreign = second.poll_transmit().unwrap().to_vec();
        let mapped = MappedAddress::new(address("203.0.113.7:40000"));
        let success = |request: &[u8]| response(request, MessageClass::Success, &[&mapped]);
        assert!(!first.handle_datagram(server, &success(&foreign)));
        assert!(first.handle_datagram(server, &success(&request)));
        assert!(matches!(first.outcome(), Some(BindingOutcome::Success(_))));
    }

    #[test]
    fn errors_and_useless_answers_end_it_too() {
        let strange = RawAttribute::new(AttributeType::new(0x7abc), &[]);
        let error = ErrorCode::builder(ErrorCode::UNKNOWN_ATTRIBUTE)
            .build()
            .unwrap();
        let cases: [(MessageClass, &[&dyn AttributeWrite], BindingOutcome); 4] = [
            (MessageClass::Error, &[&error], BindingOutcome::Error(420)),
            (MessageClass::Error, &[], BindingOutcome::Unusable),
            (MessageClass::Success, &[], BindingOutcome::Unusable),
            (MessageClass::Success, &[&strange], BindingOutcome::Unusable),
        ];
        for (class, attributes, outcome) in cases {
            let mut transaction = transaction(BindingRequest::default());
            let request = transaction.poll_transmit().unwrap().to_vec();
            let bytes = response(&request, class, attributes);
            assert!(transaction.handle_datagram(address(SERVER), &bytes));
            assert_eq!(transaction.outcome(), Some(outcome));
        }
        let mut transaction = transaction(BindingRequest::default());
        transaction.handle_unreachable();
        assert_eq!(transaction.outcome(), Some(BindingOutcome::Unreachable));
        assert_eq!(transaction.poll_transmit(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut transaction = transaction(BindingRequest::default());
            let mut response = transaction.poll_transmit().unwrap().to_vec();
            prop_assert!(!transaction.handle_datagram(address(SERVER), &bytes));
            // A response of its own, with anything behind the header.
            response[..2].copy_from_slice(&[1, 1]);
            let bytes = &bytes[..bytes.len() / 4 * 4];
            response[2..4].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
            response.extend_from_slice(bytes);
            transaction.handle_datagram(address(SERVER), &response);
        }
    }
}
