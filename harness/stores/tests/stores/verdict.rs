//! The expected verdicts of explorations.

use clarity_chaos::Result;
use clarity_chaos::explore::{ExploreError, Explored};

/// Requires that the invariant broke. Returns the error of any other end.
pub(crate) fn expect_broken(explored: Result<Explored, ExploreError>) -> Result {
    match explored {
        Err(ExploreError::Broken(broken)) => {
            println!("as expected, {broken}");
            Ok(())
        }
        Err(other) => Err(other.into()),
        Ok(explored) => Err(format!("expected a broken invariant, found {explored:?}").into()),
    }
}
