//! Zeros in the place of bytes: a write that never reached the disk, a block that was trimmed, a hole left by a crash.

use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The smallest piece of a file that a disk writes, in bytes.
pub(super) const SECTOR: u64 = 512;

/// Overwrites a stretch of a file with zeros, in place; size and modification time stay.
#[derive(Clone, Debug)]
pub struct Zeros {
    path: PathBuf,
    stretch: Option<Stretch>,
}

/// Which bytes are zero now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The first one, from 0.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

impl Zeros {
    /// Overwrites one sector of 512 bytes of the file at `path` (the last may be shorter), each of those that hold anything with the same probability.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            stretch: None,
        }
    }

    /// Overwrites `length` bytes from `offset` on.
    #[must_use]
    pub fn at(mut self, offset: u64, length: u64) -> Self {
        self.stretch = Some(Stretch { offset, length });
        self
    }
}

impl Fault for Zeros {
    type Plan = Stretch;
    const KIND: &'static str = "zeros";

    fn describe(plan: &Stretch, target: &str) -> String {
        let Stretch { offset, length } = plan;
        format!("{length} bytes of {target} from byte {offset} on overwritten with zeros")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Stretch, FaultError> {
        if let Some(stretch) = self.stretch {
            return Ok(stretch);
        }
        let sectors = sectors_with_content(&self.path)?;
        match sectors.len() {
            0 => Err(FaultError::unfit("a byte that is not zero", "none")),
            count => Ok(sectors[rng.random_range(0..count)]),
        }
    }

    fn apply(&self, plan: &Stretch, scratch: &Path) -> Result<Undo, FaultError> {
        let zeros = |old: &[u8]| vec![0; old.len()];
        let splice = Splice::plan(&self.path, plan.offset, plan.length, zeros)?;
        if splice.changes_nothing() {
            return Err(FaultError::unfit("a byte that is not zero", "none"));
        }
        splice.silently().apply(scratch)
    }
}

fn sectors_with_content(path: &Path) -> Result<Vec<Stretch>, FaultError> {
    let size = size(path)?;
    let file = File::open(path).map_err(FaultError::file("open", path))?;
    let mut file = BufReader::new(file);
    let mut sectors = Vec::new();
    for offset in (0..size).step_by(SECTOR as usize) {
        let mut sector = Vec::new();
        let read = file.by_ref().take(SECTOR).read_to_end(&mut sector);
        let length = read.map_err(FaultError::file("read", path))? as u64;
        if sector.iter().any(|byte| *byte != 0) {
            sectors.push(Stretch { offset, length });
        }
    }
    Ok(sectors)
}
