//! A fault that changes a file while the file is read. Real causes are deployments that overwrite
//! files in place.

use super::bit_flip::flip;
use super::in_place_edit::size;
#[cfg(not(target_os = "linux"))]
use super::system_call::only_on_linux;
#[cfg(target_os = "linux")]
use super::system_call::{CallKind, put_rule};
use super::{Fault, FaultError, Injection, Undo};
#[cfg(target_os = "linux")]
use crate::syscalls::interceptor::{Action, CallHook};
#[cfg(target_os = "linux")]
use clarity_chaos_record::UndoOutcome;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex, PoisonError};

/// Flips a bit of a file right before the file's n-th read. The reads before and after the flip are
/// then inconsistent. This fault finds code that verifies a file, and then reads the file again to
/// use it.
///
/// Only reads by `read` and similar system calls count. Reads through a memory mapping do not
/// count. The requirements and limits of [`SystemCall`](super::SystemCall) also apply to this
/// fault.
#[derive(Clone, Debug)]
pub struct FlipWhileRead {
    path: PathBuf,
    /// The range from which the number of the first read after the flip is drawn. The first read
    /// after the injection has number 1.
    reads: RangeInclusive<u64>,
}

/// The plan of a [`FlipWhileRead`]: the flipped bit, and the read after the flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlipWhileReadPlan {
    /// The number of the first read after the flip. The first read after the injection has number
    /// 1.
    pub read: u64,
    /// The offset of the damaged byte in the file, from 0.
    pub byte: u64,
    /// The number of the flipped bit in the byte: 0 (the least significant) to 7.
    pub bit: u8,
}

impl FlipWhileRead {
    /// Flips one drawn bit of the file at `path` before the second read. Each bit has the same
    /// probability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            reads: 2..=2,
        }
    }

    /// Flips the drawn bit before the `n`-th read. `n` must be at least 1.
    #[must_use]
    pub fn before_read(self, n: u64) -> Self {
        Self {
            reads: n..=n,
            ..self
        }
    }

    /// Flips the drawn bit before one of the first `n` reads. Each of these reads has the same
    /// probability.
    #[must_use]
    pub fn before_one_of(self, n: u64) -> Self {
        Self {
            reads: 1..=n,
            ..self
        }
    }
}

impl Fault for FlipWhileRead {
    type Plan = FlipWhileReadPlan;
    const KIND: &'static str = "flip_while_read";

    fn describe(plan: &FlipWhileReadPlan, target: &str) -> String {
        let FlipWhileReadPlan { read, byte, bit } = plan;
        format!("bit {bit} of byte {byte} of {target} flipped before it is read for time {read}")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<FlipWhileReadPlan, FaultError> {
        if *self.reads.end() == 0 {
            return Err(FaultError::unfit("reads counted from 1", "0"));
        }
        match size(&self.path)? {
            0 => Err(FaultError::unfit("a bit to flip", "an empty file")),
            size => Ok(FlipWhileReadPlan {
                read: rng.random_range(self.reads.clone()),
                byte: rng.random_range(0..size),
                bit: rng.random_range(0..8),
            }),
        }
    }

    #[cfg(target_os = "linux")]
    fn apply(&self, plan: &FlipWhileReadPlan, injection: &Injection) -> Result<Undo, FaultError> {
        let progress = Arc::new(Mutex::new(FlipProgress::Waiting));
        let deed = CallHook::new({
            let (progress, injection) = (Arc::clone(&progress), injection.clone());
            let (path, plan) = (self.path.clone(), *plan);
            move || {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                if let FlipProgress::Waiting = *progress {
                    *progress = match flip(&path, plan.byte, plan.bit, &injection) {
                        Ok(()) => FlipProgress::Flipped,
                        Err(error) => FlipProgress::Failed(error),
                    };
                }
            }
        });
        let remove_rule = put_rule(
            CallKind::Read,
            &self.path,
            Some(plan.read),
            Action::RunBefore(deed),
        )?;
        Ok(Undo::new(move || {
            remove_rule();
            // The lock of `progress` must be released before the undo steps run. The file calls of
            // the undo steps wait for the interceptor, which can be waiting for this lock.
            let progress = std::mem::replace(
                &mut *progress.lock().unwrap_or_else(PoisonError::into_inner),
                FlipProgress::Over,
            );
            match progress {
                FlipProgress::Flipped => Ok(UndoOutcome::Restored),
                FlipProgress::Failed(error) => Err(error),
                FlipProgress::Waiting | FlipProgress::Over => Ok(UndoOutcome::NeverApplied {
                    error: "the file was not read so often".to_owned(),
                }),
            }
        }))
    }

    #[cfg(not(target_os = "linux"))]
    fn apply(&self, _plan: &FlipWhileReadPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        Err(only_on_linux())
    }
}

/// The progress of a flip.
#[cfg(target_os = "linux")]
enum FlipProgress {
    /// The read that triggers the flip has not happened yet.
    Waiting,
    Flipped,
    Failed(FaultError),
    /// The fault has been undone.
    Over,
}
