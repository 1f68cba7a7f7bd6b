//! Conditions on the scales of a resize.

use super::{input, is_power_of_two};
use crate::onnx::{AttributeValue, Interval, NodeInContext};

/// The scales of `Resize` or `Upsample`.
enum Scales {
    Constant(Vec<f64>),
    Computed,
    /// The input `sizes` takes their place.
    Absent,
}

impl Scales {
    fn of(node: &NodeInContext<'_, '_>) -> Self {
        let is_upsample = node.node.operator == "Upsample";
        if let Some(AttributeValue::Floats(scales)) = node.node.attribute("scales") {
            return Self::Constant(scales.iter().map(|scale| f64::from(*scale)).collect());
        }
        let Some(scales) = input(node, if is_upsample { 1 } else { 2 }) else {
            return Self::Absent;
        };
        match scales.numbers() {
            Some(numbers) if numbers.is_empty() => Self::Absent,
            Some(numbers) => Self::Constant(numbers),
            None if scales.shape.as_deref() == Some(&[Interval::of(0.0)]) => Self::Absent,
            None => Self::Computed,
        }
    }
}

/// The scales of a nearest resize are constant, and their reciprocals exact.
pub(super) fn exact_scales(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let mode = node.node.text("mode");
    if mode.is_some_and(|mode| mode != b"nearest") {
        return Ok(());
    }
    let scales = match Scales::of(node) {
        Scales::Constant(scales) => scales,
        Scales::Computed => return Err("computed scales".to_owned()),
        Scales::Absent => {
            // The sizes are proportional if both are known.
            let before = input(node, 0).and_then(|value| value.shape.clone());
            let after = input(node, 3).and_then(|value| value.each.clone());
            let (Some(before), Some(after)) = (before, after) else {
                return Err("computed sizes".to_owned());
            };
            let scale =
                |(before, after): (&Interval, &Interval)| Some(after.single()? / before.single()?);
            let scales: Option<Vec<f64>> = before.iter().zip(&after).map(scale).collect();
            scales.ok_or("sizes of an unknown ratio")?
        }
    };
    match scales.iter().find(|scale| !is_power_of_two(**scale)) {
        None => Ok(()),
        Some(scale) => Err(format!("the scale {scale}")),
    }
}

/// Each scale is constant. A scale other than 1 changes the size of its axis.
// The kernel copies an axis whose size stays the same.
pub(super) fn resized_axes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let scales = match Scales::of(node) {
        Scales::Constant(scales) => scales,
        Scales::Computed => return Err("computed scales".to_owned()),
        Scales::Absent => return Ok(()),
    };
    let sizes = input(node, 0).and_then(|value| value.shape.as_deref());
    for (axis, scale) in scales.into_iter().enumerate() {
        let least = sizes.and_then(|sizes| sizes.get(axis)).map(|size| size.low);
        let grows = |least: f64| (least * scale).floor() > least;
        if scale > 1.0 && scale < 2.0 && !least.is_some_and(grows) {
            return Err(format!(
                "the scale {scale} along axis {axis}, which may keep its size"
            ));
        }
    }
    Ok(())
}

/// With `align_corners`, each size times its scale is a whole number.
// The standard places the last corner by the product before it is rounded down, and the runtimes by
// the rounded one.
pub(in crate::runtime::claims) fn whole_sizes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    if node.node.text("coordinate_transformation_mode") != Some(b"align_corners") {
        return Ok(());
    }
    let numbers = match Scales::of(node) {
        Scales::Constant(scales) => scales,
        Scales::Computed => return Err("computed scales".to_owned()),
        Scales::Absent => return Ok(()),
    };
    let whole = |number: f64| number.fract() == 0.0;
    // The attribute `axes` selects other sizes.
    let sizes = input(node, 0).filter(|_| node.node.attribute("axes").is_none());
    let sizes = sizes.and_then(|value| value.shape.as_ref());
    for (axis, scale) in numbers.into_iter().enumerate() {
        let size = sizes.and_then(|sizes| sizes.get(axis)?.single());
        if !whole(scale) && !size.is_some_and(|size| whole(size * scale)) {
            return Err(format!("the scale {scale} along axis {axis}"));
        }
    }
    Ok(())
}
