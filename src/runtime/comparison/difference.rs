//! The first difference between two answers.

use crate::sanitize::sanitize_for_log;
use crate::tensor::{DataType, Fp16, Tensor, TensorData};

/// The first difference between two tensors, or between two lists of tensors.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    /// The index of the value; `None` if the datatypes or shapes differ.
    pub(super) position: Option<usize>,
    pub(super) first: String,
    pub(super) second: String,
}

/// The tolerance for numbers of a datatype: two numbers may differ by `absolute + relative * max`,
/// where `max` is the greater magnitude of the two.
#[derive(Clone, Copy, Debug)]
struct Margin {
    relative: f64,
    absolute: f64,
}

impl Margin {
    /// The tolerance for a datatype. Zero for integers, booleans and byte strings.
    // Each runtime adds numbers in an order of its own, so the last digits differ.
    fn of(datatype: DataType) -> Self {
        match datatype {
            DataType::Fp16 => Self {
                relative: 2e-3,
                absolute: 1e-3,
            },
            DataType::Fp32 => Self {
                relative: 1e-3,
                absolute: 1e-4,
            },
            DataType::Fp64 => Self {
                relative: 1e-7,
                absolute: 1e-12,
            },
            _ => Self {
                relative: 0.0,
                absolute: 0.0,
            },
        }
    }

    /// Whether two numbers are equal within the tolerance. NaN is equal to NaN, and infinity only
    /// to itself.
    fn admits(self, first: f64, second: f64) -> bool {
        if first == second || (first.is_nan() && second.is_nan()) {
            return true;
        }
        let most = self.absolute + self.relative * first.abs().max(second.abs());
        first.is_finite() && second.is_finite() && (first - second).abs() <= most
    }
}

/// The first difference between two tensors. `None` if they have the same datatype and shape, and
/// values that are equal within the tolerance of the datatype.
pub(super) fn difference(first: &Tensor, second: &Tensor) -> Option<Difference> {
    let form = |tensor: &Tensor| format!("{} {:?}", tensor.datatype(), tensor.shape());
    let [form_of_first, form_of_second] = [first, second].map(form);
    let unequal_forms = Difference {
        position: None,
        first: form_of_first,
        second: form_of_second,
    };
    if unequal_forms.first != unequal_forms.second {
        return Some(unequal_forms);
    }
    let margin = Margin::of(first.datatype());
    let at = |position: usize, first: String, second: String| Difference {
        position: Some(position),
        first,
        second,
    };
    macro_rules! first_unequal {
        ($same:expr; $($variant:ident)*) => {
            match (first.data(), second.data()) {
                $((TensorData::$variant(first), TensorData::$variant(second)) => {
                    let mut pairs = first.iter().zip(second.iter());
                    let position = pairs.position(|(first, second)| !$same(first, second))?;
                    let [first, second] = [&first[position], &second[position]];
                    return Some(at(position, first.to_string(), second.to_string()));
                })*
                _ => {}
            }
        };
    }
    fn equal<T: PartialEq>(first: &T, second: &T) -> bool {
        first == second
    }
    first_unequal!(equal; Bool Uint8 Uint16 Uint32 Uint64 Int8 Int16 Int32 Int64);
    first_unequal!(|&first: &f32, &second: &f32| margin.admits(first.into(), second.into()); Fp32);
    first_unequal!(|&first: &f64, &second: &f64| margin.admits(first, second); Fp64);
    let wide = |number: Fp16| f64::from(number.to_f32());
    first_unequal!(|&first: &Fp16, &second: &Fp16| margin.admits(wide(first), wide(second)); Fp16);
    match (first.data(), second.data()) {
        (TensorData::Bytes(first), TensorData::Bytes(second)) => {
            let mut pairs = first.iter().zip(second.iter());
            let position = pairs.position(|(first, second)| first != second)?;
            let [first, second] = [first, second].map(|strings| quote(strings.get(position)));
            Some(at(position, first, second))
        }
        // Unreachable: the datatypes are equal.
        _ => Some(unequal_forms),
    }
}

