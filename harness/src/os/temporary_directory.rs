//! Errors about the system's directory for temporary files.

use std::env;
use std::io;

/// The environment variable that names the directory.
const VARIABLE: &str = if cfg!(windows) { "TMP" } else { "TMPDIR" };

/// Adds the directory and its variable to an error about a file in this directory.
pub(crate) fn with_temporary_directory(error: io::Error) -> io::Error {
    let directory = env::temp_dir();
    let directory = directory.display();
    let named = match env::var_os(VARIABLE) {
        Some(_) => format!("{VARIABLE}={directory}"),
        None => format!("{directory} ({VARIABLE} is not set)"),
    };
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the directory for temporary files is full: {named}: {error}")
        }
        _ => format!(
            "cannot use the directory for temporary files: {named}: {error}; \
             set {VARIABLE} to a writable directory"
        ),
    };
    io::Error::new(error.kind(), text)
}
