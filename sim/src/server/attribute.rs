//! The STUN attributes of NAT behaviour discovery (RFC 5780 §7), in `stun-types`' own traits.
//!
//! Clients need them as much as the server does, so they are public.

use std::net::SocketAddr;

use stun_types::attribute::{AttributeType, MappedSocketAddr, RawAttribute};
use stun_types::message::StunParseError;
use stun_types::prelude::{
    Attribute, AttributeFromRaw, AttributeStaticType, AttributeWrite, AttributeWriteExt,
};

/// An attribute whose value is an address in the clear, as MAPPED-ADDRESS has it.
macro_rules! address_attribute {
    ($(#[$doc:meta])* $name:ident = $number:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name(MappedSocketAddr);

        impl $name {
            /// The attribute that names `address`.
            pub fn new(address: SocketAddr) -> Self {
                $name(MappedSocketAddr::new(address))
            }

            /// The address it names.
            pub fn address(&self) -> SocketAddr {
                self.0.addr()
            }
        }

        impl AttributeStaticType for $name {
            const TYPE: AttributeType = AttributeType::new($number);
        }

        impl Attribute for $name {
            fn get_type(&self) -> AttributeType {
                Self::TYPE
            }

            fn length(&self) -> u16 {
                self.0.length()
            }
        }

        impl AttributeWrite for $name {
            fn to_raw(&self) -> RawAttribute<'_> {
                self.0.to_raw(Self::TYPE)
            }

            fn write_into_unchecked(&self, dest: &mut [u8]) {
                self.write_header_unchecked(dest);
                self.0.write_into_unchecked(&mut dest[4..]);
            }
        }

        impl AttributeFromRaw<'_> for $name {
            fn from_raw_ref(raw: &RawAttribute<'_>) -> Result<Self, StunParseError> {
                raw.check_type_and_len(Self::TYPE, ..)?;
                Ok($name(MappedSocketAddr::from_raw(raw)?))
            }
        }
    };
}

address_attribute! {
    /// MAPPED-ADDRESS (RFC 8489 §14.1): the client's address as the server sees it, in the clear.
    /// RFC 5780 §6.1 wants it beside XOR-MAPPED-ADDRESS: where the two differ, a NAT rewrites
    /// addresses inside payloads.
    MappedAddress = 0x0001
}

address_attribute! {
    /// RESPONSE-ORIGIN (RFC 5780 §7.3): where the response was sent from.
    ResponseOrigin = 0x802b
}

address_attribute! {
    /// OTHER-ADDRESS (RFC 5780 §7.4): where a response would come from if CHANGE-REQUEST asked for
    /// another address and another port.
    OtherAddress = 0x802c
}

/// CHANGE-REQUEST (RFC 5780 §7.2): asks the server to answer from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChangeRequest {
    /// Answer from the other IP address.
    pub address: bool,
    /// Answer from the other port.
    pub port: bool,
}

impl ChangeRequest {
    const CHANGE_IP: u8 = 0x04;
    const CHANGE_PORT: u8 = 0x02;

    fn flags(self) -> u8 {
        let address = if self.address { Self::CHANGE_IP } else { 0 };
        let port = if self.port { Self::CHANGE_PORT } else { 0 };
        address | port
    }
}

impl AttributeStaticType for ChangeRequest {
    const TYPE: AttributeType = AttributeType::new(0x0003);
}

impl Attribute for ChangeRequest {
    fn get_type(&self) -> AttributeType {
        Self::TYPE
    }

    fn length(&self) -> u16 {
        4
    }
}

impl AttributeWrite for ChangeRequest {
    fn to_raw(&self) -> RawAttribute<'_> {
        RawAttribute::new(Self::TYPE, &[0, 0, 0, self.flags()]).into_owned()
    }

    fn write_into_unchecked(&self, dest: &mut [u8]) {
        self.write_header_unchecked(dest);
        dest[4..8].copy_from_slice(&[0, 0, 0, self.flags()]);
    }
}

impl AttributeFromRaw<'_> for ChangeRequest {
    fn from_raw_ref(raw: &RawAttribute<'_>) -> Result<Self, StunParseError> {
        raw.check_type_and_len(Self::TYPE, 4..=4)?;
        let flags = raw.value[3];
        Ok(ChangeRequest {
            address: flags & Self::CHANGE_IP != 0,
            port: flags & Self::CHANGE_PORT != 0,
        })
    }
}

/// RESPONSE-PORT (RFC 5780 §7.5): asks the server to answer to another port of the sender's
/// address. From there one learns how long a mapping lives: the answer reaches its socket only
/// while the mapping does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponsePort(pub u16);

impl AttributeStaticType for ResponsePort {
    const TYPE: AttributeType = AttributeType::new(0x0027);
}

impl Attribute for ResponsePort {
    fn get_type(&self) -> AttributeType {
        Self::TYPE
    }

    fn length(&self) -> u16 {
        2
    }
}

impl AttributeWrite for ResponsePort {
    fn to_raw(&self) -> RawAttribute<'_> {
        RawAttribute::new(Self::TYPE, &self.0.to_be_bytes()).into_owned()
    }

    fn write_into_unchecked(&self, dest: &mut [u8]) {
        self.write_header_unchecked(dest);
        dest[4..6].copy_from_slice(&self.0.to_be_bytes());
        dest[6..8].fill(0);
    }
}

impl AttributeFromRaw<'_> for ResponsePort {
    /// Some senders count the two bytes of padding into the length, others don't.
    fn from_raw_ref(raw: &RawAttribute<'_>) -> Result<Self, StunParseError> {
        raw.check_type_and_len(Self::TYPE, 2..=4)?;
        Ok(ResponsePort(u16::from_be_bytes([
            raw.value[0],
            raw.value[1],
        ])))
    }
}

#[cfg(test)]
mod tests {
    use stun_types::message::{BINDING, Message, MessageWriteVec};
    use stun_types::prelude::{MessageWrite, MessageWriteExt};

    use super::*;

    fn through<A>(attribute: &A) -> A
    where
        A: AttributeWrite + AttributeStaticType + for<'a> AttributeFromRaw<'a>,
    {
        let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
        message.add_attribute(attribute).unwrap();
        let bytes = message.finish();
        let message = Message::from_bytes(&bytes).unwrap();
        let raw = message.raw_attribute(A::TYPE).unwrap();
        assert_eq!(attribute.to_raw().to_bytes(), raw.to_bytes());
        A::from_raw_ref(&raw).unwrap()
    }

    #[test]
    fn attributes_survive_the_wire() {
        for address in ["192.0.2.1:3478", "[2001:db8::1]:3479"] {
            let address = address.parse().unwrap();
            assert_eq!(through(&MappedAddress::new(address)).address(), address);
            assert_eq!(through(&ResponseOrigin::new(address)).address(), address);
            assert_eq!(through(&OtherAddress::new(address)).address(), address);
        }
        for (address, port) in [(false, false), (true, false), (false, true), (true, true)] {
            let change = ChangeRequest { address, port };
            assert_eq!(through(&change), change);
        }
        assert_eq!(through(&ResponsePort(40_000)), ResponsePort(40_000));
    }

    #[test]
    fn change_request_has_the_flags_of_the_rfc() {
        let both = ChangeRequest {
            address: true,
            port: true,
        };
        assert_eq!(both.to_raw().to_bytes(), [0, 3, 0, 4, 0, 0, 0, 6]);
    }
}
