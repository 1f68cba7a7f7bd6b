//! Whose tests these are.

/// Where the tests come from: [`main!`](crate::main) fills it in at the user's place.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The package of the tests.
    pub package: &'static str,
    /// The folder of its manifest, where it was compiled.
    pub package_dir: &'static str,
    /// The test target, as the name of its crate: hyphens are underscores.
    pub target: &'static str,
    /// The name of the binary, if it is one and no test target.
    pub binary: Option<&'static str>,
    /// The folder that Cargo gives a test target for its files, where it does.
    pub target_tmpdir: Option<&'static str>,
}

impl Origin {
    /// The command that starts these tests, up to their own arguments.
    pub(crate) fn command(&self) -> String {
        let package = self.package;
        match self.binary {
            Some(binary) => format!("cargo run -p {package} --bin {binary} --"),
            // Cargo knows the target by its own name, and matches patterns: `?` stands for what was a hyphen or an underscore.
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
