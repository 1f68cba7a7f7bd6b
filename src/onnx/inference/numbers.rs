//! The ranges of operators' outputs.

use crate::onnx::element_type::ElementType;
use crate::onnx::graph::GraphNode;
use crate::onnx::inference::shapes;
use crate::onnx::interval::Interval;
use crate::onnx::value::{MAX_ELEMENTS, Value};

/// Sets the range of the first output of an operator.
pub(super) fn infer(
    node: &GraphNode<'_>,
    version: i64,
    inputs: &[Option<&Value>],
    value: &mut Value,
) {
    let input = |position: usize| inputs.get(position).copied().flatten();
    let Some(first) = input(0) else { return };
    let second = input(1);
    match node.operator {
        "Shape" => {
            let Some(sizes) = &first.shape else {
                *value = std::mem::take(value).with_range(Interval::SIZE);
                return;
            };
            let bound = |name: &str, default: usize| {
                let axis = node
                    .integer(name)
                    .unwrap_or(i64::try_from(default).unwrap_or(0));
                let count = i64::try_from(sizes.len()).unwrap_or(0);
                let axis = if axis < 0 { axis + count } else { axis };
                usize::try_from(axis.clamp(0, count)).unwrap_or(0)
            };
            let (start, end) = (bound("start", 0), bound("end", sizes.len()));
            let sizes = sizes.get(start..end.max(start)).unwrap_or(&[]);
            // A dimension of a tensor in memory has a size within 32 bits.
            value.set_each(
                sizes
                    .iter()
                    .map(|size| size.map(|bound| bound.min(Interval::SIZE.high)))
                    .collect(),
            );
            value.shape = Some(vec![Interval::of(sizes.len() as f64)]);
        }
        "Size" => {
            let count = first.count().unwrap_or(Interval::SIZE);
            value.set_each(vec![count.map(|bound| bound.min(Interval::SIZE.high))]);
        }
        "NonZero" | "ArgMax" | "ArgMin" | "NonMaxSuppression" | "SequenceLength" => {
            *value = std::mem::take(value).with_range(Interval::SIZE);
        }
        "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => copy(first, value),
        "Transpose" | "Expand" | "Tile" | "Split" | "DepthToSpace" | "SpaceToDepth"
        | "GatherElements" | "GatherND" | "TopK" | "ReduceMax" | "ReduceMin" | "SequenceAt"
        | "SequenceErase" | "ConcatFromSequence" | "SplitToSequence" | "ReverseSequence"
        | "MaxPool" | "GlobalMaxPool" | "Compress" | "Unique" => {
            *value = std::mem::take(value).with_range(first.range());
        }
        "Gather" => gather(node, first, second, value),
        "Slice" => slice(node, inputs, value),
        "Concat" | "Max" | "Min" | "Sum" | "SequenceConstruct" | "SequenceInsert" => {
            variadic(node.operator, inputs, value);
        }
        "Trilu" => *value = std::mem::take(value).with_range(first.range().join(Interval::of(0.0))),
        "Pad" | "ScatterElements" | "ScatterND" | "Scatter" => {
            let position = 2;
            let filled = match node.attribute("value") {
                Some(crate::onnx::AttributeValue::Float(number)) => f64::from(*number),
                _ => 0.0,
            };
            let other = input(position).map_or(Interval::of(filled), Value::range);
            let is_sum = node
                .text("reduction")
                .is_some_and(|reduction| reduction != b"none");
            if !is_sum {
                *value = std::mem::take(value).with_range(first.range().join(other));
            }
        }
        "Where" => {
            let (Some(one), Some(two)) = (second, input(2)) else {
                return;
            };
            pairwise(one, two, value, Interval::join);
        }
        "OneHot" => {
            let values = input(2).map_or(Interval::ALL, Value::range);
            *value = std::mem::take(value).with_range(values);
        }
        "ConstantOfShape" => {
            let filled = match node.attribute("value") {
                Some(crate::onnx::AttributeValue::Tensor(tensor)) => {
                    Value::of_tensor(tensor, &|_| None).range()
                }
                _ => Interval::of(0.0),
            };
            let count = value.count().and_then(Interval::single);
            let count = count.filter(|count| *count <= MAX_ELEMENTS as f64);
            match count.map(|count| count as usize) {
                Some(count) => value.set_each(vec![filled; count]),
                None => *value = std::mem::take(value).with_range(filled),
            }
        }
        "Range" => {
            let (Some(limit), Some(delta)) = (second, input(2)) else {
                return;
            };
            let (start, limit, delta) = (first.range(), limit.range(), delta.range());
            let hull = start.join(limit);
            // The last element is nearer to the start than the limit.
            let range = match delta {
                Interval { low, .. } if low > 0.0 => Interval::new(start.low, hull.high),
                Interval { high, .. } if high < 0.0 => Interval::new(hull.low, start.high),
                _ => hull,
            };
            *value = std::mem::take(value).with_range(range);
        }
        "Cast" | "CastLike" => cast(first, value),
        "Neg" => each(first, value, Interval::negate),
        "Abs" => each(first, value, Interval::absolute),
        "Sign" => *value = std::mem::take(value).with_range(Interval::new(-1.0, 1.0)),
        "Sqrt" => each(first, value, |range| {
            range.map(|bound| bound.max(0.0).sqrt())
        }),
        "Exp" => each(first, value, |range| range.map(f64::exp)),
        "Sigmoid" | "Softmax" => {
            *value = std::mem::take(value).with_range(Interval::BIT);
        }
        "Relu" => each(first, value, |range| range.maximum(Interval::of(0.0))),
        "Floor" => each(first, value, |range| range.map(f64::floor)),
        "Ceil" => each(first, value, |range| range.map(f64::ceil)),
        "Round" => each(first, value, |range| range.map(f64::round_ties_even)),
        "Clip" => {
            let bound = |name: &str, position: usize, default: f64| {
                let given = input(position).map(Value::range);
                let attribute = match node.attribute(name) {
                    Some(crate::onnx::AttributeValue::Float(bound)) => {
                        Some(Interval::of((*bound).into()))
                    }
                    _ => None,
                };
                given.or(attribute).unwrap_or(Interval::of(default))
            };
            let low = bound("min", 1, f64::NEG_INFINITY);
            let high = bound("max", 2, f64::INFINITY);
            each(first, value, |range| range.maximum(low).minimum(high));
        }
        "Mod" => {
            let Some(divisor) = second else { return };
            let most = divisor.range().absolute().high;
            let range = match node.integer("fmod").unwrap_or(0) {
                0 if divisor.range().low >= 0.0 => Interval::new(0.0, most),
                0 if divisor.range().high <= 0.0 => Interval::new(-most, 0.0),
                _ => Interval::new(-most, most),
            };
            *value = std::mem::take(value).with_range(range);
        }
        "Add" | "Sub" | "Mul" | "Div" if version >= 7 => {
            let Some(second) = second else { return };
            let is_integer = value.element != Some(ElementType::FLOAT);
            match node.operator {
                "Add" => pairwise(first, second, value, Interval::add),
                "Sub" => pairwise(first, second, value, Interval::subtract),
                "Mul" if node.inputs[0] == node.inputs[1] => each(first, value, |range| {
                    let most = range.absolute().high;
                    Interval::new(0.0, most * most)
                }),
                "Mul" => pairwise(first, second, value, Interval::multiply),
                _ if is_integer => pairwise(first, second, value, Interval::divide),
                _ => {}
            }
        }
        "Pow" => {
            let exponent = second.and_then(|second| second.range().single());
            if let Some(exponent) = exponent.filter(|exponent| (1.0..=64.0).contains(exponent)) {
                each(first, value, |range| {
                    let most = range.absolute().high.powf(exponent);
                    match exponent % 2.0 == 0.0 {
                        true => Interval::new(0.0, most),
                        false => Interval::new(-most, most),
                    }
                });
            }
        }
        "ReduceSum" | "ReduceProd" | "ReduceSumSquare" | "ReduceL1" | "ReduceMean" => {
            reduce(node, first, value);
        }
        _ => {}
    }
}

