//! The package and target of the tests.

/// The package and target of the tests: [`main!`](crate::main) reads them where it is expanded.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The package of the tests.
    pub package: &'static str,
    /// The directory of its manifest, on the machine that compiled it.
    pub package_dir: &'static str,
    /// The crate name of the test target: hyphens are underscores.
    pub target: &'static str,
    /// The name of the binary; `None` for a test target.
    pub binary: Option<&'static str>,
    /// Cargo's directory for the files of an integration test; `None` for a binary.
    pub target_tmpdir: Option<&'static str>,
    /// Prefixes of the names of threads that last as long as their process.
    pub lasting_threads: &'static [&'static str],
}

impl Origin {
    /// The command that runs these tests, up to and including `--`.
    pub(crate) fn command(&self) -> String {
        let package = self.package;
        match self.binary {
            Some(binary) => format!("cargo run -p {package} --bin {binary} --"),
            // Cargo accepts a pattern for the target: `?` matches its hyphen or underscore.
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
