//! Why a runtime does not load a version.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Runtime, RuntimeError};
use crate::RuntimeId;
use crate::sanitize::sanitize_for_log;

/// Why one runtime does not load a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RuntimeRefusal {
    /// The runtime that does not load the version.
    pub runtime: RuntimeId,
    /// The kind of the reason.
    pub kind: RefusalKind,
    /// The reason as a sentence.
    pub why: String,
}

/// The kind of the reason why a runtime does not load a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// The bytes are not a model that the runtime can run.
    Unloadable,
    /// The runtime does not compute a node of the model rightly for all values.
    Unclaimed,
    /// A node of the model draws random numbers.
    Random,
    /// The server cannot serve an input or output of the model.
    Unservable,
    /// The runtime panicked during the load.
    Panicked,
}

impl RefusalKind {
    /// The name of the kind: the value of the label `reason` of `model_runtime_refusals_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unloadable => "unloadable",
            Self::Unclaimed => "unclaimed",
            Self::Random => "random",
            Self::Unservable => "unservable",
            Self::Panicked => "panicked",
        }
    }

    /// The kind of an error of a load; `None` if the version was loaded.
    pub(crate) fn of(error: &RuntimeError) -> Option<Self> {
        match error {
            RuntimeError::Unloadable(_) => Some(Self::Unloadable),
            RuntimeError::Unclaimed { .. } | RuntimeError::Excepted { .. } => Some(Self::Unclaimed),
            RuntimeError::Random(_) => Some(Self::Random),
            RuntimeError::Unservable { .. } => Some(Self::Unservable),
            RuntimeError::Panicked(_) => Some(Self::Panicked),
            RuntimeError::RefusedByWorker { kind, .. } => Some(*kind),
            RuntimeError::NoRuntime(_)
            | RuntimeError::OtherRuntime(_)
            | RuntimeError::Worker(_)
            | RuntimeError::WarmUp(_)
            | RuntimeError::Probe(_)
            | RuntimeError::SecondOpinion(_) => None,
        }
    }
}

impl RuntimeRefusal {
    pub(super) fn new(runtime: RuntimeId, error: &RuntimeError) -> Self {
        Self {
            runtime,
            kind: RefusalKind::of(error).unwrap_or(RefusalKind::Unloadable),
            why: sanitize_for_log(error),
        }
    }

    /// The refusals of each runtime that `runtime` tried, if the error is one of a load.
    pub(crate) fn all_of(runtime: &dyn Runtime, error: &RuntimeError) -> Vec<Self> {
        match error {
            RuntimeError::NoRuntime(refusals) => refusals.clone(),
            error => {
                let refused = RefusalKind::of(error).map(|_| Self::new(runtime.id(), error));
                refused.into_iter().collect()
            }
        }
    }
}

impl fmt::Display for RuntimeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.runtime, self.why)
    }
}

/// Lists refusals in one line.
pub(super) fn list(refusals: &[RuntimeRefusal]) -> String {
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
