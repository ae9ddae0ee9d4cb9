//! What protects a client's stream, seen from the server: TLS, without saying whose.
//!
//! This crate knows no cryptography. Whoever runs a server with TLS brings it along, as a
//! [`StreamSecurity`] that is as sans-IO as everything else here: bytes off the wire in, bytes for
//! the wire out, the time as an argument.

use std::fmt;

use crate::time::Time;

/// One protected stream, from its handshake to its end.
pub trait StreamSecurity: fmt::Debug {
    /// Takes bytes off the wire, and appends what they say in plain to `plain`: nothing, as long
    /// as the handshake lasts.
    ///
    /// # Errors
    ///
    /// The handshake or a record failed. There is nothing more to be read; what
    /// [`drain`](StreamSecurity::drain) still gives is the alert for the other side.
    fn receive(
        &mut self,
        now: Time,
        wire: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), SecurityFailure>;

    /// Protects `plain`; before the end of the handshake it waits for that.
    fn send(&mut self, plain: &[u8]);

    /// Says goodbye to the other side (TLS: `close_notify`).
    fn close(&mut self);

    /// Appends what is to go onto the wire to `wire`.
    fn drain(&mut self, wire: &mut Vec<u8>);
}

/// Begins a [`StreamSecurity`] for each client that connects.
pub trait SecureServer: fmt::Debug {
    /// The server's end of a new stream.
    fn accept(&self, now: Time) -> Box<dyn StreamSecurity>;
}

/// Why a protected stream can't go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SecurityFailure(pub String);
