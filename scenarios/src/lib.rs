//! What people do on Pinhole's internet.

pub mod call;
pub mod ice;
pub mod stun_client;
pub mod turn_client;
