//! Tolerances for the comparison of answers.

use serde::{Deserialize, Serialize};

use crate::tensor::{DataType, Tensor};

/// The tolerance for the comparison of an answer with the known answer. A floating-point number may
/// differ from the expected number by at most `absolute + relative * |expected|`. Infinite numbers,
/// integers, booleans and byte strings must be equal, and NaN is expected exactly where NaN was
/// recorded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tolerance {
    /// The relative part: a fraction of the magnitude of the expected value. Finite and not
    /// negative.
    pub relative: f32,
    /// The absolute part, which does not depend on the expected value. Finite and not negative.
    pub absolute: f32,
}

impl Default for Tolerance {
    /// The tolerance of FP32. Its values are those of ONNX's own backend tests:
    /// <https://github.com/onnx/onnx/blob/main/onnx/backend/test/loader/__init__.py>.
    fn default() -> Self {
        Self::of(DataType::Fp32)
    }
}

impl Tolerance {
    /// The tolerance of outputs of this datatype, unless the probe contains one. Relative and
    /// absolute: 0.002 and 0.001 for FP16, 0.0000001 and 0.000000000001 for FP64, 0.001 and
    /// 0.0000001 for FP32. Has no meaning for other datatypes, whose elements must be equal.
    // The tolerances are not zero, because processors add numbers in different orders and round
    // differently. The absolute part is for sums near 0 of numbers near 1.
    pub const fn of(datatype: DataType) -> Self {
        let (relative, absolute) = match datatype {
            DataType::Fp16 => (2e-3, 1e-3),
            DataType::Fp64 => (1e-7, 1e-12),
            _ => (1e-3, 1e-7),
        };
        Self { relative, absolute }
    }

    pub(super) fn admits(self, expected: f32, found: f32) -> bool {
        if expected.is_finite() && found.is_finite() {
            return (expected - found).abs() <= self.absolute + self.relative * expected.abs();
        }
        expected == found || (expected.is_nan() && found.is_nan())
    }

    pub(super) fn admits_double(self, expected: f64, found: f64) -> bool {
        if expected.is_finite() && found.is_finite() {
            let [relative, absolute] = [self.relative, self.absolute].map(f64::from);
            return (expected - found).abs() <= absolute + relative * expected.abs();
        }
        expected == found || (expected.is_nan() && found.is_nan())
    }

    /// The tolerance of outputs whose floating-point numbers all have the same datatype; `None` if
    /// they have different ones.
    pub(super) fn of_all<'a>(outputs: impl Iterator<Item = &'a Tensor>) -> Option<Self> {
        let mut floating = outputs
            .map(Tensor::datatype)
            .filter(|datatype| datatype.is_floating_point());
        let first = floating.next().unwrap_or(DataType::Fp32);
        floating
            .all(|datatype| datatype == first)
            .then(|| Self::of(first))
    }
}
