//! The fault plan of a case: the drawn faults, and the outcomes of undoing them.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

/// A row of the fault plan. Its draws follow from the test's seed, its kind, its target and its
/// occurrence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedFault {
    /// Its place in the plan, from 1.
    pub id: usize,
    /// The kind of fault: `Fault::KIND`.
    pub kind: String,
    /// The damaged target. Paths below the test's directory are relative to it.
    pub target: String,
    /// The drawn values: `Fault::Plan`.
    pub plan: serde_json::Value,
    /// Its number among the faults of this kind on this target, from 1.
    #[serde(default)]
    pub occurrence: usize,
    /// Its effect, in words: `Fault::describe`.
    #[serde(default)]
    pub description: String,
}

impl PlannedFault {
    /// The first fault of its kind on its target, without a description.
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

    /// Kind, target and the plan's fields in one line: `bit_flip model.onnx byte=118 bit=3`.
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
    /// [`PlannedFault::summarize`] of this fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::summarize(&self.kind, &self.target, &self.plan))
    }
}

/// The outcome of undoing a fault. In JSON the variant's name is the value of `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoOutcome {
    /// The target is as it was before; a file also has its old time of modification.
    Restored,
    /// Its guard is gone, and it waits for later faults on the same target that are in effect.
    Deferred,
    /// The damage was already gone: the code under test had replaced or repaired the target, which
    /// stays as it is.
    Superseded {
        /// The state that was found.
        found: String,
    },
    /// Applying it failed, so nothing was damaged.
    NeverApplied {
        /// The reason.
        error: String,
    },
    /// The damage is still there. This fails the test.
    Failed {
        /// The reason.
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
