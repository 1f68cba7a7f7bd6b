//! A fault that makes a file too long. Real causes are two writers of one file, a misdirected log
//! or an appended copy.

use super::garbage::noise;
use super::in_place_edit::{InPlaceEdit, size};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The maximum of the drawn number of appended bytes: a page.
const MOST: u64 = 4096;

/// Appends random bytes to a file.
#[derive(Clone, Debug)]
pub struct Extend {
    path: PathBuf,
    length: Option<u64>,
}

/// The plan of an [`Extend`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtendPlan {
    /// The number of appended bytes, at least 1.
    pub length: u64,
    /// The seed of the random bytes.
    pub noise: u32,
}

impl Extend {
    /// Appends a drawn number of bytes, 1 to 4096, to the file at `path`. Each number has the same
    /// probability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            length: None,
        }
    }

    /// Appends exactly `bytes` bytes. `bytes` must be at least 1.
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

    fn apply(&self, plan: &ExtendPlan, injection: &Injection) -> Result<Undo, FaultError> {
        let length = usize::try_from(plan.length).map_err(|_| {
            FaultError::unfit("bytes that memory can hold", plan.length.to_string())
        })?;
        let end = size(&self.path)?;
        InPlaceEdit::plan(&self.path, end, 0, |_| noise(plan.noise, length))?.apply(injection)?;
        Ok(Undo::steps())
    }
}
