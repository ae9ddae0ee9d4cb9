//! TLS 1.3 (RFC 8446) around TURN's streams: `rustls`, sans-IO, on virtual time.
//!
//! The virtual internet knows no cryptography: its TURN server takes whatever is a
//! [`StreamSecurity`]. This is the one place that knows `rustls`, for both ends of a connection.
//!
//! **What repeats.** Keys, randoms and with them all ciphertext come from the operating system's
//! entropy, so bytes differ from run to run. *Lengths* don't, and they are all that the wire's
//! timing and a run's digest depend on: one version, one cipher suite and one key exchange (X25519,
//! 32 bytes a share), certificates signed with Ed25519 (64 bytes, where ECDSA's DER has 70 to 72)
//! with fixed serial numbers and validity, no tickets, nothing resumed.
//!
//! **Who is trusted.** A certificate authority that is made when it is first needed, and whose key
//! never leaves the process. Clients know its certificate and no other, and check the server's
//! name, as they do in the field.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pinhole::Time;
use pinhole::server::{SecureServer, SecurityFailure, StreamSecurity};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, Connection, RootCertStore, ServerConfig, version};

/// The name that this service's TURN server shows a certificate for.
pub const SERVER_NAME: &str = "turn.pinhole.example";

/// RFC 7443 §2: what is spoken inside.
const PROTOCOL: &[u8] = b"stun.turn";

/// The day on which every run begins, by the certificates' calendar: 2026-01-01, 00:00 UTC.
const FIRST_DAY: Duration = Duration::from_secs(1_767_225_600);

thread_local! {
    /// The virtual time of the connection that this thread works on. The configurations are shared
    /// by all threads, and each thread has a run of its own.
    static NOW: Cell<Time> = const { Cell::new(Time::ZERO) };
}

#[derive(Debug)]
struct VirtualClock;

impl TimeProvider for VirtualClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_nanos(NOW.get().as_nanos());
        Some(UnixTime::since_unix_epoch(FIRST_DAY + since))
    }
}

/// A certificate authority for one process.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = params(Vec::new(), "Pinhole's certificate authority", 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = key();
    let certificate = params.self_signed(&key);
    Authority {
        certificate: certificate.expect("a certificate of ours can be written down"),
        issuer: Issuer::new(params, key),
    }
});

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).expect("the operating system has entropy")
}

/// What all certificates have in common.
fn params(names: Vec<String>, common_name: &str, serial: u8) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("names of servers are ASCII");
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    params.not_before = date_time_ymd(2025, 1, 1);
    // RFC 5280 §4.1.2.5: no end that anybody could name.
    params.not_after = date_time_ymd(9999, 12, 31);
    params
}

/// The cryptography, cut down to one choice of everything that has a length.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    })
}

static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots
        .add(AUTHORITY.certificate.der().clone())
        .expect("a certificate of ours can be read back");
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(VirtualClock))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the cipher suite is TLS 1.3's")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Arc::new(config)
});

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| server_config(SERVER_NAME));

fn server_config(name: &str) -> Arc<ServerConfig> {
    let key = key();
    let certificate = params(vec![name.to_owned()], name, 2)
        .signed_by(&key, &AUTHORITY.issuer)
        .expect("a certificate of ours can be written down");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(VirtualClock))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the cipher suite is TLS 1.3's")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .expect("the key is the certificate's");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Arc::new(config)
}

/// A server with a certificate.
#[derive(Clone, Debug)]
pub struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    /// The server that [clients](TlsStream::client) look for: [`SERVER_NAME`].
    pub fn new() -> Self {
        TlsServer(Arc::clone(&SERVER))
    }

    /// A server that is called something else.
    pub fn named(name: &str) -> Self {
        TlsServer(server_config(name))
    }
}

impl Default for TlsServer {
    fn default() -> Self {
        TlsServer::new()
    }
}

impl SecureServer for TlsServer {
    fn accept(&self, now: Time) -> Box<dyn StreamSecurity> {
        NOW.set(now);
        let connection = rustls::ServerConnection::new(Arc::clone(&self.0))
            .expect("the configuration has been used before");
        Box::new(TlsStream::over(connection.into()))
    }
}

/// One end of a connection with TLS on it.
///
/// ```
/// use pinhole::Time;
/// use pinhole::server::{SecureServer, StreamSecurity};
/// use pinhole_scenarios::tls::{SERVER_NAME, TlsServer, TlsStream};
///
/// let mut client = TlsStream::client(SERVER_NAME, Time::ZERO);
/// let mut server = TlsServer::new().accept(Time::ZERO);
/// client.send(b"hello");
/// let mut plain = Vec::new();
/// for _ in 0..2 {
///     let mut wire = Vec::new();
///     client.drain(&mut wire);
///     server.receive(Time::ZERO, &wire, &mut plain)?;
///     wire.clear();
///     server.drain(&mut wire);
///     client.receive(Time::ZERO, &wire, &mut plain)?;
/// }
/// assert_eq!(plain, b"hello");
/// # Ok::<(), pinhole::server::SecurityFailure>(())
/// ```
#[derive(Debug)]
pub struct TlsStream(Box<Connection>);

