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

/// The divisions by the names of their outputs.
pub(super) type Divisions = HashMap<Vec<u8>, Form>;

/// The form of a division.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// rten computes it rightly, or nothing can replace it.
    Exact,
    /// Of a constant 1 without more dimensions than the divisor.
    Reciprocal,
    Other,
}

/// The divisions of a model. A malformed model has none.
pub(super) fn divisions(model: &[u8]) -> Divisions {
    let mut divisions = Forms::default();
    if let Ok(model) = Model::read(model) {
        Inference::walk(&model, &|_| None, InputLimits::WIDEST, &mut divisions);
    }
    divisions.0
}

#[derive(Default)]
struct Forms(Divisions);

impl Observer for Forms {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        let inner = node.node;
        let is_standard = inner.domain.is_empty() && !node.is_function;
        let Some(output) = inner.outputs.first().filter(|_| inner.operator == "Div") else {
            return;
        };
        let form = match is_standard && claims::is_inexact_division(node) {
            true => form(node),
            false => Form::Exact,
        };
        // Two branches can give the same name to different values.
        let name = output.as_bytes().to_vec();
        let known = self.0.entry(name).or_insert(form);
        if *known != form {
            *known = Form::Exact;
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
    match form {
        Form::Exact => return None,
        Form::Reciprocal => {
            to.add_into(b"Reciprocal", &[divisor], &[], &[output])?;
            return Some(to.finish());
        }
        Form::Other => {}
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
