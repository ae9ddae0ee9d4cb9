//! Media by the train: what a station sends on legs without congestion control.
//!
//! A server that forwards hundreds of streams has something to send every few microseconds. It lets
//! that gather for a moment and sends it as one [train](pinhole::packet::train) to each receiver. No
//! packet is late for it: each has the time at which the server had it to send, and the moment is
//! shorter than the server's link, so that nothing arrives before its train has left. What is late,
//! by that moment, are answers to it: feedback and requests for what is missing.
//!
//! Participants let nothing gather: their trains are what they have to send at one time, such as the
//! packets of a frame.

use std::time::Duration;

use pinhole::{ArrivedTrain, Io, Time};

use super::Station;
use crate::conference::flow::packet::Media;
use crate::conference::plan::{Place, Plan};

/// The longest that a server lets packets gather.
const MOMENT: Duration = Duration::from_millis(4);
/// The most packets in a participant's train: on a slow uplink each takes its time, and a server
/// learns of all of them with the last.
const SHORT: usize = 8;

/// Legs with trains that are about to leave.
#[derive(Debug)]
pub(super) struct Departures {
    legs: Vec<usize>,
    moment: Duration,
    longest: usize,
    due: Option<Time>,
}

impl Departures {
    pub(super) fn new(plan: &Plan, place: Place) -> Self {
        let (moment, longest) = match place {
            Place::Participant(_) => (Duration::ZERO, SHORT),
            // Half the way between two edges lies before the core: see the scene.
            Place::Server(_) => (MOMENT.min(plan.config.delay / 2), usize::MAX),
        };
        Departures {
            legs: Vec::new(),
            moment,
            longest,
            due: None,
        }
    }
}

impl Station {
    /// Whether what goes out on a leg goes by train: not where congestion control lets go of each
    /// packet by itself, and not where TURN wraps each.
    pub(super) fn rides(&self, leg: usize) -> bool {
        let this = &self.legs[leg];
        this.control.is_none() && this.connected && !this.over_relay
    }

    /// A packet joins its leg's train.
    pub(super) fn board(
        &mut self,
        at: Time,
        leg: usize,
        media: &Media,
        sequence: u16,
        io: &mut Io<'_>,
    ) {
        let train = &mut self.legs[leg].train;
        if train.is_empty() {
            self.departures.legs.push(leg);
        }
        let length = media.length() as u16;
        let taken = train.push(at, length, &media.head(sequence));
        debug_assert!(taken, "a full train has left");
        if train.len() == self.departures.longest.min(pinhole::packet::Train::LONGEST) {
            self.send_train(leg, io);
        }
    }

    fn send_train(&mut self, leg: usize, io: &mut Io<'_>) {
        let train = &mut self.legs[leg].train;
        match self.transports.get(leg).direct() {
            Some((local, remote)) => io.send_train(local, remote, train),
            // Lost since.
            None => train.clear(),
        }
    }

    /// Trains that are due leave; those that may wait do.
    pub(super) fn depart_or_wait(&mut self, now: Time, io: &mut Io<'_>) {
        if self.departures.legs.is_empty() {
            return;
        }
        if self.departures.moment.is_zero() {
            return self.depart(io);
        }
        if self.departures.due.is_none() {
            let due = now + self.departures.moment;
            self.departures.due = Some(due);
            self.alarms.set(self.reports_sleeper() + 2, Some(due));
        }
    }

    /// All trains leave.
    pub(super) fn depart(&mut self, io: &mut Io<'_>) {
        self.departures.due = None;
        let mut legs = std::mem::take(&mut self.departures.legs);
        for leg in legs.drain(..) {
            self.send_train(leg, io);
        }
        self.departures.legs = legs;
    }

    /// A train came in.
    pub(super) fn take_train(&mut self, now: Time, train: ArrivedTrain<'_>, io: &mut Io<'_>) {
        let Some(leg) = self.transports.receives(&train) else {
            io.reject("no transport has this port any more");
            return;
        };
        for car in train.cars {
            match Media::read(car.head(), usize::from(car.length)) {
                Some((media, sequence)) => self.take_media(car.at, leg, &media, sequence, io),
                None => io.reject("RTP that nobody here sends"),
            }
        }
        self.alarms.set(leg, self.legs[leg].poll_timeout(now));
    }
}
