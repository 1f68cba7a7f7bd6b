//! `sequence_lens` of `LSTM` and `GRU`.
//!
//! rten ignores this input. Without it, all sequences have the length of the input's first
//! dimension.

use super::known::{INT64, UNKNOWN};
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;
use super::{attribute, completion};

/// The places of the inputs.
const INPUT: usize = 0;
const WEIGHTS: usize = 1;
const RECURRENCE: usize = 2;
const BIAS: usize = 3;
const LENGTHS: usize = 4;
const INITIAL_HIDDEN: usize = 5;
const INITIAL_CELL: usize = 6;

const DIRECTION: &[u8] = b"direction";

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let lengths = node.input(LENGTHS)?;
    let is_omitted = |output: usize| node.outputs.get(output).is_none_or(|name| name.is_empty());
    let mut attributes = node.attributes_without(&[DIRECTION]);
    attributes.extend(completion::missing(node, known, to.opset));
    if is_whole(node, known, lengths) {
        let mut inputs = node.inputs.clone();
        inputs[LENGTHS] = b"";
        attributes.extend(node.attribute(DIRECTION).map(|of| of.encoded.to_vec()));
        to.add_changed(node, &inputs, &attributes);
        return Some(to.finish());
    }
    // The state of the cells is known only after the last step.
    let is_possible = is_omitted(2) && node.inputs.len() <= INITIAL_CELL + 1;
    if !is_possible || node.integer_or(b"layout", 0) != 0 {
        return None;
    }
    let layer = Layer::new(node, lengths, attributes, &mut to)?;
    let (values, last) = match node.string(DIRECTION) {
        None | Some(b"forward") => layer.run(None, false, &mut to)?,
        Some(b"reverse") => layer.run(None, true, &mut to)?,
        Some(b"bidirectional") => {
            let (forward, forward_last) = layer.run(Some(0), false, &mut to)?;
            let (reverse, reverse_last) = layer.run(Some(1), true, &mut to)?;
            let axis = |axis| [attribute::integer(b"axis", axis)];
            (
                to.add(b"Concat", &[&forward, &reverse], &axis(1))?,
                to.add(b"Concat", &[&forward_last, &reverse_last], &axis(0))?,
            )
        }
        Some(_) => return None,
    };
    for (value, output) in [values, last].iter().zip(&node.outputs) {
        if !output.is_empty() {
            to.add_into(b"Identity", &[value], &[], &[output])?;
        }
    }
    Some(to.finish())
}

/// Whether the lengths are constant, and equal to the length of the input.
fn is_whole(node: &Node<'_>, known: &Scopes<'_>, lengths: &[u8]) -> bool {
    let shape = node.input(INPUT).and_then(|input| known.shape(input));
    let length = shape.and_then(|shape| shape.first().copied());
    let lengths = known.integers(lengths);
    let (Some(length), Some(lengths)) = (length, lengths) else {
        return false;
    };
    length != UNKNOWN && lengths.iter().all(|of_sequence| *of_sequence == length)
}

/// The layer without lengths, and the steps at which the sequences are running or end.
struct Layer<'l, 'a> {
    node: &'l Node<'a>,
    attributes: Vec<Vec<u8>>,
    /// The lengths as INT64.
    lengths: Vec<u8>,
    /// Whether each step belongs to each sequence; the shape is `[steps, 1, batch, 1]`.
    running: Vec<u8>,
    /// Whether each step is the last of each sequence, in the same shape.
    ending: Vec<u8>,
    zero: Vec<u8>,
}

