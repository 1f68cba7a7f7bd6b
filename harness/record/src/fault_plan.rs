//! The fault plan of a case: the drawn faults, and the outcomes of undoing these faults.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

/// A row of the fault plan: one fault with its drawn values.
///
/// Four facts determine the drawn values: the test's seed, and the fault's kind, target and
/// occurrence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedFault {
    /// The fault's number in the plan, from 1.
    pub id: usize,
    /// The kind of fault: `Fault::KIND`.
    pub kind: String,
    /// The damaged target. A path below the test's directory is relative to that directory.
    pub target: String,
    /// The drawn values: `Fault::Plan`.
    pub plan: serde_json::Value,
    /// The fault's number among the faults of the same kind on the same target, from 1.
    #[serde(default)]
    pub occurrence: usize,
    /// The fault's effect, in words: `Fault::describe`.
    #[serde(default)]
    pub description: String,
}

impl PlannedFault {
    /// Creates the first fault of this kind on this target, without a description.
    #[must_use]
    pub fn new(
        id: usize,
        kind: impl Into<String>,
        target: impl Into<String>,
        plan: serde_json::Value,
    ) -> Self {
        Self {
            id,
            kind: kind.into(),
            target: target.into(),
            plan,
            occurrence: 1,
            description: String::new(),
        }
    }

    /// Returns the kind, the target and the plan's fields in one line:
    /// `bit_flip model.onnx byte=118 bit=3`.
    #[must_use]
    pub fn summarize(kind: &str, target: &str, plan: &serde_json::Value) -> String {
        let mut text = format!("{kind} {target}");
        if let serde_json::Value::Object(fields) = plan {
            for (name, value) in fields {
                let _ = write!(text, " {name}={value}");
            }
        }
        text
    }
}

impl fmt::Display for PlannedFault {
    /// Writes the line of [`PlannedFault::summarize`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::summarize(&self.kind, &self.target, &self.plan))
    }
}

/// The outcome of undoing a fault. In JSON, the field `outcome` contains the variant's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoOutcome {
    /// The target is as it was before the fault. A file also has its old modification time.
    Restored,
    /// The fault's guard was dropped while later faults on the same target were in effect. The
    /// damage stays until these later faults are undone.
    Deferred,
    /// The damage was already gone: the code under test had replaced or repaired the target. The
    /// harness leaves the target as it is.
    Superseded {
        /// The state of the target when the harness tried to undo the fault.
        found: String,
    },
    /// The fault could not be applied, so nothing was damaged.
    NeverApplied {
        /// The reason why the fault could not be applied.
        error: String,
    },
    /// The fault could not be undone. The damage remains, and the test fails.
    Failed {
        /// The reason why the fault could not be undone.
        error: String,
    },
}

impl fmt::Display for UndoOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored => f.write_str("undone"),
            Self::Deferred => f.write_str("waits for later faults on the same target"),
            Self::Superseded { found } => write!(f, "not undone, but superseded: found {found}"),
            Self::NeverApplied { error } => write!(f, "never took effect: {error}"),
            Self::Failed { error } => write!(f, "LEFT BEHIND: {error}"),
        }
    }
}
