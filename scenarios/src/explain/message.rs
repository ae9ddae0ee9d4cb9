//! What a datagram's payload is, in the words of those who read it.
//!
//! Tells apart what meets on one socket (RFC 7983): STUN and TURN messages, ChannelData, and the
//! call's data. It reads for people: it checks no integrity and keeps no state. What it can't read
//! is [`Other`](Message::Other).

use std::fmt;
use std::net::SocketAddr;

use pinhole::server::attribute::{ChangeRequest, MappedAddress};
use stun_types::attribute::{
    AttributeType, ErrorCode, MessageIntegrity, MessageIntegritySha256, RawAttribute, Username,
    XorMappedAddress,
};
use stun_types::message::{
    Message as StunBytes, MessageClass, MessageHeader, Method as StunMethod,
};
use stun_types::prelude::{AttributeFromRaw, AttributeStaticType};
use turn_client_proto::types::attribute::{XorPeerAddress, XorRelayedAddress};
use turn_client_proto::types::message as turn;

use crate::call::Data;

/// What a datagram carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A STUN message; TURN's are STUN messages too.
    Stun(StunMessage),
    /// ChannelData (RFC 8656 §12.4): something wrapped for a TURN server, or by one.
    Channel {
        /// The channel's number.
        number: u16,
        /// What is wrapped.
        inner: Box<Message>,
    },
    /// The call's data.
    Data(Data),
    /// Something else.
    Other {
        /// Its length in bytes.
        length: usize,
    },
}

/// A STUN message (RFC 8489 §5), as far as the story of a call needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StunMessage {
    /// Request, indication or response.
    pub class: Class,
    /// What is asked for.
    pub method: Method,
    /// The transaction id: a response has its request's.
    pub transaction: [u8; 12],
    /// XOR-MAPPED-ADDRESS or MAPPED-ADDRESS: where the server or peer saw the request come from.
    pub mapped: Option<SocketAddr>,
    /// XOR-RELAYED-ADDRESS: what a TURN server allocated.
    pub relayed: Option<SocketAddr>,
    /// XOR-PEER-ADDRESS, the first: whom a client of a TURN server wants to talk to.
    pub peer: Option<SocketAddr>,
    /// CHANNEL-NUMBER.
    pub channel: Option<u16>,
    /// LIFETIME, in seconds.
    pub lifetime: Option<u32>,
    /// USE-CANDIDATE (RFC 8445 §7.1.2): the check nominates its pair.
    pub use_candidate: bool,
    /// PRIORITY (RFC 8445 §7.1.1).
    pub priority: Option<u32>,
    /// Whether the sender of a check controls (RFC 8445 §7.1.3).
    pub controlling: Option<bool>,
    /// USERNAME.
    pub username: Option<String>,
    /// Whether there is a MESSAGE-INTEGRITY attribute, of either hash. A peer's answer to a check has one, an answer
    /// of a STUN server doesn't.
    pub has_integrity: bool,
    /// CHANGE-REQUEST (RFC 5780 §7.2).
    pub change_request: Option<ChangeRequest>,
    /// What a Send or Data indication carries (RFC 8656 §10).
    pub inner: Option<Box<Message>>,
}

/// The four classes of STUN messages (RFC 8489 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer is yes.
    Success,
    /// The answer is no.
    Error {
        /// The error code; 0 where the message names none.
        code: u16,
        /// The server's words.
        reason: String,
    },
}

/// The methods of STUN and TURN (RFC 8489 §18.2, RFC 8656 §17).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// Where do you see me? Also every connectivity check of ICE.
    Binding,
    /// An address on a TURN server.
    Allocate,
    /// Keeps an allocation, or gives it back.
    Refresh,
    /// Data toward a peer.
    Send,
    /// Data from a peer.
    Data,
    /// Lets a peer's address through to the relayed address.
    CreatePermission,
    /// A number in place of a peer's address.
    ChannelBind,
    /// Another one.
    Other(u16),
}

/// How deep wrappings are looked into: a check in ChannelData is two. Bytes that claim more are no
/// call's.
const DEEPEST: usize = 3;

const CHANNEL_NUMBER: AttributeType = AttributeType::new(0x000c);
const LIFETIME: AttributeType = AttributeType::new(0x000d);
const DATA: AttributeType = AttributeType::new(0x0013);
const PRIORITY: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802a);

impl Message {
    /// Reads a datagram's payload.
    pub fn read(payload: &[u8]) -> Message {
        Message::read_wrapped(payload, DEEPEST)
    }

    fn read_wrapped(payload: &[u8], deepest: usize) -> Message {
        let length = payload.len();
        let other = Message::Other { length };
        if deepest == 0 {
            return other;
        }
        // RFC 7983 §7, RFC 8656 §12.
        match payload.first() {
            Some(0..=3) => StunMessage::read(payload, deepest).map_or(other, Message::Stun),
            Some(0x40..=0x4f) => channel(payload, deepest).unwrap_or(other),
            Some(128..=191) => Data::from_bytes(payload).map_or(other, Message::Data),
            _ => other,
        }
    }

