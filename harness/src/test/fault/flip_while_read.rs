//! A file that changes while somebody reads it: a deployment that overwrites in place, a disk whose second answer is not its first.

#[cfg(target_os = "linux")]
use super::UndoOutcome;
use super::bit_flip::BitPlace;
use super::splice::size;
#[cfg(not(target_os = "linux"))]
use super::system_call::only_on_linux;
#[cfg(target_os = "linux")]
use super::system_call::{CallKind, put_rule};
use super::{Fault, FaultError, Undo};
#[cfg(target_os = "linux")]
use crate::syscalls::interceptor::{Action, CallHook};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex, PoisonError};

/// Flips a bit of a file right before it is read for the n-th time, so that what was read before and what is read after do not fit together. Code that
/// verifies a file, and then reads it again to use it, is caught by this.
///
/// It sees reads by `read` and its like, not those through a mapping, under the conditions of [`SystemCall`](super::SystemCall).
#[derive(Clone, Debug)]
pub struct FlipWhileRead {
    path: PathBuf,
    /// Before which read, from 1.
    reads: RangeInclusive<u64>,
}

/// Which bit, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlipWhileReadPlan {
    /// Before which read, from 1, counted from the injection on.
    pub read: u64,
    /// The byte, from 0.
    pub byte: u64,
    /// The bit in it, from 0 (the least significant) to 7.
    pub bit: u8,
}

impl FlipWhileRead {
    /// Flips any bit of the file at `path` before it is read for the second time.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            reads: 2..=2,
        }
    }

    /// Before the `n`-th read, from 1.
    #[must_use]
    pub fn before_read(self, n: u64) -> Self {
        Self {
            reads: n..=n,
            ..self
        }
    }

    /// Before one of the first `n` reads, which is drawn.
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
    fn apply(&self, plan: &FlipWhileReadPlan, scratch: &Path) -> Result<Undo, FaultError> {
        let flip = Flip {
            path: self.path.clone(),
            place: BitPlace {
                byte: plan.byte,
                bit: plan.bit,
            },
            scratch: scratch.to_owned(),
        };
        let state = Arc::new(Mutex::new(State::Before(flip)));
        let shared = Arc::clone(&state);
        let hook = CallHook::new(move || State::advance(&shared));
        let take_back = put_rule(
            CallKind::Read,
            &self.path,
            Some(plan.read),
            Action::RunBefore(hook),
        )?;
        Ok(Undo::new(move || {
            take_back();
            // Let go at once: what the undoing does to the file waits for the interceptor, which may be waiting for this.
            let state = std::mem::replace(
                &mut *state.lock().unwrap_or_else(PoisonError::into_inner),
                State::Over,
            );
            match state {
                State::Flipped(undo) => Ok(undo.run()),
                State::Failed(error) => Err(error),
                State::Before(_) | State::Over => Ok(UndoOutcome::NeverApplied {
                    error: "the file was not read so often".to_owned(),
                }),
            }
        }))
    }

    #[cfg(not(target_os = "linux"))]
    fn apply(&self, _plan: &FlipWhileReadPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Err(only_on_linux())
    }
}

#[cfg(target_os = "linux")]
struct Flip {
    path: PathBuf,
    place: BitPlace,
    scratch: PathBuf,
}

/// How far it has come.
#[cfg(target_os = "linux")]
enum State {
    Before(Flip),
    Flipped(Undo),
    Failed(FaultError),
    Over,
}

#[cfg(target_os = "linux")]
impl State {
    /// The read is about to happen.
    fn advance(state: &Mutex<Self>) {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Self::Before(flip) = &*state {
            *state = match flip.place.flip(&flip.path, &flip.scratch) {
                Ok(undo) => Self::Flipped(undo),
                Err(error) => Self::Failed(error),
            };
        }
    }
}
