//! Conditions that no other condition of the language can express.

mod scales;
mod sizes;

pub(super) use self::scales::whole_sizes;
use self::scales::{exact_scales, resized_axes};
use self::sizes::{
    covering_windows, few_axes, long_shape, no_empty_integers, not_empty, single_zero_points,
    vector_product,
};
use crate::onnx::{ElementType, Interval, NodeInContext, Value};

/// A condition in code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    name: &'static str,
    /// The attribute that the rule reads.
    pub(super) attribute: Option<&'static str>,
    pub(super) check: RuleCheck,
}

const RULES: &[Rule] = &[
    Rule::new("cast_in_range", Some("to"), cast_in_range),
    Rule::new("constant_rank", None, constant_rank),
    Rule::new("covering_windows", None, covering_windows),
    Rule::new("divisor", None, divisor),
    Rule::new("exact_bytes", None, exact_bytes),
    Rule::new("exact_reciprocal", None, exact_reciprocal),
    Rule::new("exact_scales", None, exact_scales),
    Rule::new("exponent_rank", None, exponent_rank),
    Rule::new("few_axes", Some("kernel_shape"), few_axes),
    Rule::new("forward", None, forward),
    Rule::new("last_axis", Some("axis"), last_axis),
    Rule::new("long_shape", None, long_shape),
    Rule::new("no_empty_integers", None, no_empty_integers),
    Rule::new("not_empty", None, not_empty),
    Rule::new("pads_unless_valid", Some("pads"), pads_unless_valid),
    Rule::new("plain_kernel", None, plain_kernel),
    Rule::new("resized_axes", None, resized_axes),
    Rule::new("single_zero_points", None, single_zero_points),
    Rule::new("steps_with_axes", None, steps_with_axes),
    Rule::new("vector_product", None, vector_product),
    Rule::new("whole_lanes", Some("axis"), whole_lanes),
    Rule::new("whole_sizes", None, whole_sizes),
];

pub(super) fn find(name: &str) -> Option<Rule> {
    RULES.iter().find(|rule| rule.name == name).copied()
}

type RuleCheck = fn(&NodeInContext<'_, '_>) -> Result<(), String>;

impl Rule {
    const fn new(name: &'static str, attribute: Option<&'static str>, check: RuleCheck) -> Self {
        Self {
            name,
            attribute,
            check,
        }
    }
}

fn input<'n>(node: &'n NodeInContext<'_, '_>, position: usize) -> Option<&'n Value> {
    node.inputs.get(position)?.as_deref()
}

/// The range of the number of elements; `None` for an unknown rank.
fn is_single(value: &Value) -> Option<bool> {
    let sizes = value.shape.as_ref()?;
    if sizes.iter().all(|size| size.single() == Some(1.0)) {
        return Some(true);
    }
    // A dynamic size can be 1.
    let several = |size: &Interval| size.low > 1.0 || size.high < 1.0;
    sizes.iter().any(several).then_some(false)
}

fn is_power_of_two(value: f64) -> bool {
    value.is_normal() && value.to_bits().trailing_zeros() >= 52
}

/// A number that becomes an integer or a boolean is in the range of the new type.
fn cast_in_range(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let (Some(from), Some(to)) = (input(node, 0), node.outputs.first()) else {
        return Ok(());
    };
    let is_float = from.element == Some(ElementType::FLOAT);
    let limits = match to.element {
        Some(ElementType::BOOL) => Interval::BIT,
        Some(ElementType::INT8) if is_float => Interval::new(-128.0, 127.0),
        Some(ElementType::UINT8) if is_float => Interval::new(0.0, 255.0),
        // Numbers of 32 bits are rounded before the cast.
        Some(ElementType::INT32 | ElementType::INT64) if is_float => {
            Interval::new(-2_147_400_000.0, 2_147_400_000.0)
        }
        Some(ElementType::INT32) if from.element == Some(ElementType::INT64) => Interval::BITS_32,
        _ => return Ok(()),
    };
    match from.range().is_within(limits) {
        true => Ok(()),
        false => Err(format!("{} for {limits}", from.range())),
    }
}

