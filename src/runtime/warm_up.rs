//! The first pass of a model, before anybody is served by it.

use super::tensor::element_count;
use super::{
    DataType, Dimension, RunError, RuntimeError, Session, Tensor, TensorData, TensorSpec, run,
};

/// The sizes tried for dimensions that the model leaves open, the smallest first. The first dimension, which is the
/// batch by convention, is always tried with 1.
const SIZES: [usize; 4] = [1, 16, 128, 1024];

/// No input made up here has more elements than this: a model that declares more is not worth the memory.
const MAX_ELEMENTS: usize = 64 << 20;

/// Runs the model once on made-up inputs: the outputs must have the declared datatypes and ranks and be finite.
///
/// Zeros, with open dimensions as small as the model takes them. A model may rightly have no answer for zeros (the mean
/// of nothing masked in) or for size 1 (a window of 7), so ones and other sizes are tried before it is refused; what is
/// told then is the first failure.
pub(crate) fn warm_up(session: &dyn Session) -> Result<(), RuntimeError> {
    let open = |spec: &TensorSpec| match &spec.shape {
        Some(shape) => shape
            .iter()
            .any(|dimension| matches!(dimension, Dimension::Dynamic(_))),
        None => true,
    };
    let sizes = if session.inputs().iter().any(open) {
        &SIZES[..]
    } else {
        &SIZES[..1]
    };
    let mut first = None;
    for &size in sizes {
        for fill in [0, 1] {
            let made_up = session
                .inputs()
                .iter()
                .map(|spec| make_up(spec, size, fill));
            match run(session, made_up.collect::<Result<_, _>>()?) {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
    }
    let failed = first.unwrap_or_else(|| RunError::Failed("nothing was tried".to_owned()));
    Err(RuntimeError::WarmUp(failed))
}

fn make_up(spec: &TensorSpec, size: usize, fill: u8) -> Result<Tensor, RuntimeError> {
    let sized = |(place, dimension): (usize, &Dimension)| match dimension {
        Dimension::Fixed(fixed) => *fixed,
        Dimension::Dynamic(_) if place == 0 => 1,
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
