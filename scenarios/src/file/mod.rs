//! Files that people write: read with care, and refused with the place and what would be right.
//!
//! [`read`] takes a text file of a bounded size; [`Document`] is TOML of which every value knows
//! its line. Nothing here knows what the fields mean.

mod document;

pub use document::{Document, Field, Table};

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// The longest file that is read, in bytes: a hundred times more than anybody writes by hand.
pub const MOST_BYTES: u64 = 1 << 20;

/// What is wrong with a file: where, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError {
    file: String,
    place: Option<Place>,
    message: String,
}

/// A place in a file, with its line to show.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    line: usize,
    column: usize,
    /// How many characters are meant, on this line.
    width: usize,
    text: String,
}

/// Characters of a line that an error shows at most.
const LONGEST_SHOWN: usize = 100;

impl FileError {
    /// An error about a file as a whole.
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        FileError {
            file: file.into(),
            place: None,
            message: message.into(),
        }
    }

    /// An error about some bytes of a file's text.
    fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        FileError {
            place: Some(Place::of(text, span)),
            ..FileError::new(file, message)
        }
    }

    /// An error about a line of a file, counted from 1.
    pub fn on_line(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        let place = Place {
            line,
            column: 1,
            width: 0,
            text: String::new(),
        };
        FileError {
            place: Some(place),
            ..FileError::new(file, message)
        }
    }

    /// The same place, and something else that is wrong there.
    #[must_use]
    pub fn saying(&self, message: impl Into<String>) -> Self {
        FileError {
            message: message.into(),
            ..self.clone()
        }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line that is meant, counted from 1, if it is about one.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }
}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Self {
        // A span may end a file, or be cut short by our own hands: never inside a character.
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let before = text[line_start..start].chars().count();
        let mut end = span
            .end
            .clamp(start, line_start + line.len().max(start - line_start));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Place {
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            width: text[start..end.max(start)].chars().count().max(1),
            text: line.to_owned(),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else {
            return write!(f, "{}: {}", self.file, self.message);
        };
        write!(f, "{}, line {}: {}", self.file, place.line, self.message)?;
        let fits = place.column + place.width <= LONGEST_SHOWN;
        // What a terminal would obey is not shown.
        if place.width == 0 || !fits || place.text.chars().any(char::is_control) {
            return Ok(());
        }
        let number = place.line.to_string();
        let shown: String = place.text.chars().take(LONGEST_SHOWN).collect();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(place.column - 1);
        let marks = "^".repeat(place.width);
        write!(f, "\n  {number} | {shown}\n  {margin} | {indent}{marks}")
    }
}

impl std::error::Error for FileError {}

/// The text of a file.
///
/// # Errors
///
/// It can't be read, is longer than [`MOST_BYTES`] (which is seen before it is read), or isn't UTF-8.
pub fn read(path: &Path) -> Result<String, FileError> {
    let name = path.display().to_string();
    let failed = |error: io::Error| FileError::new(&name, format!("can't be read: {error}"));
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let too_long = || {
        let message = format!(
            "is longer than {} KiB, which no file of this sort is; is it the right one?",
            MOST_BYTES >> 10
        );
        FileError::new(&name, message)
    };
    if about.is_dir() {
        return Err(FileError::new(&name, "is a directory, not a file"));
    }
    if about.len() > MOST_BYTES {
        return Err(too_long());
    }
    // A device has no length to be seen.
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| {
        let bad = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..bad]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let message = format!("byte {bad} is not UTF-8; save the file with that encoding");
        FileError::on_line(&name, line, message)
    })
}

/// The one of these names that was probably meant, if one is near.
pub fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&written.to_lowercase(), name);
    // A third of the letters may be wrong; of long garbage none is near.
    let most = (written.chars().take(60).count() / 3).max(1);
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(written.len()) <= most)
        .map(|name| (distance(name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, name)| name)
}

/// `; did you mean "…"?`, or what there is.
pub fn instead(written: &str, names: &[&str]) -> String {
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_line_and_points_at_what_is_meant() {
        let text = "name = \"x\"\nwieght = 3\n";
        let error = FileError::at("p.toml", text, 11..17, "no such field");
        assert_eq!(
            error.to_string(),
            "p.toml, line 2: no such field\n  2 | wieght = 3\n    | ^^^^^^"
        );
    }

    #[test]
    fn spans_at_odd_places_do_no_harm() {
        let text = "ä = 1\r\nb = \"ü\"";
        for start in 0..=text.len() + 2 {
            for end in start..=text.len() + 3 {
                let error = FileError::at("p", text, start..end, "odd");
                assert!(error.to_string().starts_with("p, line "), "{error}");
            }
        }
        assert_eq!(FileError::at("p", "", 0..0, "empty").line(), Some(1));
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["network", "weight", "ipv6"];
        assert_eq!(nearest("wieght", names), Some("weight"));
        assert_eq!(nearest("Weight", names), Some("weight"));
        assert_eq!(nearest("ipv4", names), Some("ipv6"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest(&"w".repeat(100_000), names), None);
    }
}
