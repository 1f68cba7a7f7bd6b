//! The part of a link on which faults put their conditions.

use super::condition::{Condition, ConditionId};
use std::fmt;
use std::io;

/// The part of a link of any kind on which conditions are put.
pub(crate) trait Disturbed: fmt::Debug + Send + Sync {
    /// Puts a condition on the link.
    ///
    /// # Errors
    ///
    /// When the link cannot have the condition. The condition is then not on the link.
    fn put(&self, condition: Condition) -> io::Result<ConditionId>;

    /// Removes a condition from the link.
    ///
    /// # Errors
    ///
    /// When the link does not work again.
    fn remove(&self, id: ConditionId) -> io::Result<()>;
}
