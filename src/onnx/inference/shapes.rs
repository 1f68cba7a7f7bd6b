//! The shapes of operators' outputs.

use crate::onnx::graph::AttributeValue;
use crate::onnx::graph::GraphNode;
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

/// The shape of an output; `None` for an unknown rank.
pub(super) fn infer(
    node: &GraphNode<'_>,
    version: i64,
    inputs: &[Option<&Value>],
    output: usize,
) -> Option<Sizes> {
    let input = |position: usize| inputs.get(position).copied().flatten();
    let shape = |position: usize| input(position)?.shape.clone();
    let rank = |position: usize| input(position)?.rank();
    let of_rank = |rank: usize| Some(vec![None; rank]);
    let axis =
        |name: &str, default: i64, rank: usize| place(node.integer(name).unwrap_or(default), rank);
    // The integers of an attribute in older versions, and of an input in newer ones.
    let listed = |name: &str, position: usize| -> Option<Vec<i64>> {
        match (node.integers(name), input(position)) {
            (Some(values), _) => Some(values.to_vec()),
            (None, Some(value)) => integers(value),
            (None, None) => None,
        }
    };
    match node.operator {
        "BatchNormalization" | "LayerNormalization" if output > 0 => None,
        "DynamicQuantizeLinear" if output > 0 => of_rank(0),
        "DynamicQuantizeLinear" => shape(0),
        operator if LIKE_INPUT.contains(&operator) || LIKE_INPUT_TOO.contains(&operator) => {
            shape(0)
        }
        operator if BROADCAST.contains(&operator) => broadcast(inputs),
        "Shape" => {
            let size = rank(0).filter(|_| node.attributes.is_empty());
            Some(vec![size.and_then(|rank| i64::try_from(rank).ok())])
        }
        "Size" | "SequenceLength" => of_rank(0),
        "Reshape" => {
            let sizes = node.integers("shape").map(<[i64]>::to_vec);
            match sizes.or_else(|| integers(input(1)?)) {
                Some(sizes) => Some(
                    sizes
                        .into_iter()
                        .map(|size| Some(size).filter(|size| *size > 0))
                        .collect(),
                ),
                None => of_rank(length(input(1)?)?),
            }
        }
        "Expand" => {
            let wanted = length(input(1)?)?;
            let sizes = integers(input(1)?).map_or_else(
                || vec![None; wanted],
                |sizes| {
                    sizes
                        .into_iter()
                        .map(|size| Some(size).filter(|size| *size > 0))
                        .collect()
                },
            );
            broadcast(&[input(0), Some(&Value::of(None, Some(sizes)))])
        }
        "ConstantOfShape" => match integers(input(0)?) {
            Some(sizes) => Some(sizes.into_iter().map(Some).collect()),
            None => of_rank(length(input(0)?)?),
        },
        "RandomNormal" | "RandomUniform" => {
            Some(node.integers("shape")?.iter().copied().map(Some).collect())
        }
        "Transpose" => {
            let shape = shape(0)?;
            match node.integers("perm") {
                None => Some(shape.into_iter().rev().collect()),
                Some(order) => {
                    let order = order.iter();
                    order
                        .map(|from| shape.get(usize::try_from(*from).ok()?).copied())
                        .collect()
                }
            }
        }
        "Flatten" => of_rank(2),
        "Squeeze" => {
            let mut shape = shape(0)?;
            match listed("axes", 1) {
                Some(axes) => {
                    let rank = shape.len();
                    let mut places: Vec<_> = axes
                        .iter()
                        .map(|axis| place(*axis, rank))
                        .collect::<Option<_>>()?;
                    places.sort_unstable();
                    places.dedup();
                    places.into_iter().rev().for_each(|place| {
                        shape.remove(place);
                    });
                    Some(shape)
                }
                None if input(1).is_none() && shape.iter().all(Option::is_some) => {
                    shape.retain(|size| *size != Some(1));
                    Some(shape)
                }
                None => match input(1).and_then(length) {
                    Some(count) => of_rank(shape.len().checked_sub(count)?),
                    None => None,
                },
            }
        }
        "Unsqueeze" => {
            let mut shape = shape(0)?;
            match listed("axes", 1) {
                Some(axes) => {
                    let rank = shape.len() + axes.len();
                    let mut places: Vec<_> = axes
                        .iter()
                        .map(|axis| place(*axis, rank))
                        .collect::<Option<_>>()?;
                    places.sort_unstable();
                    for place in places {
                        if place > shape.len() {
                            return None;
                        }
                        shape.insert(place, Some(1));
                    }
                    Some(shape)
                }
                None => of_rank(shape.len() + length(input(1)?)?),
            }
        }
        "Concat" => {
            let mut all = inputs.iter();
            let mut joined = (*all.next()?)?.shape.clone()?;
            let axis = axis("axis", 1, joined.len())?;
            for other in all {
                let other = (*other)?.shape.clone()?;
                if other.len() != joined.len() {
                    return None;
                }
                for (place, (size, other)) in joined.iter_mut().zip(other).enumerate() {
                    *size = match (*size, other) {
                        (Some(one), Some(two)) if place == axis => one.checked_add(two),
                        _ if place == axis => None,
                        (size, other) => size.or(other),
                    };
                }
            }
            Some(joined)
        }
        "Gather" => {
            let (data, indices) = (shape(0)?, shape(1)?);
            let axis = axis("axis", 0, data.len())?;
            let (before, after) = data.split_at(axis);
            Some([before, &indices, &after[1..]].concat())
        }
        "GatherElements" => shape(1),
        "GatherND" => {
            let (data, indices) = (rank(0)?, shape(1)?);
            let depth = usize::try_from((*indices.last()?)?).ok()?;
            let batch = usize::try_from(node.integer("batch_dims").unwrap_or(0)).ok()?;
            of_rank(
                (indices.len() - 1 + data)
                    .checked_sub(depth)?
                    .checked_sub(batch)?,
            )
        }
        "Slice" => {
            let mut shape = shape(0)?;
            let starts = node
                .integers("starts")
                .map_or_else(|| input(1).and_then(length), |all| Some(all.len()));
            let axes = match (listed("axes", 3), starts) {
                (Some(axes), _) => axes
                    .iter()
                    .map(|axis| place(*axis, shape.len()))
                    .collect::<Option<Vec<_>>>(),
                (None, Some(count)) if input(3).is_none() => Some((0..count).collect()),
                _ => None,
            };
            match axes {
                Some(axes) => axes.into_iter().for_each(|axis| {
                    if let Some(size) = shape.get_mut(axis) {
                        *size = None;
                    }
                }),
                None => shape.fill(None),
            }
            Some(shape)
        }
        "Split" => {
            let mut shape = shape(0)?;
            let axis = axis("axis", 0, shape.len())?;
            let sizes = listed("split", 1).and_then(|sizes| sizes.get(output).copied());
            shape[axis] = match (sizes, shape[axis]) {
                (Some(size), _) => Some(size),
                (None, Some(size))
                    if input(1).is_none()
                        && size % i64::try_from(node.outputs.len()).ok()? == 0 =>
                {
                    Some(size / i64::try_from(node.outputs.len()).ok()?)
                }
                _ => None,
            };
            Some(shape)
        }
        "Pad" | "Tile" | "Resize" | "Upsample" | "DepthToSpace" | "SpaceToDepth" => {
            of_rank(rank(0)?)
        }
        "Conv" | "ConvInteger" | "ConvTranspose" | "MaxPool" | "AveragePool" | "LpPool"
        | "GlobalAveragePool" | "GlobalMaxPool" | "GridSample" => of_rank(rank(0)?),
        "TopK" | "CenterCropPad" => of_rank(rank(0)?),
        "MatMul" | "MatMulInteger" => matrix_product(shape(0)?, shape(1)?),
        "Gemm" => of_rank(2),
        "NonZero" | "NonMaxSuppression" => of_rank(2),
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
            keeps(node),
        ),
        operator if operator.starts_with("Reduce") => {
            let axes = listed("axes", 1);
            let is_unknown = axes.is_none() && input(1).is_some();
            match (is_unknown, keeps(node)) {
                (true, true) => of_rank(rank(0)?),
                (true, false) => of_rank(rank(0)?.checked_sub(length(input(1)?)?)?),
                (false, keeps) => {
                    let axes = axes.filter(|axes| !axes.is_empty());
                    if axes.is_none() && node.integer("noop_with_empty_axes") == Some(1) {
                        return shape(0);
                    }
                    reduce(shape(0)?, axes, keeps)
                }
            }
        }
        "OneHot" => of_rank(rank(0)? + 1),
        "Range" => of_rank(1),
        "LSTM" | "GRU" | "RNN" => of_rank(if output == 0 { 4 } else { 3 }),
        "STFT" => of_rank(4),
        "DFT" => of_rank(rank(0)?),
        "Compress" if node.integer("axis").is_none() => of_rank(1),
        "Constant" => match node.attribute("value")? {
            AttributeValue::Tensor(tensor) => of_rank(tensor.shape.len()),
            _ => None,
        },
        _ if version < 0 => None,
        _ => None,
    }
}

