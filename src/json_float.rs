//! Floating-point numbers in JSON, which has no numbers for infinity and NaN.
//!
//! These values are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, as in the JSON form of
//! Protocol Buffers: <https://protobuf.dev/programming-guides/json/>.
// `float()` of Python and `Number()` of JavaScript read these strings. A literal `NaN` is not JSON,
// and `null` could mean any of the three.

use serde::{Serialize, Serializer};

const NAN: &str = "NaN";
const INFINITY: &str = "Infinity";
const NEGATIVE_INFINITY: &str = "-Infinity";

/// A number that serializes as a JSON number if it is finite, and as a string otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonFloat<T>(pub(crate) T);

impl Serialize for JsonFloat<f32> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.is_finite() {
            return serializer.serialize_f32(value);
        }
        serializer.serialize_str(nonfinite_name(value))
    }
}

impl Serialize for JsonFloat<f64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.is_finite() {
            return serializer.serialize_f64(value);
        }
        // Infinity and NaN are the same in 32 bits.
        serializer.serialize_str(nonfinite_name(value as f32))
    }
}

fn nonfinite_name(value: f32) -> &'static str {
    match value {
        f32::INFINITY => INFINITY,
        f32::NEG_INFINITY => NEGATIVE_INFINITY,
        _ => NAN,
    }
}

/// Parses the string of a value that is not finite. `None` for every other text.
pub(crate) fn parse_nonfinite(text: &str) -> Option<f32> {
    match text {
        NAN => Some(f32::NAN),
        INFINITY => Some(f32::INFINITY),
        NEGATIVE_INFINITY => Some(f32::NEG_INFINITY),
        _ => None,
    }
}

/// Finds a literal for a value that is not finite at the start of `json`. Such a literal is invalid
/// JSON, but Python's `json` writes it.
pub(crate) fn nonfinite_literal(json: &[u8]) -> Option<&'static str> {
    [NAN, INFINITY, NEGATIVE_INFINITY]
        .into_iter()
        .find(|literal| json.starts_with(literal.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonfinite_round_trip_through_json_is_equal() {
        let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1.5e-45];
        let json = serde_json::to_string(&values.map(JsonFloat)).unwrap();
        assert_eq!(json, r#"["NaN","Infinity","-Infinity",-0.0,1e-45]"#);
        for value in &values[..3] {
            let text = serde_json::to_value(JsonFloat(*value)).unwrap();
            let read = parse_nonfinite(text.as_str().unwrap()).unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn double_is_written_exactly_or_as_a_string() {
        let values = [f64::NAN, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 0.1];
        let json = serde_json::to_string(&values.map(JsonFloat)).unwrap();
        assert_eq!(
            json,
            r#"["NaN","-Infinity",-0.0,5e-324,1.7976931348623157e+308,0.1]"#
        );
    }

    #[test]
    fn parse_of_other_spellings_gives_none() {
        for text in [
            "nan",
            "inf",
            "+Infinity",
            "-NaN",
            " NaN",
            "infinity",
            "1",
            "",
        ] {
            assert_eq!(parse_nonfinite(text).map(f32::to_bits), None, "{text}");
        }
    }
}
