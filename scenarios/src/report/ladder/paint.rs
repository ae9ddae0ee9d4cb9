//! Puts rows below each other and draws what they show.

use pinhole::Time;

use super::canvas::{
    Anchor, At, Canvas, LABEL, Layer, MONO, NOTE, PLAIN, SMALL, STRONG, VERDICT, WHY,
};
use super::flight::{End, Flight, Kind, Spot};
use super::fold;
use super::lanes::Lanes;
use super::layout::{self, Step, What};
use super::moments::Moment;
use super::words;
use crate::call::Side;

/// How far an arrow falls from one lane to the next within a row.
const FALL: f64 = 5.0;
/// The same for a packet from a host to itself.
const LOOP: f64 = 16.0;
/// How far a text stands off its lane.
const OFF: f64 = 9.0;
/// How far a label may reach out of the lanes.
const SPILL: f64 = 20.0;
/// From one line of text to the next: labels, addresses, notes.
const LINE: f64 = 13.0;

struct Painter<'a> {
    canvas: &'a mut Canvas,
    lanes: &'a Lanes,
    flights: &'a [Flight],
    /// Where every point of every flight stands, once its row does.
    stands: Vec<Vec<f64>>,
    /// Every moment: whose, when, where signals come in and where they go out.
    moments: Vec<(Side, Time, f64, f64)>,
    y: f64,
    /// The time that the margin shows last.
    shown: String,
    /// Where the lanes are drawn down to.
    drawn_to: f64,
}

