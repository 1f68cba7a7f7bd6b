//! Known values of nested graphs.
//!
//! Knowledge comes from inputs of the model, whose datatype and rank the server checks, and from
//! weights. It spreads through nodes whose outputs follow from their inputs. Declarations of
//! intermediate values are not trusted: nothing checks them.

use std::collections::HashMap;
use std::ops::Range;

use super::known::{
    BOOL, Constant, FLOAT, INT8, INT32, INT64, Known, MAX_KEPT, UINT8, UNKNOWN, declaration,
};
use super::node::Node;
use super::windows::Windows;
use super::{INITIALIZER, INPUT};
use crate::runtime::protobuf::{ProtoField, ProtoValue};

/// The known values of each of the nested graphs, by name.
#[derive(Default)]
pub(super) struct Scopes<'a>(Vec<HashMap<&'a [u8], Known>>);

impl<'a> Scopes<'a> {
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Enters a graph, and reads its inputs and weights. Returns `None` if the graph is malformed.
    pub(super) fn enter(&mut self, model: &'a [u8], graph: Range<usize>) -> Option<()> {
        let mut known = HashMap::new();
        let fields = ProtoField::read_all(model, graph)?;
        for field in &fields {
            if let (INPUT, ProtoValue::Bytes(value)) = (field.number, &field.value) {
                let (name, declared) = declaration(model, value.clone())?;
                // Nothing checks the inputs of a nested graph. They hide values around the graph.
                let is_checked = self.0.is_empty();
                known.insert(
                    name,
                    if is_checked {
                        declared
                    } else {
                        Known::default()
                    },
                );
            }
        }
        for field in fields {
            if let (INITIALIZER, ProtoValue::Bytes(tensor)) = (field.number, field.value) {
                let constant = Constant::read(model, tensor)?;
                known.insert(constant.name, constant.known);
            }
        }
        self.0.push(known);
        Some(())
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    fn get(&self, value: &[u8]) -> Option<&Known> {
        let mut graphs = self.0.iter().rev();
        graphs.find_map(|known| known.get(value))
    }

    /// The shape of a value, if its rank is known.
    pub(super) fn shape(&self, value: &[u8]) -> Option<&[i64]> {
        self.get(value)?.shape.as_deref()
    }

    /// Whether rten keeps the elements of a value exactly, as far as is known. It keeps INT64 in 32
    /// bits, and DOUBLE and FLOAT16 in FP32.
    pub(super) fn is_exact(&self, value: &[u8]) -> bool {
        let Some(known) = self.get(value) else {
            return true;
        };
        let fit = |integers: &Vec<i64>| integers.iter().all(|of| i32::try_from(*of).is_ok());
        match known.element {
            Some(INT64) => !known.is_constant || known.integers.as_ref().is_some_and(fit),
            Some(element) => matches!(element, FLOAT | UINT8 | INT8 | INT32 | BOOL),
            None => true,
        }
    }

    /// The shape of a node's input, if its rank is known.
    pub(super) fn shape_of_input(&self, node: &Node<'_>, input: usize) -> Option<&[i64]> {
        self.shape(node.input(input)?)
    }

    /// The shape of a value that is a constant of the model.
    pub(super) fn constant_shape(&self, value: &[u8]) -> Option<&[i64]> {
        let known = self.get(value).filter(|known| known.is_constant)?;
        known.shape.as_deref()
    }

    /// The datatype of a value's elements.
    pub(super) fn element(&self, value: &[u8]) -> Option<u64> {
        self.get(value)?.element
    }

    /// The elements of a value, if they are constant integers.
    pub(super) fn integers(&self, value: &[u8]) -> Option<&[i64]> {
        self.get(value)?.integers.as_deref()
    }

    /// Adds the first output of a node, if something is known about it.
    pub(super) fn learn(&mut self, node: &Node<'a>) {
        for (place, &output) in node.outputs.iter().enumerate() {
            let known = match place {
                0 if node.is_standard => self.known_output(node),
                _ => Known::default(),
            };
            let hides = self.get(output).is_some();
            if let Some(graph) = self.0.last_mut()
                && (hides || !known.is_empty())
            {
                graph.insert(output, known);
            }
        }
    }

    fn known_output(&self, node: &Node<'a>) -> Known {
        let input = |input: usize| self.get(node.input(input)?);
        let same_element = || input(0).and_then(|known| known.element);
        let element = |element| Known {
            element,
            ..Known::default()
        };
        match node.operator {
            b"Constant" => {
                let tensor = node
                    .attribute(b"value")
                    .and_then(|value| value.tensor.as_ref());
                tensor.map_or_else(Known::default, |tensor| tensor.known.clone())
            }
            b"Identity" => input(0).cloned().unwrap_or_default(),
            b"Cast" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                element: node
                    .attribute(b"to")
                    .map(|_| node.integer_or(b"to", 0).cast_unsigned()),
                integers: None,
                ..Known::default()
            },
            b"QuantizeLinear" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                element: input(2).and_then(|known| known.element),
                ..Known::default()
            },
            b"BatchNormalization"
            | b"DequantizeLinear"
            | b"DynamicQuantizeLinear"
            | b"InstanceNormalization" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                ..Known::default()
            },
            b"Transpose" => Known {
                shape: input(0).and_then(|known| transposed(node, known.shape.as_deref()?)),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Equal" | b"Greater" | b"GreaterOrEqual" | b"IsInf" | b"IsNaN" | b"Less"
            | b"LessOrEqual" | b"Not" | b"And" | b"Or" | b"Xor" => Known {
                shape: self.broadcast(node),
                element: Some(BOOL),
                integers: None,
                ..Known::default()
            },
            b"Add" | b"Div" | b"Mul" | b"Pow" | b"Sub" => Known {
                shape: self.broadcast(node),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Abs"
            | b"Clip"
            | b"Dropout"
            | b"Erf"
            | b"Exp"
            | b"LayerNormalization"
            | b"LeakyRelu"
            | b"Log"
            | b"LogSoftmax"
            | b"Neg"
            | b"Relu"
            | b"Sigmoid"
            | b"Sign"
            | b"Softmax"
            | b"Sqrt"
            | b"Tanh" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"AveragePool" | b"MaxPool" => Known {
                shape: input(0)
                    .and_then(|known| self.windows(node, *known.shape.as_ref()?.get(1)?)),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Conv" | b"ConvInteger" => Known {
                shape: input(1)
                    .and_then(|known| self.windows(node, *known.shape.as_ref()?.first()?)),
                ..Known::default()
            },
            b"MatMul" => Known {
                shape: self.ranks_of_product(node),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Flatten" => Known {
                shape: Some(vec![UNKNOWN; 2]),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Reshape" => Known {
                shape: self.reshaped(node),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Gemm" => Known {
                shape: Some(vec![UNKNOWN; 2]),
                element: same_element(),
                integers: None,
                ..Known::default()
            },
            b"Concat" | b"Expand" | b"Gather" | b"GatherElements" | b"GatherND" | b"Pad"
            | b"Slice" | b"Squeeze" | b"Tile" | b"Unsqueeze" => element(same_element()),
            b"Where" => element(input(1).and_then(|known| known.element)),
            b"ArgMax" | b"ArgMin" | b"NonZero" | b"Shape" | b"Size" => element(Some(INT64)),
            _ => Known::default(),
        }
    }

