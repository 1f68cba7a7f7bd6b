//! The elements that JSON values become.

use crate::ByteStrings;
use crate::json_float::parse_nonfinite;

/// An upper bound on the number of elements in a JSON text of `length` bytes. Each element takes at
/// least two characters: a digit, and a comma or bracket.
pub(super) fn most_elements(length: usize) -> usize {
    length / 2 + 1
}

/// An upper bound on the number of strings in a JSON text of `length` bytes. Each string takes at
/// least three characters: two quotation marks, and a comma or bracket.
pub(super) fn most_texts(length: usize) -> usize {
    length / 3 + 1
}

/// A list of elements, to which the parser appends.
pub(super) trait ElementList {
    type Element: Element;

    /// An empty list with memory for `count` elements, but at most for those that fit into a JSON
    /// text of `length` bytes.
    fn with_capacity(count: usize, length: usize) -> Self;

    fn len(&self) -> usize;

    fn push(&mut self, element: Self::Element);
}

impl<T: Element> ElementList for Vec<T> {
    type Element = T;

    fn with_capacity(count: usize, length: usize) -> Self {
        Self::with_capacity(count.min(most_elements(length)))
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn push(&mut self, element: T) {
        self.push(element);
    }
}

impl ElementList for ByteStrings {
    type Element = String;

    fn with_capacity(count: usize, length: usize) -> Self {
        Self::with_capacity(count.min(most_texts(length)), length)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn push(&mut self, element: String) {
        self.push(element.as_bytes());
    }
}

/// Converts a JSON value to an element exactly, or refuses the value. Only a conversion to a
/// floating-point number rounds: it gives the nearest one.
pub(super) trait Element: Sized {
    const EXPECTED: &'static str;

    /// Whether [`from_f64`](Self::from_f64) needs the number that is nearest to the digits.
    // The JSON parser is faster and rounds to one of the two nearest numbers. That suffices for
    // FP32, but not for FP64.
    const READS_DIGITS: bool = false;

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_i64(_: i64) -> Option<Self> {
        None
    }

    fn from_u64(value: u64) -> Option<Self> {
        let signed = i64::try_from(value).ok().and_then(Self::from_i64);
        signed.or_else(|| Self::from_f64(value as f64))
    }

    fn from_f64(_: f64) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }
}

impl Element for bool {
    const EXPECTED: &'static str = "true, false, 1 or 0";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    fn from_i64(value: i64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($integer:ty: $expected:literal,)*) => {$(
        impl Element for $integer {
            const EXPECTED: &'static str = $expected;

            fn from_i64(value: i64) -> Option<Self> {
                value.try_into().ok()
            }
        }
    )*};
}

integers! {
    u8: "an integer from 0 to 255",
    u16: "an integer from 0 to 65535",
    u32: "an integer from 0 to 4294967295",
    i8: "an integer from -128 to 127",
    i16: "an integer from -32768 to 32767",
    i32: "a 32-bit integer",
}

impl Element for u64 {
    const EXPECTED: &'static str = "an integer from 0 to 18446744073709551615";

    fn from_i64(value: i64) -> Option<Self> {
        value.try_into().ok()
    }

    fn from_u64(value: u64) -> Option<Self> {
        Some(value)
    }
}

impl Element for i64 {
    const EXPECTED: &'static str = "a 64-bit integer";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Element for f32 {
    const EXPECTED: &'static str =
        "a number in the range of FP32, or \"NaN\", \"Infinity\" or \"-Infinity\"";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    /// Refuses values beyond the range of FP32, which would become infinite.
    fn from_f64(value: f64) -> Option<Self> {
        Some(value as Self).filter(|rounded| rounded.is_finite())
    }

    fn from_text(text: &str) -> Option<Self> {
        parse_nonfinite(text)
    }
}

impl Element for f64 {
    const EXPECTED: &'static str =
        "a number in the range of FP64, or \"NaN\", \"Infinity\" or \"-Infinity\"";
    const READS_DIGITS: bool = true;

    /// Refuses values beyond the range of FP64, which are infinite.
    fn from_f64(value: f64) -> Option<Self> {
        Some(value).filter(|value| value.is_finite())
    }

    fn from_text(text: &str) -> Option<Self> {
        parse_nonfinite(text).map(Self::from)
    }
}

impl Element for String {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}
