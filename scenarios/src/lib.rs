//! What people do on Pinhole's internet.

pub mod ice;
pub mod stun_client;
