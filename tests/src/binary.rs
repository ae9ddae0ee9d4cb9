//! The binary `pinhole`, as its users meet it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// The binary, built by the cargo that runs this test: a test alone doesn't build another
/// package's binary.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--package",
        "pinhole-scenarios",
        "--bin",
        "pinhole",
    ]);
    let mut profile = "debug";
    if !cfg!(debug_assertions) {
        build.arg("--release");
        profile = "release";
    }
    let built = build.status().expect("cargo can be run");
    assert!(built.success(), "the binary doesn't build");
    // This test lies in <target>/<profile>/deps.
    let test = std::env::current_exe().expect("a test knows where it lies");
    let target = test.ancestors().nth(3).expect("a target directory");
    target.join(profile).join("pinhole")
});

/// Runs `pinhole` with these arguments.
pub fn pinhole<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = self::command();
    command.args(arguments);
    command.output().expect("the binary can be run")
}

/// `pinhole`, to be run otherwise than to its end.
pub fn command() -> Command {
    Command::new(&*BINARY)
}

/// What a run printed to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

/// What a run printed to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

/// The JSON document that a run printed, which went well.
#[track_caller]
pub fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let document = serde_json::from_slice(&output.stdout);
    document.expect("one JSON document and nothing else")
}

/// A run was refused: exit status 2, nothing on standard output, and a message of a screen at most
/// that holds all of `parts`. `what` is what was run.
#[track_caller]
pub fn is_refused(output: &Output, what: &str, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{what}: {message}");
    assert_eq!(stdout(output), "", "{what}");
    assert!(message.len() < 4_000, "{what}: {message}");
    for part in parts {
        assert!(message.contains(part), "{what}: no {part:?} in {message}");
    }
}

/// What a command has to say that is interrupted, as by Ctrl-C, three seconds after it began.
#[cfg(unix)]
pub fn interrupted(command: &mut Command) -> Output {
    let child = command.stdout(std::process::Stdio::piped()).spawn();
    let child = child.expect("the binary can be run");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("there is a kill").success());
    child.wait_with_output().expect("it ends")
}
