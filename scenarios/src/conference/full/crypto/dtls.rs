//! DTLS (RFC 6347) for str0m: `dimpl`, with the cryptography of [`handshake`](super::handshake).

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dimpl::{Config, Dtls};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SerialNumber,
    date_time_ymd,
};
use str0m::config::DtlsVersion;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion,
};

use super::handshake::{self, USUAL_SIGNATURE};

#[derive(Debug)]
pub(super) struct Dimpl;

/// Everybody's certificate. Browsers make one for each session; they all have one length.
static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
    loop {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let key = key.expect("the operating system has entropy");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        params.serial_number = Some(SerialNumber::from_slice(&[1; 8]));
        params.not_before = date_time_ymd(2025, 1, 1);
        // RFC 5280 §4.1.2.5: no end that anybody could name.
        params.not_after = date_time_ymd(9999, 12, 31);
        let certificate = params.self_signed(&key);
        let certificate = certificate.expect("a certificate of ours can be written down");
        let certificate = certificate.der().to_vec();
        if ends_in_usual_signature(&certificate) {
            return DtlsCert {
                certificate,
                private_key: key.serialize_der(),
            };
        }
    }
});

/// Whether a certificate's last part (RFC 5280 §4.1), a bit string without unused bits, holds an
/// ECDSA signature of the usual length.
fn ends_in_usual_signature(certificate: &[u8]) -> bool {
    let header = [
        0x03,
        USUAL_SIGNATURE as u8 + 1,
        0,
        0x30,
        USUAL_SIGNATURE as u8 - 2,
    ];
    let start = certificate.len().checked_sub(USUAL_SIGNATURE + 3);
    start.is_some_and(|start| certificate[start..].starts_with(&header))
}

impl DtlsProvider for Dimpl {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        Some(CERTIFICATE.clone())
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        // ICE has shown that the other side is where it says it is: no cookies (RFC 6347 §4.2.1).
        let mut config = Config::builder()
            .with_crypto_provider(handshake::provider())
            .use_server_cookie(false)
            .dangerously_set_rng_seed(fastrand::u64(..));
        if let Some(mtu) = mtu {
            config = config.mtu(mtu);
        }
        let config = config.build();
        let config = config.map_err(|error| CryptoError::Other(error.to_string()))?;
        let (config, certificate) = (Arc::new(config), certificate.clone());
        let dtls = match version {
            DtlsVersion::Dtls12 => Dtls::new_12(config, certificate, now),
            DtlsVersion::Dtls13 => Dtls::new_13(config, certificate, now),
            _ => Dtls::new_auto(config, certificate, now),
        };
        Ok(Box::new(Instance(dtls)))
    }
}

struct Instance(Dtls);

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_one_length_in_every_process() {
        let certificate = Dimpl.generate_certificate().unwrap().certificate;
        assert!(ends_in_usual_signature(&certificate));
        assert!(!ends_in_usual_signature(
            &certificate[..certificate.len() - 1]
        ));
        assert!(!ends_in_usual_signature(&certificate[..4]));
        // Another length would be another wire.
        assert_eq!(certificate.len(), 283);
    }
}
