//! The messages between a server and a worker: the order at the start, its answer, and the requests
//! and answers of runs.

use serde::{Deserialize, Serialize};

use super::lockdown::Lockdown;
use crate::runtime::{RefusalKind, RuntimeError};
use crate::sanitize::sanitize_for_log;
use crate::tensor::{element_count, encoding};
use crate::{DataType, Dimension, RunError, Tensor, TensorSpec};

/// The order to load a version, which is the first message to a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadOrder {
    /// The text of the manifest.
    pub(super) manifest: String,
    /// The limit of the worker's private memory, in bytes.
    pub(super) memory: u64,
    /// The number of threads of the session.
    pub(super) threads: usize,
    /// Whether the worker must refuse to load if a part of its lock-down is not enforced.
    pub(super) requires_lockdown: bool,
}

/// The answer of a worker to its order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LoadAnswer {
    Loaded {
        inputs: Vec<DeclaredTensor>,
        outputs: Vec<DeclaredTensor>,
        lockdown: Lockdown,
    },
    /// The runtime refuses the version.
    Refused { kind: RefusalKind, why: String },
    /// The worker cannot load any version.
    Unusable { why: String },
}

/// An input or output of a model.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeclaredTensor {
    name: String,
    datatype: String,
    shape: Option<Vec<DeclaredDimension>>,
    allow_nonfinite: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeclaredDimension {
    Fixed(usize),
    Dynamic(Option<String>),
}

impl LoadAnswer {
    pub(super) fn refused(error: &RuntimeError) -> Self {
        Self::Refused {
            kind: RefusalKind::of(error).unwrap_or(RefusalKind::Unloadable),
            why: sanitize_for_log(error),
        }
    }
}

impl DeclaredTensor {
    pub(super) fn new(spec: &TensorSpec) -> Self {
        let dimension = |dimension: &Dimension| match dimension {
            Dimension::Fixed(size) => DeclaredDimension::Fixed(*size),
            Dimension::Dynamic(name) => DeclaredDimension::Dynamic(name.clone()),
        };
        let shape = spec.shape.as_ref();
        Self {
            name: spec.name.clone(),
            datatype: spec.datatype.as_str().to_owned(),
            shape: shape.map(|shape| shape.iter().map(dimension).collect()),
            allow_nonfinite: spec.allow_nonfinite,
        }
    }

    /// `None` if the datatype does not exist.
    pub(super) fn into_spec(self) -> Option<TensorSpec> {
        let dimension = |dimension| match dimension {
            DeclaredDimension::Fixed(size) => Dimension::Fixed(size),
            DeclaredDimension::Dynamic(name) => Dimension::Dynamic(name),
        };
        let datatype = DataType::from_name(&self.datatype)?;
        let shape = self.shape;
        let shape = shape.map(|shape| shape.into_iter().map(dimension).collect());
        let mut spec = TensorSpec::new(self.name, datatype, shape);
        spec.allow_nonfinite = self.allow_nonfinite;
        Some(spec)
    }
}

/// The failure of a run in a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RunFailure {
    Refused { input: String, why: String },
    Panicked(String),
    Failed(String),
}

/// The first byte of an answer to a run.
const ANSWERED: u8 = 0;
const FAILED: u8 = 1;

/// The maximum number of dimensions of a tensor in a message.
const MAX_RANK: usize = 1 << 10;

/// Encodes the answer to a run.
pub(super) fn encode_answer(outcome: Result<Vec<Tensor>, RunError>, to: &mut Vec<u8>) {
    let failure = match outcome {
        Ok(outputs) => {
            to.push(ANSWERED);
            return encode_tensors(&outputs, to);
        }
        Err(RunError::Refused { input, why }) => RunFailure::Refused { input, why },
        Err(RunError::Panicked(why)) => RunFailure::Panicked(why),
        Err(RunError::Failed(why)) => RunFailure::Failed(why),
        Err(error) => RunFailure::Failed(error.to_string()),
    };
    to.push(FAILED);
    // A structure of texts has a form in JSON.
    to.extend(serde_json::to_vec(&failure).unwrap_or_default());
}

/// Decodes the answer to a run. `None` if the answer is malformed.
pub(super) fn decode_answer(bytes: &[u8]) -> Option<Result<Vec<Tensor>, RunError>> {
    match bytes.split_first()? {
        (&ANSWERED, tensors) => decode_tensors(tensors).map(Ok),
        (&FAILED, failure) => Some(Err(match serde_json::from_slice(failure).ok()? {
            RunFailure::Refused { input, why } => RunError::Refused { input, why },
            RunFailure::Panicked(why) => RunError::Panicked(why),
            RunFailure::Failed(why) if is_out_of_memory(&why) => RunError::OutOfMemory(why),
            RunFailure::Failed(why) => RunError::Failed(why),
        })),
        _ => None,
    }
}

