//! The shapes of operators' outputs.

mod layout;
mod windows;

use crate::onnx::graph::GraphNode;
use crate::onnx::interval::Interval;
use crate::onnx::value::{MAX_RANK, Sizes, Value};

/// The operators of one input whose output has its shape.
const LIKE_INPUT: [&str; 62] = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BatchNormalization",
    "BitCast",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "CumSum",
    "DequantizeLinear",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "EyeLike",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "Not",
    "PRelu",
    "QuantizeLinear",
    "RMSNormalization",
    "Reciprocal",
    "Relu",
    "ReverseSequence",
    "RotaryEmbedding",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Scatter",
];
const LIKE_INPUT_TOO: [&str; 7] = [
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
    "RandomNormalLike",
    "RandomUniformLike",
];

const BROADCAST: [&str; 23] = [
    "Add",
    "And",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Where",
    "Xor",
];

/// An operator with its inputs.
pub(super) struct Shaped<'n, 'm> {
    node: &'n GraphNode<'m>,
    inputs: &'n [Option<&'n Value>],
    output: usize,
}

const ANY: Interval = Interval::SIZE;
const ONE: Interval = Interval::of(1.0);

/// The shape of an output; `None` for an unknown rank.
pub(super) fn infer(
    node: &GraphNode<'_>,
    inputs: &[Option<&Value>],
    output: usize,
) -> Option<Sizes> {
    let shaped = Shaped {
        node,
        inputs,
        output,
    };
    let (shape, rank) = (|at| shaped.shape(at), |at| shaped.rank(at));
    match node.operator {
        "BatchNormalization" | "LayerNormalization" if output > 0 => None,
        "DynamicQuantizeLinear" if output > 0 => of_rank(0),
        "DynamicQuantizeLinear" => shape(0),
        operator if LIKE_INPUT.contains(&operator) || LIKE_INPUT_TOO.contains(&operator) => {
            shape(0)
        }
        operator if BROADCAST.contains(&operator) => broadcast(inputs),
        "Shape" => match rank(0).filter(|_| node.attributes.is_empty()) {
            Some(rank) => Some(vec![Interval::of(rank as f64)]),
            None => of_rank(1),
        },
        "Size" | "SequenceLength" => of_rank(0),
        "Flatten" => shaped.flatten(),
        "Reshape" => shaped.reshape(),
        "Expand" => shaped.expand(),
        "ConstantOfShape" => match shaped.each(0) {
            Some(sizes) => Some(sizes.to_vec()),
            None => of_rank(length(shaped.input(0)?)?),
        },
        "RandomNormal" | "RandomUniform" => Some(
            node.integers("shape")?
                .iter()
                .map(|size| Interval::of(*size as f64))
                .collect(),
        ),
        "Transpose" => shaped.transpose(),
        "Squeeze" => shaped.squeeze(),
        "Unsqueeze" => shaped.unsqueeze(),
        "Concat" => shaped.concat(),
        "Gather" => shaped.gather(),
        "GatherElements" => shape(1),
        "GatherND" => {
            let (data, indices) = (rank(0)?, shape(1)?);
            let depth = indices.last()?.single()? as usize;
            let batch = usize::try_from(node.integer("batch_dims").unwrap_or(0)).ok()?;
            of_rank(
                (indices.len() - 1 + data)
                    .checked_sub(depth)?
                    .checked_sub(batch)?,
            )
        }
        "Slice" => shaped.slice(),
        "Split" => shaped.split(),
        "Pad" => shaped.pad(),
        "Resize" | "Upsample" => shaped.resize(),
        "Conv" | "ConvInteger" | "MaxPool" | "AveragePool" | "LpPool" => shaped.windows(),
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let mut shape = shape(0)?;
            shape.iter_mut().skip(2).for_each(|size| *size = ONE);
            Some(shape)
        }
        "Tile" | "DepthToSpace" | "SpaceToDepth" | "ConvTranspose" | "GridSample" | "TopK"
        | "DFT" => of_rank(rank(0)?),
        "MatMul" | "MatMulInteger" => matrix_product(shape(0)?, shape(1)?),
        "Gemm" | "NonZero" | "NonMaxSuppression" => of_rank(2),
        "Einsum" => {
            let equation = std::str::from_utf8(node.text("equation")?).ok()?;
            let (_, result) = equation.split_once("->")?;
            match result.contains('.') {
                true => None,
                false => of_rank(
                    result
                        .chars()
                        .filter(|letter| letter.is_alphabetic())
                        .count(),
                ),
            }
        }
        "ArgMax" | "ArgMin" => reduce(
            shape(0)?,
            Some(vec![node.integer("axis").unwrap_or(0)]),
            shaped.keeps(),
        ),
        operator if operator.starts_with("Reduce") => shaped.reduced(),
        "OneHot" => of_rank(rank(0)? + 1),
        "Range" | "Compress" => of_rank(1),
        "LSTM" | "GRU" | "RNN" => Some(shaped.recurrent(output)),
        "STFT" => of_rank(4),
        _ => None,
    }
}

