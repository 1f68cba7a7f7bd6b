//! The weights of an ONNX model, left where they were verified.
//!
//! rten copies each tensor out of a model's bytes: at the end of a load every weight is in memory twice. Tensors in files beside
//! the model it takes as they are. So a model is given to it as ONNX writes large ones: a part without the
//! large tensors, which names for each its place in a file of weights, and that file. Both are made of the very bytes that were
//! verified, and the file of weights is the model itself.
//!
//! Field numbers are those of [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), the encoding is that of
//! [protobuf](https://protobuf.dev/programming-guides/encoding/).

use std::ops::Range;

/// `ModelProto.graph`.
const GRAPH: u64 = 7;
/// `GraphProto.initializer`.
const INITIALIZER: u64 = 5;
/// `TensorProto.data_type`.
const DATA_TYPE: u64 = 2;
/// `TensorProto.raw_data`.
const RAW_DATA: u64 = 9;
/// `TensorProto.external_data`.
const EXTERNAL_DATA: u64 = 13;
/// `TensorProto.data_location`, and its value for data in a file of its own.
const DATA_LOCATION: u64 = 14;
const EXTERNAL: u64 = 1;
/// `StringStringEntryProto.key` and `.value`.
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// FLOAT, UINT8, INT8 and INT32: what rten takes as it is. It converts the rest, which makes a copy anyway.
const UNCONVERTED: [u64; 4] = [1, 2, 3, 6];

/// Smaller tensors stay in the model. The length of one of this size takes three bytes or more, and with the
/// tag before it that is room to move it by.
const LARGE: usize = 16 << 10;

/// Bytes to which the elements of all types in [`UNCONVERTED`] are aligned.
const ALIGNMENT: usize = 4;

/// A model in two parts.
#[derive(Debug)]
pub(super) struct Parted {
    /// The model without its large tensors.
    pub(super) graph: Vec<u8>,
    /// Those, at the places that the graph names, with other bytes in between. As large as the model was.
    pub(super) weights: Vec<u8>,
}

/// Parts a model, whose graph is to find the weights under the name `file`; gives it back as it is if it has no large tensor or is
/// no well-formed protobuf, about which the runtime has more to say; or if it names `file` itself, which it would be answered for.
///
/// Takes no more memory than the graph, and moves each tensor by less than four bytes.
pub(super) fn part(mut model: Vec<u8>, file: &str) -> Result<Parted, Vec<u8>> {
    let mut parting = Parting {
        model: &model,
        file,
        moves: Vec::new(),
    };
    let graph = parting.model();
    let moves = parting.moves;
    match graph {
        Some(graph) if !moves.is_empty() && count(&graph, file) == moves.len() => {
            for (from, to) in moves {
                model.copy_within(from, to);
            }
            Ok(Parted {
                graph,
                weights: model,
            })
        }
        _ => Err(model),
    }
}

/// How often the text is in the bytes.
fn count(bytes: &[u8], text: &str) -> usize {
    let places = bytes.windows(text.len());
    places.filter(|place| *place == text.as_bytes()).count()
}

struct Parting<'a> {
    model: &'a [u8],
    file: &'a str,
    /// Where each large tensor is, and where it is to begin, in the order of the model.
    moves: Vec<(Range<usize>, usize)>,
}

/// One field of a message, by its places in the model.
struct Field {
    number: u64,
    whole: Range<usize>,
    value: Value,
}

enum Value {
    /// Of a number that is not longer than its tag tells, and of one that is.
    Fixed,
    Varint(u64),
    Bytes(Range<usize>),
}