    /// The shape of an elementwise operator's output.
    fn broadcast(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let shapes = node.inputs.iter().map(|input| self.shape(input));
        let shapes: Vec<_> = shapes.collect::<Option<_>>()?;
        let rank = shapes.iter().map(|shape| shape.len()).max()?;
        let mut sizes = vec![1; rank];
        for shape in shapes {
            for (size, other) in sizes[rank - shape.len()..].iter_mut().zip(shape) {
                *size = match (*size, *other) {
                    (1, other) => other,
                    (size, 1) => size,
                    // Any other size is this size in a run without an error.
                    (UNKNOWN, size) | (size, _) => size,
                };
            }
        }
        Some(sizes)
    }

    /// The shape of a convolution's or of a pooling's output.
    fn windows(&self, node: &Node<'_>, channels: i64) -> Option<Vec<i64>> {
        let shape = self.shape(node.input(0)?)?;
        let mut sizes = vec![*shape.first()?, channels];
        let spatial = shape.get(2..)?;
        let known = Windows::read(node, self.shape_of_input(node, 1));
        sizes.extend((0..spatial.len()).map(|axis| {
            let of = known
                .as_ref()
                .and_then(|known| known.count(axis, spatial[axis]));
            of.unwrap_or(UNKNOWN)
        }));
        Some(sizes)
    }

    /// The shape of the product of two inputs with at least two dimensions each.
    fn ranks_of_product(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let rank = |input: usize| Some(self.shape(node.input(input)?)?.len());
        let (left, right) = (rank(0)?, rank(1)?);
        (left >= 2 && right >= 2).then(|| vec![UNKNOWN; left.max(right)])
    }

    /// The shape of a reshaped value. Only the rank is known.
    fn reshaped(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let rank = match node.input(1) {
            Some(shape) => self.integers(shape)?.len(),
            None => node.integers(b"shape")?.len(),
        };
        Some(vec![UNKNOWN; rank])
    }
}

fn transposed(node: &Node<'_>, shape: &[i64]) -> Option<Vec<i64>> {
    let Some(order) = node.integers(b"perm") else {
        return Some(shape.iter().rev().copied().collect());
    };
    let sizes = order.iter().take(MAX_KEPT);
    sizes
        .map(|&from| shape.get(usize::try_from(from).ok()?).copied())
        .collect()
}
