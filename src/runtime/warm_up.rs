//! The warm-up: the first run of a model, before it serves requests.

use super::RuntimeError;
use crate::session::{RunError, Session, run};
use crate::tensor::{DataType, Dimension, Tensor, TensorData, TensorSpec, element_count};

/// The sizes that the warm-up tries for dynamic dimensions, in this order. A dynamic first
/// dimension, by convention the batch, always has size 1.
const SIZES: [usize; 4] = [1, 16, 128, 1024];

/// The maximum number of elements of a generated input. This maximum limits the memory of the
/// warm-up.
const MAX_ELEMENTS: usize = 64 << 20;

/// Runs the model on generated inputs until one run succeeds. A run succeeds if its outputs have
/// the declared datatypes and ranks, and are finite where they must be.
///
/// The inputs of the first run are zeros, and all dynamic dimensions have size 1. Returns the error
/// of the first run if every run fails.
// A correct model can fail on zeros, for example when it computes the mean of an empty mask. It can
// fail on size 1, for example when it needs a window of 7. So the warm-up also tries ones and
// larger sizes before it refuses the model.
pub(crate) fn warm_up(session: &dyn Session) -> Result<(), RuntimeError> {
    let is_dynamic = |spec: &TensorSpec| match &spec.shape {
        Some(shape) => shape
            .iter()
            .any(|dimension| matches!(dimension, Dimension::Dynamic(_))),
        None => true,
    };
    let sizes = if session.inputs().iter().any(is_dynamic) {
        &SIZES[..]
    } else {
        &SIZES[..1]
    };
    let mut first = None;
    for &size in sizes {
        for fill in [0, 1] {
            let inputs = session
                .inputs()
                .iter()
                .map(|spec| generate(spec, size, fill));
            match run(session, inputs.collect::<Result<_, _>>()?) {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
    }
    let failed = first.unwrap_or_else(|| RunError::Failed("no input was tried".to_owned()));
    Err(RuntimeError::WarmUp(failed))
}

fn generate(spec: &TensorSpec, size: usize, fill: u8) -> Result<Tensor, RuntimeError> {
    let sized = |(position, dimension): (usize, &Dimension)| match dimension {
        Dimension::Fixed(fixed) => *fixed,
        Dimension::Dynamic(_) if position == 0 => 1,
        Dimension::Dynamic(_) => size,
    };
    let shape: Vec<usize> = match &spec.shape {
        Some(shape) => shape.iter().enumerate().map(sized).collect(),
        None => vec![1],
    };
    let unservable = || RuntimeError::Unservable {
        tensor: spec.name.clone(),
        why: format!("expected at most {MAX_ELEMENTS} elements, found the shape {shape:?}"),
    };
    let count = element_count(&shape)
        .filter(|&count| count <= MAX_ELEMENTS)
        .ok_or_else(unservable)?;
    let data = match spec.datatype {
        DataType::Bool => TensorData::Bool(vec![fill != 0; count]),
        DataType::Uint8 => TensorData::Uint8(vec![fill; count]),
        DataType::Int8 => TensorData::Int8(vec![fill.cast_signed(); count]),
        DataType::Int32 => TensorData::Int32(vec![fill.into(); count]),
        DataType::Int64 => TensorData::Int64(vec![fill.into(); count]),
        DataType::Fp32 => TensorData::Fp32(vec![fill.into(); count]),
    };
    Tensor::new(shape.clone(), data).ok_or_else(unservable)
}