    /// The message without what a TURN client and its server wrap around it.
    pub fn unwrapped(&self) -> &Message {
        match self {
            Message::Channel { inner, .. }
            | Message::Stun(StunMessage {
                inner: Some(inner), ..
            }) => inner.unwrapped(),
            _ => self,
        }
    }

    /// What kind of message it is, without addresses and numbers: alike for all of a kind.
    pub fn brief(&self) -> String {
        match self {
            Message::Stun(stun) => stun.brief(),
            Message::Channel { inner, .. } => format!("channel: {}", inner.brief()),
            Message::Data(_) => "data".to_owned(),
            Message::Other { .. } => "other".to_owned(),
        }
    }

    /// What it is, in a few words.
    pub fn label(&self) -> String {
        match self {
            Message::Stun(stun) => stun.label(),
            Message::Channel { number, inner } => {
                format!("channel {number:#06x}: {}", inner.label())
            }
            Message::Data(_) => "data".to_owned(),
            Message::Other { length } => format!("{length} bytes"),
        }
    }
}

/// ChannelData: number, length, and what is wrapped. UDP needs no padding, and may have it.
fn channel(payload: &[u8], deepest: usize) -> Option<Message> {
    let ([a, b, c, d], rest) = payload.split_first_chunk()?;
    let number = u16::from_be_bytes([*a, *b]);
    let inner = rest.get(..usize::from(u16::from_be_bytes([*c, *d])))?;
    Some(Message::Channel {
        number,
        inner: Box::new(Message::read_wrapped(inner, deepest - 1)),
    })
}

impl StunMessage {
    fn read(payload: &[u8], deepest: usize) -> Option<StunMessage> {
        let header = MessageHeader::from_bytes(payload).ok()?;
        if usize::from(header.data_length()) + MessageHeader::LENGTH != payload.len() {
            return None;
        }
        let bytes = StunBytes::from_bytes(payload).ok()?;
        let transaction = payload.get(8..20)?.try_into().ok()?;
        let mut message = StunMessage {
            class: class(&bytes),
            method: bytes.method().into(),
            transaction,
            mapped: None,
            relayed: None,
            peer: None,
            channel: None,
            lifetime: None,
            use_candidate: false,
            priority: None,
            controlling: None,
            username: None,
            has_integrity: false,
            change_request: None,
            inner: None,
        };
        for (_, attribute) in bytes.iter_attributes() {
            message.take(&bytes, &attribute, deepest);
        }
        Some(message)
    }

    /// Notes what one attribute says; one that can't be read says nothing.
    fn take(&mut self, bytes: &StunBytes<'_>, raw: &RawAttribute<'_>, deepest: usize) {
        let id = bytes.transaction_id();
        match raw.header.get_type() {
            XorMappedAddress::TYPE => {
                let mapped = XorMappedAddress::from_raw_ref(raw).ok();
                self.mapped = mapped.map(|mapped| mapped.addr(id)).or(self.mapped);
            }
            MappedAddress::TYPE => {
                let mapped = MappedAddress::from_raw_ref(raw).ok();
                self.mapped = self.mapped.or(mapped.map(|mapped| mapped.address()));
            }
            XorRelayedAddress::TYPE => {
                let relayed = XorRelayedAddress::from_raw_ref(raw).ok();
                self.relayed = relayed.map(|relayed| relayed.addr(id));
            }
            XorPeerAddress::TYPE => {
                let peer = XorPeerAddress::from_raw_ref(raw).ok();
                self.peer = self.peer.or(peer.map(|peer| peer.addr(id)));
            }
            Username::TYPE => {
                let username = Username::from_raw_ref(raw).ok();
                self.username = username.map(|username| username.username().to_owned());
            }
            MessageIntegrity::TYPE | MessageIntegritySha256::TYPE => self.has_integrity = true,
            ChangeRequest::TYPE => self.change_request = ChangeRequest::from_raw_ref(raw).ok(),
            CHANNEL_NUMBER => {
                let number = raw.value.first_chunk();
                self.channel = number.map(|number| u16::from_be_bytes(*number));
            }
            LIFETIME => self.lifetime = number(raw),
            PRIORITY => self.priority = number(raw),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLED => self.controlling = Some(false),
            ICE_CONTROLLING => self.controlling = Some(true),
            DATA => {
                let inner = Message::read_wrapped(&raw.value, deepest - 1);
                self.inner = Some(Box::new(inner));
            }
            _ => {}
        }
    }

    /// Whether this is a connectivity check of ICE (RFC 8445 §7), or the answer to one. Told from
    /// what a STUN server is asked by its credentials: a server asks for none.
    pub fn is_ice(&self) -> bool {
        self.method == Method::Binding && (self.username.is_some() || self.has_integrity)
    }

    fn what(&self) -> String {
        if self.is_ice() {
            return "ICE check".to_owned();
        }
        self.method.to_string()
    }

