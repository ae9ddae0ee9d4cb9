//! A call's story as lines for a terminal.

use pinhole::Time;

use super::text::{hang, wrap};
use crate::explain::Story;

/// Where the words begin, behind the time.
const INDENT: usize = 12;

/// The story in lines of at most `width` columns: times on the left, words on the right.
///
/// A word longer than that gets a line of its own, and sticks out.
pub fn story(story: &Story, width: usize) -> Vec<String> {
    let mut lines = wrap(&story.title, width);
    for chapter in &story.chapters {
        lines.push(String::new());
        lines.extend(wrap(chapter.title, width));
        let timed = chapter
            .sentences
            .iter()
            .any(|sentence| sentence.time.is_some());
        let margin = " ".repeat(if timed { INDENT } else { 2 });
        for sentence in &chapter.sentences {
            let first = match sentence.time {
                Some(time) => format!("{:>10}  ", column(time)),
                None => margin.clone(),
            };
            lines.extend(hang(&first, &margin, &sentence.text, width));
        }
    }
    lines
}

/// A time for the left column: all in milliseconds, so that they can be compared at a glance.
fn column(time: Time) -> String {
    let millis = format!("{:.1}", time.as_millis_f64());
    format!("{} ms", millis.strip_suffix(".0").unwrap_or(&millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Chapter, Sentence};

    fn sample() -> Story {
        let sentence = |time: Option<u64>, text: &str| Sentence {
            time: time.map(Time::from_millis),
            text: text.to_owned(),
            packets: Vec::new(),
        };
        Story {
            title: "a calls b".to_owned(),
            chapters: vec![Chapter {
                title: "Checks",
                sentences: vec![
                    sentence(None, "one two three four five six seven eight"),
                    sentence(Some(244), "one two three four five six"),
                ],
            }],
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_times_stand_on_the_left() {
        let lines = story(&sample(), 30);
        assert_eq!(
            lines,
            [
                "a calls b",
                "",
                "Checks",
                "            one two three four",
                "            five six seven",
                "            eight",
                "    244 ms  one two three four",
                "            five six",
            ]
        );
    }

    #[test]
    fn a_word_that_fits_nowhere_sticks_out() {
        let mut long = sample();
        long.chapters.clear();
        long.title = "a verylongwordindeed b".to_owned();
        assert_eq!(story(&long, 8), ["a", "verylongwordindeed", "b"]);
    }
}
