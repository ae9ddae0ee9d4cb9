//! A TURN client in a handful of functions.

use super::*;

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One client.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) from: &'static str,
    pub(super) server: &'static str,
    pub(super) user: &'static str,
    pub(super) password: &'static str,
    pub(super) hashed: bool,
    pub(super) nonce: String,
    pub(super) transaction: u128,
}

impl Client {
    pub(super) fn new(from: &'static str) -> Self {
        let (user, password) = ("alice", "secret");
        let nonce = String::new();
        Client {
            from,
            server: SERVER,
            user,
            password,
            hashed: false,
            nonce,
            transaction: 100,
        }
    }

    pub(super) fn unsigned(
        &mut self,
        method: Method,
        attributes: &[&dyn AttributeWrite],
    ) -> MessageWriteVec {
        self.transaction += 1;
        let kind = MessageType::from_class_method(MessageClass::Request, method);
        let mut writer = Message::builder(kind, self.transaction.into(), MessageWriteVec::new());
        for attribute in attributes {
            writer.add_attribute(*attribute).unwrap();
        }
        writer
    }

    pub(super) fn signed(&mut self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let mut writer = self.unsigned(method, attributes);
        if self.hashed {
            writer
                .add_attribute(&Userhash::new(Userhash::compute(self.user, "realm")))
                .unwrap();
        } else {
            writer
                .add_attribute(&Username::new(self.user).unwrap())
                .unwrap();
        }
        writer.add_attribute(&Realm::new("realm").unwrap()).unwrap();
        writer
            .add_attribute(&Nonce::new(&self.nonce).unwrap())
            .unwrap();
        let algorithm = stun_types::message::IntegrityAlgorithm::Sha1;
        let key = LongTermCredentials::new(self.user.to_owned(), self.password.to_owned())
            .to_key("realm".to_owned())
            .make_key(algorithm);
        writer
            .add_message_integrity_with_key(&key, algorithm)
            .unwrap();
        writer.finish()
    }

    /// Sends a signed request; what it is answered, and what else the server sent.
    pub(super) fn ask(
        &mut self,
        host: &mut LoneHost<TurnServer>,
        method: Method,
        attributes: &[&dyn AttributeWrite],
    ) -> Answer {
        let bytes = self.signed(method, attributes);
        self.send(host, &bytes)
    }

    pub(super) fn send(&mut self, host: &mut LoneHost<TurnServer>, bytes: &[u8]) -> Answer {
        let mut sent = host.datagram(self.from, self.server, bytes);
        assert_eq!(sent.len(), 1, "{:?}", host.rejected);
        let answer = sent.remove(0);
        assert_eq!(
            (answer.from, answer.to),
            (address(self.server), address(self.from))
        );
        let message = Message::from_bytes(&answer.payload).unwrap();
        assert_eq!(message.transaction_id(), self.transaction.into());
        if let Ok(nonce) = message.attribute::<Nonce>() {
            self.nonce = nonce.nonce().to_owned();
        }
        Answer(answer.payload)
    }

    /// The request without credentials that learns the nonce.
    pub(super) fn greet(&mut self, host: &mut LoneHost<TurnServer>) {
        let bytes = self.unsigned(ALLOCATE, &[&udp()]).finish();
        assert_eq!(self.send(host, &bytes).code(), Some(401));
    }

    pub(super) fn allocate(&mut self, host: &mut LoneHost<TurnServer>) -> SocketAddr {
        self.greet(host);
        self.ask(host, ALLOCATE, &[&udp()]).relayed().unwrap()
    }

    pub(super) fn permit(&mut self, host: &mut LoneHost<TurnServer>, peer: &str) -> Answer {
        self.transaction += 1;
        let peer = XorPeerAddress::new(address(peer), self.transaction.into());
        self.transaction -= 1;
        self.ask(host, CREATE_PERMISSION, &[&peer])
    }

    pub(super) fn bind(
        &mut self,
        host: &mut LoneHost<TurnServer>,
        number: u16,
        peer: &str,
    ) -> Answer {
        self.transaction += 1;
        let peer = XorPeerAddress::new(address(peer), self.transaction.into());
        self.transaction -= 1;
        self.ask(host, CHANNEL_BIND, &[&peer, &ChannelNumber::new(number)])
    }

    pub(super) fn indicate(
        &self,
        host: &mut LoneHost<TurnServer>,
        peer: &str,
        data: &[u8],
    ) -> Vec<Sent> {
        host.datagram(self.from, self.server, &indication(peer, data))
    }
}

pub(super) fn indication(peer: &str, data: &[u8]) -> Vec<u8> {
    let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
    let mut writer = Message::builder(kind, 9.into(), MessageWriteVec::new());
    writer
        .add_attribute(&XorPeerAddress::new(address(peer), 9.into()))
        .unwrap();
    writer.add_attribute(&Data::new(data)).unwrap();
    writer.finish()
}

pub(super) fn udp() -> RequestedTransport {
    RequestedTransport::new(RequestedTransport::UDP)
}

pub(super) struct Answer(pub(super) Vec<u8>);

impl Answer {
    pub(super) fn code(&self) -> Option<u16> {
        error_code(&self.0)
    }

    pub(super) fn message(&self) -> Message<'_> {
        Message::from_bytes(&self.0).unwrap()
    }

    pub(super) fn relayed(&self) -> Option<SocketAddr> {
        let message = self.message();
        let relayed = message.attribute::<XorRelayedAddress>().ok()?;
        Some(relayed.addr(message.transaction_id()))
    }
}

pub(super) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    [&number.to_be_bytes()[..], &length, data].concat()
}
