//! Fills chapters: puts in place of each directive what its run shows.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::errors::{Error, Result};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use serde_json::Value;

use crate::directive::{CLOSING, Directive, OPENING, Unit, told};
use crate::exercise::{Exercises, Part};
use crate::run::Runs;

/// Where generated pictures are put, below the book's sources: mdBook takes them along.
const GENERATED: &str = "generated";

/// Where exercises are, below the book's root.
const EXERCISES: &str = "exercises";

/// The preprocessor.
pub(crate) struct Fill;

impl Preprocessor for Fill {
    fn name(&self) -> &str {
        "pinhole"
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let pictures = context.root.join(&context.config.book.src).join(GENERATED);
        if pictures.exists() {
            std::fs::remove_dir_all(&pictures)?;
        }
        std::fs::create_dir_all(&pictures)?;
        let mut filler = Filler {
            // Commands are typed where the project is, and the book is a directory of it.
            runs: Runs::made_in(context.root.join("..")),
            exercises: Exercises::new(context.root.join(EXERCISES)),
            pictures: &pictures,
            written: HashSet::new(),
        };
        let mut failures = String::new();
        book.for_each_chapter_mut(|chapter| {
            let file = chapter.source_path.clone().unwrap_or_default();
            let depth = file.components().count().saturating_sub(1);
            match filler.fill(&chapter.content, depth) {
                Ok(filled) => chapter.content = filled,
                Err(wrong) => {
                    for (line, what) in wrong {
                        let _ = write!(failures, "\n{}:{line}: {what}", file.display());
                    }
                }
            }
        });
        for unused in filler.exercises.unused()? {
            let _ = write!(failures, "\n{unused}");
        }
        if failures.is_empty() {
            Ok(book)
        } else {
            Err(Error::msg(format!("chapters and runs disagree:{failures}")))
        }
    }

    fn supports_renderer(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

struct Filler<'a> {
    runs: Runs,
    exercises: Exercises,
    pictures: &'a Path,
    written: HashSet<String>,
}

/// What is wrong, and in which line.
type Wrong = Vec<(usize, String)>;

impl Filler<'_> {
    /// The chapter with its directives carried out. `depth` is how many folders it lies below the
    /// book's root.
    fn fill(&mut self, content: &str, depth: usize) -> std::result::Result<String, Wrong> {
        let mut filled = String::with_capacity(content.len());
        let mut wrong = Vec::new();
        let mut rest = content;
        while let Some(start) = rest.find(OPENING) {
            let escaped = rest[..start].ends_with('\\');
            let inner = &rest[start + OPENING.len()..];
            let Some(end) = inner.find(CLOSING) else {
                break;
            };
            let (text, after) = (&inner[..end], &inner[end + CLOSING.len()..]);
            filled.push_str(&rest[..start]);
            let ours = Directive::read(text).filter(|_| !escaped);
            match ours.map(|directive| directive.and_then(|it| self.carry_out(&it, depth))) {
                None => {
                    let _ = write!(filled, "{OPENING}{text}{CLOSING}");
                }
                Some(Ok(result)) => filled.push_str(&result),
                Some(Err(what)) => {
                    let before = content.len() - rest.len() + start;
                    let line = content[..before].matches('\n').count() + 1;
                    wrong.push((line, format!("{OPENING}{text}{CLOSING}: {what}")));
                }
            }
            rest = after;
        }
        filled.push_str(rest);
        if wrong.is_empty() {
            Ok(filled)
        } else {
            Err(wrong)
        }
    }

    fn carry_out(
        &mut self,
        directive: &Directive,
        depth: usize,
    ) -> std::result::Result<String, String> {
        match directive {
            Directive::Run { args, exit } => {
                let ran = self.runs.run(args)?;
                if ran.status != *exit {
                    return Err(format!(
                        "it ends with status {}, not {exit}: {}",
                        ran.status, ran.complained
                    ));
                }
                let shown = if *exit > 1 {
                    &ran.complained
                } else {
                    &ran.printed
                };
                Ok(format!("```console\n$ {}\n{shown}\n```", spelled(args)))
            }
            Directive::Value { args, path, unit } => spoken(&self.value(args, path)?, unit),
            Directive::Holds { args, claim } => {
                let found = self.value(args, &claim.path)?;
                if claim.holds(&found) {
                    Ok(String::new())
                } else {
                    Err(format!("it does not hold: {} is {found}", claim.path))
                }
            }
            Directive::Picture { option, args, text } => self.picture(option, args, text, depth),
            Directive::Exercise(name) => {
                let (shown, args) = self.exercises.show(name, Part::Exercise)?;
                match self.runs.run(&args)?.status {
                    1 => Ok(format!("{shown}\n\n```console\n$ {}\n```", spelled(&args))),
                    0 => Err("it passes as it stands, so there is nothing left to do".to_owned()),
                    _ => Err(self.runs.run(&args)?.complained.clone()),
                }
            }
            Directive::Population(name) => self.exercises.show_population(name),
            Directive::Solution(name) => {
                let (shown, args) = self.exercises.show(name, Part::Solution)?;
                let ran = self.runs.run(&args)?;
                match ran.status {
                    0 => {
                        let (command, printed) = (spelled(&args), &ran.printed);
                        Ok(format!(
                            "{shown}\n\n```console\n$ {command}\n{printed}\n```"
                        ))
                    }
                    1 => Err(format!("it doesn't pass:\n{}", ran.printed)),
                    _ => Err(ran.complained.clone()),
                }
            }
        }
    }

