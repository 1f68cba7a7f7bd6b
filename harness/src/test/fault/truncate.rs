//! A fault that truncates a file, as an interrupted copy or a full disk does.

use super::in_place_edit::{InPlaceEdit, size};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Truncates a file in place.
#[derive(Clone, Debug)]
pub struct Truncate {
    path: PathBuf,
    kept: Option<u64>,
}

/// The plan of a [`Truncate`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TruncatePlan {
    /// The number of bytes that remain at the beginning of the file. The number is less than the
    /// file's size.
    pub kept: u64,
}

impl Truncate {
    /// Truncates the file at `path` to a drawn length, which is less than the file's size. Each
    /// length has the same probability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kept: None,
        }
    }

    /// Truncates the file to exactly this number of bytes, which must be less than the file's size.
    #[must_use]
    pub fn to(mut self, bytes: u64) -> Self {
        self.kept = Some(bytes);
        self
    }
}

impl Fault for Truncate {
    type Plan = TruncatePlan;
    const KIND: &'static str = "truncate";

    fn describe(plan: &TruncatePlan, target: &str) -> String {
        format!("{target} cut after {} bytes", plan.kept)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<TruncatePlan, FaultError> {
        let size = size(&self.path)?;
        let kept = match self.kept {
            Some(kept) if kept < size => kept,
            Some(kept) => {
                return Err(FaultError::unfit(
                    format!("more than {kept} bytes"),
                    format!("a file of {size} bytes"),
                ));
            }
            None if size > 0 => rng.random_range(0..size),
            None => return Err(FaultError::unfit("bytes to cut", "an empty file")),
        };
        Ok(TruncatePlan { kept })
    }

    fn apply(&self, plan: &TruncatePlan, injection: &Injection) -> Result<Undo, FaultError> {
        let lost = size(&self.path)?.saturating_sub(plan.kept);
        InPlaceEdit::plan(&self.path, plan.kept, lost, |_| Vec::new())?.apply(injection)?;
        Ok(Undo::steps())
    }
}