/// An element of BYTES, for a message.
fn quote(element: Option<&[u8]>) -> String {
    let text = String::from_utf8_lossy(element.unwrap_or_default());
    sanitize_for_log(format_args!("{text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fp32(values: &[f32]) -> Tensor {
        Tensor::new(vec![values.len()], TensorData::Fp32(values.to_vec())).unwrap()
    }

    #[test]
    fn fp32_numbers_differ_beyond_the_tolerance() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        for (first, second) in [
            (1.0, 1.0009),
            (1000.0, 1000.9),
            (0.0, 0.000_09),
            (0.0, -0.0),
            (nan, -nan),
            (infinity, infinity),
            (f32::MAX, f32::MAX),
        ] {
            assert_eq!(difference(&fp32(&[first]), &fp32(&[second])), None);
            assert_eq!(difference(&fp32(&[second]), &fp32(&[first])), None);
        }
        for (first, second) in [
            (1.0, 1.002),
            (0.0, 0.000_2),
            (1.0, nan),
            (infinity, f32::MAX),
            (infinity, -infinity),
            (nan, infinity),
        ] {
            for pair in [[first, second], [second, first]] {
                let [one, other] = pair.map(|last| fp32(&[5.0, last]));
                let found = difference(&one, &other).unwrap();
                assert_eq!(found.position, Some(1), "{pair:?}");
                assert_eq!(
                    [found.first, found.second],
                    pair.map(|value| value.to_string())
                );
            }
        }
    }

    #[test]
    fn other_floating_point_numbers_have_their_own_tolerances() {
        let fp64 = |value| TensorData::Fp64(vec![value]);
        let fp16 = |value| TensorData::Fp16(vec![Fp16::from_f32(value)]);
        let differ = |data: [TensorData; 2]| {
            let [first, second] = data.map(|data| Tensor::new(vec![1], data).unwrap());
            difference(&first, &second).is_some()
        };
        assert!(!differ([1.0, 1.000_000_05].map(fp64)));
        assert!(differ([1.0, 1.000_000_2].map(fp64)));
        assert!(!differ([f64::NAN, f64::NAN].map(fp64)));
        assert!(!differ([1.0, 1.002].map(fp16)));
        assert!(differ([1.0, 1.01].map(fp16)));
    }

    #[test]
    fn integers_and_booleans_are_compared_exactly() {
        let large = i64::MAX;
        for (first, second) in [
            (
                TensorData::Int64(vec![large]),
                TensorData::Int64(vec![large - 1]),
            ),
            (TensorData::Int32(vec![1]), TensorData::Int32(vec![2])),
            (TensorData::Int8(vec![1]), TensorData::Int8(vec![-1])),
            (TensorData::Uint8(vec![255]), TensorData::Uint8(vec![0])),
            (TensorData::Bool(vec![true]), TensorData::Bool(vec![false])),
            (
                TensorData::Bytes(["one"].into_iter().collect()),
                TensorData::Bytes(["two"].into_iter().collect()),
            ),
        ] {
            let [first, second] = [first, second].map(|data| Tensor::new(vec![1], data).unwrap());
            assert_eq!(difference(&first, &second).unwrap().position, Some(0));
            assert_eq!(difference(&first, &first), None);
        }
    }

    #[test]
    fn datatypes_and_shapes_differ_without_a_position() {
        let number = fp32(&[1.0]);
        let others = [
            (vec![1, 1], TensorData::Fp32(vec![1.0])),
            (vec![0], TensorData::Fp32(vec![])),
            (vec![1], TensorData::Int32(vec![1])),
        ];
        for (shape, data) in others {
            let other = Tensor::new(shape, data).unwrap();
            let found = difference(&number, &other).unwrap();
            assert_eq!((found.position, &*found.first), (None, "FP32 [1]"));
        }
    }
}
