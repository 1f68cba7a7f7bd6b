//! The part of a fault plan with which the minimizer runs a case.

use clarity_chaos_record::PlannedFault;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The faults of a case that take effect. The case still draws all other faults, but does not
/// inject them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultSelection {
    pub(crate) faults: Vec<SelectedFault>,
}

/// A fault that takes effect, with the simpler numbers that replace drawn numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelectedFault {
    pub(crate) kind: String,
    pub(crate) target: String,
    /// The number of this fault among the faults of the same kind on the same target, from 1.
    pub(crate) occurrence: usize,
    /// The replaced numbers of the plan. Each entry holds a JSON pointer ([RFC
    /// 6901](https://www.rfc-editor.org/rfc/rfc6901)) into the plan, and the new number.
    pub(crate) replaced: Vec<(String, u64)>,
}

impl FaultSelection {
    /// Finds the selected fault that matches `fault`; `None` if `fault` does not take effect.
    pub(crate) fn find(&self, fault: &PlannedFault) -> Option<&SelectedFault> {
        self.faults.iter().find(|selected| selected.matches(fault))
    }
}

impl SelectedFault {
    /// Whether `fault` has the same kind, target and occurrence as this selected fault.
    pub(crate) fn matches(&self, fault: &PlannedFault) -> bool {
        self.kind == fault.kind
            && self.target == fault.target
            && self.occurrence == fault.occurrence
    }

    /// Returns the `drawn` plan with this selected fault's numbers in place of the drawn numbers.
    pub(crate) fn simplified(&self, mut drawn: Value) -> Value {
        for (pointer, number) in &self.replaced {
            if let Some(value) = drawn.pointer_mut(pointer) {
                *value = (*number).into();
            }
        }
        drawn
    }
}
