//! A fault that overwrites bytes of a file with random bytes, as a bad block or a mixed-up buffer
//! does.

use super::in_place_edit::{InPlaceEdit, size};
use super::{Fault, FaultError, Injection, Undo};
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Overwrites a range of a file with random bytes, in place. Keeps the file's size and modification
/// time.
#[derive(Clone, Debug)]
pub struct Garbage {
    path: PathBuf,
    range: GarbageRange,
}

#[derive(Clone, Copy, Debug)]
enum GarbageRange {
    Whole,
    Exactly { offset: u64, length: u64 },
    Somewhere { length: u64 },
}

/// The plan of a [`Garbage`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GarbagePlan {
    /// The offset of the first overwritten byte, from 0.
    pub offset: u64,
    /// The number of overwritten bytes, at least 1.
    pub length: u64,
    /// The seed of the random bytes.
    pub noise: u32,
}

impl Garbage {
    /// Overwrites the whole file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            range: GarbageRange::Whole,
        }
    }

    /// Overwrites only `length` bytes from `offset` on.
    #[must_use]
    pub fn at(mut self, offset: u64, length: u64) -> Self {
        self.range = GarbageRange::Exactly { offset, length };
        self
    }

    /// Overwrites only `length` bytes, at a drawn offset. Each offset has the same probability.
    #[must_use]
    pub fn somewhere(mut self, length: u64) -> Self {
        self.range = GarbageRange::Somewhere { length };
        self
    }
}

impl Fault for Garbage {
    type Plan = GarbagePlan;
    const KIND: &'static str = "garbage";

    fn describe(plan: &GarbagePlan, target: &str) -> String {
        let GarbagePlan { offset, length, .. } = plan;
        format!("{length} bytes of {target} from byte {offset} on overwritten with garbage")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<GarbagePlan, FaultError> {
        let size = size(&self.path)?;
        let (offset, length) = match self.range {
            GarbageRange::Whole => (0, size),
            GarbageRange::Exactly { offset, length } => (offset, length),
            GarbageRange::Somewhere { length } if length <= size => {
                (rng.random_range(0..=size - length), length)
            }
            GarbageRange::Somewhere { length } => (0, length),
        };
        if length == 0 {
            return Err(FaultError::unfit("bytes to overwrite", "none"));
        }
        Ok(GarbagePlan {
            offset,
            length,
            noise: rng.random(),
        })
    }

    fn apply(&self, plan: &GarbagePlan, injection: &Injection) -> Result<Undo, FaultError> {
        InPlaceEdit::plan(&self.path, plan.offset, plan.length, |old| {
            let mut noise = noise(plan.noise, old.len());
            if noise == old {
                // The random bytes can be equal to the old bytes. The fault would then damage
                // nothing.
                noise[0] = !noise[0];
            }
            noise
        })?
        .silently()
        .apply(injection)?;
        Ok(Undo::steps())
    }
}

/// Returns `length` random bytes, determined by `seed`.
pub(super) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    ChaCha8Rng::seed_from_u64(seed.into()).fill_bytes(&mut noise);
    noise
}
