//! A file that is longer than it should be: two writers, a log that went to the wrong place, a copy that was appended.

use super::garbage::noise;
use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The most that is appended when nobody says how much, in bytes: a page.
const MOST: u64 = 4096;

/// Appends random bytes to a file.
#[derive(Clone, Debug)]
pub struct Extend {
    path: PathBuf,
    length: Option<u64>,
}

/// What is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendPlan {
    /// How many bytes.
    pub length: u64,
    /// The seed of the random bytes.
    pub noise: u32,
}

impl Extend {
    /// Appends 1 to 4096 bytes to the file at `path`, each number with the same probability.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            length: None,
        }
    }

    /// Appends exactly so many bytes.
    #[must_use]
    pub fn by(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }
}

impl Fault for Extend {
    type Plan = ExtendPlan;
    const KIND: &'static str = "extend";

    fn describe(plan: &ExtendPlan, target: &str) -> String {
        format!("{} bytes of garbage appended to {target}", plan.length)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<ExtendPlan, FaultError> {
        size(&self.path)?;
        let length = match self.length {
            Some(0) => return Err(FaultError::unfit("bytes to append", "none")),
            Some(length) => length,
            None => rng.random_range(1..=MOST),
        };
        Ok(ExtendPlan {
            length,
            noise: rng.random(),
        })
    }

    fn apply(&self, plan: &ExtendPlan, scratch: &Path) -> Result<Undo, FaultError> {
        let length = usize::try_from(plan.length).map_err(|_| {
            FaultError::unfit("bytes that memory can hold", plan.length.to_string())
        })?;
        let end = size(&self.path)?;
        Splice::plan(&self.path, end, 0, |_| noise(plan.noise, length))?.apply(scratch)
    }
}
