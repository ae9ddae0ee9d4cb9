//! Runs of the `pinhole` command, each made once however often a book asks for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use serde_json::Value;

/// The first argument by which this program becomes the `pinhole` command.
pub(crate) const AS_PINHOLE: &str = "as-pinhole";

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) printed: String,
    pub(crate) complained: String,
}

/// Makes runs and remembers them.
pub(crate) struct Runs {
    /// Where they are made: files that they name are looked for from here.
    directory: PathBuf,
    known: RefCell<HashMap<Vec<String>, Rc<Ran>>>,
}

impl Runs {
    /// Runs made in a directory.
    pub(crate) fn made_in(directory: PathBuf) -> Self {
        Runs {
            directory,
            known: RefCell::default(),
        }
    }

    /// What a command prints.
    pub(crate) fn run(&self, args: &[String]) -> Result<Rc<Ran>, String> {
        if let Some(known) = self.known.borrow().get(args) {
            return Ok(Rc::clone(known));
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .arg(AS_PINHOLE)
            .args(args)
            .current_dir(&self.directory)
            .env_remove("CLICOLOR_FORCE")
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let ran = Rc::new(Ran {
            status: output.status.code().unwrap_or(-1),
            printed: text(output.stdout),
            complained: text(output.stderr),
        });
        let mut known = self.known.borrow_mut();
        known.insert(args.to_vec(), Rc::clone(&ran));
        Ok(ran)
    }

    /// A value of what a command prints as JSON.
    pub(crate) fn value(&self, args: &[String], path: &str) -> Result<Value, String> {
        let mut args = args.to_vec();
        args.extend(["--format".to_owned(), "json".to_owned()]);
        let ran = self.run(&args)?;
        if ran.status > 1 {
            return Err(ran.complained.clone());
        }
        let whole: Value = serde_json::from_str(&ran.printed).map_err(|error| error.to_string())?;
        at(&whole, path)
    }
}

/// The value at a path; null where no entry of a list is the one that the path asks for.
///
/// A slash within a step is written `~1`, as JSON pointers have it. `count(…)` as the last step counts
/// the entries that say so; `count()` counts all.
fn at(whole: &Value, path: &str) -> Result<Value, String> {
    let mut here = whole;
    for (depth, step) in path.split('/').enumerate() {
        let step = &step.replace("~1", "/");
        let counted = step
            .strip_prefix("count(")
            .and_then(|it| it.strip_suffix(')'));
        let next = match (here, counted) {
            (Value::Array(entries), Some(all_of)) => {
                let found = entries.iter().filter(|entry| says(entry, all_of));
                return Ok(Value::from(found.count()));
            }
            (Value::Array(entries), None) if step.contains('=') => {
                match entries.iter().find(|entry| says(entry, step)) {
                    Some(entry) => Some(entry),
                    None => return Ok(Value::Null),
                }
            }
            (Value::Array(entries), None) => {
                step.parse().ok().and_then(|it: usize| entries.get(it))
            }
            (other, _) => other.get(step),
        };
        here = next.ok_or_else(|| {
            let parent: Vec<&str> = path.split('/').take(depth).collect();
            let place = match depth {
                0 => "its result".to_owned(),
                _ => parent.join("/"),
            };
            let has = match here {
                Value::Object(fields) => fields.keys().cloned().collect::<Vec<_>>().join(", "),
                Value::Array(entries) => format!("{} entries", entries.len()),
                other => other.to_string(),
            };
            format!("{place} has no {step:?}; it has {has}")
        })?;
    }
    Ok(here.clone())
}

/// Whether an entry says all of `name=word&name=word`. Of nothing, every entry does.
fn says(entry: &Value, all_of: &str) -> bool {
    let mut all = all_of.split('&').filter(|one| !one.is_empty());
    all.all(|one| {
        let (name, word) = one.split_once('=').unwrap_or((one, "true"));
        // A number is looked for as one, and as the word that it is.
        let number: Option<Value> = serde_json::from_str(word).ok();
        let said = entry.get(name);
        said.is_some() && (said == number.as_ref() || said == Some(&Value::from(word)))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_go_by_names_and_by_what_entries_say() {
        let whole = json!({"sent": 3, "drops": [
            {"reason": "no_route", "count": 1},
            {"reason": "lost", "count": 2},
        ]});
        assert_eq!(at(&whole, "sent"), Ok(json!(3)));
        assert_eq!(at(&whole, "drops/1/reason"), Ok(json!("lost")));
        assert_eq!(at(&whole, "drops/reason=lost/count"), Ok(json!(2)));
        assert_eq!(at(&whole, "drops/count=1/reason"), Ok(json!("no_route")));
        assert_eq!(at(&whole, "drops/reason=queue_full/count"), Ok(Value::Null));
        assert_eq!(at(&whole, "drops/count(reason=lost)"), Ok(json!(1)));
        assert_eq!(at(&whole, "drops/count()"), Ok(json!(2)));
    }

    #[test]
    fn several_things_may_be_said_of_an_entry_and_slashes_are_written_as_pointers_do() {
        let whole = json!([{"a": "open", "b": "nat:eim/apdf", "ms": 1},
            {"a": "nat:eim/apdf", "b": "nat:eim/apdf", "ms": 2}]);
        assert_eq!(at(&whole, "b=nat:eim~1apdf/ms"), Ok(json!(1)));
        assert_eq!(
            at(&whole, "a=nat:eim~1apdf&b=nat:eim~1apdf/ms"),
            Ok(json!(2))
        );
        assert_eq!(at(&whole, "count(b=nat:eim~1apdf)"), Ok(json!(2)));
        assert_eq!(at(&whole, "count(b=nat:eim~1apdf&ms=3)"), Ok(json!(0)));
        let requirements = json!([{"req": "4"}, {"req": "5", "seen": "lives"}]);
        assert_eq!(at(&requirements, "req=5/seen"), Ok(json!("lives")));
    }

    #[test]
    fn a_path_to_nowhere_says_what_there_is() {
        let whole = json!({"packets": {"sent": 3}, "drops": []});
        let error = |path| at(&whole, path).unwrap_err();
        assert_eq!(
            error("packet"),
            "its result has no \"packet\"; it has drops, packets"
        );
        assert_eq!(
            error("packets/lost"),
            "packets has no \"lost\"; it has sent"
        );
        assert_eq!(
            error("drops/0/count"),
            "drops has no \"0\"; it has 0 entries"
        );
    }
}
