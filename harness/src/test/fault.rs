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
pub use system_call::{CallEffect, CallKind, SystemCall, SystemCallPlan};
pub use torn::{TornPlan, TornWrite};
pub use truncate::{Cut, Truncate};
pub use wall_clock::{WallClock, WallClockPlan};
pub use zeros::{Stretch, Zeros};

pub use clarity_chaos_record::{PlannedFault, UndoOutcome};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
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
    fn describe(plan: &Self::Plan, target: &str) -> String {
        let plan = serde_json::to_value(plan).unwrap_or_default();
        PlannedFault::summarize(Self::KIND, target, &plan)
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

/// How to take a fault back; called once.
pub struct Undo(Box<dyn FnOnce() -> Result<UndoOutcome, FaultError> + Send>);

impl Undo {
    /// Wraps the steps that take a fault back.
    pub fn new(steps: impl FnOnce() -> Result<UndoOutcome, FaultError> + Send + 'static) -> Self {
        Self(Box::new(steps))
    }

    fn run(self) -> UndoOutcome {
        (self.0)().unwrap_or_else(|error| UndoOutcome::Failed {
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
