//! `Div` by a computed divisor that can be a single number near 0.
//!
//! rten multiplies by the reciprocal of a single divisor, and gives the quotient the dimensions of
//! the dividend. The reciprocal of a number below 2^-128 is infinite.

use std::collections::HashMap;

use super::node::Node;
use super::replacement::Replacement;
use crate::onnx::{Inference, InputLimits, Model, NodeInContext, Observer, Value};
use crate::runtime::claims;

/// Smaller divisors are enlarged first. A quotient by a smaller number has no fewer digits than the
/// dividend, also after the enlargement.
const SMALL: f32 = f32::from_bits((127 - 100) << 23);
/// 2^64. The product with a power of two is exact.
const FACTOR: f32 = f32::from_bits((127 + 64) << 23);

/// The divisions that rten can compute wrongly, by the names of their outputs.
pub(super) type Divisions = HashMap<Vec<u8>, Form>;

/// The form of a division.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Of a constant 1 without more dimensions than the divisor.
    Reciprocal,
    Other,
}

/// The divisions that rten can compute wrongly. A malformed model has none.
pub(super) fn inexact(model: &[u8]) -> Divisions {
    let mut divisions = Inexact::default();
    if let Ok(model) = Model::read(model) {
        Inference::walk(&model, &|_| None, InputLimits::WIDEST, &mut divisions);
    }
    divisions.0
}

#[derive(Default)]
struct Inexact(Divisions);

impl Observer for Inexact {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        let inner = node.node;
        let is_standard = inner.operator == "Div" && inner.domain.is_empty() && !node.is_function;
        if is_standard
            && claims::is_inexact_division(node)
            && let Some(output) = inner.outputs.first()
        {
            self.0.insert(output.as_bytes().to_vec(), form(node));
        }
    }

    fn output(&mut self, _: &str, _: Option<&Value>) {}
}

fn form(node: &NodeInContext<'_, '_>) -> Form {
    let (Some(Some(dividend)), Some(Some(divisor))) = (node.inputs.first(), node.inputs.get(1))
    else {
        return Form::Other;
    };
    let is_low = match (dividend.rank(), divisor.rank()) {
        (Some(0), _) => true,
        (Some(dividend), Some(divisor)) => dividend <= divisor,
        _ => false,
    };
    match dividend.numbers().as_deref() {
        Some([1.0]) if is_low => Form::Reciprocal,
        _ => Form::Other,
    }
}

/// Divides by a divisor that has a finite reciprocal, and multiplies the quotient by the rest.
pub(super) fn replace(
    node: &Node<'_>,
    form: Form,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (dividend, divisor, output) = (node.input(0)?, node.input(1)?, node.single_output()?);
    if matches!(form, Form::Reciprocal) {
        to.add_into(b"Reciprocal", &[divisor], &[], &[output])?;
        return Some(to.finish());
    }
    let (small, large, one) = (to.float(SMALL)?, to.float(FACTOR)?, to.float(1.0)?);
    let magnitude = to.add(b"Abs", &[divisor], &[])?;
    let is_small = to.add(b"Less", &[&magnitude, &small], &[])?;
    let factor = to.add(b"Where", &[&is_small, &large, &one], &[])?;
    let enlarged = to.add(b"Mul", &[divisor, &factor], &[])?;
    let quotient = to.add(b"Div", &[dividend, &enlarged], &[])?;
    // The product has the dimensions of the divisor, too.
    to.add_into(b"Mul", &[&quotient, &factor], &[], &[output])?;
    Some(to.finish())
}