impl Parting<'_> {
    fn model(&mut self) -> Option<Vec<u8>> {
        self.rewrite(0..self.model.len(), GRAPH, |parting, graph| {
            parting.rewrite(graph, INITIALIZER, Self::tensor)
        })
    }

    /// A message with each of its fields `number` replaced by what `by` makes of its value. None if it is malformed.
    fn rewrite(
        &mut self,
        message: Range<usize>,
        number: u64,
        mut by: impl FnMut(&mut Self, Range<usize>) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut written = Vec::new();
        let mut at = message.start;
        while at < message.end {
            let field = self.field(at..message.end)?;
            at = field.whole.end;
            match field.value {
                Value::Bytes(value) if field.number == number => {
                    write_bytes(&mut written, number, &by(self, value)?);
                }
                _ => written.extend_from_slice(&self.model[field.whole]),
            }
        }
        Some(written)
    }

    /// A tensor with the place of its elements instead of them, if they are many.
    fn tensor(&mut self, tensor: Range<usize>) -> Option<Vec<u8>> {
        let mut written = Vec::new();
        let mut elements = None;
        let mut stays = true;
        let mut at = tensor.start;
        while at < tensor.end {
            let field = self.field(at..tensor.end)?;
            at = field.whole.end;
            match (field.number, &field.value) {
                (RAW_DATA, Value::Bytes(bytes)) if elements.is_none() && bytes.len() >= LARGE => {
                    elements = Some(bytes.clone());
                    continue;
                }
                // What is said twice, or elsewhere already, is not for here to understand.
                (RAW_DATA | DATA_LOCATION | EXTERNAL_DATA, _) => {
                    return Some(self.model[tensor].to_vec());
                }
                (DATA_TYPE, Value::Varint(datatype)) => stays = !UNCONVERTED.contains(datatype),
                _ => {}
            }
            written.extend_from_slice(&self.model[field.whole]);
        }
        let Some(elements) = elements.filter(|_| !stays) else {
            return Some(self.model[tensor].to_vec());
        };
        let misaligned = self.model[elements.start..].as_ptr().addr() % ALIGNMENT;
        let (start, length) = (elements.start - misaligned, elements.len());
        self.moves.push((elements, start));
        for (key, value) in [
            ("location", self.file),
            ("offset", &start.to_string()),
            ("length", &length.to_string()),
        ] {
            let mut entry = Vec::new();
            write_bytes(&mut entry, KEY, key.as_bytes());
            write_bytes(&mut entry, VALUE, value.as_bytes());
            write_bytes(&mut written, EXTERNAL_DATA, &entry);
        }
        write_tag(&mut written, DATA_LOCATION, VARINT);
        write_varint(&mut written, EXTERNAL);
        Some(written)
    }

    /// The first field of what is left of a message.
    fn field(&self, rest: Range<usize>) -> Option<Field> {
        let mut at = rest.start;
        let tag = self.varint(&mut at, rest.end)?;
        let value = match tag & 7 {
            VARINT => Value::Varint(self.varint(&mut at, rest.end)?),
            FIXED_64 => {
                at = at.checked_add(8)?;
                Value::Fixed
            }
            BYTES => {
                let length = usize::try_from(self.varint(&mut at, rest.end)?).ok()?;
                let value = at..at.checked_add(length)?;
                at = value.end;
                Value::Bytes(value)
            }
            FIXED_32 => {
                at = at.checked_add(4)?;
                Value::Fixed
            }
            _ => return None,
        };
        (at <= rest.end).then_some(Field {
            number: tag >> 3,
            whole: rest.start..at,
            value,
        })
    }

    fn varint(&self, at: &mut usize, end: usize) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.model[..end].get(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// The kinds of values in a tag.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

fn write_tag(to: &mut Vec<u8>, number: u64, kind: u64) {
    write_varint(to, number << 3 | kind);
}

fn write_bytes(to: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_tag(to, number, BYTES);
    write_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn write_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rten::{Model, ModelOptions, Value};

    use super::*;

    const FILE: &str = "inside.data";

    fn tensor(datatype: u64, elements: &[u8], more: &[u8]) -> Vec<u8> {
        let mut tensor = Vec::new();
        write_bytes(&mut tensor, 8, b"name");
        write_bytes(&mut tensor, RAW_DATA, elements);
        write_tag(&mut tensor, DATA_TYPE, VARINT);
        write_varint(&mut tensor, datatype);
        tensor.extend_from_slice(more);
        tensor
    }

    fn model(tensors: &[Vec<u8>]) -> Vec<u8> {
        let mut graph = Vec::new();
        write_bytes(&mut graph, 2, b"a graph");
        for tensor in tensors {
            write_bytes(&mut graph, INITIALIZER, tensor);
        }
        write_bytes(&mut graph, 11, b"an input");
        let mut model = vec![8, 7];
        write_bytes(&mut model, GRAPH, &graph);
        write_bytes(&mut model, 2, b"a producer");
        model
    }

    /// What the graph says of a tensor's place: its offset and length.
    fn places(graph: &[u8]) -> Vec<(usize, usize)> {
        let text = String::from_utf8_lossy(graph);
        let number = |text: &str| {
            let digits = text.chars().take_while(char::is_ascii_digit);
            digits.collect::<String>().parse().unwrap()
        };
        let after = |key: &str| {
            let values = text.split(key).skip(1);
            // The tag and the length of the value are between.
            values
                .map(|rest| number(&rest[2..]))
                .collect::<Vec<usize>>()
        };
        after("offset").into_iter().zip(after("length")).collect()
    }

    #[test]
    fn large_tensors_are_found_whole_and_aligned_at_the_places_that_the_graph_names() {
        let contents: Vec<Vec<u8>> = (0..7_u8)
            .map(|number| {
                (0..LARGE + 4 * usize::from(number))
                    .map(|at| (at % 251) as u8 ^ number)
                    .collect()
            })
            .collect();
        for shift in 0..4 {
            // Texts of different lengths move the tensors about.
            let mut tensors: Vec<_> = contents
                .iter()
                .map(|elements| tensor(1, elements, &[]))
                .collect();
            tensors.insert(
                0,
                vec![b'x'; shift].iter().fold(Vec::new(), |mut tensor, _| {
                    write_bytes(&mut tensor, 12, b"doc");
                    tensor
                }),
            );
            let whole = model(&tensors);
            let size = whole.len();
            let Parted { graph, weights } = part(whole, FILE).unwrap();
            assert_eq!(weights.len(), size);
            assert!(graph.len() < 1000);
            let places = places(&graph);
            assert_eq!(places.len(), contents.len());
            for ((offset, length), expected) in places.into_iter().zip(&contents) {
                assert_eq!(weights[offset..offset + length], **expected);
                assert_eq!(weights[offset..].as_ptr().addr() % ALIGNMENT, 0);
            }
        }
    }

    #[test]
    fn what_is_small_converted_or_elsewhere_stays_where_it_is() {
        let large = vec![1; LARGE];
        let mut elsewhere = Vec::new();
        write_tag(&mut elsewhere, DATA_LOCATION, VARINT);
        write_varint(&mut elsewhere, EXTERNAL);
        let mut twice = Vec::new();
        write_bytes(&mut twice, RAW_DATA, &large);
        for tensor in [
            tensor(1, &large[1..], &[]),
            tensor(7, &large, &[]),
            tensor(1, &large, &elsewhere),
            tensor(1, &large, &twice),
        ] {
            let whole = model(&[tensor]);
            assert_eq!(part(whole.clone(), FILE).unwrap_err(), whole);
        }
    }

    /// Its own bytes must not be taken for a file that is missing.
    #[test]
    fn a_model_that_names_the_file_itself_stays_whole() {
        let mut other = Vec::new();
        write_bytes(&mut other, 8, FILE.as_bytes());
        let whole = model(&[tensor(1, &vec![1; LARGE], &[]), other]);
        assert_eq!(part(whole.clone(), FILE).unwrap_err(), whole);
        assert!(part(whole, "another.data").is_ok());
    }

    #[test]
    fn what_is_no_protobuf_is_given_back_as_it_is() {
        let whole = model(&[tensor(1, &vec![1; LARGE], &[])]);
        assert!(part(whole.clone(), FILE).is_ok());
        for end in [0, 1, 2, 5, 20, whole.len() - 1] {
            let cut = whole[..end].to_vec();
            assert_eq!(part(cut.clone(), FILE).unwrap_err(), cut, "cut at {end}");
        }
        let endless = vec![0xff; 64];
        assert_eq!(part(endless.clone(), FILE).unwrap_err(), endless);
    }

    #[test]
    fn a_parted_model_answers_as_the_whole_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pat_small.onnx");
        let whole = fs::read(path).unwrap();
        let Parted { graph, weights } = part(whole.clone(), FILE).unwrap();
        assert!(graph.len() < whole.len() / 2, "its weights are elsewhere");
        let load = |model, weights| {
            let mut options = ModelOptions::with_all_ops();
            options.external_data(FILE, weights).load(model).unwrap()
        };
        let answer = |model: Model| {
            let week: Vec<f32> = (0..10080).map(|minute| (minute % 97) as f32).collect();
            let input = Value::from_shape(vec![1, week.len()], week).unwrap();
            let answer = model.run_one(input.into(), None).unwrap();
            let Value::FloatTensor(embedding) = answer else {
                panic!("{answer:?}")
            };
            embedding.into_data()
        };
        let expected = answer(load(whole, Vec::new()));
        assert!(expected.iter().any(|value| *value != 0.0));
        assert_eq!(answer(load(graph, weights)), expected);
    }
}