    /// A value of what a command prints as JSON, or all the words of a picture: a command that
    /// begins with an option draws one.
    fn value(&mut self, args: &[String], path: &str) -> std::result::Result<Value, String> {
        match args {
            [option, args @ ..] if option.starts_with("--") => {
                if path != "picture" {
                    return Err(format!(
                        "a drawing has no {path:?}; its words are \"picture\""
                    ));
                }
                let file = self.draw(option, args)?;
                let file = std::fs::read_to_string(self.pictures.join(file));
                file.map(Value::from).map_err(|error| error.to_string())
            }
            _ => self.runs.value(args, path),
        }
    }

    fn picture(
        &mut self,
        option: &str,
        args: &[String],
        text: &str,
        depth: usize,
    ) -> std::result::Result<String, String> {
        let name = self.draw(option, args)?;
        let up = "../".repeat(depth);
        let command = spelled(args);
        let typed = match option.split_once('/') {
            None => format!("*`{command} {option} picture.svg`*"),
            Some((option, file)) => format!("*`{command} {option} pictures`: pictures/{file}*"),
        };
        Ok(format!(
            "[![{text}]({up}{GENERATED}/{name})]({up}{GENERATED}/{name})\n\n{typed}"
        ))
    }

    /// Draws a picture, if that wasn't done before, and says how its file is called.
    fn draw(&mut self, option: &str, args: &[String]) -> std::result::Result<String, String> {
        let (option, of_directory) = match option.split_once('/') {
            None => (option, None),
            Some((option, file)) => (option, Some(file)),
        };
        let written = file_name(option, args);
        let name = match of_directory {
            None => format!("{written}.svg"),
            Some(file) => format!("{written}/{file}"),
        };
        let target = match of_directory {
            None => &name,
            Some(_) => &written,
        };
        if self.written.insert(target.clone()) {
            let mut args = args.to_vec();
            let target = self.pictures.join(target);
            args.extend([option.to_owned(), target.display().to_string()]);
            let ran = self.runs.run(&args)?;
            if ran.status > 1 {
                return Err(ran.complained.clone());
            }
        }
        if !self.pictures.join(&name).is_file() {
            return Err(format!("{option} wrote no {name}"));
        }
        Ok(name)
    }
}

/// The command as a reader types it.
fn spelled(args: &[String]) -> String {
    let args = shlex::try_join(args.iter().map(String::as_str));
    // Arguments with a NUL were refused by the operating system.
    format!("pinhole {}", args.unwrap_or_default())
}

/// A name for a picture's file that tells what it is of.
fn file_name(option: &str, args: &[String]) -> String {
    let mut name = String::new();
    for part in args.iter().map(String::as_str).chain([option]) {
        for letter in part.trim_start_matches('-').chars() {
            name.push(if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            });
        }
        name.push('_');
    }
    name.trim_end_matches('_').to_owned()
}

