//! The shapes of outputs along spatial axes.

use super::{ANY, Shaped, of_rank};
use crate::onnx::interval::Interval;
use crate::onnx::value::Sizes;

impl Shaped<'_, '_> {
    /// The output of a convolution or of a pooling.
    pub(super) fn windows(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let axes = shape.len().checked_sub(2)?;
        let weights = self.shape(1);
        let is_convolution = self.node.operator.starts_with("Conv");
        if is_convolution && let Some(channels) = shape.get_mut(1) {
            let count = weights.as_ref().and_then(|weights| weights.first());
            *channels = count.copied().unwrap_or(ANY);
        }
        let number = |name: &str, at: usize, default: f64| {
            let numbers = self.node.integers(name);
            let number = numbers.and_then(|numbers| numbers.get(at)).copied();
            number.map_or(default, |number| number as f64)
        };
        let is_same = matches!(
            self.node.text("auto_pad"),
            Some(b"SAME_UPPER" | b"SAME_LOWER")
        );
        // Rounded up, the last window can begin beyond the end.
        let extra = self.node.integer("ceil_mode").unwrap_or(0) as f64;
        for axis in 0..axes {
            let kernel = match (self.node.integers("kernel_shape"), &weights) {
                (Some(_), _) => number("kernel_shape", axis, 1.0),
                (None, Some(weights)) => weights.get(axis + 2).map_or(1.0, |size| size.low),
                (None, None) => 1.0,
            };
            let stride = number("strides", axis, 1.0).max(1.0);
            let pads = number("pads", axis, 0.0) + number("pads", axis + axes, 0.0);
            let reach = number("dilations", axis, 1.0) * (kernel - 1.0) + 1.0;
            let size = &mut shape[axis + 2];
            *size = match is_same {
                true => size.map(|size| (size / stride).ceil()),
                false => {
                    let low = ((size.low + pads - reach) / stride).floor() + 1.0;
                    let high = ((size.high + pads - reach) / stride).floor() + 1.0 + extra;
                    Interval::new(low.max(0.0), high.max(0.0))
                }
            };
        }
        Some(shape)
    }

    pub(super) fn pad(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let rank = shape.len();
        let pads = self.listed("pads", 1);
        match pads.filter(|pads| pads.len() == 2 * rank && self.input(3).is_none()) {
            Some(pads) => {
                for (axis, size) in shape.iter_mut().enumerate() {
                    let added = Interval::of(pads[axis] as f64 + pads[axis + rank] as f64);
                    *size = size.add(added).maximum(Interval::of(0.0));
                }
                Some(shape)
            }
            None => of_rank(rank),
        }
    }

    pub(super) fn resize(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let is_upsample = self.node.operator == "Upsample";
        let scales = self
            .input(if is_upsample { 1 } else { 2 })
            .and_then(|scales| scales.numbers());
        match scales.filter(|scales| scales.len() == shape.len()) {
            Some(scales) if self.input(3).is_none() => {
                for (size, scale) in shape.iter_mut().zip(scales) {
                    // A product just below an integer can be rounded up.
                    *size = Interval::new((size.low * scale).floor(), (size.high * scale).ceil());
                }
                Some(shape)
            }
            _ => {
                let sizes = self.each(3).filter(|sizes| sizes.len() == shape.len());
                sizes
                    .map(<[Interval]>::to_vec)
                    .or_else(|| of_rank(shape.len()))
            }
        }
    }
}