impl<'l, 'a> Layer<'l, 'a> {
    fn new(
        node: &'l Node<'a>,
        lengths: &[u8],
        attributes: Vec<Vec<u8>>,
        to: &mut Replacement<'_, '_>,
    ) -> Option<Self> {
        let integer = attribute::integer(b"to", INT64.cast_signed());
        let lengths = to.add(b"Cast", &[lengths], &[integer])?;
        let shape = to.add(b"Shape", &[node.input(INPUT)?], &[])?;
        let (none, one) = (to.integer(0)?, to.integer(1)?);
        let steps = to.add(b"Gather", &[&shape, &none], &[])?;
        let steps = to.add(b"Range", &[&none, &steps, &one], &[])?;
        let (first, third) = (to.integers(&[-1, 1, 1, 1])?, to.integers(&[1, 1, -1, 1])?);
        let steps = to.add(b"Reshape", &[&steps, &first], &[])?;
        let ends = to.add(b"Reshape", &[&lengths, &third], &[])?;
        let running = to.add(b"Less", &[&steps, &ends], &[])?;
        // No length is negative, so this changes nothing. It bounds the difference.
        let bounded = to.add(b"Max", &[&ends, &none], &[])?;
        let last = to.add(b"Sub", &[&bounded, &one], &[])?;
        let ending = to.add(b"Equal", &[&steps, &last], &[])?;
        let zero = to.float(0.0)?;
        Some(Self {
            node,
            attributes,
            lengths,
            running,
            ending,
            zero,
        })
    }

    /// Adds nodes that run the layer in one direction, and returns the names of its first two
    /// outputs. With a `place`, the weights have several directions, and this is the place of one.
    fn run(
        &self,
        place: Option<i64>,
        reversed: bool,
        to: &mut Replacement<'_, '_>,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let place = match place {
            None => None,
            Some(place) => Some(to.integers(&[place])?),
        };
        let mut inputs = Vec::new();
        for input in [
            INPUT,
            WEIGHTS,
            RECURRENCE,
            BIAS,
            LENGTHS,
            INITIAL_HIDDEN,
            INITIAL_CELL,
        ] {
            let name = self.node.input(input).filter(|_| input != LENGTHS);
            inputs.push(match (name, &place) {
                (None, _) => Vec::new(),
                (Some(name), _) if input == INPUT && reversed => self.reverse(name, to)?,
                (Some(name), Some(place)) if input != INPUT => {
                    to.add(b"Gather", &[name, place], &[])?
                }
                (Some(name), _) => name.to_vec(),
            });
        }
        let count = self.node.inputs.len();
        let inputs: Vec<_> = inputs.iter().take(count).map(Vec::as_slice).collect();
        let values = to.add(self.node.operator, &inputs, &self.attributes)?;
        let last = to.add(b"Where", &[&self.ending, &values, &self.zero], &[])?;
        let last = sum_of_steps(&last, to)?;
        let values = to.add(b"Where", &[&self.running, &values, &self.zero], &[])?;
        if !reversed {
            return Some((values, last));
        }
        // The output has an axis for the directions between the steps and the batch.
        let shape = to.add(b"Shape", &[&values], &[])?;
        let flat = squeeze(&values, to)?;
        let values = self.reverse(&flat, to)?;
        let values = to.add(b"Reshape", &[&values, &shape], &[])?;
        Some((values, last))
    }

    /// Reverses the steps of each sequence.
    fn reverse(&self, values: &[u8], to: &mut Replacement<'_, '_>) -> Option<Vec<u8>> {
        let axes = [
            attribute::integer(b"time_axis", 0),
            attribute::integer(b"batch_axis", 1),
        ];
        to.add(b"ReverseSequence", &[values, &self.lengths], &axes)
    }
}

/// Removes the second axis.
fn squeeze(values: &[u8], to: &mut Replacement<'_, '_>) -> Option<Vec<u8>> {
    match to.opset {
        // `axes` was an attribute before version 13.
        ..13 => to.add(b"Squeeze", &[values], &[attribute::integers(b"axes", &[1])]),
        _ => {
            let axes = to.integers(&[1])?;
            to.add(b"Squeeze", &[values, &axes], &[])
        }
    }
}

/// Sums along the first axis.
fn sum_of_steps(values: &[u8], to: &mut Replacement<'_, '_>) -> Option<Vec<u8>> {
    let dropped = attribute::integer(b"keepdims", 0);
    match to.opset {
        // `axes` was an attribute before version 13.
        ..13 => {
            let axes = attribute::integers(b"axes", &[0]);
            to.add(b"ReduceSum", &[values], &[dropped, axes])
        }
        _ => {
            let axes = to.integers(&[0])?;
            to.add(b"ReduceSum", &[values, &axes], &[dropped])
        }
    }
}
