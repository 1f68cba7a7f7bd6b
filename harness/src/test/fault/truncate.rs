//! A file cut short: a copy that was interrupted, a disk that was full.

use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Cuts the end off a file, in place.
#[derive(Clone, Debug)]
pub struct Truncate {
    path: PathBuf,
    kept: Option<u64>,
}

/// How much is left of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// How many bytes, from the beginning.
    pub kept: u64,
}

impl Truncate {
    /// Cuts the file at `path` to any shorter length, each with the same probability, down to 0.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kept: None,
        }
    }

    /// Keeps exactly the first `bytes`.
    #[must_use]
    pub fn to(mut self, bytes: u64) -> Self {
        self.kept = Some(bytes);
        self
    }
}

impl Fault for Truncate {
    type Plan = Cut;
    const KIND: &'static str = "truncate";

    fn describe(cut: &Cut, target: &str) -> String {
        format!("{target} cut after {} bytes", cut.kept)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Cut, FaultError> {
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
        Ok(Cut { kept })
    }

    fn apply(&self, cut: &Cut, scratch: &Path) -> Result<Undo, FaultError> {
        let lost = size(&self.path)?.saturating_sub(cut.kept);
        Splice::plan(&self.path, cut.kept, lost, |_| Vec::new())?.apply(scratch)
    }
}
