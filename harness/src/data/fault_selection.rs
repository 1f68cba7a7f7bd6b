//! The part of a fault plan that the minimizer runs a case with.

use clarity_chaos_record::PlannedFault;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The faults of a case that take effect. The case still draws all others, and leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultSelection {
    pub(crate) faults: Vec<SelectedFault>,
}

/// A fault that takes effect, with simpler numbers than the case drew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelectedFault {
    pub(crate) kind: String,
    pub(crate) target: String,
    /// The number of this fault among those of its kind on its target, from 1.
    pub(crate) occurrence: usize,
    /// Replaced numbers of the plan, each with its JSON pointer
    /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
    pub(crate) replaced: Vec<(String, u64)>,
}

impl FaultSelection {
    /// The selected fault that matches `fault`; `None` if `fault` takes no effect.
    pub(crate) fn find(&self, fault: &PlannedFault) -> Option<&SelectedFault> {
        self.faults.iter().find(|selected| selected.matches(fault))
    }
}

impl SelectedFault {
    /// Whether this selects `fault`.
    pub(crate) fn matches(&self, fault: &PlannedFault) -> bool {
        self.kind == fault.kind
            && self.target == fault.target
            && self.occurrence == fault.occurrence
    }

    /// The `drawn` plan with its numbers replaced.
    pub(crate) fn simplified(&self, mut drawn: Value) -> Value {
        for (pointer, number) in &self.replaced {
            if let Some(value) = drawn.pointer_mut(pointer) {
                *value = (*number).into();
            }
        }
        drawn
    }
}
