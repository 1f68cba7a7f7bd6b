//! A place in the code.

use std::fmt;
use std::path::PathBuf;

/// A place in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeLocation {
    /// The path of the source file, as in the program's debug information. A file of a downloaded
    /// dependency starts with the crate and its version: `tempfile-3.0.0/src/file.rs`.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The path of the function, for example `save::save`. Without crate and modules if the program
    /// is compiled with `debug = "line-tables-only"`.
    pub function: String,
}

impl fmt::Display for CodeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, function) = (self.file.display(), self.line, &self.function);
        write!(f, "{file}:{line}, in {function}")
    }
}
