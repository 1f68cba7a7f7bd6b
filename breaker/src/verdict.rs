//! The verdict on one call.

/// The verdict on a call that succeeded or failed. A cancelled call has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
    /// Whether the failure may be the fault of the call itself: see
    /// [`Permit::suspect`](crate::Permit::suspect).
    pub(crate) suspected: bool,
}

impl Verdict {
    pub(crate) const GOOD: Self = Self {
        failed: false,
        slow: false,
        suspected: false,
    };

    /// Whether the call failed or was slow. Only such a call can open a breaker.
    #[inline]
    pub(crate) const fn is_bad(self) -> bool {
        self.failed || self.slow
    }
}