    /// What kind of message it is, without addresses and numbers: alike for all of a kind.
    pub fn brief(&self) -> String {
        let what = self.what();
        match (&self.class, &self.inner) {
            (_, Some(inner)) => format!("{what}: {}", inner.brief()),
            (Class::Request, _) if self.is_ice() => self.request(what),
            (Class::Request, _) => what,
            (Class::Indication, _) => self.indication(what),
            (Class::Success, _) => what + ": success",
            (Class::Error { code, .. }, _) => format!("{what}: {code}"),
        }
    }

    /// What it is, in a few words.
    pub fn label(&self) -> String {
        let what = self.what();
        match &self.class {
            Class::Request => self.request(what),
            Class::Indication => self.indication(what),
            Class::Success => match (self.relayed, self.mapped) {
                (Some(relay), _) => format!("{what}: success, relay {relay}"),
                (None, Some(mapped)) => format!("{what}: success, you are {mapped}"),
                (None, None) => format!("{what}: success"),
            },
            Class::Error { code, reason } => {
                let words = error_words(*code).map_or(reason.as_str(), |words| words);
                match (*code, words) {
                    (0, _) => format!("{what}: error"),
                    (code, "") => format!("{what}: {code}"),
                    (code, words) => format!("{what}: {code}, {words}"),
                }
            }
        }
    }

    fn request(&self, what: String) -> String {
        match self.method {
            Method::Binding if self.is_ice() => {
                if self.use_candidate {
                    return what + ", nominates";
                }
                what
            }
            Method::Binding => match self.change_request {
                Some(ChangeRequest {
                    address: true,
                    port: true,
                }) => what + " request, answer from another address and port",
                Some(ChangeRequest { address: true, .. }) => {
                    what + " request, answer from another address"
                }
                Some(ChangeRequest { port: true, .. }) => {
                    what + " request, answer from another port"
                }
                _ => what + " request",
            },
            Method::Allocate if self.has_integrity => what + ", with credentials",
            Method::Refresh if self.lifetime == Some(0) => what + ", gives the relay back",
            // A permission looks at no port (RFC 8656 §9).
            Method::CreatePermission => match self.peer {
                Some(peer) => format!("{what} for {}", peer.ip()),
                None => what,
            },
            Method::ChannelBind => match (self.channel, self.peer) {
                (Some(channel), Some(peer)) => format!("{what} {channel:#06x} to {peer}"),
                _ => what,
            },
            _ => what,
        }
    }

    fn indication(&self, what: String) -> String {
        let inner = self.inner.as_ref().map(|inner| inner.label());
        match (self.method, self.peer, inner) {
            (Method::Binding, ..) => "keepalive".to_owned(),
            (Method::Send, Some(peer), Some(inner)) => format!("{what} to {peer}: {inner}"),
            (Method::Data, Some(peer), Some(inner)) => format!("{what} from {peer}: {inner}"),
            _ => what + " indication",
        }
    }
}

fn class(bytes: &StunBytes<'_>) -> Class {
    match bytes.class() {
        MessageClass::Request => Class::Request,
        MessageClass::Indication => Class::Indication,
        MessageClass::Success => Class::Success,
        MessageClass::Error => match bytes.attribute::<ErrorCode>() {
            Ok(error) => Class::Error {
                code: error.code(),
                reason: error.reason().to_owned(),
            },
            Err(_) => Class::Error {
                code: 0,
                reason: String::new(),
            },
        },
    }
}

fn number(raw: &RawAttribute<'_>) -> Option<u32> {
    raw.value
        .first_chunk()
        .map(|number| u32::from_be_bytes(*number))
}

/// What an error code asks of the one who gets it (RFC 8489 §14.8, RFC 8656 §19, RFC 8445 §7.3).
fn error_words(code: u16) -> Option<&'static str> {
    Some(match code {
        400 => "bad request",
        401 => "credentials wanted",
        403 => "forbidden",
        420 => "unknown attribute",
        437 => "no such allocation",
        438 => "nonce has expired",
        440 => "address family not supported",
        441 => "wrong credentials",
        442 => "transport not supported",
        443 => "peer of another address family",
        486 => "too many allocations",
        487 => "role conflict",
        500 => "server error",
        508 => "no capacity left",
        _ => return None,
    })
}

impl From<StunMethod> for Method {
    fn from(method: StunMethod) -> Self {
        match method {
            stun_types::message::BINDING => Method::Binding,
            turn::ALLOCATE => Method::Allocate,
            turn::REFRESH => Method::Refresh,
            turn::SEND => Method::Send,
            turn::DATA => Method::Data,
            turn::CREATE_PERMISSION => Method::CreatePermission,
            turn::CHANNEL_BIND => Method::ChannelBind,
            other => Method::Other(other.value()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Method::Binding => "Binding",
            Method::Allocate => "Allocate",
            Method::Refresh => "Refresh",
            Method::Send => "Send",
            Method::Data => "Data",
            Method::CreatePermission => "CreatePermission",
            Method::ChannelBind => "ChannelBind",
            Method::Other(number) => return write!(f, "STUN method {number:#05x}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests;
