//! A call as a ladder: who sent what to whom, and what became of it, as a drawing (SVG).
//!
//! Every host, NAT, firewall and server of the call is a lane; time runs down. A datagram is an
//! arrow that goes from lane to lane as the datagram did, slanted because it takes time: where two
//! arrows cross, two datagrams passed each other on the way, which is what hole punching is about.
//! Rows are events, not equal spans of time. The core router is no lane, and neither are routers
//! that only pass things on.
//!
//! **What is drawn.** A call of few packets is drawn whole. Of a longer one: of packets that are
//! alike (same sender, addresses, message and end) the first is drawn, and every one that makes a
//! mapping or opens a pinhole. The others are counted in a note at the time at which they were sent,
//! unless the note would count but one. Once data has flowed both ways, only data of a new kind is
//! drawn. The drawing says so itself, and how many packets it draws and counts.
//!
//! The drawing is one SVG element with its own style: no scripts, no fonts, dark where the reader's
//! system is. It can stand in a file or inside a page.

mod canvas;
mod flight;
mod fold;
mod frame;
mod lanes;
mod layout;
mod moments;
mod paint;
#[cfg(test)]
mod tests;
mod words;

use crate::call::Call;
use canvas::Canvas;
use lanes::Lanes;

/// Draws a call.
///
/// ```
/// use pinhole_scenarios::call::{CallConfig, Caller};
/// use pinhole_scenarios::report::ladder::ladder;
///
/// let config = CallConfig::new("nat:eim/apdf".parse()?, "open".parse()?);
/// let mut caller = Caller::recording();
/// let svg = ladder(&caller.call(&config)?);
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// The call was not recorded: see [`Caller::recording`](crate::call::Caller::recording).
pub fn ladder(call: &Call<'_>) -> String {
    paint(call).to_svg()
}

fn paint(call: &Call<'_>) -> Canvas {
    let trace = call.net.trace();
    let recording = trace.recording();
    let recording = recording.expect("a call is drawn after it was recorded: Caller::recording()");
    let topology = call.net.topology();
    let mut lanes = Lanes::of(&call.scene, topology, recording);
    let flights = flight::read(recording, &lanes, topology);
    let moments = moments::read(call, recording, &lanes);
    let connected_at = call.outcome.connection.map(|connection| connection.at);
    let mut fold = fold::fold(&flights, connected_at);
    let steps = layout::steps(call, &flights, &mut fold, &moments);
    lanes.spread(layout::gap(&flights, &fold));
    let mut canvas = Canvas::default();
    let top = frame::head(&mut canvas, call, &lanes, &flights, &fold);
    let bottom = paint::steps(&mut canvas, top, &lanes, &flights, &steps);
    frame::foot(&mut canvas, &lanes, bottom);
    canvas
}
