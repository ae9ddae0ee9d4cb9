//! What `dimpl` needs for a handshake, by `ring`: X25519 (RFC 7748), ECDSA on P-256 (FIPS 186), AES-128-GCM
//! (RFC 5288), SHA-256, HMAC.
//!
//! One algorithm of each kind: it is what two browsers of today agree on, and nothing has a second
//! length.
//!
//! What `dimpl` draws comes from the thread's seeded generator. `ring` takes nobody's numbers but the
//! operating system's for keys and signatures: their bytes differ from run to run, their lengths and
//! number don't, and neither a link nor a digest looks at more.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use dimpl::crypto::{
    Aad, ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite,
    HashAlgorithm, HashContext, HashProvider, HmacProvider, KeyProvider, NamedGroup, Nonce,
    SecureRandom, SignatureAlgorithm, SignatureVerifier, SigningKey, SupportedDtls12CipherSuite,
    SupportedDtls13CipherSuite, SupportedKxGroup, TmpBuf,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use ring::{aead, digest, hmac};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The length of a signature, in DER, that half of all signatures have: two integers of 32 bytes, one of
/// which has its highest bit set and takes a byte more (RFC 3279 §2.2.3).
pub(super) const USUAL_SIGNATURE: usize = 71;

/// Everything, as `dimpl` wants it.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &[&Ring],
        signature_verification: &Ring,
        key_provider: &Ring,
        secure_random: &Ring,
        hash_provider: &Ring,
        hmac_provider: &Ring,
        cipher_suites: &[&Ring],
        dtls13_cipher_suites: &[&Ring],
    }
}

#[derive(Debug)]
struct Ring;

fn failed(operation: CryptoOperation) -> CryptoError {
    CryptoError::OperationFailed(operation)
}

impl SecureRandom for Ring {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        fastrand::fill(out);
        Ok(())
    }
}

impl SupportedKxGroup for Ring {
    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let generated = || {
            let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())?;
            let key = private.compute_public_key()?;
            Ok((private, key))
        };
        let generated: Result<_, ring::error::Unspecified> = generated();
        let (private, key) =
            generated.map_err(|_| failed(CryptoOperation::GenerateEphemeralKey))?;
        public.clear();
        public.extend_from_slice(key.as_ref());
        Ok(Box::new(Exchange { private, public }))
    }
}

struct Exchange {
    private: EphemeralPrivateKey,
    public: Buf,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        let agreed = agree_ephemeral(self.private, &peer, |secret| {
            out.clear();
            out.extend_from_slice(secret);
        });
        agreed.map_err(|_| CryptoError::InvalidPublicKey(NamedGroup::X25519))
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl SignatureVerifier for Ring {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        if algorithm != SignatureAlgorithm::ECDSA {
            return Err(CryptoError::UnsupportedSignatureAlgorithm(algorithm));
        }
        let group = NamedGroup::Secp256r1;
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::UnsupportedSignatureVerification {
                signature: algorithm,
                hash,
                group,
            });
        }
        let certificate = CertificateDer::from(certificate);
        let certificate = EndEntityCert::try_from(&certificate)
            .map_err(|_| CryptoError::CertificateParseFailed)?;
        let with = webpki::ring::ECDSA_P256_SHA256;
        let verified = certificate.verify_signature(with, data, signature);
        verified.map_err(|_| CryptoError::SignatureVerificationFailed {
            signature: algorithm,
            hash,
            group,
        })
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &random);
        let key = key.map_err(|_| CryptoError::InvalidPrivateKey)?;
        Ok(Box::new(Signer(key)))
    }
}

#[derive(Debug)]
struct Signer(EcdsaKeyPair);

impl SigningKey for Signer {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyUnsupportedHash {
                group: NamedGroup::Secp256r1,
                hash,
            });
        }
        // Each has a nonce of its own, and so a length of its own.
        loop {
            let signature = self.0.sign(&SystemRandom::new(), data);
            let signature = signature.map_err(|_| failed(CryptoOperation::Sign))?;
            if signature.as_ref().len() == USUAL_SIGNATURE {
                out.clear();
                out.extend_from_slice(signature.as_ref());
                return Ok(());
            }
        }
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

impl HashProvider for Ring {
    fn create_hash(&self, _: HashAlgorithm) -> Box<dyn HashContext> {
        // No suite of ours has another hash.
        Box::new(Sha256(digest::Context::new(&digest::SHA256)))
    }
}

struct Sha256(digest::Context);

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

impl HashContext for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        out.extend_from_slice(self.0.clone().finish().as_ref());
    }
}

impl HmacProvider for Ring {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::UnsupportedHmacHash(hash));
        }
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        let tag = tag.as_ref();
        out[..tag.len()].copy_from_slice(tag);
        Ok(tag.len())
    }
}

fn cipher(key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
    let key = UnboundKey::new(&AES_128_GCM, key);
    let key = key.map_err(|_| failed(CryptoOperation::CreateCipher))?;
    Ok(Box::new(Gcm(LessSafeKey::new(key))))
}

impl SupportedDtls12CipherSuite for Ring {
    fn suite(&self) -> Dtls12CipherSuite {
        Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        (0, 16, 4)
    }

    fn explicit_nonce_len(&self) -> usize {
        8
    }

    fn tag_len(&self) -> usize {
        AES_128_GCM.tag_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        cipher(key)
    }
}

impl SupportedDtls13CipherSuite for Ring {
    fn suite(&self) -> Dtls13CipherSuite {
        Dtls13CipherSuite::AES_128_GCM_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_len(&self) -> usize {
        AES_128_GCM.key_len()
    }

    fn iv_len(&self) -> usize {
        AES_128_GCM.nonce_len()
    }

    fn tag_len(&self) -> usize {
        AES_128_GCM.tag_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        cipher(key)
    }

    fn encrypt_sn(&self, key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let cipher = Aes128::new_from_slice(key).expect("AES-128 has keys of 16 bytes");
        let mut mask = (*sample).into();
        cipher.encrypt_block(&mut mask);
        mask.into()
    }
}

#[derive(Debug)]
struct Gcm(LessSafeKey);

impl Cipher for Gcm {
    fn encrypt(&mut self, text: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let sealed = self
            .0
            .seal_in_place_append_tag(nonce, aead::Aad::from(&aad[..]), text);
        sealed.map_err(|_| failed(CryptoOperation::Encrypt))
    }

    fn decrypt(
        &mut self,
        text: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let opened = self
            .0
            .open_in_place(nonce, aead::Aad::from(&aad[..]), text.as_mut());
        let length = opened.map_err(|_| failed(CryptoOperation::Decrypt))?.len();
        text.truncate(length);
        Ok(())
    }
}
