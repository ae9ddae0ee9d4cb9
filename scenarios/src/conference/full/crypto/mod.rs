//! The cryptography str0m asks its caller for: DTLS by `dimpl`, SRTP, hashes, all real, by `ring`
//! and `aes`.
//!
//! str0m's own providers bring a C library each, or a version of it that isn't there. `ring` is in
//! the house already, for TLS around TURN.
//!
//! **What repeats.** Keys and randoms come from the operating system's entropy, so bytes differ from
//! run to run. *Lengths* don't, and they are all that the wire's timing and a run's digest depend
//! on: one key exchange (X25519, 32 bytes a share), one cipher suite, one certificate for everybody,
//! and ECDSA signatures that are drawn until they have the length that half of all have: 71 bytes,
//! where DER makes them 68 to 72. The jitter of repeated flights (RFC 6347 §4.2.4.1) is drawn from the
//! thread's seeded generator.

mod dtls;
mod handshake;
mod srtp;

use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit, Mac as _};
use ring::digest;
use sha1::Sha1;
use str0m::crypto::{CryptoProvider, Sha1HmacProvider, Sha1Provider, Sha256Provider};

/// The provider that every `Rtc` is given.
pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        srtp_provider: &srtp::Srtp,
        sha1_hmac_provider: &Hashes,
        sha1_provider: &Hashes,
        sha256_provider: &Hashes,
        dtls_provider: &dtls::Dimpl,
    })
});

#[derive(Debug)]
struct Hashes;

impl Sha1HmacProvider for Hashes {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
        for payload in payloads {
            mac.update(payload);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Sha1Provider for Hashes {
    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        use sha1::Digest as _;
        Sha1::digest(data).into()
    }
}

impl Sha256Provider for Hashes {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        let hash = digest::digest(&digest::SHA256, data);
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(byte).collect()
    }

    /// RFC 2202 §3, test case 2, in two parts.
    #[test]
    fn hmac_is_the_one_of_the_rfc() {
        let tag = Hashes.sha1_hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            tag.to_vec(),
            bytes("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
    }

    /// RFC 3174 §7.3 and RFC 6234 §8.5, the first test of each.
    #[test]
    fn hashes_are_the_ones_of_the_rfcs() {
        let sha1 = Hashes.sha1(b"abc");
        assert_eq!(
            sha1.to_vec(),
            bytes("a9993e364706816aba3e25717850c26c9cd0d89d")
        );
        let sha256 = Hashes.sha256(b"abc");
        assert_eq!(
            sha256.to_vec(),
            bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }
}
