//! Directives: what stands in a chapter in place of a result.
//!
//! | directive | becomes |
//! |---|---|
//! | `{{#run ARGS}}` | the command and what it prints |
//! | `{{#run ARGS \| exit 2}}` | the same for a command that is to end with that status |
//! | `{{#value ARGS \| PATH}}` | a value of its JSON, within a sentence; `PATH as percent` or `PATH as of 100` for shares, `PATH as time` for milliseconds, `PATH as rate` for kbit/s, `PATH as whole` for counts, `story after "data takes" before "by"` for what a story says there; truths are yes and no |
//! | `{{#holds ARGS \| PATH OP VALUE}}` | nothing; the build fails where it doesn't hold |
//! | `{{#picture --OPTION ARGS \| TEXT}}` | the SVG that this option writes, with its text for those who can't see it; `--OPTION/FILE.svg` is a file of the directory that this option writes |
//! | `{{#exercise CHAPTER/NAME}}` | an exercise's scenario file, and how to run it; it must fail as it stands |
//! | `{{#population CHAPTER/NAME}}` | an exercise's population file, `CHAPTER/populations/NAME.toml` |
//! | `{{#solution CHAPTER/NAME}}` | its solution's file, and what running it prints; it must pass |
//!
//! A path goes down by names and numbers, `packets/sent`, and into lists also by what an entry says:
//! `drops/reason=filtered_by_nat/count`, `cells/a=open&b=open/connect_ms` (a slash in a word is `~1`), or
//! by how many entries say it: `cells/count(connected=false)`. The words of a drawing are the `picture`
//! of a command that begins with its option:
//! `{{#value --ladder call --a open --b open | picture after "packet #0, " before " bytes"}}`. `OP` is one
//! of `==`, `!=`, `<`, `<=`, `>`, `>=` and `says`: `story says WORDS` looks for words in a story, wherever
//! its lines break.

use std::str::FromStr;

use serde_json::Value;

/// A directive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Directive {
    /// The command and what it prints.
    Run { args: Vec<String>, exit: i32 },
    /// A value within a sentence.
    Value {
        args: Vec<String>,
        path: String,
        unit: Unit,
    },
    /// A claim.
    Holds { args: Vec<String>, claim: Claim },
    /// A picture.
    Picture {
        option: String,
        args: Vec<String>,
        text: String,
    },
    /// An exercise's scenario file: it fails as it stands.
    Exercise(ExerciseName),
    /// The file that solves it.
    Solution(ExerciseName),
    /// A population file of an exercise; what comes of it is said by runs and claims beside it.
    Population(ExerciseName),
}

/// How a sentence says a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Said as it is.
    AsItIs,
    /// A share, said in per cent.
    Percent,
    /// A share, said as the people of a hundred.
    OfHundred,
    /// Milliseconds, said in the unit that people would choose.
    Time,
    /// kbit/s, said in the unit that people would choose.
    Rate,
    /// Rounded, with a comma at every thousand.
    Whole,
    /// A text or a story: the words of it that stand after some and before others.
    Words { after: String, before: String },
}

/// `nat/keep-alive`: a chapter's exercise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExerciseName {
    pub(crate) chapter: String,
    pub(crate) name: String,
}

/// Something that is to be so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// Where in the JSON: `packets/dropped`.
    pub(crate) path: String,
    pub(crate) comparison: Comparison,
    pub(crate) value: Value,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Different,
    Less,
    AtMost,
    More,
    AtLeast,
    /// A text, or the lines of a story, have these words in them.
    Says,
}

/// What opens a directive, and what closes it.
pub(crate) const OPENING: &str = "{{#";
pub(crate) const CLOSING: &str = "}}";

/// Directives that mdBook itself knows: not ours.
const OF_MDBOOK: [&str; 6] = [
    "include",
    "rustdoc_include",
    "playground",
    "title",
    "shiftinclude",
    "template",
];

