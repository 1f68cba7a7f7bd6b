//! Inputs that are drawn from a model's declaration.

use std::collections::BTreeMap;

use crate::Digest;
use crate::tensor::{DataType, Dimension, Fp16, Tensor, TensorData, TensorSpec, element_count};

/// The maximum number of elements of a drawn input.
const MAX_ELEMENTS: usize = 1 << 20;

/// The least and the greatest integer of each draw. Small ones are valid indices, classes and masks
/// of most models.
const INTEGERS: [(i64, i64); 8] = [
    (0, 1),
    (0, 9),
    (1, 2),
    (-9, 9),
    (0, 1),
    (0, 99),
    (1, 1),
    (0, 3),
];

/// The least and the greatest number of each draw.
const NUMBERS: [(f64, f64); 8] = [
    (-1.0, 1.0),
    (0.0, 1.0),
    (-3.0, 3.0),
    (0.0, 10.0),
    (-1.0, 1.0),
    (-100.0, 100.0),
    (0.0, 255.0),
    (-0.1, 0.1),
];

/// The byte strings that are drawn.
const TEXTS: [&str; 6] = ["a", "1", "the second", "-2.5", "", "größer"];

/// Draws inputs from a model's declaration. The same seed gives the same inputs on each machine.
pub(super) struct InputSource<'a> {
    specs: &'a [TensorSpec],
    /// The known shapes of a valid input, by the position of the tensor.
    known: BTreeMap<usize, Vec<usize>>,
    seed: u64,
}

impl<'a> InputSource<'a> {
    /// The digest of the model is the seed.
    pub(super) fn new(specs: &'a [TensorSpec], digest: Digest) -> Self {
        let seed = digest.as_bytes().chunks(8).fold(0, |seed: u64, bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            seed.rotate_left(1) ^ u64::from_le_bytes(word)
        });
        Self {
            specs,
            known: BTreeMap::new(),
            seed,
        }
    }

    /// Uses the shapes of an input that the model answers, for each second draw.
    pub(super) fn with_shapes_of(mut self, input: &[Tensor]) -> Self {
        let shapes = input.iter().map(|tensor| tensor.shape().to_vec());
        self.known = shapes.enumerate().collect();
        self
    }

    /// Draws the input of a number, from 0 on. Each dynamic dimension gets the size `size`, except
    /// for the first dimension of each tensor, by convention the batch, which gets `batch`.
    /// Dimensions of the same name have the same size. Returns `None` if a tensor is too large.
    pub(super) fn draw(&self, number: usize, size: usize, batch: usize) -> Option<Vec<Tensor>> {
        let mut numbers = SplitMix64::new(self.seed, number);
        let mut named = BTreeMap::new();
        let uses_known = number.is_multiple_of(2);
        let mut tensors = Vec::with_capacity(self.specs.len());
        for (at, spec) in self.specs.iter().enumerate() {
            let known = self.known.get(&at).filter(|_| uses_known);
            let shape = match (known, &spec.shape) {
                (Some(known), _) => known.clone(),
                (None, None) => vec![size],
                (None, Some(shape)) => {
                    let sized = shape.iter().enumerate();
                    let sized = sized.map(|(place, dimension)| {
                        let drawn = if place == 0 { batch } else { size };
                        match dimension {
                            Dimension::Fixed(fixed) => *fixed,
                            Dimension::Dynamic(None) => drawn,
                            Dimension::Dynamic(Some(name)) => {
                                *named.entry(name.as_str()).or_insert(drawn)
                            }
                        }
                    });
                    sized.collect()
                }
            };
            let count = element_count(&shape).filter(|&count| count <= MAX_ELEMENTS)?;
            let data = draw_data(spec.datatype, count, number, &mut numbers);
            tensors.push(Tensor::new(shape, data)?);
        }
        Some(tensors)
    }
}

fn draw_data(
    datatype: DataType,
    count: usize,
    number: usize,
    numbers: &mut SplitMix64,
) -> TensorData {
    let (least, greatest) = INTEGERS[number % INTEGERS.len()];
    let unsigned = (least.max(0), greatest);
    // Numbers of 8 bits are mostly quantised ones, which use the whole range.
    let (of_int8, of_uint8) = match number % 2 {
        0 => ((least, greatest), unsigned),
        _ => ((-128, 127), (0, 255)),
    };
    let (low, high) = NUMBERS[number % NUMBERS.len()];
    macro_rules! draw {
        ($value:expr) => {
            (0..count).map(|_| $value).collect()
        };
    }
    match datatype {
        DataType::Bool => TensorData::Bool(draw!(numbers.integer((0, 1)) == 1)),
        DataType::Uint8 => TensorData::Uint8(draw!(numbers.integer(of_uint8) as u8)),
        DataType::Int8 => TensorData::Int8(draw!(numbers.integer(of_int8) as i8)),
        DataType::Uint16 => TensorData::Uint16(draw!(numbers.integer(unsigned) as u16)),
        DataType::Uint32 => TensorData::Uint32(draw!(numbers.integer(unsigned) as u32)),
        DataType::Uint64 => TensorData::Uint64(draw!(numbers.integer(unsigned) as u64)),
        DataType::Int16 => TensorData::Int16(draw!(numbers.integer((least, greatest)) as i16)),
        DataType::Int32 => TensorData::Int32(draw!(numbers.integer((least, greatest)) as i32)),
        DataType::Int64 => TensorData::Int64(draw!(numbers.integer((least, greatest)))),
        DataType::Fp16 => TensorData::Fp16(draw!(Fp16::from_f32(numbers.number(low, high) as f32))),
        DataType::Fp32 => TensorData::Fp32(draw!(numbers.number(low, high) as f32)),
        DataType::Fp64 => TensorData::Fp64(draw!(numbers.number(low, high))),
        DataType::Bytes => {
            let text = |number: i64| TEXTS[number as usize];
            let texts = (0..count).map(|_| text(numbers.integer((0, TEXTS.len() as i64 - 1))));
            TensorData::Bytes(texts.collect())
        }
    }
}

