//! Random bytes in the place of real ones: a bad block, a mixed-up buffer, another file's content.

use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Overwrites a stretch of a file with random bytes, in place; size and modification time stay.
#[derive(Clone, Debug)]
pub struct Garbage {
    path: PathBuf,
    stretch: Stretch,
}

#[derive(Clone, Copy, Debug)]
enum Stretch {
    Whole,
    Exactly { offset: u64, length: u64 },
    Somewhere { length: u64 },
}

/// Which bytes are overwritten, and the seed of what they are overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbagePlan {
    /// The first byte, from 0.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The seed of the random bytes.
    pub noise: u32,
}

impl Garbage {
    /// Overwrites the whole file at `path`.
    pub fn over(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            stretch: Stretch::Whole,
        }
    }

    /// Overwrites only `length` bytes from `offset` on.
    #[must_use]
    pub fn at(mut self, offset: u64, length: u64) -> Self {
        self.stretch = Stretch::Exactly { offset, length };
        self
    }

    /// Overwrites only `length` bytes, somewhere.
    #[must_use]
    pub fn somewhere(mut self, length: u64) -> Self {
        self.stretch = Stretch::Somewhere { length };
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
        let (offset, length) = match self.stretch {
            Stretch::Whole => (0, size),
            Stretch::Exactly { offset, length } => (offset, length),
            Stretch::Somewhere { length } if length <= size => {
                (rng.random_range(0..=size - length), length)
            }
            Stretch::Somewhere { length } => (0, length),
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

    fn apply(&self, plan: &GarbagePlan, scratch: &Path) -> Result<Undo, FaultError> {
        Splice::plan(&self.path, plan.offset, plan.length, |old| {
            let mut noise = noise(plan.noise, old.len());
            if noise == old {
                // One byte may come out as it was; then nothing would be damaged.
                noise[0] = !noise[0];
            }
            noise
        })?
        .silently()
        .apply(scratch)
    }
}

/// Random bytes that follow from their seed.
pub(super) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    ChaCha8Rng::seed_from_u64(seed.into()).fill_bytes(&mut noise);
    noise
}
