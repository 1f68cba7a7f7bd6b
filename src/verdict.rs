//! The verdict on failed runs of a model.

/// The verdict of a judging run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The model passed. Failures are the fault of the requests.
    Passed,
    /// The model failed, or did not end in time. Failures are the fault of the model.
    Failed,
    /// The run did not start: the executor had no room for it.
    Undecided,
}

impl Verdict {
    /// All verdicts.
    pub(crate) const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Undecided];

    /// The name of the verdict, for metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}
