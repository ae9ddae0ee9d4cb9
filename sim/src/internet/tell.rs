//! What a run says about itself in the plan's names.

use std::io::{self, Write};

use super::Internet;
use crate::id::DirectionId;
use crate::trace::{Names, Place, pcapng};

impl Internet {
    /// The name in results of the place where something happened to a packet.
    pub fn place_name(&self, place: Place) -> String {
        match place {
            Place::Node(node) => self.name(node).to_owned(),
            Place::Direction(direction) => self.direction_name(direction),
        }
    }

    /// A direction's name in results: `a.nat>internet`.
    pub fn direction_name(&self, direction: DirectionId) -> String {
        self.plan.direction(direction)
    }

    /// Writes what was recorded so far as a pcapng file, for Wireshark and its like: see
    /// [`pcapng`].
    ///
    /// ```
    /// # let mut net = pinhole::Sketch::new().build(1);
    /// net.record();
    /// // … attach programs, run …
    /// let mut file = Vec::new();
    /// net.write_pcapng(&mut file)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `out` can't be written to.
    ///
    /// # Panics
    ///
    /// The run is not [recorded](Internet::record).
    pub fn write_pcapng(&self, out: impl Write) -> io::Result<()> {
        let recording = self.trace.recording();
        let recording = recording.expect("a run is written after it was recorded: see record()");
        pcapng::write(recording, &self.plan, out)
    }
}