impl Directive {
    /// Reads what stands between [`OPENING`] and [`CLOSING`]. `None` if it is one of mdBook's own.
    pub(crate) fn read(text: &str) -> Option<Result<Directive, String>> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if OF_MDBOOK.contains(&name) {
            return None;
        }
        Some(Directive::parse(name, rest.trim()))
    }

    fn parse(name: &str, rest: &str) -> Result<Directive, String> {
        match name {
            "exercise" => return Ok(Directive::Exercise(rest.parse()?)),
            "population" => return Ok(Directive::Population(rest.parse()?)),
            "solution" => return Ok(Directive::Solution(rest.parse()?)),
            _ => {}
        }
        let (command, after) = match rest.rsplit_once(" | ") {
            Some((command, after)) => (command, Some(after.trim())),
            None => (rest, None),
        };
        let mut args = shlex::split(command)
            .ok_or_else(|| format!("the quotes of {command:?} are not closed"))?;
        if args.is_empty() {
            return Err(format!("{name:?} names no command of pinhole's"));
        }
        let needed = |what: &str| after.ok_or_else(|| format!("{name:?} needs {what} after ' | '"));
        match name {
            "run" => Ok(Directive::Run {
                args,
                exit: match after {
                    None => 0,
                    Some(after) => after
                        .strip_prefix("exit ")
                        .and_then(|status| status.parse().ok())
                        .ok_or_else(|| {
                            format!("after ' | ' a run has \"exit N\", not {after:?}")
                        })?,
                },
            }),
            "value" => {
                let path = needed("the path of a value, such as packets/sent")?;
                let words = shlex::split(path).unwrap_or_default();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let (path, unit) = match words[..] {
                    [path] => (path, Unit::AsItIs),
                    [path, "as", "percent"] => (path, Unit::Percent),
                    [path, "as", "of", "100"] => (path, Unit::OfHundred),
                    [path, "as", "time"] => (path, Unit::Time),
                    [path, "as", "rate"] => (path, Unit::Rate),
                    [path, "as", "whole"] => (path, Unit::Whole),
                    [path, "after", after, "before", before] => {
                        let (after, before) = (after.to_owned(), before.to_owned());
                        (path, Unit::Words { after, before })
                    }
                    _ => {
                        return Err(format!(
                            "a value is PATH, PATH as percent, PATH as of 100, PATH as time, PATH \
                             as rate, PATH as whole, or PATH after \"WORDS\" before \"WORDS\"; \
                             this is {path:?}"
                        ));
                    }
                };
                Ok(Directive::Value {
                    args,
                    path: path.to_owned(),
                    unit,
                })
            }
            "holds" => Ok(Directive::Holds {
                args,
                claim: needed("a claim, such as connected == true")?.parse()?,
            }),
            "picture" => {
                let option = args.remove(0);
                if !option.starts_with("--") || args.is_empty() {
                    return Err("a picture is {{#picture --OPTION COMMAND | TEXT}}".to_owned());
                }
                let text = needed("what the picture shows, in words")?.to_owned();
                Ok(Directive::Picture { option, args, text })
            }
            other => Err(format!(
                "no directive is called {other:?}; there are run, value, holds, picture, exercise, \
                 population and solution"
            )),
        }
    }
}

impl FromStr for ExerciseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !name.is_empty() && name.chars().all(fits)
        };
        match text.split_once('/') {
            Some((chapter, name)) if is_name(chapter) && is_name(name) => Ok(ExerciseName {
                chapter: chapter.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is no exercise; one is called CHAPTER/NAME, such as nat/keep-alive"
            )),
        }
    }
}

impl FromStr for Claim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The longer ones first: `<=` begins with `<`.
        let comparisons = [
            (" == ", Comparison::Equal),
            (" != ", Comparison::Different),
            (" <= ", Comparison::AtMost),
            (" >= ", Comparison::AtLeast),
            (" < ", Comparison::Less),
            (" > ", Comparison::More),
            (" says ", Comparison::Says),
        ];
        let found = comparisons.into_iter().find_map(|(sign, comparison)| {
            let (path, value) = text.split_once(sign)?;
            Some((path.trim(), comparison, value.trim()))
        });
        let (path, comparison, value) = found
            .ok_or_else(|| format!("{text:?} compares nothing: a claim is connected == true"))?;
        if comparison == Comparison::Says {
            let value = Value::from(value);
            let path = path.to_owned();
            return Ok(Claim {
                path,
                comparison,
                value,
            });
        }
        // What isn't JSON is a word.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok(Claim {
            path: path.to_owned(),
            comparison,
            value,
        })
    }
}

