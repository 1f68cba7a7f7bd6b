//! The plan of a case's faults: what was drawn, and how undoing it went.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

/// A row of the fault plan. What it draws follows from the test's seed, its kind, its target and how often that kind was injected there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedFault {
    /// Its place in the plan, from 1.
    pub id: usize,
    /// The kind of fault: `Fault::KIND`.
    pub kind: String,
    /// What was damaged; paths below the test's directory are relative to it.
    pub target: String,
    /// What was drawn: `Fault::Plan`.
    pub plan: serde_json::Value,
    /// Which of the faults of this kind on this target it is, from 1.
    #[serde(default)]
    pub occurrence: usize,
    /// What it does, in words: `Fault::describe`.
    #[serde(default)]
    pub sentence: String,
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
            sentence: String::new(),
        }
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(&self.kind, &self.target, &self.plan))
    }
}

/// `bit_flip model.onnx byte=118 bit=3`.
pub fn describe(kind: &str, target: &str, plan: &serde_json::Value) -> String {
    let mut text = format!("{kind} {target}");
    if let serde_json::Value::Object(fields) = plan {
        for (name, value) in fields {
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

/// How undoing a fault went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoOutcome {
    /// The target is as it was before; a file also has its old time of modification.
    Restored,
    /// Its guard is gone, and it waits for faults that were injected later into the same target and are still in effect.
    Waiting,
    /// The damage was no longer there: the code under test had replaced or repaired the target, which is left as it is.
    Superseded {
        /// What was found instead.
        found: String,
    },
    /// Applying it failed, so nothing was damaged.
    NeverApplied {
        /// Why.
        error: String,
    },
    /// The damage is still there. This fails the test.
    Failed {
        /// Why.
        error: String,
    },
}

impl fmt::Display for UndoOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored => f.write_str("undone"),
            Self::Waiting => f.write_str("waits for later faults on the same target"),
            Self::Superseded { found } => write!(f, "not undone, but superseded: found {found}"),
            Self::NeverApplied { error } => write!(f, "never took effect: {error}"),
            Self::Failed { error } => write!(f, "LEFT BEHIND: {error}"),
        }
    }
}
