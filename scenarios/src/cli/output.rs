//! Standard output and files, for all commands.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::cli::Failure;

/// Standard output, with colours where a terminal shows them and nobody asked for none.
pub(super) fn stdout() -> impl Write {
    BufWriter::new(anstream::AutoStream::auto(io::stdout()))
}

/// Whether the reader of our output has gone, as `head` does: no failure of ours.
pub(super) fn is_broken_pipe(failure: &(dyn Error + 'static)) -> bool {
    let error = failure.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes a file; errors name it.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let written = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.flush()
    });
    written.map_err(|error| format!("{} can't be written: {error}", path.display()).into())
}
