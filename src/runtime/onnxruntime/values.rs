//! Tensors as values of ONNX Runtime, and back.

use std::fmt::Debug;

use half::f16;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType, ValueType};

use crate::sanitize::sanitize_for_log;
use crate::session::RunError;
use crate::tensor::{ByteStrings, DataType, Fp16, Tensor, TensorData, TensorSpec};

/// Converts an input. Copies no numbers but those of FP16.
///
/// # Errors
///
/// When a byte string is no text, or contains a zero byte: ONNX Runtime would cut it off there.
pub(super) fn to_value(spec: &TensorSpec, tensor: Tensor) -> Result<DynValue, RunError> {
    fn value<T>(shape: Vec<usize>, elements: Vec<T>) -> Result<DynValue, ort::Error>
    where
        T: PrimitiveTensorElementType + Clone + Debug + 'static,
    {
        Ok(ort::value::Tensor::from_array((shape, elements))?.into_dyn())
    }
    let refused = |why: String| RunError::Refused {
        input: spec.name.clone(),
        why,
    };
    let (shape, data) = tensor.into_parts();
    let value = match data {
        TensorData::Bool(elements) => value(shape, elements),
        TensorData::Uint8(elements) => value(shape, elements),
        TensorData::Uint16(elements) => value(shape, elements),
        TensorData::Uint32(elements) => value(shape, elements),
        TensorData::Uint64(elements) => value(shape, elements),
        TensorData::Int8(elements) => value(shape, elements),
        TensorData::Int16(elements) => value(shape, elements),
        TensorData::Int32(elements) => value(shape, elements),
        TensorData::Int64(elements) => value(shape, elements),
        TensorData::Fp16(elements) => {
            let elements = elements.into_iter();
            value(
                shape,
                elements
                    .map(|each| f16::from_bits(each.to_bits()))
                    .collect(),
            )
        }
        TensorData::Fp32(elements) => value(shape, elements),
        TensorData::Fp64(elements) => value(shape, elements),
        TensorData::Bytes(elements) => {
            let texts = texts(&elements).map_err(refused)?;
            ort::value::Tensor::from_string_array((shape, &texts[..])).map(|value| value.into_dyn())
        }
    };
    value.map_err(|error| refused(sanitize_for_log(error)))
}

fn texts(elements: &ByteStrings) -> Result<Vec<String>, String> {
    let text = |(position, element): (usize, &[u8])| match str::from_utf8(element) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        Ok(_) => Err(format!(
            "expected texts without a zero byte, found one in the element at {position}"
        )),
        Err(error) => Err(format!(
            "expected texts in UTF-8, found other bytes in the element at {position}: {error}"
        )),
    };
    elements.iter().enumerate().map(text).collect()
}

/// Reads tensors of booleans.
///
/// A model can hold any byte as a boolean, and ONNX Runtime passes it on. In Rust, each byte but 0
/// and 1 is undefined behaviour. So ONNX Runtime itself converts the booleans into numbers first.
pub(super) struct Booleans(Session);

impl Booleans {
    /// `session` converts a tensor of booleans into numbers of type `u8`.
    pub(super) fn new(session: Session) -> Self {
        Self(session)
    }

    fn read(&mut self, value: &DynValue) -> Result<Vec<bool>, ort::Error> {
        let inputs = [SessionInputValue::from(value)];
        let outputs = self.0.run(&inputs[..])?;
        let bytes = outputs[0].try_extract_tensor::<u8>()?.1;
        Ok(bytes.iter().map(|byte| *byte != 0).collect())
    }
}

/// Converts an output. `booleans` reads outputs of booleans.
pub(super) fn to_tensor(
    spec: &TensorSpec,
    value: &DynValue,
    booleans: Option<&mut Booleans>,
) -> Result<Tensor, RunError> {
    let found = || RunError::UnexpectedOutput {
        output: spec.name.clone(),
        expected: spec.datatype.to_string(),
        found: describe(value.dtype()),
    };
    fn elements<T>(value: &DynValue) -> Result<Vec<T>, ort::Error>
    where
        T: PrimitiveTensorElementType + Copy,
    {
        Ok(value.try_extract_tensor()?.1.to_vec())
    }
    let ValueType::Tensor { shape, ty, .. } = value.dtype() else {
        return Err(found());
    };
    let shape: Option<Vec<usize>> = shape
        .iter()
        .map(|size| usize::try_from(*size).ok())
        .collect();
    let data = match spec.datatype {
        DataType::Bool => match booleans {
            Some(booleans) => booleans.read(value).map(TensorData::Bool),
            None => return Err(found()),
        },
        DataType::Uint8 => elements(value).map(TensorData::Uint8),
        DataType::Uint16 => elements(value).map(TensorData::Uint16),
        DataType::Uint32 => elements(value).map(TensorData::Uint32),
        DataType::Uint64 => elements(value).map(TensorData::Uint64),
        DataType::Int8 => elements(value).map(TensorData::Int8),
        DataType::Int16 => elements(value).map(TensorData::Int16),
        DataType::Int32 => elements(value).map(TensorData::Int32),
        DataType::Int64 => elements(value).map(TensorData::Int64),
        DataType::Fp16 => {
            let numbers = |elements: Vec<f16>| {
                let elements = elements.into_iter();
                elements
                    .map(|each| Fp16::from_bits(each.to_bits()))
                    .collect()
            };
            elements(value).map(numbers).map(TensorData::Fp16)
        }
        DataType::Fp32 => elements(value).map(TensorData::Fp32),
        DataType::Fp64 => elements(value).map(TensorData::Fp64),
        DataType::Bytes if *ty == TensorElementType::String => {
            let texts = value.try_extract_strings();
            let (_, texts) = texts.map_err(|error| {
                RunError::Failed(format!(
                    "output {}: expected texts in UTF-8: {}",
                    spec.name,
                    sanitize_for_log(error)
                ))
            })?;
            Ok(TensorData::Bytes(texts.into_iter().collect()))
        }
        DataType::Bytes => return Err(found()),
    };
    let data = data.map_err(|_| found())?;
    shape
        .and_then(|shape| Tensor::new(shape, data))
        .ok_or_else(|| {
            RunError::Failed(format!(
                "output {}: the shape does not fit the data",
                spec.name
            ))
        })
}

/// The type of a value, in words.
fn describe(found: &ValueType) -> String {
    match found {
        ValueType::Tensor { ty, .. } => format!("a tensor of {ty}"),
        ValueType::Sequence(_) => "a sequence".to_owned(),
        ValueType::Map { .. } => "a map".to_owned(),
        ValueType::Optional(_) => "an optional".to_owned(),
    }
}
