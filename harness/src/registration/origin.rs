//! The package and target that the tests belong to.

use std::any::Any;

/// The package and target of the tests. [`main!`](crate::main) sets the fields while the test
/// target is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The name of the package that contains the tests.
    pub package: &'static str,
    /// The directory of the package's manifest, on the machine that compiled the tests.
    pub package_dir: &'static str,
    /// The crate name of the test target, in which underscores replace hyphens.
    pub target: &'static str,
    /// The name of the binary target; `None` for a test target.
    pub binary: Option<&'static str>,
    /// Cargo's directory for temporary files of an integration test; `None` for a binary target.
    pub target_tmpdir: Option<&'static str>,
    /// Prefixes of thread names. A thread with one of these prefixes may last as long as its
    /// process, and is not a leak.
    pub lasting_threads: &'static [&'static str],
    /// The set-up and the tear-down of a run; `None` if the target has none.
    pub fixture: Option<Fixture>,
}

/// The set-up and the tear-down of a run.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// The names of the functions, for reports.
    pub setup: &'static str,
    /// As `setup`; `None` without such a function.
    pub teardown: Option<&'static str>,
    /// The source file and the line of [`main!`](crate::main).
    pub location: (&'static str, u32),
    /// The functions. The layer that runs them knows their type.
    pub functions: &'static (dyn Any + Send + Sync),
}

impl Origin {
    /// Returns the command that runs these tests, up to and including `--`.
    pub(crate) fn command(&self) -> String {
        let package = self.package;
        match self.binary {
            Some(binary) => format!("cargo run -p {package} --bin {binary} --"),
            // An underscore in `target` can stand for a hyphen in the target's real name. Cargo
            // accepts a pattern, in which `?` matches either character.
            None if self.target.contains('_') => {
                format!(
                    "cargo test -p {package} --test '{}' --",
                    self.target.replace('_', "?")
                )
            }
            None => format!("cargo test -p {package} --test {} --", self.target),
        }
    }
}