impl Shaped<'_, '_> {
    fn input(&self, position: usize) -> Option<&Value> {
        self.inputs.get(position).copied().flatten()
    }

    fn shape(&self, position: usize) -> Option<Sizes> {
        self.input(position)?.shape.clone()
    }

    fn rank(&self, position: usize) -> Option<usize> {
        self.input(position)?.rank()
    }

    /// The ranges of the elements of an input.
    fn each(&self, position: usize) -> Option<&[Interval]> {
        self.input(position)?.each.as_deref()
    }

    fn axis(&self, default: i64, rank: usize) -> Option<usize> {
        place(self.node.integer("axis").unwrap_or(default), rank)
    }

    /// The integers of an attribute in older versions, and of an input in newer ones.
    fn listed(&self, name: &str, position: usize) -> Option<Vec<i64>> {
        match (self.node.integers(name), self.input(position)) {
            (Some(values), _) => Some(values.to_vec()),
            (None, Some(value)) => integers(value),
            (None, None) => None,
        }
    }

    fn keeps(&self) -> bool {
        self.node.integer("keepdims").unwrap_or(1) != 0
    }

    fn reduced(&self) -> Option<Sizes> {
        let axes = self.listed("axes", 1);
        let is_unknown = axes.is_none() && self.input(1).is_some();
        match (is_unknown, self.keeps()) {
            (true, true) => of_rank(self.rank(0)?),
            (true, false) => of_rank(self.rank(0)?.checked_sub(length(self.input(1)?)?)?),
            (false, keeps) => {
                let axes = axes.filter(|axes| !axes.is_empty());
                if axes.is_none() && self.node.integer("noop_with_empty_axes") == Some(1) {
                    return self.shape(0);
                }
                reduce(self.shape(0)?, axes, keeps)
            }
        }
    }
}

fn of_rank(rank: usize) -> Option<Sizes> {
    (rank <= MAX_RANK).then(|| vec![ANY; rank])
}

/// The place of an axis; `None` if the rank has no such axis.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let count = i64::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(count)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|place| *place < rank)
}

/// The exact integers of a value, if they are few and known.
pub(super) fn integers(value: &Value) -> Option<Vec<i64>> {
    let numbers = value.numbers()?;
    // Bounded: a number beyond 2^53 is no size.
    numbers
        .into_iter()
        .map(|number| (number.abs() < 9e15).then_some(number as i64))
        .collect()
}

/// The known number of elements of a vector.
fn length(value: &Value) -> Option<usize> {
    let size = match value.shape.as_deref()? {
        [size] => size.single()? as usize,
        _ => return None,
    };
    Some(size).filter(|size| *size <= MAX_RANK)
}

fn broadcast(inputs: &[Option<&Value>]) -> Option<Sizes> {
    let mut result: Sizes = Vec::new();
    for input in inputs.iter().flatten() {
        let shape = input.shape.as_ref()?;
        if shape.len() > result.len() {
            let missing = shape.len() - result.len();
            result.splice(0..0, vec![ONE; missing]);
        }
        let start = result.len() - shape.len();
        for (size, other) in result[start..].iter_mut().zip(shape) {
            *size = match (size.single(), other.single()) {
                (Some(1.0), _) => *other,
                (_, Some(1.0)) => *size,
                (Some(_), _) => *size,
                (_, Some(_)) => *other,
                // Of two sizes, one is 1 or both are equal. A size of 0 wins.
                (None, None) => Interval::new(size.low.min(other.low), size.high.max(other.high)),
            };
        }
    }
    Some(result)
}

fn matrix_product(one: Sizes, two: Sizes) -> Option<Sizes> {
    let rows = one.len().checked_sub(2).map(|at| one[at]);
    let columns = two.last().copied();
    let batch = |shape: &Sizes| shape[..shape.len().saturating_sub(2)].to_vec();
    let one_batch = Value::of(None, Some(batch(&one)));
    let two_batch = Value::of(None, Some(batch(&two)));
    let mut product = broadcast(&[Some(&one_batch), Some(&two_batch)])?;
    product.extend(rows);
    if two.len() >= 2 {
        product.extend(columns);
    }
    Some(product)
}

fn reduce(mut shape: Sizes, axes: Option<Vec<i64>>, keeps: bool) -> Option<Sizes> {
    let rank = shape.len();
    let mut places: Vec<usize> = match axes {
        None => (0..rank).collect(),
        Some(axes) => axes
            .into_iter()
            .map(|axis| place(axis, rank))
            .collect::<Option<_>>()?,
    };
    places.sort_unstable();
    places.dedup();
    for place in places.into_iter().rev() {
        match keeps {
            true => shape[place] = ONE,
            false => {
                shape.remove(place);
            }
        }
    }
    Some(shape)
}
