//! Exercises: scenario files that fail as they stand, each with one that solves it.
//!
//! `exercises/CHAPTER/NAME.toml` is what the reader mends, and `exercises/CHAPTER/solutions/NAME.toml`
//! what it may come to. A chapter shows both. That the one fails and the other passes is asked here,
//! at every build, and by the workspace's tests.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::directive::ExerciseName;

/// The exercises of a book, and which of them its chapters have shown.
pub(crate) struct Exercises {
    directory: PathBuf,
    shown: BTreeSet<PathBuf>,
}

/// What of an exercise is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Exercise,
    Solution,
}

impl Exercises {
    /// The exercises below a directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Exercises {
            directory,
            shown: BTreeSet::new(),
        }
    }

    /// A file as a chapter shows it, and the arguments by which `pinhole` runs it.
    pub(crate) fn show(
        &mut self,
        name: &ExerciseName,
        part: Part,
    ) -> Result<(String, Vec<String>), String> {
        let file = match part {
            Part::Exercise => format!("{}/{}.toml", name.chapter, name.name),
            Part::Solution => format!("{}/solutions/{}.toml", name.chapter, name.name),
        };
        let path = self.directory.join(&file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("book/exercises/{file} can't be read: {error}"))?;
        // What editors look for says nothing to readers.
        let lines = text.lines().filter(|line| !line.starts_with("#:schema"));
        let text = lines.collect::<Vec<_>>().join("\n");
        self.shown.insert(path);
        let typed = format!("book/exercises/{file}");
        let shown = format!("```toml\n# {typed}\n{}\n```", text.trim());
        Ok((shown, vec!["run".to_owned(), typed]))
    }

    /// A population file as a chapter shows it. Populations expect nothing of themselves: what is to
    /// come of them stands in the chapter, as claims.
    pub(crate) fn show_population(&mut self, name: &ExerciseName) -> Result<String, String> {
        let file = format!("{}/populations/{}.toml", name.chapter, name.name);
        let path = self.directory.join(&file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("book/exercises/{file} can't be read: {error}"))?;
        self.shown.insert(path);
        Ok(format!(
            "```toml\n# book/exercises/{file}\n{}\n```",
            text.trim()
        ))
    }

    /// What is wrong with files that no chapter has shown.
    pub(crate) fn unused(&self) -> io::Result<Vec<String>> {
        let mut files = BTreeSet::new();
        if self.directory.exists() {
            scenarios(&self.directory, &mut files)?;
        }
        let unused = files.difference(&self.shown);
        Ok(unused
            .map(|file| format!("{}: no chapter shows it", file.display()))
            .collect())
    }
}

/// All scenario files below a directory.
fn scenarios(directory: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            scenarios(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let mut exercises = Exercises::new(PathBuf::from("nowhere"));
        let name = "nat/keep-alive".parse().unwrap();
        let error = exercises.show(&name, Part::Solution).unwrap_err();
        assert!(error.contains("book/exercises/nat/solutions/keep-alive.toml"));
        assert_eq!(exercises.unused().unwrap(), Vec::<String>::new());
    }
}
