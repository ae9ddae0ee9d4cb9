//! A call's story as lines for a terminal.

use pinhole::Time;

use crate::explain::Story;

/// Where the words begin, behind the time.
const INDENT: usize = 12;

/// The story in lines of at most `width` columns: times on the left, words on the right.
///
/// A word longer than that gets a line of its own, and sticks out.
pub fn story(story: &Story, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    wrap(&mut lines, "", "", &story.title, width);
    for chapter in &story.chapters {
        lines.push(String::new());
        wrap(&mut lines, "", "", chapter.title, width);
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
            wrap(&mut lines, &first, &margin, &sentence.text, width);
        }
    }
    lines
}

/// A time for the left column: all in milliseconds, so that they can be compared at a glance.
fn column(time: Time) -> String {
    let millis = format!("{:.1}", time.as_millis_f64());
    format!("{} ms", millis.strip_suffix(".0").unwrap_or(&millis))
}

/// A text in lines of at most `width` columns.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    wrap(&mut lines, "", "", text, width);
    lines
}

fn wrap(lines: &mut Vec<String>, first: &str, rest: &str, text: &str, width: usize) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        let length = line.chars().count() + usize::from(!is_empty) + word.chars().count();
        if !is_empty && length > width {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    lines.push(line);
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