/// Whether a runtime's error says that an allocation failed.
fn is_out_of_memory(why: &str) -> bool {
    ["bad_alloc", "bad allocation", "Failed to allocate memory"]
        .iter()
        .any(|sign| why.contains(sign))
}

/// Encodes tensors: their number, and for each one its datatype, its shape, the length of its data
/// and its data.
pub(super) fn encode_tensors(tensors: &[Tensor], to: &mut Vec<u8>) {
    let number = |number: usize| (number as u64).to_le_bytes();
    let sizes = tensors.iter().map(|tensor| encoding::size(tensor.data()));
    to.reserve(sizes.sum());
    to.extend(number(tensors.len()));
    for tensor in tensors {
        let datatype = DataType::ALL
            .iter()
            .position(|datatype| *datatype == tensor.datatype());
        to.extend(number(datatype.unwrap_or(DataType::ALL.len())));
        to.extend(number(tensor.shape().len()));
        to.extend(tensor.shape().iter().flat_map(|size| number(*size)));
        to.extend(number(encoding::size(tensor.data())));
        encoding::encode(tensor.data(), to);
    }
}

/// Decodes tensors. `None` if they are malformed.
pub(super) fn decode_tensors(bytes: &[u8]) -> Option<Vec<Tensor>> {
    let mut rest = bytes;
    let number = |rest: &mut &[u8]| {
        let (number, after) = rest.split_first_chunk()?;
        *rest = after;
        usize::try_from(u64::from_le_bytes(*number)).ok()
    };
    let count = number(&mut rest)?;
    let mut tensors = Vec::new();
    for _ in 0..count {
        let datatype = *DataType::ALL.get(number(&mut rest)?)?;
        let rank = number(&mut rest).filter(|rank| *rank <= MAX_RANK)?;
        let shape = (0..rank).map(|_| number(&mut rest));
        let shape: Vec<usize> = shape.collect::<Option<_>>()?;
        let length = number(&mut rest)?;
        let (data, after) = rest.split_at_checked(length)?;
        rest = after;
        let data = encoding::decode(datatype, data, element_count(&shape)?).ok()?;
        tensors.push(Tensor::new(shape, data)?);
    }
    rest.is_empty().then_some(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteStrings, TensorData};

    fn tensors() -> Vec<Tensor> {
        let texts: ByteStrings = ["", "one"].into_iter().collect();
        let of = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
        vec![
            of(
                &[2, 2],
                TensorData::Fp32(vec![1.5, f32::INFINITY, -0.0, 3.0]),
            ),
            of(&[], TensorData::Int64(vec![i64::MIN])),
            of(&[2, 1], TensorData::Bytes(texts)),
            of(&[0, 7], TensorData::Bool(Vec::new())),
        ]
    }

    #[test]
    fn tensors_survive_encoding() {
        let mut bytes = Vec::new();
        encode_answer(Ok(tensors()), &mut bytes);
        assert_eq!(decode_answer(&bytes).unwrap().unwrap(), tensors());
    }

    /// A hostile worker can send any bytes.
    #[test]
    fn malformed_tensors_are_refused() {
        let mut bytes = Vec::new();
        encode_tensors(&tensors(), &mut bytes);
        assert!(decode_tensors(&bytes).is_some());
        for end in 0..bytes.len() {
            assert!(decode_tensors(&bytes[..end]).is_none(), "{end}");
        }
        assert!(decode_tensors(&[&bytes[..], &[0]].concat()).is_none());
        // Counts far beyond the data must not allocate.
        for place in [0, 8, 16] {
            let mut huge = bytes.clone();
            huge[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(decode_tensors(&huge).is_none(), "{place}");
        }
    }

    #[test]
    fn failures_keep_their_kind() {
        let of = |error| {
            let mut bytes = Vec::new();
            encode_answer(Err(error), &mut bytes);
            decode_answer(&bytes).unwrap().unwrap_err()
        };
        let why = || "why".to_owned();
        assert!(matches!(of(RunError::Panicked(why())), RunError::Panicked(w) if w == "why"));
        assert!(matches!(of(RunError::Failed(why())), RunError::Failed(w) if w == "why"));
        let refused = RunError::Refused {
            input: why(),
            why: why(),
        };
        assert!(matches!(of(refused), RunError::Refused { input, .. } if input == "why"));
        let allocation = RunError::Failed("std::bad_alloc".to_owned());
        assert!(matches!(of(allocation), RunError::OutOfMemory(_)));
        assert!(decode_answer(&[]).is_none() && decode_answer(&[9]).is_none());
    }
}
