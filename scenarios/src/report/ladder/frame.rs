//! What stands around the ladder: its heading, its legend, and who is on which lane.

use super::canvas::{Anchor, At, Canvas, Layer, MONO, NAME, PLAIN, SMALL, TITLE};
use super::flight::Flight;
use super::fold::{Fold, RULE};
use super::lanes::Lanes;
use super::layout::path;
use crate::call::Call;

/// The left edge of everything but the lanes.
const LEFT: f64 = 24.0;

/// Draws heading, legend and lane heads. Returns where the lanes begin.
pub(super) fn head(
    canvas: &mut Canvas,
    call: &Call<'_>,
    lanes: &Lanes,
    flights: &[Flight],
    fold: &Fold,
) -> f64 {
    let outcome = &call.outcome;
    let title = match (&outcome.connection, outcome.failed_at) {
        (Some(connection), _) => format!(
            "Connected after {:.0} ms; the path is {}",
            connection.at.as_millis_f64(),
            path(connection.path_class)
        ),
        (None, Some(at)) => format!(
            "No connection: both sides gave up within {:.1} s",
            at.as_millis_f64() / 1e3
        ),
        (None, None) => "No connection".to_owned(),
    };
    let right = lanes.last_x() + 80.0;
    let mut y = 34.0;
    for line in TITLE.wrap(&title, right - LEFT) {
        canvas.text((LEFT, y), Anchor::Start, TITLE, line);
        y += 24.0;
    }
    let counts = outcome.packets;
    let packets = format!(
        "{} packets: {} delivered, {} dropped.",
        counts.sent + counts.duplicated,
        counts.delivered,
        counts.dropped
    );
    let axis = "Time runs down; rows are events, not equal spans of time.";
    let about = match (flights.len(), fold.drawn()) {
        (all, drawn) if all == drawn => format!("{packets} All of them are drawn. {axis}"),
        (all, drawn) => {
            let counted = all - drawn;
            format!("{packets} {drawn} are drawn, {counted} are counted. {axis} {RULE}")
        }
    };
    canvas.describe(&title, &about);
    y = legend(canvas, y + 4.0, right);
    for line in SMALL.wrap(&about, right - LEFT) {
        canvas.text((LEFT, y), Anchor::Start, SMALL, line);
        y += 15.0;
    }
    heads(canvas, lanes, y + 4.0)
}

/// Draws the legend. Returns where what follows it may begin.
fn legend(canvas: &mut Canvas, top: f64, right: f64) -> f64 {
    let entries: [(&str, &str, Sample); 9] = [
        ("server", "STUN and TURN servers", Sample::Arrow),
        ("check", "ICE checks", Sample::Arrow),
        ("data", "data", Sample::Arrow),
        (
            "check",
            "wrapped, to or from the TURN server",
            Sample::Tunnel,
        ),
        ("signal", "signaling, out of band", Sample::Arrow),
        ("check", "a NAT translates", Sample::Dot),
        ("check", "passes unchanged", Sample::Hollow),
        ("check", "dropped", Sample::Cross),
        ("", "inside an endpoint", Sample::Diamond),
    ];
    let (mut x, mut y) = (LEFT, top);
    for (class, words, sample) in entries {
        let width = 40.0 + PLAIN.width(words) + 18.0;
        if x + width > right && x > LEFT {
            x = LEFT;
            y += 20.0;
        }
        show(canvas, (x, y), class, sample);
        canvas.text((x + 40.0, y + 4.0), Anchor::Start, PLAIN, words);
        x += width;
    }
    y + 24.0
}

#[derive(Clone, Copy)]
enum Sample {
    Arrow,
    Tunnel,
    Dot,
    Hollow,
    Cross,
    Diamond,
}

fn show(canvas: &mut Canvas, (x, y): At, class: &str, sample: Sample) {
    let (from, to, middle) = ((x, y), (x + 32.0, y), (x + 16.0, y));
    if let Sample::Diamond = sample {
        return canvas.diamond(middle, "moment");
    }
    canvas.open(class, " data-legend=\"\"", "legend");
    match sample {
        Sample::Tunnel => canvas.line(Layer::Ways, from, to, "tunnel"),
        Sample::Cross => {
            canvas.line(Layer::Ways, from, middle, "way");
            canvas.cross(middle);
            return canvas.close();
        }
        _ => {}
    }
    canvas.line(Layer::Ways, from, to, "way");
    match sample {
        Sample::Dot => canvas.dot(middle, 4.0, "dot"),
        Sample::Hollow => canvas.dot(middle, 3.5, "hollow"),
        _ => canvas.head(from, to),
    }
    canvas.close();
}

/// Draws a box for each lane. Returns where the lanes begin.
fn heads(canvas: &mut Canvas, lanes: &Lanes, top: f64) -> f64 {
    let lines = lanes
        .iter()
        .map(|(_, lane)| 1 + usize::from(!lane.role.is_empty()) + lane.addresses.len());
    let height = 12.0 + 15.0 * lines.max().unwrap_or(1) as f64;
    for (place, lane) in lanes.iter() {
        let x = lanes.x(place);
        let addresses: Vec<String> = lane.addresses.iter().map(ToString::to_string).collect();
        let widest = addresses
            .iter()
            .map(|address| MONO.width(address))
            .chain([NAME.width(&lane.name), SMALL.width(&lane.role)])
            .fold(96.0, f64::max);
        let width = (widest + 20.0).min(lanes.distance() - 12.0);
        canvas.bounds((x - width / 2.0, top), width, height);
        let mut y = top + 18.0;
        let boxed = |text: &str| vec![(text.to_owned(), "")];
        canvas.parts((x, y), Anchor::Middle, NAME, "boxed", boxed(&lane.name));
        if !lane.role.is_empty() {
            y += 15.0;
            canvas.parts((x, y), Anchor::Middle, SMALL, "boxed", boxed(&lane.role));
        }
        for address in &addresses {
            y += 15.0;
            canvas.parts((x, y), Anchor::Middle, MONO, "boxed", boxed(address));
        }
    }
    top + height
}

/// Draws the lanes' boxes once more: in a long drawing the upper ones are far away.
pub(super) fn foot(canvas: &mut Canvas, lanes: &Lanes, top: f64) {
    heads(canvas, lanes, top);
}