/// A constant of type FLOAT that is a single number has no more dimensions than the other input.
fn constant_rank(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let (Some(one), Some(two)) = (input(node, 0), input(node, 1)) else {
        return Ok(());
    };
    for (constant, other) in [(one, two), (two, one)] {
        let is_float = constant.element == Some(ElementType::FLOAT);
        if is_float && constant.is_constant && is_single(constant) != Some(false) {
            single_of_low_rank(other, constant)?;
        }
    }
    Ok(())
}

/// The processor adds products of bytes exactly, or the second factor has 7 bits.
// rten-gemm multiplies with VPMADDUBSW on processors without AVX-512 VNNI. The instruction adds two
// products in 16 bits, and saturates.
fn exact_bytes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    #[cfg(target_arch = "x86_64")]
    {
        let is_exact = std::arch::is_x86_feature_detected!("avx512vnni")
            || !std::arch::is_x86_feature_detected!("avx2");
        let reduced = match input(node, 1) {
            Some(value) if value.element == Some(ElementType::INT8) => {
                value.range().is_within(Interval::new(-64.0, 63.0))
            }
            Some(value) => value.range().is_within(Interval::new(64.0, 191.0)),
            None => false,
        };
        let is_reduced = reduced && node.node.operator == "MatMulInteger";
        if !is_exact && !is_reduced {
            return Err("a processor without AVX-512 VNNI".to_owned());
        }
    }
    let _ = node;
    Ok(())
}

/// The steps are positive, or the slice is a reversed range that is not empty.
fn forward(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let Some(steps) = input(node, 4) else {
        return Ok(());
    };
    if steps.range().low >= 1.0 {
        return Ok(());
    }
    let single = |position: usize| input(node, position).and_then(|value| value.range().single());
    let sizes = input(node, 0).and_then(|value| value.shape.as_ref());
    // From a negative start down to a smaller end, the range is not empty if the start exists.
    let start = single(1).filter(|start| *start < 0.0 && single(2).is_some_and(|end| end < *start));
    let axis = single(3).zip(sizes).and_then(|(axis, sizes)| {
        let axis = if axis < 0.0 {
            axis + sizes.len() as f64
        } else {
            axis
        };
        sizes.get(axis as usize).copied()
    });
    let exists = start
        .zip(axis)
        .is_some_and(|(start, size)| size.low >= -start);
    match steps.range().single() == Some(-1.0) && exists {
        true => Ok(()),
        false => Err(format!("steps of {}", steps.range())),
    }
}

/// A divisor of type FLOAT that is a single number has a finite reciprocal, and no more dimensions
/// than the dividend.
fn divisor(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    constant_rank(node)?;
    let (Some(dividend), Some(divisor)) = (input(node, 0), input(node, 1)) else {
        return Ok(());
    };
    if divisor.element != Some(ElementType::FLOAT) || is_single(divisor) == Some(false) {
        return Ok(());
    }
    // A product of 1 and the reciprocal is the quotient.
    if dividend.range() == Interval::of(1.0) {
        return single_of_low_rank(dividend, divisor);
    }
    // A number above the smallest normal one has a reciprocal of 32 bits. That of a number up to
    // the largest one has at least 22 bits, and that of an infinite one is 0.
    const SMALLEST: f64 = 1.2e-38;
    let range = divisor.range();
    if range.low >= SMALLEST || range.high <= -SMALLEST {
        return single_of_low_rank(dividend, divisor);
    }
    let number = divisor.numbers().filter(|numbers| numbers.len() == 1);
    let Some(number) = number.map(|numbers| numbers[0]) else {
        return Err("a computed divisor that can be a single number".to_owned());
    };
    if number != 0.0 && number.abs() < SMALLEST {
        return Err(format!("the divisor {number}"));
    }
    single_of_low_rank(dividend, divisor)
}

/// Whether a node divides by a number of type FLOAT that fails [`divisor`] and is no constant.
pub(crate) fn is_inexact_division(node: &NodeInContext<'_, '_>) -> bool {
    // The optimiser computes constants itself.
    let is_computed = input(node, 1).is_some_and(|divisor| !divisor.is_constant);
    is_computed && constant_rank(node).is_ok() && divisor(node).is_err()
}