impl TlsStream {
    /// The client's end: its first message waits to be [drained](StreamSecurity::drain).
    ///
    /// # Panics
    ///
    /// `server_name` is neither a DNS name nor an address.
    pub fn client(server_name: &str, now: Time) -> Self {
        NOW.set(now);
        let name = ServerName::try_from(server_name.to_owned()).expect("a server's name");
        let connection = rustls::ClientConnection::new(Arc::clone(&CLIENT), name)
            .expect("the configuration has been used before");
        TlsStream::over(connection.into())
    }

    fn over(mut connection: Connection) -> Self {
        // What waits is bounded where it waits: with whoever drains.
        connection.set_buffer_limit(None);
        TlsStream(Box::new(connection))
    }

    /// Whether the handshake isn't over.
    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }
}

impl StreamSecurity for TlsStream {
    fn receive(
        &mut self,
        now: Time,
        mut wire: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), SecurityFailure> {
        NOW.set(now);
        while !wire.is_empty() {
            // Takes a part only; nothing once the other side has said goodbye.
            let taken = self.0.read_tls(&mut wire).map_err(failure)?;
            self.0.process_new_packets().map_err(failure)?;
            match self.0.reader().read_to_end(plain) {
                Ok(_) => {}
                // No more for now.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(failure(error)),
            }
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, plain: &[u8]) {
        self.0
            .writer()
            .write_all(plain)
            .expect("without a limit there is always room");
    }

    fn close(&mut self) {
        self.0.send_close_notify();
    }

    fn drain(&mut self, wire: &mut Vec<u8>) {
        while self.0.wants_write() {
            self.0
                .write_tls(wire)
                .expect("a vector takes what it is given");
        }
    }
}

fn failure(error: impl ToString) -> SecurityFailure {
    SecurityFailure(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lets both ends talk until neither has more to say. Returns the lengths of what each said.
    fn talk(
        client: &mut TlsStream,
        server: &mut dyn StreamSecurity,
    ) -> (Vec<usize>, Result<(), SecurityFailure>) {
        let (mut lengths, mut plain) = (Vec::new(), Vec::new());
        loop {
            let mut there = Vec::new();
            client.drain(&mut there);
            let mut result = server.receive(Time::ZERO, &there, &mut plain);
            let mut back = Vec::new();
            server.drain(&mut back);
            let heard = client.receive(Time::ZERO, &back, &mut plain);
            result = result.and(heard);
            if result.is_err() || there.len() + back.len() == 0 {
                return (lengths, result);
            }
            lengths.extend([there.len(), back.len()]);
        }
    }

    #[test]
    fn every_handshake_has_the_same_lengths() {
        let handshake = |server: &TlsServer| {
            let mut client = TlsStream::client(SERVER_NAME, Time::ZERO);
            let mut server = server.accept(Time::ZERO);
            let (lengths, result) = talk(&mut client, &mut *server);
            assert_eq!(result, Ok(()));
            assert!(!client.is_handshaking());
            lengths
        };
        let first = handshake(&TlsServer::new());
        // One round trip, and the client's Finished (RFC 8446 §2).
        assert_eq!(first.len(), 4, "{first:?}");
        assert_eq!(first[3], 0, "no tickets");
        for _ in 0..50 {
            // With new keys and a new certificate each time.
            assert_eq!(handshake(&TlsServer::named(SERVER_NAME)), first);
        }
    }

    #[test]
    fn a_server_of_another_name_is_refused() {
        let mut client = TlsStream::client(SERVER_NAME, Time::ZERO);
        let mut server = TlsServer::named("turn.elsewhere.example").accept(Time::ZERO);
        let (_, result) = talk(&mut client, &mut *server);
        let why = result.unwrap_err().to_string();
        assert!(why.contains("not valid for name"), "{why}");
    }

    #[test]
    fn certificates_outlive_every_run() {
        let late = Time::MAX;
        let mut client = TlsStream::client(SERVER_NAME, late);
        let mut server = TlsServer::new().accept(late);
        let (mut wire, mut plain) = (Vec::new(), Vec::new());
        client.drain(&mut wire);
        server.receive(late, &wire, &mut plain).unwrap();
        wire.clear();
        server.drain(&mut wire);
        client.receive(late, &wire, &mut plain).unwrap();
        assert!(!client.is_handshaking());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_make_either_end_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            looks_like_tls in any::<bool>(),
            late in any::<bool>(),
        ) {
            let mut client = TlsStream::client(SERVER_NAME, Time::ZERO);
            let mut server = TlsServer::new().accept(Time::ZERO);
            if late {
                talk(&mut client, &mut *server).1.unwrap();
            }
            let mut wire = bytes;
            if looks_like_tls {
                let length = (wire.len() as u16).to_be_bytes();
                wire.splice(0..0, [0x16, 3, 3, length[0], length[1]]);
            }
            let mut plain = Vec::new();
            let _ = client.receive(Time::ZERO, &wire, &mut plain);
            let _ = server.receive(Time::ZERO, &wire, &mut plain);
            prop_assert!(plain.is_empty());
        }
    }
}
