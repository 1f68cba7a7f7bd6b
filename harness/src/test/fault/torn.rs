//! A torn write: only the write's first sectors have reached the disk.

use super::in_place_edit::{InPlaceEdit, size};
use super::limit::with_limits_lifted;
use super::zeros::SECTOR;
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

/// Overwrites the beginning of a file with the first 512-byte sectors of another file, in place. A
/// power loss in the middle of an overwrite leaves a file in this state.
#[derive(Clone, Debug)]
pub struct TornWrite {
    path: PathBuf,
    source: PathBuf,
}

/// The plan of a [`TornWrite`]: the part of the write that reached the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TornWritePlan {
    /// The file with the new content.
    pub source: PathBuf,
    /// The number of bytes written, from the beginning of `source`: a multiple of 512.
    pub written: u64,
}

impl TornWrite {
    /// Writes only the first sectors of the file at `source` over the file at `path`. Draws the
    /// number of sectors, such that the result is neither the old nor the new content.
    pub fn new(path: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
        }
    }
}

impl Fault for TornWrite {
    type Plan = TornWritePlan;
    const KIND: &'static str = "torn_write";

    fn describe(plan: &TornWritePlan, target: &str) -> String {
        let source = plan.source.file_name().unwrap_or(plan.source.as_os_str());
        format!(
            "the first {} bytes of {} written over {target}",
            plan.written,
            source.display()
        )
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<TornWritePlan, FaultError> {
        size(&self.path)?;
        size(&self.source)?;
        let read = |path: &Path| {
            with_limits_lifted(|| fs::read(path)).map_err(FaultError::file("read", path))
        };
        let (old, new) = (read(&self.path)?, read(&self.source)?);
        let candidates = ends(&old, &new);
        match candidates.len() {
            0 => Err(FaultError::unfit(
                "two files that differ on both sides of the end of a sector of 512 bytes",
                format!("files of {} and {} bytes", old.len(), new.len()),
            )),
            count => Ok(TornWritePlan {
                source: self.source.clone(),
                written: candidates[rng.random_range(0..count)],
            }),
        }
    }

    fn apply(&self, plan: &TornWritePlan, injection: &Injection) -> Result<Undo, FaultError> {
        let new = with_limits_lifted(|| fs::read(&plan.source));
        let mut new = new.map_err(FaultError::file("read", &plan.source))?;
        new.truncate(usize::try_from(plan.written).unwrap_or(usize::MAX));
        let overwritten = size(&self.path)?.min(new.len() as u64);
        InPlaceEdit::plan(&self.path, 0, overwritten, |_| new)?.apply(injection)?;
        Ok(Undo::steps())
    }
}

/// The possible lengths of a torn write, in bytes: multiples of the sector size. A torn write ends
/// at the *tear*. The old and the new content must differ both before and after the tear.
fn ends(old: &[u8], new: &[u8]) -> Vec<u64> {
    let common = old.len().min(new.len());
    let differs = |(a, b): (&u8, &u8)| a != b;
    // A tear before the first difference would leave the old content.
    let first = old.iter().zip(new).position(differs).unwrap_or(common);
    // A tear after the last difference would leave the new content. But if the old content is
    // longer than the new content, every tear leaves the end of the old content.
    let last = match old.len().cmp(&new.len()) {
        Ordering::Less => new.len() - 1,
        Ordering::Equal => old.iter().zip(new).rposition(differs).unwrap_or(0),
        Ordering::Greater => new.len(),
    };
    let (first, last) = (first as u64, last as u64);
    let sectors = first / SECTOR + 1..=last / SECTOR;
    sectors.map(|sectors| sectors * SECTOR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_write_ends_between_first_and_last_difference() {
        let zeros = |length: usize| vec![0_u8; length];
        let with = |length: usize, place: usize| {
            let mut bytes = zeros(length);
            bytes[place] = 1;
            bytes
        };
        assert!(ends(&zeros(2000), &zeros(2000)).is_empty());
        assert!(ends(&zeros(2000), &with(2000, 600)).is_empty());
        let mut twice = with(2000, 600);
        twice[1600] = 1;
        assert_eq!(ends(&zeros(2000), &twice), [1024, 1536]);
        assert_eq!(ends(&zeros(600), &zeros(1600)), [1024, 1536]);
        assert_eq!(ends(&zeros(600), &zeros(1024)), Vec::<u64>::new());
        assert_eq!(ends(&zeros(2000), &with(1024, 0)), [512, 1024]);
        assert!(ends(&[], &[]).is_empty());
    }
}
