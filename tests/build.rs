//! Writes one test for each scenario file of the library, for tests/library.rs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/library/scenarios");
    println!("cargo::rerun-if-changed={}", library.display());
    let entries = fs::read_dir(&library).expect("the library is in scenarios/library/scenarios");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory can be read to its end").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    let mut tests = String::new();
    for file in files {
        let name = file
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy();
        let function = name.replace('-', "_");
        // A name may begin with a digit, and a function's may not.
        let function = match function.starts_with(|c: char| c.is_ascii_digit()) {
            true => format!("scenario_{function}"),
            false => function,
        };
        writeln!(
            tests,
            "#[test]\nfn {function}() {{\n    holds({name:?});\n}}\n"
        )
        .expect("a string takes any text");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    fs::write(out.join("library.rs"), tests).expect("the output directory can be written to");
}
