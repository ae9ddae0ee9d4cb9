//! Writes one test for each scenario file of the library, for tests/library.rs, and one for each
//! exercise of the book, for tests/exercises.rs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let library = root.join("scenarios/library/scenarios");
    let exercises = root.join("book/exercises");
    for directory in [&library, &exercises] {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    let write = |file: &str, tests: String| {
        fs::write(out.join(file), tests).expect("the output directory can be written to");
    };
    write("library.rs", library_tests(&library));
    write("exercises.rs", exercise_tests(&exercises));
}

fn library_tests(library: &Path) -> String {
    assert!(library.is_dir(), "the library is in {}", library.display());
    let mut tests = String::new();
    for name in scenarios(library) {
        test(&mut tests, &name, &format!("holds({name:?});"));
    }
    tests
}

/// A module for each chapter. An exercise without a solution is there, and so is a solution without
/// an exercise: their tests fail.
fn exercise_tests(exercises: &Path) -> String {
    let mut tests = String::new();
    for chapter in entries(exercises) {
        let mut names = scenarios(&chapter);
        names.extend(scenarios(&chapter.join("solutions")));
        if names.is_empty() {
            continue;
        }
        let chapter = stem(&chapter);
        let module = identifier(&chapter);
        let _ = writeln!(tests, "mod {module} {{\nuse super::is_solved;\n");
        for name in names {
            test(
                &mut tests,
                &name,
                &format!("is_solved({chapter:?}, {name:?});"),
            );
        }
        let _ = writeln!(tests, "}}");
    }
    tests
}

fn test(tests: &mut String, name: &str, body: &str) {
    let function = identifier(name);
    writeln!(tests, "#[test]\nfn {function}() {{\n    {body}\n}}\n")
        .expect("a string takes any text");
}

/// The names of a directory's scenario files, without their ending. None if there is no directory.
fn scenarios(directory: &Path) -> BTreeSet<String> {
    let entries = entries(directory);
    let files = entries.iter().filter(|path| {
        let ending = path.extension();
        ending.is_some_and(|ending| ending == "toml")
    });
    files.map(|path| stem(path)).collect()
}

fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.expect("a directory can be read to its end").path())
        .collect()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().expect("an entry has a name");
    stem.to_string_lossy().into_owned()
}

fn identifier(name: &str) -> String {
    let function = name.replace('-', "_");
    // A name may begin with a digit, and a function's may not.
    match function.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("scenario_{function}"),
        false => function,
    }
}
