//! A fault that overwrites bytes of a file with zeros, as a trimmed block or a lost write does.

use super::in_place_edit::{InPlaceEdit, size};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The smallest unit that a disk writes, in bytes.
pub(super) const SECTOR: u64 = 512;

/// Overwrites a range of a file with zeros, in place. Keeps the file's size and modification time.
#[derive(Clone, Debug)]
pub struct Zeros {
    path: PathBuf,
    range: Option<ZerosPlan>,
}

/// The plan of a [`Zeros`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ZerosPlan {
    /// The offset of the first overwritten byte, from 0.
    pub offset: u64,
    /// The number of overwritten bytes.
    pub length: u64,
}

impl Zeros {
    /// Overwrites one drawn 512-byte sector of the file at `path`. The file's last sector can be
    /// shorter. Draws only from sectors that contain a nonzero byte. Each such sector has the same
    /// probability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            range: None,
        }
    }

    /// Overwrites exactly `length` bytes, from `offset` on.
    #[must_use]
    pub fn at(mut self, offset: u64, length: u64) -> Self {
        self.range = Some(ZerosPlan { offset, length });
        self
    }
}

impl Fault for Zeros {
    type Plan = ZerosPlan;
    const KIND: &'static str = "zeros";

    fn describe(plan: &ZerosPlan, target: &str) -> String {
        let ZerosPlan { offset, length } = plan;
        format!("{length} bytes of {target} from byte {offset} on overwritten with zeros")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<ZerosPlan, FaultError> {
        if let Some(range) = self.range {
            return Ok(range);
        }
        let sectors = sectors_with_content(&self.path)?;
        match sectors.len() {
            0 => Err(FaultError::unfit("a byte that is not zero", "none")),
            count => Ok(sectors[rng.random_range(0..count)]),
        }
    }

    fn apply(&self, plan: &ZerosPlan, injection: &Injection) -> Result<Undo, FaultError> {
        let zeros = |old: &[u8]| vec![0; old.len()];
        let edit = InPlaceEdit::plan(&self.path, plan.offset, plan.length, zeros)?;
        if edit.changes_nothing() {
            return Err(FaultError::unfit("a byte that is not zero", "none"));
        }
        edit.silently().apply(injection)?;
        Ok(Undo::steps())
    }
}

fn sectors_with_content(path: &Path) -> Result<Vec<ZerosPlan>, FaultError> {
    let size = size(path)?;
    let file = File::open(path).map_err(FaultError::file("open", path))?;
    let mut file = BufReader::new(file);
    let mut sectors = Vec::new();
    for offset in (0..size).step_by(SECTOR as usize) {
        let mut sector = Vec::new();
        let read = file.by_ref().take(SECTOR).read_to_end(&mut sector);
        let length = read.map_err(FaultError::file("read", path))? as u64;
        if sector.iter().any(|byte| *byte != 0) {
            sectors.push(ZerosPlan { offset, length });
        }
    }
    Ok(sectors)
}