impl Claim {
    /// Whether it is so.
    pub(crate) fn holds(&self, found: &Value) -> bool {
        use std::cmp::Ordering::{Greater, Less};

        let order = match (found.as_f64(), self.value.as_f64()) {
            (Some(found), Some(value)) => found.partial_cmp(&value),
            _ => None,
        };
        match self.comparison {
            Comparison::Equal => *found == self.value || order.is_some_and(|order| order.is_eq()),
            Comparison::Different => {
                *found != self.value && order.is_none_or(|order| order.is_ne())
            }
            Comparison::Less => order == Some(Less),
            Comparison::AtMost => order.is_some_and(|order| order.is_le()),
            Comparison::More => order == Some(Greater),
            Comparison::AtLeast => order.is_some_and(|order| order.is_ge()),
            Comparison::Says => match (told(found), self.value.as_str()) {
                (Some(told), Some(words)) => told.contains(words),
                _ => false,
            },
        }
    }
}

/// A text, or lines of text joined as one reads them: where lines break means nothing.
pub(crate) fn told(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            lines?.join(" ")
        }
        _ => return None,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Directive, String> {
        Directive::read(text).expect("one of ours")
    }

    #[test]
    fn directives_are_read() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            read("run call --a open --b open"),
            Ok(Directive::Run {
                args: args("call --a open --b open"),
                exit: 0
            })
        );
        assert_eq!(
            read("run call --a cone | exit 2"),
            Ok(Directive::Run {
                args: args("call --a cone"),
                exit: 2
            })
        );
        assert_eq!(
            read("value survey global | shares/direct/share as percent"),
            Ok(Directive::Value {
                args: args("survey global"),
                path: "shares/direct/share".to_owned(),
                unit: Unit::Percent
            })
        );
        assert_eq!(
            read("exercise nat/keep-alive"),
            Ok(Directive::Exercise(ExerciseName {
                chapter: "nat".to_owned(),
                name: "keep-alive".to_owned()
            }))
        );
        assert_eq!(
            read("picture --ladder call --a open | Two hosts"),
            Ok(Directive::Picture {
                option: "--ladder".to_owned(),
                args: args("call --a open"),
                text: "Two hosts".to_owned()
            })
        );
        assert_eq!(Directive::read("include other.md"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (text, part) in [
            (
                "rum call",
                "run, value, holds, picture, exercise, population and solution",
            ),
            ("value call --a open | connect_ms as days", "PATH as time"),
            ("exercise keep-alive", "CHAPTER/NAME"),
            ("solution nat/../secret", "CHAPTER/NAME"),
            ("value call --a open", "path of a value"),
            ("holds call | connected", "compares nothing"),
            ("run call | 2", "exit N"),
            ("picture call | text", "--OPTION"),
            ("run", "names no command"),
            ("run call \"open", "quotes"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn claims_compare_numbers_words_and_truths() {
        let holds = |claim: &str, found: Value| claim.parse::<Claim>().unwrap().holds(&found);
        assert!(holds("connected == true", Value::Bool(true)));
        assert!(!holds("connected == true", Value::Bool(false)));
        assert!(holds("path_class == relayed", Value::from("relayed")));
        assert!(holds("path_class != relayed", Value::from("direct")));
        assert!(holds("packets/dropped > 3", Value::from(4)));
        assert!(!holds("packets/dropped > 3", Value::from(3)));
        assert!(holds("connect_ms <= 250", Value::from(250.0)));
        assert!(holds("connect_ms == 250", Value::from(250.0)));
        let story = || serde_json::json!(["  12 ms  a's check gets", "         through."]);
        assert!(holds("story says check gets through", story()));
        assert!(!holds("story says is dropped", story()));
        assert!(!holds("story says 12", Value::Null));
        // What can't be compared doesn't hold.
        assert!(!holds("connect_ms < 250", Value::Null));
        assert!(!holds("connect_ms >= 250", Value::from("soon")));
    }
}