/// Sebastiano Vigna's SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct SplitMix64(u64);

impl SplitMix64 {
    /// The numbers of one draw.
    fn new(seed: u64, draw: usize) -> Self {
        let mut seeds = Self(seed);
        for _ in 0..draw {
            seeds.next();
        }
        Self(seeds.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `greatest`, both included.
    fn integer(&mut self, (least, greatest): (i64, i64)) -> i64 {
        let count = greatest.abs_diff(least) + 1;
        least.saturating_add_unsigned(self.next() % count)
    }

    /// A number from `low` up to, but without, `high`.
    // 53 bits fit a double exactly.
    fn number(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamic(name: &str) -> Dimension {
        Dimension::Dynamic(Some(name.to_owned()))
    }

    fn specs() -> Vec<TensorSpec> {
        let spec = |name, datatype, shape| TensorSpec::new(name, datatype, shape);
        let open = Dimension::Dynamic(None);
        vec![
            spec(
                "a",
                DataType::Fp32,
                Some(vec![dynamic("n"), Dimension::Fixed(40), open]),
            ),
            spec(
                "b",
                DataType::Int64,
                Some(vec![Dimension::Fixed(3), dynamic("n"), dynamic("s")]),
            ),
            spec("c", DataType::Uint8, Some(vec![])),
            spec("d", DataType::Bool, None),
            spec(
                "e",
                DataType::Int8,
                Some(vec![dynamic("s"), Dimension::Fixed(20)]),
            ),
            spec("f", DataType::Int32, Some(vec![Dimension::Fixed(10)])),
        ]
    }

    #[test]
    fn drawn_input_fits_the_declaration_and_the_seed() {
        let specs = specs();
        let source = InputSource::new(&specs, Digest::of(b"m"));
        let drawn = source.draw(1, 5, 2).unwrap();
        let shapes: Vec<&[usize]> = drawn.iter().map(Tensor::shape).collect();
        let expected: [&[usize]; 6] = [&[2, 40, 5], &[3, 2, 5], &[], &[5], &[5, 20], &[10]];
        assert_eq!(shapes, expected);
        for (spec, tensor) in specs.iter().zip(&drawn) {
            assert_eq!(spec.datatype, tensor.datatype());
        }
        assert_eq!(source.draw(1, 5, 2).unwrap(), drawn);
        assert_ne!(source.draw(2, 5, 2).unwrap(), drawn);
        let other = InputSource::new(&specs, Digest::of(b"n"));
        assert_ne!(other.draw(1, 5, 2).unwrap(), drawn);
        assert_eq!(source.draw(0, MAX_ELEMENTS, 2), None);
    }

    #[test]
    fn numbers_are_within_their_ranges_and_not_only_zeros() {
        let specs = specs();
        let source = InputSource::new(&specs, Digest::of(b"m"));
        for number in 0..8 {
            let drawn = source.draw(number, 2, 1).unwrap();
            let TensorData::Fp32(values) = drawn[0].data() else {
                panic!("{drawn:?}");
            };
            let (low, high) = NUMBERS[number];
            assert!(
                values
                    .iter()
                    .all(|&value| (low..=high).contains(&value.into()))
            );
            assert!(values.iter().any(|&value| value != values[0]));
            let TensorData::Int32(values) = drawn[5].data() else {
                panic!("{drawn:?}");
            };
            let (least, greatest) = INTEGERS[number];
            assert!(
                values
                    .iter()
                    .all(|&value| (least..=greatest).contains(&value.into()))
            );
            assert!(
                values.iter().any(|&value| value != 0),
                "{number}: {values:?}"
            );
        }
    }

    #[test]
    fn known_shapes_are_those_of_each_second_draw() {
        let specs = specs();
        let open = InputSource::new(&specs, Digest::of(b"m"));
        let known = open.draw(1, 7, 1).unwrap();
        let source = InputSource::new(&specs, Digest::of(b"m")).with_shapes_of(&known);
        let shape = |number| source.draw(number, 3, 2).unwrap()[0].shape().to_vec();
        assert_eq!(shape(0), [1, 40, 7]);
        assert_eq!(shape(1), [2, 40, 3]);
    }
}