/// The place of an axis; `None` if the rank has no such axis.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let count = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + count } else { axis };
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
        [size] => (*size)?,
        _ => return None,
    };
    usize::try_from(size).ok().filter(|size| *size <= MAX_RANK)
}

fn keeps(node: &GraphNode<'_>) -> bool {
    node.integer("keepdims").unwrap_or(1) != 0
}

fn broadcast(inputs: &[Option<&Value>]) -> Option<Sizes> {
    let mut result: Sizes = Vec::new();
    for input in inputs.iter().flatten() {
        let shape = input.shape.as_ref()?;
        if shape.len() > result.len() {
            let missing = shape.len() - result.len();
            result.splice(0..0, vec![Some(1); missing]);
        }
        let start = result.len() - shape.len();
        for (size, other) in result[start..].iter_mut().zip(shape) {
            *size = match (*size, *other) {
                (Some(1), other) => other,
                (size, Some(1)) => size,
                (Some(size), _) | (None, Some(size)) => Some(size),
                (None, None) => None,
            };
        }
    }
    Some(result)
}

fn matrix_product(one: Sizes, two: Sizes) -> Option<Sizes> {
    let (rows, columns) = (
        one.len().checked_sub(2).map(|at| one[at]),
        two.last().copied(),
    );
    let batch = |shape: &Sizes| shape[..shape.len().saturating_sub(2)].to_vec();
    let (one_batch, two_batch) = (
        Value::of(None, Some(batch(&one))),
        Value::of(None, Some(batch(&two))),
    );
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
            true => shape[place] = Some(1),
            false => {
                shape.remove(place);
            }
        }
    }
    Some(shape)
}
