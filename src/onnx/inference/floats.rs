//! The ranges of numbers of type FLOAT.
//!
//! A range holds for each element that is a number: nothing follows about NaN.

use crate::onnx::element_type::ElementType;
use crate::onnx::graph::GraphNode;
use crate::onnx::interval::Interval;
use crate::onnx::value::Value;

/// The largest relative error of one inexact operation.
// Some digits more than the approximations of the exponential and of the error function have.
const INEXACT: f64 = 1e-5;

/// The largest number of elements that a sum can have in memory.
const MOST_SUMMED: f64 = (1_u64 << 40) as f64;

/// Sets or corrects the range of the first output of an operator, if its type is FLOAT.
pub(super) fn infer(node: &GraphNode<'_>, inputs: &[Option<&Value>], value: &mut Value) {
    if value.element != Some(ElementType::FLOAT) {
        return;
    }
    let range = |position: usize| {
        let input = inputs.get(position).copied().flatten();
        input.map_or(Interval::ALL, Value::range)
    };
    let symmetric = Interval::new(-1.0, 1.0);
    let of_operator = match node.operator {
        "Div" => Some(quotient(range(0), range(1))),
        "Reciprocal" => Some(quotient(Interval::of(1.0), range(0))),
        "Pow" => power(range(0), range(1)),
        "Cos" | "Erf" | "Sin" | "Softsign" | "Tanh" => Some(symmetric),
        "HardSigmoid" => Some(Interval::BIT),
        "ReduceL2" | "Softplus" => Some(Interval::new(0.0, f64::INFINITY)),
        // The order of the additions matters if some cancel others.
        "Sum" if inputs.len() > 2 && (0..inputs.len()).any(|input| range(input).low < 0.0) => {
            Some(Interval::ALL)
        }
        "ReduceMean" => {
            let count = inputs.first().copied().flatten().and_then(Value::count);
            Some(mean(
                range(0),
                count.map_or(MOST_SUMMED, |count| count.high),
            ))
        }
        _ => None,
    };
    if let Some(range) = of_operator {
        value.each = None;
        *value = std::mem::take(value).with_range(range);
    }
    let share = match node.operator {
        "Cos" | "Div" | "Erf" | "Exp" | "Pow" | "Reciprocal" | "ReduceMean" | "ReduceProd"
        | "Sin" | "Softplus" | "Softsign" | "Sum" | "Tanh" => INEXACT,
        // The error of a sum is in proportion to the number of elements.
        "ReduceL1" | "ReduceSum" | "ReduceSumSquare" => 1.0,
        _ => 0.0,
    };
    match value.each.take() {
        Some(each) => value.set_each(each.into_iter().map(|range| round(range, share)).collect()),
        None => {
            let range = round(value.range(), share);
            *value = std::mem::take(value).with_range(range);
        }
    }
}

/// The range of the results in 32 bits of operations with a relative error of at most `share`.
fn round(range: Interval, share: f64) -> Interval {
    let bound = |bound: f64, factor: f64| {
        let moved = bound * factor;
        // An approximation can be 0 in place of a number near 0.
        let is_lost = share > 0.0 && factor < 1.0 && moved.abs() < f64::from(f32::MIN_POSITIVE);
        if is_lost {
            0.0
        } else {
            f64::from(moved as f32)
        }
    };
    // A positive lower bound moves toward 0, and a negative one away from it.
    let (toward, away) = (1.0 - share, 1.0 + share);
    let low = bound(range.low, if range.low > 0.0 { toward } else { away });
    let high = bound(range.high, if range.high < 0.0 { toward } else { away });
    Interval::new(low, high).checked()
}

/// The quotients; all numbers if the divisor can be 0, which has a sign.
fn quotient(dividend: Interval, divisor: Interval) -> Interval {
    if divisor.low <= 0.0 && divisor.high >= 0.0 {
        return Interval::ALL;
    }
    let of = |dividend: f64, divisor: f64| match dividend.is_infinite() && divisor.is_infinite() {
        // The quotient of an infinite number and a finite one is at another corner.
        true => 0.0,
        false => dividend / divisor,
    };
    dividend.corners(divisor, of)
}

/// The powers of numbers that are not negative; `None` if nothing more is known.
fn power(base: Interval, exponent: Interval) -> Option<Interval> {
    let exponent = exponent.single().filter(|exponent| *exponent > 0.0)?;
    (base.low >= 0.0).then(|| base.map(|base| base.powf(exponent)))
}

/// The means of at most `count` numbers, summed in 32 bits one by one.
// A sum of equal numbers stops to grow at 2^24 of them. Before, it grows by at least half a number,
// and by at most two.
fn mean(range: Interval, count: f64) -> Interval {
    const GROWING: f64 = (1 << 22) as f64;
    let count = count.clamp(1.0, MOST_SUMMED);
    let error = (count / GROWING).min(1.0);
    let (toward, away) = match count <= GROWING / 2.0 {
        true => (1.0 - error, 1.0 + error),
        false => (0.5 * GROWING / count.max(GROWING), 2.0),
    };
    let is_finite = |bound: f64| (bound * count).abs() < f64::from(f32::MAX) / 2.0;
    let low = match range.low {
        low if low > 0.0 => low * toward,
        low if is_finite(low) => low * away,
        _ => f64::NEG_INFINITY,
    };
    let high = match range.high {
        high if high < 0.0 => high * toward,
        high if is_finite(high) => high * away,
        _ => f64::INFINITY,
    };
    Interval::new(low, high)
}
