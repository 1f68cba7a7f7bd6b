//! Damage that a test does on purpose, and takes back.
//!
//! A [`Fault`] says *what kind* of damage; what it leaves open (which byte, which bit) is drawn from the test's seed when
//! it is injected. The drawn fault is a row of the test's *fault plan*, and everything it does hangs on
//! that row: the timeline tells it, a replay repeats it, undoing it needs nothing else. So a new fault is one
//! small file: what may be left open, how to draw it, how to apply it.
//!
//! [`Context::inject`](crate::Context::inject) gives a [`FaultGuard`], which undoes the fault when it is dropped.

mod aside;
mod bit_flip;
mod delete;
mod descriptors;
mod displace;
mod extend;
mod flip_while_read;
mod garbage;
mod guard;
mod identity;
mod limit;
mod memory;
mod network;
mod permissions;
mod process;
mod processor;
mod repair;
mod replace;
mod restriction;
mod splice;
mod system_call;
mod torn;
mod truncate;
mod wall_clock;
mod zeros;

pub use bit_flip::{BitFlip, BitPlace};
pub use delete::{Delete, Gone};
pub use descriptors::{Descriptors, DescriptorsPlan};
pub use displace::{Displace, DisplacedBy};
pub use extend::{Extend, ExtendPlan};
pub use flip_while_read::{FlipWhileRead, FlipWhileReadPlan};
pub use garbage::{Garbage, GarbagePlan};
pub use guard::FaultGuard;
pub(crate) use guard::FaultLog;
#[cfg(target_os = "linux")]
pub(crate) use limit::lifted;
pub use memory::{Memory, MemoryPlan};
pub use network::{
    Bandwidth, BandwidthPlan, Corruption, CorruptionPlan, Latency, LatencyPlan, Refusal,
    RefusalPlan, Severance, SeverancePlan, Stall, StallPlan,
};
pub use permissions::{Permissions, PermissionsPlan};
pub use process::{Kill, KillPlan, Pause, PausePlan};
pub use processor::{Processor, ProcessorPlan};
pub(crate) use repair::after_the_end;
pub use replace::{CopiedFrom, Replace};
pub(crate) use restriction::{KeptFault, Restriction};
pub use system_call::{CallEffect, CallKind, SystemCall, SystemCallPlan};
pub use torn::{TornPlan, TornWrite};
pub use truncate::{Cut, Truncate};
pub use wall_clock::{WallClock, WallClockPlan};
pub use zeros::{Stretch, Zeros};

use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// A kind of damage.
///
/// Injecting one goes in two steps, so that a recorded plan can stand in for the first: [`draw`](Self::draw) decides
/// everything that the fault leaves open, [`apply`](Self::apply) does exactly what was decided. Faults of a test are injected one
/// at a time: neither step may inject another.
pub trait Fault {
    /// Everything decided: with it alone the fault can be applied again.
    type Plan: Serialize + DeserializeOwned;

    /// What the kind is called in plans, such as `bit_flip`.
    const KIND: &'static str;

    /// What was done, in words that stand in a sentence: `bit 3 of byte 118 of model.onnx flipped`. `target` is as the plan names it.
    fn sentence(plan: &Self::Plan, target: &str) -> String {
        let plan = serde_json::to_value(plan).unwrap_or_default();
        describe(Self::KIND, target, &plan)
    }

    /// What is damaged, as the plan names it: the path of a file, the address of a peer.
    fn target(&self) -> String;

    /// Decides what is left open, by looking at the target and drawing from `rng`.
    ///
    /// # Errors
    ///
    /// When the target is not there or cannot bear the fault.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Self::Plan, FaultError>;

    /// Does what was decided, and says how to take it back. `scratch` is a folder (to be made, if it is not there) for what undoing will need,
    /// invisible to the code under test.
    ///
    /// # Errors
    ///
    /// When it cannot be done; then nothing has changed.
    fn apply(&self, plan: &Self::Plan, scratch: &Path) -> Result<Undo, FaultError>;
}

/// A row of the fault plan. What it draws follows from the test's seed, its kind, its target and how often that kind was injected there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedFault {
    /// Its place in the plan, from 1.
    pub id: usize,
    /// The kind of fault: [`Fault::KIND`].
    pub kind: String,
    /// What was damaged; paths below the test's directory are relative to it.
    pub target: String,
    /// What was drawn: [`Fault::Plan`].
    pub plan: serde_json::Value,
    /// Which of the faults of this kind on this target it is, from 1.
    #[serde(default)]
    pub occurrence: usize,
    /// What it does, in words: [`Fault::sentence`].
    #[serde(default)]
    pub sentence: String,
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(&self.kind, &self.target, &self.plan))
    }
}

/// `bit_flip model.onnx byte=118 bit=3`.
fn describe(kind: &str, target: &str, plan: &serde_json::Value) -> String {
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
pub enum Undone {
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

impl fmt::Display for Undone {
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

/// How to take a fault back; called once.
pub struct Undo(Box<dyn FnOnce() -> Result<Undone, FaultError> + Send>);

impl Undo {
    /// Wraps the steps that take a fault back.
    pub fn new(steps: impl FnOnce() -> Result<Undone, FaultError> + Send + 'static) -> Self {
        Self(Box::new(steps))
    }

    fn run(self) -> Undone {
        (self.0)().unwrap_or_else(|error| Undone::Failed {
            error: error.to_string(),
        })
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}

/// Why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
#[error("failed to inject {kind} into {target}: {reason}")]
pub struct InjectError {
    pub(crate) kind: &'static str,
    pub(crate) target: String,
    #[source]
    pub(crate) reason: FaultError,
}

/// What went wrong with a fault's target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A file could not be read or changed.
    #[error("{action} {}: {error}", path.display())]
    File {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// Such a fault cannot be had here. A test that returns this is skipped.
    #[error("skipped: {0}")]
    Unavailable(String),
    /// The target cannot bear this fault.
    #[error("expected {expected}, found {found}")]
    Unfit {
        /// What the fault needs.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl FaultError {
    /// For `map_err`: `action` on `path` failed.
    fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::File {
            action,
            path: path.to_owned(),
            error,
        }
    }

    fn unfit(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unfit {
            expected: expected.into(),
            found: found.into(),
        }
    }
}