/// Sets the range of an output that is not the first.
pub(super) fn infer_other(node: &GraphNode<'_>, inputs: &[Option<&Value>], value: &mut Value) {
    match node.operator {
        "TopK" | "MaxPool" | "Unique" => {
            *value = std::mem::take(value).with_range(Interval::SIZE);
        }
        "Split" => {
            if let Some(Some(first)) = inputs.first() {
                *value = std::mem::take(value).with_range(first.range());
            }
        }
        _ => {}
    }
}

fn copy(from: &Value, to: &mut Value) {
    match &from.each {
        Some(elements) => to.set_each(elements.clone()),
        None => *to = std::mem::take(to).with_range(from.range()),
    }
}

fn each(from: &Value, to: &mut Value, change: impl Fn(Interval) -> Interval) {
    match &from.each {
        Some(elements) => to.set_each(elements.iter().map(|range| change(*range)).collect()),
        None => *to = std::mem::take(to).with_range(change(from.range())),
    }
}

fn pairwise(
    one: &Value,
    two: &Value,
    to: &mut Value,
    join: impl Fn(Interval, Interval) -> Interval,
) {
    let few = |value: &Value| value.rank().is_some_and(|rank| rank <= 1);
    if let (Some(first), Some(second)) = (&one.each, &two.each)
        && few(one)
        && few(two)
        && (first.len() == second.len() || first.len() == 1 || second.len() == 1)
    {
        let count = first.len().max(second.len());
        let of =
            |elements: &[Interval], at: usize| elements[if elements.len() == 1 { 0 } else { at }];
        if first.len().min(second.len()) > 0 {
            to.set_each(
                (0..count)
                    .map(|at| join(of(first, at), of(second, at)))
                    .collect(),
            );
            return;
        }
    }
    *to = std::mem::take(to).with_range(join(one.range(), two.range()));
}

