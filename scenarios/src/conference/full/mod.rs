//! The *full* fidelity: a str0m `Rtc` at both ends of every connection, on the packet-level network.
//!
//! Offers and answers (RFC 8829, RFC 3264), ICE (RFC 8445) through the participants' NATs and over
//! TURN, DTLS-SRTP (RFC 5764), RTP and RTCP with NACK (RFC 4585), RTX (RFC 4588), PLI, transport-wide
//! feedback and bandwidth estimation are the stack's own, unmodified.
//!
//! One seed is one run as long as nothing has to be sent again. What is lost is asked for, and sent
//! again, stream by stream in the order of the stack's maps of streams, whose keys the standard library
//! draws anew in each process: where a connection has several pictures, as under a server, two runs
//! repair in different orders. An outcome [says so](field@super::ConferenceOutcome::repeats).

mod attendee;
mod connection;
mod crypto;
mod forwarder;
mod lines;
mod party;
mod payload;
mod run;
mod signal;
mod stack;

pub(crate) use attendee::{MEDIA_SHARE, has_room, media_time};
pub use connection::{Connection, Line, Terms};
pub use party::{Hub, Party, Role};
pub use payload::Mark;
pub use run::{FullError, run, run_watched};
pub use signal::{Channel, Message, Posts, Signal};

#[cfg(test)]
mod tests;
