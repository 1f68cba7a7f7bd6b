//! Floating-point numbers of 16 bits.

use std::fmt;

/// An IEEE 754 number of 16 bits (`binary16`).
///
/// It is for transport: compute with [`f32`], which represents every such number exactly. Two
/// numbers are equal if they are equal as [`f32`], so NaN differs from itself.
///
/// ```
/// use clarity::Fp16;
///
/// assert_eq!(Fp16::from_f32(1.5).to_bits(), 0x3e00);
/// assert_eq!(Fp16::from_bits(0x7bff).to_f32(), 65504.0);
/// ```
// Rust has no stable `f16`. The crate `half` would add packages to every build of the server, which
// needs two conversions.
#[derive(Clone, Copy, Default)]
pub struct Fp16(u16);

/// The number of values between neighbouring powers of two is `2^10`, and in `f32` it is `2^23`.
const EXTRA_BITS: u32 = 23 - 10;
/// The difference between the exponent biases: 127 and 15.
const BIAS: u32 = 127 - 15;
const SIGN: u16 = 0x8000;
const INFINITY: u16 = 0x7c00;
const MANTISSA: u16 = 0x03ff;
/// The bit that makes a NaN quiet.
const QUIET: u16 = 0x0200;
/// The smallest normal number, `2^-14`, as bits of an `f32`.
const SMALLEST_NORMAL: u32 = (BIAS + 1) << 23;
/// The smallest positive number is `2^-24`.
const SUBNORMAL_SCALE: f32 = 16_777_216.0;

impl Fp16 {
    /// The number with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits of the number.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// The number nearest to `value`; of two, the one whose last bit is 0. The result is infinite
    /// from 65520 on, which is halfway beyond the greatest number. NaN stays NaN.
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let sign = (bits >> 16) as u16 & SIGN;
        let magnitude = bits & 0x7fff_ffff;
        if value.is_nan() {
            let payload = (magnitude >> EXTRA_BITS) as u16 & MANTISSA;
            return Self(sign | INFINITY | QUIET | payload);
        }
        if magnitude < SMALLEST_NORMAL {
            let steps = (value.abs() * SUBNORMAL_SCALE).round_ties_even();
            return Self(sign | steps as u16);
        }
        // Adds half of the last place, less the smallest amount if the last bit is 0.
        let is_odd = magnitude >> EXTRA_BITS & 1;
        let rounded = (magnitude + (1 << (EXTRA_BITS - 1)) - 1 + is_odd) >> EXTRA_BITS;
        let narrow = (rounded - (BIAS << 10)).min(INFINITY.into());
        Self(sign | narrow as u16)
    }

    /// The same number with 32 bits. Exact; a NaN keeps its sign and the bits of its mantissa.
    pub fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & SIGN) << 16;
        let magnitude = u32::from(self.0 & !SIGN);
        let wide = if magnitude <= MANTISSA.into() {
            (f32::from(self.0 & MANTISSA) / SUBNORMAL_SCALE).to_bits()
        } else if magnitude < INFINITY.into() {
            (magnitude << EXTRA_BITS) + (BIAS << 23)
        } else {
            (magnitude << EXTRA_BITS) | 0x7f80_0000
        };
        f32::from_bits(sign | wide)
    }

    /// Whether the number is neither infinite nor NaN.
    pub const fn is_finite(self) -> bool {
        self.0 & INFINITY != INFINITY
    }
}

impl From<Fp16> for f32 {
    fn from(value: Fp16) -> Self {
        value.to_f32()
    }
}

impl PartialEq for Fp16 {
    fn eq(&self, other: &Self) -> bool {
        self.to_f32() == other.to_f32()
    }
}

impl fmt::Debug for Fp16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_f32(), f)
    }
}

impl fmt::Display for Fp16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_f32(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value by the definition of the format, computed with 64 bits.
    fn by_definition(bits: u16) -> f64 {
        let sign = if bits & SIGN == 0 { 1.0 } else { -1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & MANTISSA));
        sign * match exponent {
            0 => fraction * 2_f64.powi(-24),
            _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
        }
    }

    fn finite() -> impl Iterator<Item = Fp16> {
        (0..=u16::MAX).map(Fp16).filter(|number| number.is_finite())
    }

    #[test]
    fn every_number_becomes_the_same_f32_and_back() {
        assert_eq!(finite().count(), 2 * 0x7c00);
        for number in finite() {
            let wide = number.to_f32();
            assert_eq!(f64::from(wide), by_definition(number.0), "{:#x}", number.0);
            assert_eq!(Fp16::from_f32(wide).0, number.0);
        }
        for (bits, wide) in [(0x7c00, f32::INFINITY), (0xfc00, f32::NEG_INFINITY)] {
            assert_eq!(Fp16(bits).to_f32(), wide);
            assert_eq!(Fp16::from_f32(wide).0, bits);
        }
        for bits in (0x7c01..=0x7fff).chain(0xfc01..=0xffff) {
            assert!(Fp16(bits).to_f32().is_nan() && Fp16(bits) != Fp16(bits));
            assert_eq!(Fp16::from_f32(Fp16(bits).to_f32()).0, bits | QUIET);
        }
    }

    #[test]
    fn from_f32_rounds_to_the_nearest_and_ties_to_even() {
        for number in finite().filter(|number| number.0 & SIGN == 0) {
            let next = Fp16(number.0 + 1);
            let end = match next.is_finite() {
                true => f64::from(next.to_f32()),
                false => 65536.0,
            };
            // The middle has one bit more than the two numbers, so an `f32` holds it exactly.
            let middle = f64::midpoint(number.to_f32().into(), end) as f32;
            let even = if number.0 & 1 == 0 { number } else { next };
            for sign in [1.0, -1.0] {
                let found = |value: f32| Fp16::from_f32(sign * value).0 & !SIGN;
                assert_eq!(found(middle), even.0, "{middle}");
                assert_eq!(found(middle.next_down()), number.0, "below {middle}");
                assert_eq!(found(middle.next_up()), next.0, "above {middle}");
            }
        }
        for large in [65520.0, 65536.0, 1e38, f32::MAX] {
            assert_eq!(Fp16::from_f32(large).0, INFINITY);
            assert_eq!(Fp16::from_f32(-large).0, SIGN | INFINITY);
        }
        assert_eq!(Fp16::from_f32(f32::from_bits(1)).0, 0);
        assert_eq!(Fp16::from_f32(-0.0).0, SIGN);
    }
}
