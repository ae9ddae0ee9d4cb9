//! The cryptography `rtc-ice` asks its caller for: HMAC-SHA1, for MESSAGE-INTEGRITY (RFC 8489
//! §14.5), and random bytes for credentials and the tie-breaker.
//!
//! The stack's own providers would bring a C library for it, and operating-system entropy. Nothing
//! here guards a secret: the peers live in one process. What counts is that the random bytes are a
//! function of the seed.

use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac as _};
use rtc_ice::crypto::{
    CryptoAlgorithm, CryptoError, HmacAlgorithm, Mac, RTCCrypto, RTCCryptoProvider, RTCRandom,
};
use sha1::Sha1;

/// One agent's provider.
pub(super) struct SeededCrypto {
    random: SeededRandom,
}

impl SeededCrypto {
    pub(super) fn new(seed: u64) -> Self {
        SeededCrypto {
            random: SeededRandom(Mutex::new(fastrand::Rng::with_seed(seed))),
        }
    }
}

impl RTCCryptoProvider for SeededCrypto {
    fn name(&self) -> &'static str {
        "pinhole"
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        &HmacSha1Only
    }

    fn random(&self) -> &dyn RTCRandom {
        &self.random
    }
}

struct SeededRandom(Mutex<fastrand::Rng>);

impl RTCRandom for SeededRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        // A generator that was interrupted is still a generator.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(output);
        Ok(())
    }
}

struct HmacSha1Only;

impl RTCCrypto for HmacSha1Only {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        algorithm == CryptoAlgorithm::Hmac(HmacAlgorithm::Sha1)
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        if algorithm != HmacAlgorithm::Sha1 {
            return Err(CryptoError::UnsupportedAlgorithm(CryptoAlgorithm::Hmac(
                algorithm,
            )));
        }
        let keyed = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
        Ok(Box::new(HmacSha1(keyed)))
    }
}

struct HmacSha1(Hmac<Sha1>);

impl HmacSha1 {
    fn over(&self, input: &[&[u8]]) -> Hmac<Sha1> {
        let mut mac = self.0.clone();
        for part in input {
            mac.update(part);
        }
        mac
    }
}

impl Mac for HmacSha1 {
    fn output_len(&self) -> usize {
        HmacAlgorithm::Sha1.output_len()
    }

    fn sign(&mut self, input: &[&[u8]], output: &mut [u8]) -> Result<(), CryptoError> {
        let tag = self.over(input).finalize().into_bytes();
        if output.len() != tag.len() {
            return Err(CryptoError::InvalidTagLength {
                expected: tag.len(),
                actual: output.len(),
            });
        }
        output.copy_from_slice(&tag);
        Ok(())
    }

    fn verify(&mut self, input: &[&[u8]], expected: &[u8]) -> Result<(), CryptoError> {
        if expected.len() != self.output_len() {
            return Err(CryptoError::InvalidTagLength {
                expected: self.output_len(),
                actual: expected.len(),
            });
        }
        self.over(input)
            .verify_slice(expected)
            .map_err(|_| CryptoError::AuthenticationFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 §3, test case 2.
    #[test]
    fn the_tag_is_the_one_of_the_rfc() {
        let mut mac = HmacSha1Only.new_hmac(HmacAlgorithm::Sha1, b"Jefe").unwrap();
        let mut tag = [0; 20];
        mac.sign(&[b"what do ya want ", b"for nothing?"], &mut tag)
            .unwrap();
        let expected = [
            0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74, 0x16, 0xd5, 0xf1, 0x84,
            0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79,
        ];
        assert_eq!(tag, expected);

        mac.verify(&[b"what do ya want for nothing?"], &expected)
            .unwrap();
        let mut wrong = expected;
        wrong[0] ^= 1;
        assert_eq!(
            mac.verify(&[b"what do ya want for nothing?"], &wrong),
            Err(CryptoError::AuthenticationFailed),
        );
        assert!(mac.verify(&[], &expected[..10]).is_err());
    }

    #[test]
    fn random_bytes_follow_the_seed() {
        let draw = |seed| {
            let mut bytes = [0; 16];
            SeededCrypto::new(seed).random().fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
