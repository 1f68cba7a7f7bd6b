//! The verdict on one call.

/// The verdict on a call that succeeded or failed. A cancelled call has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

impl Verdict {
    /// Whether the call failed or was slow. Only such a call can open a breaker.
    #[inline]
    pub(crate) const fn is_bad(self) -> bool {
        self.failed || self.slow
    }
}
