//! SRTP's ciphers: AES-GCM (RFC 7714), which two of our endpoints always agree on, and AES in counter
//! mode with HMAC-SHA1 (RFC 3711), which everybody must have; and the AES rounds that keys are
//! derived with (RFC 3711 §4.3.3).

use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, Aes128CmSha1_80Cipher, CryptoError, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

/// AES's block (FIPS 197).
const BLOCK: usize = 16;

#[derive(Debug)]
pub(super) struct Srtp;

impl SrtpProvider for Srtp {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        &Srtp
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Srtp
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Srtp
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        round::<Aes128>(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        round::<Aes256>(key, input, output);
    }
}

/// One block. The caller gives room for two, as libraries that pad need it, and reads the first.
fn round<C: BlockCipherEncrypt + KeyInit>(key: &[u8], input: &[u8], output: &mut [u8]) {
    let cipher = C::new_from_slice(key).expect("the key is as long as the cipher's name says");
    let mut block = Block::<C>::try_from(input).expect("one block goes in");
    cipher.encrypt_block(&mut block);
    output[..BLOCK].copy_from_slice(&block);
}

impl SupportedAes128CmSha1_80 for Srtp {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn Aes128CmSha1_80Cipher> {
        Box::new(CounterMode(Aes128::new(&key.into())))
    }
}

impl SupportedAeadAes128Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Gcm::new(&AES_128_GCM, &key))
    }
}

impl SupportedAeadAes256Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 32], _encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Gcm::new(&AES_256_GCM, &key))
    }
}

/// AES-CM (RFC 3711 §4.1.1).
#[derive(Debug)]
struct CounterMode(Aes128);

impl CounterMode {
    fn apply(&self, iv: &[u8; BLOCK], input: &[u8], output: &mut [u8]) {
        let mut counter = u128::from_be_bytes(*iv);
        for (from, to) in input.chunks(BLOCK).zip(output.chunks_mut(BLOCK)) {
            let mut key_stream = counter.to_be_bytes().into();
            self.0.encrypt_block(&mut key_stream);
            for ((to, from), key) in to.iter_mut().zip(from).zip(key_stream) {
                *to = from ^ key;
            }
            counter = counter.wrapping_add(1);
        }
    }
}

impl Aes128CmSha1_80Cipher for CounterMode {
    fn encrypt(&mut self, iv: &[u8; 16], input: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        self.apply(iv, input, out);
        Ok(())
    }

    fn decrypt(&mut self, iv: &[u8; 16], input: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        self.apply(iv, input, out);
        Ok(())
    }
}

/// AES-GCM with keys of either length.
#[derive(Debug)]
struct Gcm {
    key: LessSafeKey,
    /// What is being opened, and what it was authenticated with: `ring` works in place.
    opening: Vec<u8>,
    authenticated: Vec<u8>,
}

impl Gcm {
    fn new(algorithm: &'static Algorithm, key: &[u8]) -> Self {
        let key = UnboundKey::new(algorithm, key);
        Gcm {
            key: LessSafeKey::new(key.expect("the key is as long as the algorithm's name says")),
            opening: Vec::new(),
            authenticated: Vec::new(),
        }
    }

    fn seal(
        &self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (text, tag) = output.split_at_mut(input.len());
        text.copy_from_slice(input);
        let nonce = Nonce::assume_unique_for_key(*iv);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text);
        let sealed = sealed.map_err(|_| failed("a packet can't be encrypted"))?;
        tag[..sealed.as_ref().len()].copy_from_slice(sealed.as_ref());
        Ok(())
    }

    fn open(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.opening.clear();
        self.opening.extend_from_slice(input);
        self.authenticated.clear();
        for part in aads {
            self.authenticated.extend_from_slice(part);
        }
        let nonce = Nonce::assume_unique_for_key(*iv);
        let aad = Aad::from(&self.authenticated);
        let opened = self.key.open_in_place(nonce, aad, &mut self.opening);
        let opened = opened.map_err(|_| failed("a packet isn't authentic"))?;
        output[..opened.len()].copy_from_slice(opened);
        Ok(opened.len())
    }
}

fn failed(why: &str) -> CryptoError {
    CryptoError::Other(why.to_owned())
}

/// str0m has a trait for each length of key, with the same functions.
macro_rules! aead {
    ($($cipher:ident),+) => {$(
        impl $cipher for Gcm {
            fn encrypt(
                &mut self,
                iv: &[u8; 12],
                aad: &[u8],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<(), CryptoError> {
                self.seal(iv, aad, input, output)
            }

            fn decrypt(
                &mut self,
                iv: &[u8; 12],
                aads: &[&[u8]],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<usize, CryptoError> {
                self.open(iv, aads, input, output)
            }
        }
    )+};
}

aead!(AeadAes128GcmCipher, AeadAes256GcmCipher);

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 §B.2: the key stream is what zeros become.
    #[test]
    fn counter_mode_is_the_one_of_the_rfc() {
        let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
        let iv = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_0000_u128.to_be_bytes();
        let mut cipher = SupportedAes128CmSha1_80::create_cipher(&Srtp, key, true);
        let mut out = [0; 40];
        cipher.encrypt(&iv, &[0; 40], &mut out).unwrap();
        let expected = [
            0xe03e_ad09_35c9_5e80_e166_b16d_d92b_4eb4_u128,
            0xd235_1316_2b02_d0f7_2a43_a2fe_4a5f_97ab,
        ];
        for (block, expected) in out.chunks(BLOCK).zip(expected) {
            assert_eq!(block, expected.to_be_bytes());
        }
        let text = out;
        cipher.decrypt(&iv, &text, &mut out).unwrap();
        assert_eq!(out, [0; 40]);
    }

    /// RFC 3711 §B.3: the session key is the first block of the key derivation.
    #[test]
    fn a_round_derives_the_key_of_the_rfc() {
        let master = 0xe1f9_7a0d_3e01_8be0_d64f_a32c_06de_4139_u128.to_be_bytes();
        let input = 0x0ec6_75ad_498a_feeb_b696_0b3a_abe6_0000_u128.to_be_bytes();
        let mut out = [0; 32];
        Srtp.srtp_aes_128_ecb_round(&master, &input, &mut out);
        let expected = 0xc61e_7a93_744f_39ee_1073_4afe_3ff7_a087_u128.to_be_bytes();
        assert_eq!(out[..BLOCK], expected);
    }

    #[test]
    fn what_was_tampered_with_is_not_opened() {
        let mut cipher = SupportedAeadAes256Gcm::create_cipher(&Srtp, [7; 32], true);
        let (iv, aad) = ([1; 12], [2; 12]);
        let mut sealed = [0; 21];
        cipher.encrypt(&iv, &aad, b"hello", &mut sealed).unwrap();
        let mut opened = [0; 21];
        let length = cipher.decrypt(&iv, &[&aad[..4], &aad[4..]], &sealed, &mut opened);
        assert_eq!(&opened[..length.unwrap()], b"hello");
        sealed[0] ^= 1;
        assert!(cipher.decrypt(&iv, &[&aad], &sealed, &mut opened).is_err());
        assert!(
            cipher
                .decrypt(&iv, &[&aad], &sealed[..3], &mut opened)
                .is_err()
        );
    }
}
