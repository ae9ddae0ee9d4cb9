//! Client requests, looked at before the protocol crate sees them, and answers in its name.
//!
//! The crate knows no peer rules, no quotas and no EVEN-PORT. What is missing is put in front of
//! it here, in a way that leaves authentication to it: a request is refused for its content only
//! after the crate has accepted who sent it.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;
use stun_types::attribute::{
    ErrorCode, Nonce, PasswordAlgorithm, PasswordAlgorithmValue, PasswordAlgorithms, Realm,
    Userhash, Username,
};
use stun_types::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermCredentials, Message, MessageWriteVec,
};
use stun_types::prelude::{AttributeFromRaw, AttributeStaticType, MessageWrite, MessageWriteExt};
use turn_server_proto::types::attribute::{
    ChannelNumber, EvenPort, ReservationToken, XorPeerAddress,
};

use super::config::TurnConfig;

/// What a request asks for, as far as the crate doesn't look after it.
#[derive(Default)]
pub(super) struct Wishes {
    /// XOR-PEER-ADDRESS, each that there is.
    pub(super) peers: Vec<SocketAddr>,
    /// CHANNEL-NUMBER.
    pub(super) channel: Option<u16>,
    /// EVEN-PORT: an even relayed port.
    pub(super) even_port: bool,
    /// EVEN-PORT with its R bit, or RESERVATION-TOKEN: a pair of ports. This server has none.
    pub(super) reservation: bool,
}

impl Wishes {
    pub(super) fn read(message: &Message<'_>) -> Self {
        let mut wishes = Wishes::default();
        for (_, attribute) in message.iter_attributes() {
            match attribute.header.get_type() {
                XorPeerAddress::TYPE => {
                    if let Ok(peer) = XorPeerAddress::from_raw_ref(&attribute) {
                        wishes.peers.push(peer.addr(message.transaction_id()));
                    }
                }
                ChannelNumber::TYPE => {
                    let number = ChannelNumber::from_raw_ref(&attribute).ok();
                    wishes.channel = number.map(|number| number.channel());
                }
                EvenPort::TYPE => {
                    wishes.even_port = true;
                    let reserve = EvenPort::from_raw_ref(&attribute).map(|even| even.requested());
                    wishes.reservation |= reserve.unwrap_or(false);
                }
                ReservationToken::TYPE => wishes.reservation = true,
                _ => {}
            }
        }
        wishes
    }
}

/// A user's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UserId(usize);

impl UserId {
    /// The user's place in the configuration.
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// Who may use the server.
#[derive(Debug)]
pub(super) struct Users {
    realm: String,
    credentials: Vec<LongTermCredentials>,
    by_name: FxHashMap<String, UserId>,
    /// By USERHASH (RFC 8489 §14.4).
    by_hash: FxHashMap<[u8; 32], UserId>,
    /// How many allocations each holds.
    allocations: Vec<u32>,
}

impl Users {
    pub(super) fn new(config: &TurnConfig) -> Self {
        let mut users = Users {
            realm: config.realm.clone(),
            credentials: Vec::new(),
            by_name: FxHashMap::default(),
            by_hash: FxHashMap::default(),
            allocations: vec![0; config.users.len()],
        };
        for (index, (name, password)) in config.users.iter().enumerate() {
            users
                .credentials
                .push(LongTermCredentials::new(name.clone(), password.clone()));
            users.by_name.insert(name.clone(), UserId(index));
            users
                .by_hash
                .insert(Userhash::compute(name, &config.realm), UserId(index));
        }
        users
    }

    /// Whom a request claims to come from.
    pub(super) fn claimed(&self, message: &Message<'_>) -> Option<UserId> {
        if let Ok(hash) = message.attribute::<Userhash>() {
            return self.by_hash.get(hash.hash()).copied();
        }
        let name = message.attribute::<Username>().ok()?;
        self.by_name.get(name.username()).copied()
    }

    /// The key by which a request of this user and its responses are protected (RFC 8489 §9.2.2).
    pub(super) fn key(&self, user: UserId, message: &Message<'_>) -> SigningKey {
        let sha256 = message
            .attribute::<PasswordAlgorithm>()
            .is_ok_and(|wanted| wanted.algorithm() == PasswordAlgorithmValue::SHA256);
        let algorithm = if sha256 {
            IntegrityAlgorithm::Sha256
        } else {
            IntegrityAlgorithm::Sha1
        };
        let key = self.credentials[user.0]
            .to_key(self.realm.clone())
            .make_key(algorithm);
        SigningKey { key, algorithm }
    }

    pub(super) fn allocations(&mut self, user: UserId) -> &mut u32 {
        &mut self.allocations[user.0]
    }
}

/// A user's key.
pub(super) struct SigningKey {
    key: IntegrityKey,
    algorithm: IntegrityAlgorithm,
}

impl SigningKey {
    pub(super) fn verifies(&self, message: &Message<'_>) -> bool {
        message.validate_integrity_with_key(&self.key).is_ok()
    }

    fn sign(&self, mut writer: MessageWriteVec) -> Vec<u8> {
        // Fails only on a message that is signed already.
        let _ = writer.add_message_integrity_with_key(&self.key, self.algorithm);
        writer.finish()
    }

    /// The error response to `request` with this code.
    pub(super) fn error(&self, request: &Message<'_>, code: u16) -> Vec<u8> {
        let mut writer = Message::builder_error(request, MessageWriteVec::with_capacity(128));
        if let Ok(code) = ErrorCode::builder(code).build() {
            let _ = writer.add_attribute(&code);
        }
        self.sign(writer)
    }

    /// The same request by the same user, without anything that it asks for.
    ///
    /// The crate judges it as it would judge the request: 401, 438, 441 or 437 where something is
    /// wrong with its sender. Where all is well it answers 400, for a CreatePermission or
    /// ChannelBind without a peer asks for nothing; and nothing is what it changes.
    pub(super) fn probe(&self, request: &Message<'_>) -> Vec<u8> {
        let mut writer = Message::builder(
            request.get_type(),
            request.transaction_id(),
            MessageWriteVec::with_capacity(256),
        );
        for (_, attribute) in request.iter_attributes() {
            if matches!(
                attribute.header.get_type(),
                Username::TYPE
                    | Userhash::TYPE
                    | Realm::TYPE
                    | Nonce::TYPE
                    | PasswordAlgorithm::TYPE
                    | PasswordAlgorithms::TYPE
            ) {
                let _ = writer.add_attribute(&attribute);
            }
        }
        self.sign(writer)
    }
}

/// The code of an error response; `None` for everything else.
pub(super) fn error_code(bytes: &[u8]) -> Option<u16> {
    // The two class bits of the message type (RFC 8489 §5): both set means error.
    let class = (bytes.first()? & 0x01, bytes.get(1)? & 0x10);
    if class != (0x01, 0x10) {
        return None;
    }
    let message = Message::from_bytes(bytes).ok()?;
    Some(message.attribute::<ErrorCode>().ok()?.code())
}
