//! Part of a plan: what the minimiser runs a case with.

use clarity_chaos_record::PlannedFault;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The faults of a case that take effect; all others are drawn as ever, and then left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Restriction {
    pub(crate) kept: Vec<KeptFault>,
}

/// A fault that takes effect, and what is simpler in it than what was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptFault {
    pub(crate) kind: String,
    pub(crate) target: String,
    /// Which of the faults of this kind on this target, from 1.
    pub(crate) occurrence: usize,
    /// Numbers of the plan that are replaced: where (RFC 6901), and by what.
    pub(crate) replaced: Vec<(String, u64)>,
}

impl Restriction {
    /// The fault, if it is to take effect.
    pub(crate) fn find(&self, fault: &PlannedFault) -> Option<&KeptFault> {
        self.kept.iter().find(|kept| kept.is(fault))
    }
}

impl KeptFault {
    /// Whether this is the fault.
    pub(crate) fn is(&self, fault: &PlannedFault) -> bool {
        self.kind == fault.kind
            && self.target == fault.target
            && self.occurrence == fault.occurrence
    }

    /// The plan that was drawn, as simple as it is to be.
    pub(crate) fn simplified(&self, mut drawn: Value) -> Value {
        for (place, number) in &self.replaced {
            if let Some(value) = drawn.pointer_mut(place) {
                *value = (*number).into();
            }
        }
        drawn
    }
}
