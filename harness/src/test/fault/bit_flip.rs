//! One flipped bit: what rotting disks, bad memory and cosmic rays do.

use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Flips one bit of a file in place, keeping its size and modification time.
///
/// ```
/// # use clarity_chaos::fault::BitFlip;
/// let anywhere = BitFlip::in_file("model.onnx");
/// let exactly_here = BitFlip::in_file("model.onnx").at(118, 3);
/// ```
#[derive(Clone, Debug)]
pub struct BitFlip {
    path: PathBuf,
    place: Option<BitPlace>,
}

/// Which bit is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BitPlace {
    /// The byte, from 0.
    pub byte: u64,
    /// The bit in it, from 0 (the least significant) to 7.
    pub bit: u8,
}

impl BitFlip {
    /// Flips any one bit of the file at `path`, each with the same probability.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            place: None,
        }
    }

    /// Flips exactly this one: `byte` counts from 0, `bit` from 0 (the least significant) to 7.
    ///
    /// # Panics
    ///
    /// When `bit` is above 7.
    #[must_use]
    pub fn at(mut self, byte: u64, bit: u8) -> Self {
        assert!(bit < 8, "a byte has the bits 0 to 7, not {bit}");
        self.place = Some(BitPlace { byte, bit });
        self
    }
}

impl Fault for BitFlip {
    type Plan = BitPlace;
    const KIND: &'static str = "bit_flip";

    fn describe(place: &BitPlace, target: &str) -> String {
        let BitPlace { byte, bit } = place;
        format!("bit {bit} of byte {byte} of {target} flipped")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<BitPlace, FaultError> {
        if let Some(place) = self.place {
            return Ok(place);
        }
        match size(&self.path)? {
            0 => Err(FaultError::unfit("a bit to flip", "an empty file")),
            size => Ok(BitPlace {
                byte: rng.random_range(0..size),
                bit: rng.random_range(0..8),
            }),
        }
    }

    fn apply(&self, place: &BitPlace, scratch: &Path) -> Result<Undo, FaultError> {
        place.flip(&self.path, scratch)
    }
}

impl BitPlace {
    /// Flips the bit that stands here.
    pub(super) fn flip(self, path: &Path, scratch: &Path) -> Result<Undo, FaultError> {
        Splice::of_byte(path, self.byte, |byte| byte ^ (1 << self.bit))?
            .silently()
            .apply(scratch)
    }
}
