//! The process that undoes a fault.

/// The process that undoes a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UndoneBy {
    /// The test's own process.
    Test,
    /// The runner, right after the end of the test's process.
    Runner,
    /// The supervisor of the test, right after the test's process, because the runner has died.
    Supervisor,
    /// A later run. The user may have changed the files since.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "no run finds the files of another run")
    )]
    LaterRun,
}

impl UndoneBy {
    /// Whether the original of a file that was changed since the damage must be kept. While the
    /// run lasts, the code under test has changed the file, which is the outcome of the test.
    pub(super) fn keeps_originals(self) -> bool {
        matches!(self, Self::Supervisor | Self::LaterRun)
    }
}
