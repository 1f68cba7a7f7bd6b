//! Searches the text of a backtrace for the place in the code that makes a system call.

use std::fmt;
use std::path::PathBuf;

/// A place in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeLocation {
    /// The path of the source file, as in the program's debug information.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The path of the function, for example `save::save`.
    pub function: String,
}

impl fmt::Display for CodeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, function) = (self.file.display(), self.line, &self.function);
        write!(f, "{file}:{line}, in {function}")
    }
}

#[cfg(target_os = "linux")]
impl CodeLocation {
    /// Gives the first frame of `backtrace` that belongs to the code under test.
    ///
    /// Skips frames of the standard library and of the harness. Gives a frame of a dependency only
    /// if no other frame remains. Gives none for a backtrace without symbols.
    pub(crate) fn in_backtrace(backtrace: &str) -> Option<Self> {
        let mut lines = backtrace.lines().map(str::trim).peekable();
        let mut in_dependency = None;
        while let Some(line) = lines.next() {
            let Some((number, function)) = line.split_once(": ") else {
                continue;
            };
            if number.parse::<usize>().is_err() {
                continue;
            }
            let Some(place) = lines.next_if(|next| next.starts_with("at ")) else {
                continue;
            };
            if is_of_harness(function) {
                continue;
            }
            let Some(location) = Self::parse(place, function) else {
                continue;
            };
            if !place.contains("/registry/src/") {
                return Some(location);
            }
            in_dependency.get_or_insert(location);
        }
        in_dependency
    }

    /// Parses a place of the form `at ./src/save.rs:12:5`. Gives none for a place in the standard
    /// library or in another language.
    fn parse(place: &str, function: &str) -> Option<Self> {
        let place = place.trim_start_matches("at ").trim_start_matches("./");
        if !place.contains(".rs:") || place.contains("/rustc/") || place.contains("/library/std/") {
            return None;
        }
        let (place, _column) = place.rsplit_once(':')?;
        let (file, line) = place.rsplit_once(':')?;
        Some(Self {
            file: file.into(),
            line: line.parse().ok()?,
            function: function.to_owned(),
        })
    }
}

/// Whether a function belongs to this crate. This includes the methods of a trait that a type of
/// this crate implements.
#[cfg(target_os = "linux")]
fn is_of_harness(function: &str) -> bool {
    let path = function.trim_start_matches('<');
    path.starts_with("clarity_chaos::")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const BACKTRACE: &str = "\
   0: clarity_chaos::os::backtrace_signal::install_backtrace_handler::answer
             at ./harness/src/os/backtrace_signal.rs:10:20
   1: <unknown>
   2: __GI___rename
             at io/../sysdeps/rename.c:29:10
   3: std::fs::rename
             at /rustc/0123/library/std/src/fs.rs:2:3
   4: tempfile::file::persist
             at /home/someone/.cargo/registry/src/index-0123/tempfile-3.0.0/src/file.rs:5:6
   5: save::save
             at ./src/save.rs:12:5
   6: main
             at ./src/main.rs:1:1
";

    fn describe(backtrace: &str) -> Option<String> {
        CodeLocation::in_backtrace(backtrace).map(|location| location.to_string())
    }

    #[test]
    fn first_frame_of_the_code_under_test_is_its_location() {
        assert_eq!(
            describe(BACKTRACE).unwrap(),
            "src/save.rs:12, in save::save"
        );
        let without = BACKTRACE.split("   5:").next().unwrap();
        assert!(
            describe(without)
                .unwrap()
                .ends_with("tempfile-3.0.0/src/file.rs:5, in tempfile::file::persist")
        );
        assert_eq!(describe("   0: <unknown>\n   1: <unknown>\n"), None);
    }
}
