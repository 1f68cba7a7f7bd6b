//! What came of a call.

/// What came of a call that says something about the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

impl Verdict {
    /// Whether it speaks against the model. Only such a verdict can open a breaker.
    pub(super) const fn is_bad(self) -> bool {
        self.failed || self.slow
    }
}
