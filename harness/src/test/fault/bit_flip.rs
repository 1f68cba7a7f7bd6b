//! A fault that flips one bit of a file, as rotting disks, bad memory and cosmic rays do.

use super::in_place_edit::{InPlaceEdit, size};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Flips one bit of a file in place, and keeps the file's size and modification time.
///
/// ```
/// # use clarity_chaos::fault::BitFlip;
/// let anywhere = BitFlip::new("model.onnx");
/// let exactly_here = BitFlip::new("model.onnx").at(118, 3);
/// ```
#[derive(Clone, Debug)]
pub struct BitFlip {
    path: PathBuf,
    place: Option<BitFlipPlan>,
}

/// The plan of a [`BitFlip`]: the flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BitFlipPlan {
    /// The offset of the byte in the file, from 0.
    pub byte: u64,
    /// The bit in the byte, from 0 (the least significant) to 7.
    pub bit: u8,
}

impl BitFlip {
    /// Flips one bit of the file at `path`. Each bit is drawn with the same probability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            place: None,
        }
    }

    /// Flips exactly this bit. `byte` is the byte's offset, from 0. `bit` is from 0 (the least
    /// significant) to 7.
    ///
    /// # Panics
    ///
    /// When `bit` is above 7.
    #[must_use]
    pub fn at(mut self, byte: u64, bit: u8) -> Self {
        assert!(bit < 8, "a byte has the bits 0 to 7, not {bit}");
        self.place = Some(BitFlipPlan { byte, bit });
        self
    }
}

impl Fault for BitFlip {
    type Plan = BitFlipPlan;
    const KIND: &'static str = "bit_flip";

    fn describe(plan: &BitFlipPlan, target: &str) -> String {
        let BitFlipPlan { byte, bit } = plan;
        format!("bit {bit} of byte {byte} of {target} flipped")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<BitFlipPlan, FaultError> {
        if let Some(place) = self.place {
            return Ok(place);
        }
        match size(&self.path)? {
            0 => Err(FaultError::unfit("a bit to flip", "an empty file")),
            size => Ok(BitFlipPlan {
                byte: rng.random_range(0..size),
                bit: rng.random_range(0..8),
            }),
        }
    }

    fn apply(&self, plan: &BitFlipPlan, injection: &Injection) -> Result<Undo, FaultError> {
        flip(&self.path, plan.byte, plan.bit, injection)?;
        Ok(Undo::steps())
    }
}

/// Flips this bit of a file in place, and keeps the file's modification time.
pub(super) fn flip(
    path: &Path,
    byte: u64,
    bit: u8,
    injection: &Injection,
) -> Result<(), FaultError> {
    let flipped = |old: &[u8]| old.iter().map(|byte| byte ^ (1 << bit)).collect();
    InPlaceEdit::plan(path, byte, 1, flipped)?
        .silently()
        .apply(injection)
}