fn variadic(operator: &str, inputs: &[Option<&Value>], value: &mut Value) {
    let inputs: Vec<&Value> = inputs.iter().copied().flatten().collect();
    let join = match operator {
        "Max" => Interval::maximum,
        "Min" => Interval::minimum,
        "Sum" => Interval::add,
        _ => Interval::join,
    };
    let is_vector = |value: &&Value| value.rank() == Some(1);
    if operator == "Concat" && inputs.iter().all(is_vector) {
        let elements: Option<Vec<_>> = inputs.iter().map(|value| value.each.as_deref()).collect();
        if let Some(elements) = elements {
            let count: usize = elements.iter().map(|each| each.len()).sum();
            if count <= MAX_ELEMENTS {
                return value.set_each(elements.concat());
            }
        }
    }
    let ranges = inputs.iter().map(|value| value.range());
    if let Some(range) = ranges.reduce(join) {
        *value = std::mem::take(value).with_range(range);
    }
}

fn gather(node: &GraphNode<'_>, data: &Value, indices: Option<&Value>, value: &mut Value) {
    let is_vector = data.rank() == Some(1) && node.integer("axis").unwrap_or(0) == 0;
    let picked = match (&data.each, indices.and_then(shapes::integers)) {
        (Some(elements), Some(indices)) if is_vector => indices
            .into_iter()
            .map(|index| elements.get(shapes::place(index, elements.len())?).copied())
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    match picked {
        Some(picked) => value.set_each(picked),
        None => *value = std::mem::take(value).with_range(data.range()),
    }
}

/// Follows a slice of a vector with a step of 1.
fn slice(node: &GraphNode<'_>, inputs: &[Option<&Value>], value: &mut Value) {
    let Some(Some(data)) = inputs.first() else {
        return;
    };
    let listed = |name: &str, position: usize| match node.integers(name) {
        Some(values) => Some(values.iter().map(|value| *value as f64).collect()),
        None => inputs
            .get(position)
            .copied()
            .flatten()
            .and_then(Value::numbers),
    };
    let has = |position: usize| inputs.get(position).is_some_and(Option::is_some);
    let (starts, ends) = (listed("starts", 1), listed("ends", 2));
    let is_first =
        |axes: Option<Vec<f64>>| axes.is_some_and(|axes| matches!(axes[..], [0.0 | -1.0]));
    let is_plain = data.rank() == Some(1)
        && (!(has(3) || node.attribute("axes").is_some()) || is_first(listed("axes", 3)))
        && (!has(4) || listed("steps", 4).is_some_and(|steps| steps == [1.0]));
    if let (true, Some(elements), Some([start]), Some([end])) =
        (is_plain, &data.each, starts.as_deref(), ends.as_deref())
    {
        let count = elements.len() as f64;
        let bound = |at: f64| (if at < 0.0 { at + count } else { at }).clamp(0.0, count) as usize;
        let (start, end) = (bound(*start), bound(*end));
        value.set_each(elements[start..end.max(start)].to_vec());
        value.shape = Some(vec![Interval::of((end.max(start) - start) as f64)]);
        return;
    }
    *value = std::mem::take(value).with_range(data.range());
}

fn cast(from: &Value, to: &mut Value) {
    let is_float = |element| element == Some(ElementType::FLOAT);
    match to.element {
        Some(ElementType::FLOAT) if is_float(from.element) => copy(from, to),
        // Numbers beyond 2^24 are rounded.
        Some(ElementType::FLOAT) => {
            each(from, to, |range| range.map(|bound| f64::from(bound as f32)))
        }
        Some(ElementType::INT64 | ElementType::INT32) if is_float(from.element) => {
            each(from, to, |range| range.map(f64::trunc));
        }
        Some(ElementType::INT64 | ElementType::INT32) => copy(from, to),
        _ => {}
    }
}

fn reduce(node: &GraphNode<'_>, from: &Value, to: &mut Value) {
    let range = from.range();
    if node.operator == "ReduceMean" {
        *to = std::mem::take(to).with_range(range);
        return;
    }
    // All elements, or fewer, are reduced.
    let count = from.count().map_or(f64::INFINITY, |count| count.high);
    let most = range.absolute().high;
    let reduced = match (node.operator, &from.each) {
        ("ReduceProd", Some(elements)) => {
            // A product of fewer elements is no larger, unless one is below 1.
            let product: f64 = elements
                .iter()
                .map(|range| range.absolute().high.max(1.0))
                .product();
            let is_positive = elements.iter().all(|range| range.low >= 0.0);
            Interval::new(if is_positive { 0.0 } else { -product }, product)
        }
        ("ReduceProd", None) => {
            let product = most.max(1.0).powf(count);
            Interval::new(-product, product)
        }
        ("ReduceSumSquare", _) => Interval::new(0.0, count * most * most),
        ("ReduceL1", _) => Interval::new(0.0, count * most),
        _ => Interval::new(
            (count * range.low).min(range.low).min(0.0),
            (count * range.high).max(range.high).max(0.0),
        ),
    };
    *to = std::mem::take(to).with_range(reduced.checked());
}
