//! Runs of the `pinhole` command, each made once however often a book asks for it.

use std::cell::RefCell;
use std::collections::HashMap;
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
#[derive(Default)]
pub(crate) struct Runs {
    known: RefCell<HashMap<Vec<String>, Rc<Ran>>>,
}

impl Runs {
    /// What a command prints.
    pub(crate) fn run(&self, args: &[String]) -> Result<Rc<Ran>, String> {
        if let Some(known) = self.known.borrow().get(args) {
            return Ok(Rc::clone(known));
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .arg(AS_PINHOLE)
            .args(args)
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
        let pointer = format!("/{path}");
        match whole.pointer(&pointer) {
            Some(value) => Ok(value.clone()),
            None => {
                let names = whole.as_object().map(|object| {
                    let names: Vec<&str> = object.keys().map(String::as_str).collect();
                    names.join(", ")
                });
                let names = names.unwrap_or_default();
                Err(format!("its result has no {path:?}; it has {names}"))
            }
        }
    }
}