/// A value as a sentence says it: whole numbers whole, others with one digit.
fn spoken(value: &Value, unit: &Unit) -> std::result::Result<String, String> {
    match (unit, value) {
        (Unit::Words { after, before }, value) => {
            let told = told(value).ok_or_else(|| format!("{value} is no text"))?;
            let rest = told.split_once(after.as_str()).map(|(_, rest)| rest);
            let rest = rest.ok_or_else(|| format!("it doesn't say {after:?}"))?;
            let words = rest.split_once(before.as_str()).map(|(words, _)| words);
            let words = words.ok_or_else(|| format!("no {before:?} comes after {after:?}"))?;
            Ok(words.trim().to_owned())
        }
        (unit, Value::Number(number)) => {
            let number = number.as_f64().unwrap_or_default();
            Ok(match unit {
                Unit::Percent => format!("{:.1} %", 100.0 * number),
                // What is left of 0.14 × 100 behind the point is the machine's, not the share's.
                Unit::OfHundred => format!("{} of 100", digits((1000.0 * number).round() / 10.0)),
                Unit::Time if number < 1000.0 => format!("{} ms", digits(number)),
                Unit::Time if number < 120_000.0 => format!("{} s", digits(number / 1000.0)),
                Unit::Time => format!("{} min", digits(number / 60_000.0)),
                Unit::Rate if number < 1_000.0 => format!("{number:.0} kbit/s"),
                Unit::Rate if number < 1e6 => format!("{} Mbit/s", digits(number / 1e3)),
                Unit::Rate => format!("{} Gbit/s", digits(number / 1e6)),
                Unit::Whole => grouped(number.round() as i64),
                Unit::AsItIs | Unit::Words { .. } => digits(number),
            })
        }
        (Unit::Percent | Unit::OfHundred | Unit::Time | Unit::Rate | Unit::Whole, value) => {
            Err(format!("{value} is no number"))
        }
        (Unit::AsItIs, Value::String(text)) => Ok(text.clone()),
        (Unit::AsItIs, Value::Bool(truth)) => Ok(if *truth { "yes" } else { "no" }.to_owned()),
        (Unit::AsItIs, Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{value} is nothing that a sentence can say"))
        }
    }
}

fn digits(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A number with a comma at every thousand.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-" } else { "" }.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_as_people_say_them() {
        let said = |value: Value, unit| spoken(&value, &unit);
        let plain = |value| said(value, Unit::AsItIs).unwrap();
        assert_eq!(plain(Value::from(250.0)), "250");
        assert_eq!(plain(Value::from(553.01)), "553");
        assert_eq!(plain(Value::from(396.25)), "396.2");
        assert_eq!(plain(Value::from("relayed")), "relayed");
        assert_eq!(plain(Value::from(true)), "yes");
        assert_eq!(said(Value::from(0.177), Unit::Percent).unwrap(), "17.7 %");
        let people = |share: f64| said(Value::from(share), Unit::OfHundred).unwrap();
        assert_eq!(people(0.14), "14 of 100");
        assert_eq!(people(0.0285), "2.9 of 100");
        let time = |value: f64| said(Value::from(value), Unit::Time).unwrap();
        assert_eq!(time(396.25), "396.2 ms");
        assert_eq!(time(1500.0), "1.5 s");
        assert_eq!(time(60_000.0), "60 s");
        assert_eq!(time(300_000.0), "5 min");
        let rate = |value: f64| said(Value::from(value), Unit::Rate).unwrap();
        assert_eq!(rate(642.4), "642 kbit/s");
        assert_eq!(rate(54_690.3), "54.7 Mbit/s");
        assert_eq!(rate(3_347_698.0), "3.3 Gbit/s");
        let whole = |value: f64| said(Value::from(value), Unit::Whole).unwrap();
        assert_eq!(whole(845_075.4), "845,075");
        assert_eq!(whole(1_000_000.0), "1,000,000");
        assert_eq!(whole(-12.6), "-13");
        assert_eq!(whole(100.0), "100");
        let words = |after: &str| Unit::Words {
            after: after.to_owned(),
            before: "by this".to_owned(),
        };
        let story = || Value::from(vec!["data takes", "  42 ms by this detour"]);
        assert_eq!(said(story(), words("data takes")).unwrap(), "42 ms");
        assert!(said(story(), words("nobody")).is_err());
        assert!(said(Value::Null, Unit::AsItIs).is_err());
        assert!(said(Value::from("relayed"), Unit::Percent).is_err());
        assert!(said(Value::from("relayed"), Unit::Time).is_err());
        assert!(said(Value::from("relayed"), Unit::Rate).is_err());
    }

    #[test]
    fn a_wrong_directive_is_told_with_its_line_and_an_escaped_one_is_left_alone() {
        let mut filler = Filler {
            runs: Runs::made_in(".".into()),
            exercises: Exercises::new("exercises".into()),
            pictures: Path::new("."),
            written: HashSet::new(),
        };
        let wrong = filler.fill("one\ntwo {{#rum call}}\n", 0).unwrap_err();
        assert_eq!(wrong[0].0, 2);
        assert!(wrong[0].1.contains("no directive is called \"rum\""));
        let left = "text \\{{#run call}} and {{#include other.md}}";
        assert_eq!(filler.fill(left, 0).unwrap(), left);
    }

    #[test]
    fn a_pictures_file_is_called_after_its_command() {
        let args = ["call", "--a", "nat:eim/apdf"].map(str::to_owned);
        assert_eq!(file_name("--ladder", &args), "call_a_nat-eim-apdf_ladder");
    }
}