/// A single number does not have more dimensions than the other input.
fn single_of_low_rank(other: &Value, single: &Value) -> Result<(), String> {
    match (other.rank(), single.rank()) {
        (_, Some(0)) => Ok(()),
        (Some(other), Some(single)) if single <= other => Ok(()),
        (other, single) => {
            let rank = |rank: Option<usize>| match rank {
                Some(rank) => rank.to_string(),
                None => "an unknown number of".to_owned(),
            };
            Err(format!("{} and {} dimensions", rank(other), rank(single)))
        }
    }
}

/// An exponent that can be a single number has no more dimensions than the base.
fn exponent_rank(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    match (input(node, 0), input(node, 1)) {
        (Some(base), Some(exponent)) if is_single(exponent) != Some(false) => {
            single_of_low_rank(base, exponent)
        }
        _ => Ok(()),
    }
}

/// The elements of input 1 are constant powers of two, so that their reciprocals are exact.
fn exact_reciprocal(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let numbers = input(node, 1)
        .filter(|value| value.is_constant)
        .and_then(Value::numbers);
    match numbers {
        Some(numbers) => match numbers.iter().find(|number| !is_power_of_two(**number)) {
            None => Ok(()),
            Some(number) => Err(number.to_string()),
        },
        None => Err("a computed scale, or many".to_owned()),
    }
}

/// The attribute `axis` names the last axis.
fn last_axis(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let rank = input(node, 0).and_then(Value::rank);
    match (node.node.integer("axis").unwrap_or(1), rank) {
        (-1, _) => Ok(()),
        (axis, Some(rank)) if usize::try_from(axis.saturating_add(1)) == Ok(rank) => Ok(()),
        (axis, Some(rank)) => Err(format!("axis {axis} of {rank} dimensions")),
        (axis, None) => Err(format!("axis {axis} of an unknown number of dimensions")),
    }
}

/// There are no pads with `auto_pad` `VALID`.
fn pads_unless_valid(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let is_valid = node.node.text("auto_pad") == Some(b"VALID");
    let mut pads = node.node.integers("pads").unwrap_or(&[]).iter();
    match pads.find(|pad| is_valid && **pad != 0) {
        None => Ok(()),
        Some(pad) => Err(format!("a pad of {pad} with `auto_pad` VALID")),
    }
}

/// The input has one item, or the kernel is UINT8 without a zero point.
fn plain_kernel(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let items = input(node, 0).and_then(|value| value.shape.as_ref()?.first().copied());
    if items.and_then(Interval::single) == Some(1.0) {
        return Ok(());
    }
    let kernel = input(node, 1).and_then(|value| value.element);
    let zero = input(node, 3).map(|value| value.range() == Interval::of(0.0));
    match kernel == Some(ElementType::UINT8) && zero != Some(false) {
        true => Ok(()),
        false => Err("several items, and a kernel of INT8 or with a zero point".to_owned()),
    }
}

/// Steps are given only with axes, unless all are 1.
fn steps_with_axes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    match (input(node, 3), input(node, 4)) {
        (None, Some(steps)) if steps.range() != Interval::of(1.0) => {
            Err("steps without axes".to_owned())
        }
        _ => Ok(()),
    }
}

/// The indices have the sizes of the data on all axes but `axis`.
fn whole_lanes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let shape = |position| input(node, position).and_then(|value| value.shape.as_ref());
    let (Some(data), Some(indices)) = (shape(0), shape(1)) else {
        return Err("an unknown shape".to_owned());
    };
    let rank = i64::try_from(data.len()).unwrap_or(0);
    let axis = node.node.integer("axis").unwrap_or(0);
    let axis = if axis < 0 { axis + rank } else { axis };
    for (place, (one, two)) in (0_i64..).zip(data.iter().zip(indices)) {
        let is_equal = one.single().is_some() && one.single() == two.single();
        if place != axis && !is_equal {
            return Err(format!("the sizes {one} and {two} along axis {place}"));
        }
    }
    Ok(())
}
