//! What the README and the book show of runs is what the runs show.

use std::path::{Path, PathBuf};

use pinhole_tests::binary::{pinhole, stderr, stdout};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_shows_the_matrix_as_it_is() {
    let output = pinhole(["matrix"]);
    let readme = read("README.md");
    let shown = readme
        .split("<!-- matrix -->")
        .nth(1)
        .expect("the marks around the matrix");
    let shown = shown
        .split("```")
        .nth(1)
        .expect("a block")
        .trim_start_matches("text\n");
    assert_eq!(shown, stdout(&output), "the README's matrix is out of date");
}

/// The shares in the first picture are of 40,000 calls, and held against it by `.ci/run`. All that
/// doesn't depend on their number is held here: the matrix, the words, the look.
#[test]
fn the_first_picture_is_what_the_first_command_draws() {
    let readme = read("README.md");
    let command = "cargo run --release -- report --out report";
    let first = readme.find("cargo run").expect("a command");
    assert!(readme[first..].starts_with(command), "the first command");
    let picture = readme.split("![").nth(1).expect("a picture");
    let (_, picture) = picture.split_once("](").expect("where it is");
    assert!(picture.starts_with("book/src/images/tour.svg)"));

    let folder = std::env::temp_dir().join(format!("pinhole-tour-{}", std::process::id()));
    let path = folder.to_str().expect("a path");
    let output = pinhole(["report", "--calls", "5", "--out", path]);
    assert!(output.status.success(), "{}", stderr(&output));
    let drawn = std::fs::read_to_string(folder.join("tour.svg")).expect("the drawing");
    std::fs::remove_dir_all(folder).expect("the folder goes");
    let fixed = |svg: &str| {
        let end = svg.find(" calls of each population").expect("its heading");
        let end = svg[..end].rfind("<text").expect("the heading's beginning");
        svg[..end].to_owned()
    };
    assert!(
        fixed(&drawn) == fixed(&read("book/src/images/tour.svg")),
        "book/src/images/tour.svg is out of date; draw it anew with: {command}, and take \
         report/tour.svg"
    );
}

#[test]
fn the_picture_is_what_its_command_draws() {
    let folder = std::env::temp_dir().join(format!("pinhole-picture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let drawing = folder.join("hole-punching.svg");
    let path = drawing.to_str().expect("a path");
    let arguments = [
        "call",
        "--a",
        "nat:eim/apdf",
        "--b",
        "nat:eim/apdf",
        "--turn",
        "off",
        "--ladder",
        path,
    ];
    let output = pinhole(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let drawn = std::fs::read_to_string(&drawing).expect("the drawing");
    std::fs::remove_dir_all(folder).expect("the folder goes");
    assert!(
        drawn == read("book/src/images/hole-punching.svg"),
        "book/src/images/hole-punching.svg is out of date; draw it anew with: \
         cargo run -- {}",
        arguments.join(" ")
    );
}