/// Draws all rows from `top` down. Returns where they end.
pub(super) fn steps(
    canvas: &mut Canvas,
    top: f64,
    lanes: &Lanes,
    flights: &[Flight],
    steps: &[Step<'_>],
) -> f64 {
    let mut painter = Painter {
        canvas,
        lanes,
        flights,
        stands: flights
            .iter()
            .map(|flight| vec![0.0; flight.points.len()])
            .collect(),
        moments: Vec::new(),
        y: top + 12.0,
        shown: String::new(),
        drawn_to: top,
    };
    for step in steps {
        painter.row(step);
    }
    for step in steps {
        match &step.what {
            What::Flight {
                flight, from: 0, ..
            } => painter.flight(*flight),
            What::Moment(moment) => painter.signals(moment),
            _ => {}
        }
    }
    let end = painter.y + 6.0;
    painter.lanes_to(end, false);
    end
}

impl Painter<'_> {
    fn row(&mut self, step: &Step<'_>) {
        match &step.what {
            What::Flight { flight, from, to } => self.stretch(*flight, *from, *to),
            What::Moment(moment) => self.moment(moment),
            What::Note { flights, until } => self.note(step.time, flights, *until),
            What::Pause(passed) => {
                let top = self.y;
                self.lanes_to(top, false);
                self.y += 26.0;
                self.lanes_to(self.y, true);
                let passed = passed.as_secs_f64() * 1e3;
                let at = (self.lanes.x(0) - 24.0, top + 17.0);
                let words = format!("{passed:.0} ms pass");
                self.canvas.text(at, Anchor::End, SMALL, words);
                self.shown.clear();
            }
            What::Verdict { words, good } => self.verdict(step.time, words, *good),
        }
    }

    /// Draws the lanes down to here.
    fn lanes_to(&mut self, y: f64, is_pause: bool) {
        let class = if is_pause { "life pause" } else { "life" };
        for (lane, _) in self.lanes.iter() {
            let x = self.lanes.x(lane);
            self.canvas
                .line(Layer::Lanes, (x, self.drawn_to), (x, y), class);
        }
        self.drawn_to = y;
    }

    /// Shows the time in the margin, unless it is there already.
    fn time(&mut self, time: Time, y: f64) {
        let words = words::time(time);
        if words != self.shown {
            let at = (self.lanes.x(0) - 24.0, y + 4.0);
            self.canvas.text(at, Anchor::End, SMALL, words.clone());
            self.shown = words;
        }
    }

    fn x(&self, spot: Spot) -> f64 {
        match spot {
            Spot::Lane(lane) => self.lanes.x(lane),
            Spot::Beyond(lane, way) => {
                self.lanes.x(lane) + f64::from(way) * 0.6 * self.lanes.distance()
            }
        }
    }

    /// The way on from a point: 1 is to the right.
    fn way_on(&self, flight: &Flight, point: usize) -> f64 {
        let here = flight.points[point].spot;
        match flight.points.get(point + 1) {
            Some(next) if self.x(next.spot) < self.x(here) => -1.0,
            Some(_) => 1.0,
            None => self.lanes.inward(here.lane()),
        }
    }

    /// One row of a flight: makes room, and writes what stands there.
    fn stretch(&mut self, number: usize, from: usize, to: usize) {
        let flight = &self.flights[number];
        let is_start = from == 0;
        let shows = |point: usize| {
            (point == 0 || flight.points[point].is_translated()) && point + 1 < flight.points.len()
        };
        let with_addresses = (from..=to).any(shows);
        let above =
            if is_start { LINE + 3.0 } else { 0.0 } + if with_addresses { LINE } else { 3.0 } + 4.0;
        let mut y = self.y + above;
        self.time(flight.points[from].time, y);
        if is_start {
            let way = self.way_on(flight, 0);
            // Back over its own lane rather than out of the drawing.
            let x = self.x(flight.points[0].spot) + way * OFF;
            let width = LABEL.width(&flight.label);
            let x = if way > 0.0 {
                x.min(self.lanes.last_x() + SPILL - width)
            } else {
                x.max(self.lanes.x(0) - SPILL + width)
            };
            self.canvas.parts(
                (x, y - 6.0 - LINE),
                toward(way),
                LABEL,
                class(flight.kind),
                vec![(flight.label.clone(), "")],
            );
        }
        let mut notes = 0.0;
        for point in from..=to {
            let here = &flight.points[point];
            if point > from {
                y += if here.spot == flight.points[point - 1].spot {
                    LOOP
                } else {
                    FALL
                };
            }
            self.stands[number][point] = y;
            let x = self.x(here.spot);
            if shows(point) {
                let way = self.way_on(flight, point);
                let new = |is_new| if is_new { "new" } else { "" };
                let parts = vec![
                    (here.source.to_string(), new(here.new_source)),
                    (" → ".to_owned(), ""),
                    (here.destination.to_string(), new(here.new_destination)),
                ];
                let at = (x + way * OFF, y - 5.0);
                self.canvas.parts(at, toward(way), MONO, "", parts);
            }
            if let Some(note) = &here.note {
                notes += LINE;
                // Where neither its way in nor its way out is: below the former, or across the lane.
                let back = if point + 1 < flight.points.len() {
                    -self.way_on(flight, point)
                } else {
                    -self.way_on(flight, point.saturating_sub(1))
                };
                let at = (x + back * OFF, y + 2.0 + notes);
                self.canvas.text(at, toward(back), NOTE, note.clone());
            }
        }
        let mut below = notes;
        if to + 1 == flight.points.len()
            && let End::Dropped { place, why, .. } = &flight.end
        {
            below = self.reason(flight, to, y, notes, place, why);
        }
        self.y = y + below + 9.0;
    }

    /// Writes why a flight was dropped. Returns how much room that takes below.
    fn reason(
        &mut self,
        flight: &Flight,
        last: usize,
        y: f64,
        notes: f64,
        place: &str,
        why: &str,
    ) -> f64 {
        let spot = flight.points[last].spot;
        let x = self.x(spot);
        let way = if last == 0 {
            self.lanes.inward(spot.lane())
        } else {
            self.way_on(flight, last - 1)
        };
        let words = match spot {
            Spot::Lane(_) => why.to_owned(),
            Spot::Beyond(..) => format!("{place}: {why}"),
        };
        // On beyond the cross if there is room; else back below the arrow, which comes from above.
        let width = WHY.width(&words) + 12.0;
        let has_room = if way > 0.0 {
            x + width < self.lanes.last_x()
        } else {
            x - width > self.lanes.x(0)
        };
        if has_room {
            let at = (x + way * 12.0, y + 4.0);
            self.canvas.text(at, toward(way), WHY, words);
            notes.max(6.0)
        } else {
            let at = (x - way * 12.0, y + 4.0 + notes + LINE);
            self.canvas.text(at, toward(-way), WHY, words);
            notes + LINE + 5.0
        }
    }

    /// Draws a flight, all of whose points have their places.
    fn flight(&mut self, number: usize) {
        let flight = &self.flights[number];
        let at: Vec<At> = flight
            .points
            .iter()
            .zip(&self.stands[number])
            .map(|(point, y)| (self.x(point.spot), *y))
            .collect();
        let class = class(flight.kind);
        let attribute = format!(" data-packet=\"{}\"", flight.id.index());
        let tooltip = self.tooltip(flight);
        self.canvas.open(class, &attribute, &tooltip);
        let ways: &[&str] = if flight.wrapped {
            &["tunnel", "way"]
        } else {
            &["way"]
        };
        for class in ways {
            for pair in at.windows(2) {
                let (from, to) = (pair[0], pair[1]);
                if from.0 == to.0 {
                    self.canvas.bend(Layer::Ways, from, to, 34.0, class);
                } else {
                    self.canvas.line(Layer::Ways, from, to, class);
                }
            }
        }
        let last = at.len() - 1;
        for (place, at) in at.iter().enumerate().take(last).skip(1) {
            if flight.points[place].is_translated() {
                self.canvas.dot(*at, 4.0, "dot");
            } else {
                self.canvas.dot(*at, 3.5, "hollow");
            }
        }
        match flight.end {
            End::Delivered(_) if last > 0 => {
                let (mut from, to) = (at[last - 1], at[last]);
                if from.0 == to.0 {
                    from = (to.0 + 9.0, to.1);
                }
                self.canvas.head(from, to);
            }
            End::Dropped { .. } => self.canvas.cross(at[last]),
            End::Delivered(_) | End::UnderWay => {}
        }
        self.canvas.close();
    }

    fn tooltip(&self, flight: &Flight) -> String {
        let name = |lane| &self.lanes.lane(lane).name;
        let start = &flight.points[0];
        let mut words = format!(
            "packet {}, {} bytes: {}\n{} sent by {}",
            flight.id,
            flight.bytes,
            flight.label,
            words::time(start.time),
            name(start.spot.lane()),
        );
        for (place, point) in flight.points.iter().enumerate().skip(1) {
            if point.is_translated()
                && let Spot::Lane(lane) = point.spot
            {
                words += &format!(
                    "\n{} translated by {}: {}",
                    words::time(point.time),
                    name(lane),
                    layout::addresses(flight, place)
                );
            }
        }
        let ended = words::time(flight.points[flight.points.len() - 1].time);
        match &flight.end {
            End::Delivered(to) => words += &format!("\n{ended} delivered to {}", name(*to)),
            End::Dropped { place, why, .. } => {
                words += &format!("\n{ended} dropped by {place}: {why}");
            }
            End::UnderWay => {}
        }
        words
    }

    /// A moment's row: where signals come in, what happened, where signals go out.
    fn moment(&mut self, moment: &Moment) {
        let lane = self.lanes.host(moment.side);
        let (x, way) = (self.lanes.x(lane), self.lanes.inward(lane));
        let room = if way > 0.0 {
            self.lanes.last_x() - x
        } else {
            x - self.lanes.x(0)
        };
        let lines = lines(&moment.items, room - 40.0);
        let come = self.y + 4.0;
        let mut y = come + 2.0;
        for line in lines {
            y += 14.0;
            let at = (x + way * 14.0, y);
            self.canvas.text(at, toward(way), PLAIN, line);
        }
        let go = y + if moment.signals.is_empty() { 2.0 } else { 7.0 };
        let middle = (come + y) / 2.0 + 3.0;
        let class = if moment.is_verdict {
            "moment verdict"
        } else {
            "moment"
        };
        self.canvas.diamond((x, middle), class);
        self.time(moment.time, middle);
        self.moments.push((moment.side, moment.time, come, go));
        self.y = go + 8.0;
    }

    fn signals(&mut self, moment: &Moment) {
        let other = moment.side.other();
        let place = |side, time| {
            let found = self
                .moments
                .iter()
                .find(|(whose, when, ..)| (*whose, *when) == (side, time));
            found.map(|(_, _, come, go)| (*come, *go))
        };
        for arrival in &moment.signals {
            let from = place(moment.side, moment.time);
            let to = place(other, *arrival);
            let (Some((_, from)), Some((to, _))) = (from, to) else {
                continue;
            };
            let from = (self.lanes.x(self.lanes.host(moment.side)), from);
            let to = (self.lanes.x(self.lanes.host(other)), to);
            let tooltip = format!(
                "{} signaled out of band, {} heard",
                words::time(moment.time),
                words::time(*arrival)
            );
            self.canvas.open("signal", "", &tooltip);
            self.canvas.line(Layer::Ways, from, to, "way");
            self.canvas.head(from, to);
            self.canvas.close();
        }
    }

    /// A note's row: what is counted instead of drawn.
    fn note(&mut self, since: Time, counted: &[usize], until: Time) {
        let flights: Vec<&Flight> = counted
            .iter()
            .map(|flight| &self.flights[*flight])
            .collect();
        let name = |lane: usize| self.lanes.lane(lane).name.clone();
        let sorts = fold::count(&flights, name);
        let number = counted.len();
        let head = match until.saturating_since(since) {
            span if span.is_zero() => format!("{number} more, not drawn:"),
            _ => format!("{number} more until {}, not drawn:", words::time(until)),
        };
        let (left, right) = (self.lanes.x(0) + 14.0, self.lanes.last_x() - 14.0);
        let lines: Vec<String> = sorts
            .iter()
            .map(|(count, sort)| format!("{count} × {sort}"))
            .collect();
        let widest = lines
            .iter()
            .map(|line| SMALL.width(line))
            .fold(0.0, f64::max)
            + 24.0;
        let columns = (((right - left) / widest) as usize).clamp(1, 3);
        let rows = lines.len().div_ceil(columns);
        let top = self.y + 2.0;
        let height = 26.0 + 14.0 * rows as f64;
        self.canvas.bounds((left, top), right - left, height);
        self.canvas.remark(&format!("data-counted=\"{number}\""));
        self.time(since, top + 12.0);
        let write = |canvas: &mut Canvas, at, look, line: String| {
            canvas.parts(at, Anchor::Start, look, "boxed", vec![(line, "")]);
        };
        write(self.canvas, (left + 12.0, top + 16.0), STRONG, head);
        for (place, line) in lines.into_iter().enumerate() {
            let (column, row) = (place / rows, place % rows);
            let at = (
                left + 12.0 + widest * column as f64,
                top + 32.0 + 14.0 * row as f64,
            );
            write(self.canvas, at, SMALL, line);
        }
        self.y = top + height + 8.0;
    }

    fn verdict(&mut self, time: Time, words: &str, good: bool) {
        let class = if good { "good" } else { "bad" };
        let y = self.y + 26.0;
        let (left, right) = (self.lanes.x(0), self.lanes.last_x());
        let rule = if good { "rule good" } else { "rule bad" };
        self.canvas.line(Layer::Boxes, (left, y), (right, y), rule);
        let at = ((left + right) / 2.0, y - 6.0);
        let parts = vec![(words.to_owned(), "")];
        self.canvas.parts(at, Anchor::Middle, VERDICT, class, parts);
        self.time(time, y);
        self.y = y + 8.0;
    }
}

/// Joins items into lines no wider than this.
fn lines(items: &[String], width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if PLAIN.width(line) + PLAIN.width(item) + 20.0 <= width => {
                line.push_str(" · ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

/// The anchor of a text that runs this way from its place.
fn toward(way: f64) -> Anchor {
    if way > 0.0 {
        Anchor::Start
    } else {
        Anchor::End
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "server",
        Kind::Check => "check",
        Kind::Data => "data",
        Kind::Other => "other",
    }
}
