//! Whose tests these are.

/// Where the tests come from: [`main!`](crate::main) fills it in at the user's place.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The package of the tests.
    pub package: &'static str,
    /// The test target.
    pub target: &'static str,
    /// The folder that Cargo gives a test target for its files, where it does.
    pub target_tmpdir: Option<&'static str>,
}
