//! Encodes inference response bodies.

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};

use super::binary::{NO_JSON, REQUEST_BINARY};
use super::budget::{Budget, Reservation};
use super::coding::{AcceptedCodings, ContentCoding};
use super::request::WantedOutput;
use super::{binary, encoder};
use crate::json_float::JsonFloat;
use crate::predictor::{Failure, Serving};
use crate::{DataType, ModelName, Reason, Tensor, TensorData};

/// An upper bound on the size of a response's JSON in bytes. Excludes the elements, the names and
/// `id`.
const JSON_OVERHEAD: usize = 1024;

/// The minimum size of a body that is compressed, in bytes, unless the client accepts no other.
// A smaller body fits into one packet anyway.
const MIN_COMPRESSED: usize = 1024;

/// An encoded response body, which holds its memory reservation until it is dropped.
#[derive(Debug)]
pub(super) struct EncodedResponse {
    body: Vec<u8>,
    /// The length of the JSON part in bytes, or `None` when the whole body is JSON.
    json_length: Option<usize>,
    /// The coding of `body`, if it is compressed.
    coding: Option<ContentCoding>,
    memory: Reservation,
}

#[derive(Serialize)]
struct InferResponse<'a> {
    model_name: &'a str,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<ResponseParameters>,
    outputs: Vec<ResponseOutput<'a>>,
}

/// The parameters of a response. Present only if the response is degraded or its version is
/// unverified.
#[derive(Serialize)]
struct ResponseParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified: Option<bool>,
}

#[derive(Serialize)]
struct ResponseOutput<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<OutputData<'a>>,
}

/// The parameters of an output, present only if its elements follow the JSON as bytes.
#[derive(Serialize)]
struct OutputParameters {
    binary_data_size: usize,
}

/// The elements of the output with this name, serialized as a flat list in row-major order. An
/// element of BYTES that is not UTF-8 is an error.
struct OutputData<'a>(&'a str, &'a TensorData);

impl EncodedResponse {
    /// Encodes the response as JSON, followed by the elements of binary outputs.
    ///
    /// Writes each finite number with the fewest digits that can be parsed to the same bits. Writes
    /// other values as in [`json_float`](crate::json_float), and BYTES as strings. Refuses BYTES
    /// that are not UTF-8, unless they are wanted in binary.
    ///
    /// Reserves memory for the existing tensors and for the body, then allocates the body.
    pub(super) fn encode(
        model: &ModelName,
        serving: &Serving,
        id: Option<&str>,
        wanted: &[WantedOutput],
        outputs: &[Tensor],
        budget: &Budget,
    ) -> Result<Self, Failure> {
        let specs = serving.loaded.session.outputs();
        let tensors: usize = outputs.iter().map(|tensor| tensor.data().size()).sum();
        let id_size = id.map_or(0, |id| 6 * id.len());
        let body_size = JSON_OVERHEAD
            + id_size
            + wanted
                .iter()
                .map(|output| max_bytes(*output, &outputs[output.place]))
                .sum::<usize>();
        let mut memory = budget.reserve(tensors + body_size, "the response")?;
        let output = |wanted: &WantedOutput| {
            let (spec, tensor) = (&specs[wanted.place], &outputs[wanted.place]);
            ResponseOutput {
                name: &spec.name,
                datatype: spec.datatype.as_str(),
                shape: tensor.shape(),
                parameters: wanted.binary.then(|| OutputParameters {
                    binary_data_size: binary::size(tensor.data()),
                }),
                data: (!wanted.binary).then(|| OutputData(&spec.name, tensor.data())),
            }
        };
        let is_unverified = serving.loaded.is_unverified;
        let parameters = ResponseParameters {
            degraded: serving.degraded.map(|_| true),
            degraded_reason: serving.degraded.map(Reason::as_str),
            unverified: is_unverified.then_some(true),
        };
        let response = InferResponse {
            model_name: model.as_str(),
            model_version: serving.loaded.version().to_string(),
            id,
            parameters: (serving.degraded.is_some() || is_unverified).then_some(parameters),
            outputs: wanted.iter().map(output).collect(),
        };
        let mut body = Vec::with_capacity(body_size);
        // In memory, only text that is not UTF-8 is an error. The client asked for JSON, so this is
        // no failure of the model.
        serde_json::to_writer(&mut body, &response)
            .map_err(|error| Failure::new(Reason::InvalidRequest, error.to_string()))?;
        let binaries = wanted.iter().filter(|output| output.binary);
        let mut json_length = None;
        for output in binaries {
            json_length.get_or_insert(body.len());
            binary::encode(outputs[output.place].data(), &mut body);
        }
        memory.shrink_to(body.len());
        Ok(Self {
            body,
            json_length,
            coding: None,
            memory,
        })
    }

    /// Compresses the body as the client prefers, if that makes it smaller.
    ///
    /// Leaves a body of less than [`MIN_COMPRESSED`] bytes as it is, and every body for which there
    /// is no memory to compress it. A body is always compressed if the client accepts no other.
    pub(super) fn compress(mut self, accepted: AcceptedCodings) -> Result<Self, Failure> {
        let Some(coding) = accepted.coding else {
            return Ok(self);
        };
        let size = self.body.len();
        if size < MIN_COMPRESSED && accepted.identity {
            return Ok(self);
        }
        let limit = match accepted.identity {
            true => size - 1,
            false => encoder::max_bytes(size),
        };
        let needed = size + limit + encoder::ENCODER_BYTES;
        match self.memory.grow_to(needed, "the compressed response") {
            Err(_) if accepted.identity => return Ok(self),
            reserved => reserved?,
        }
        if let Some(compressed) = encoder::compress(&self.body, coding, limit) {
            self.body = compressed;
            self.coding = Some(coding);
        }
        self.memory.shrink_to(self.body.len());
        Ok(self)
    }
}

/// An upper bound on the encoded size of one output in bytes. Excludes the output's name.
fn max_bytes(output: WantedOutput, tensor: &Tensor) -> usize {
    const DIMENSION: usize = "18446744073709551615,".len();
    let frame = JSON_OVERHEAD / 4 + DIMENSION * tensor.shape().len();
    let elements = match output.binary {
        true => binary::size(tensor.data()),
        false => max_json(tensor.data()),
    };
    frame + elements
}

/// An upper bound on the size of the elements as JSON, in bytes.
fn max_json(data: &TensorData) -> usize {
    let element = match data.datatype() {
        DataType::Bool => "false,".len(),
        DataType::Uint8 => "255,".len(),
        DataType::Uint16 => "65535,".len(),
        DataType::Uint32 => "4294967295,".len(),
        DataType::Uint64 => "18446744073709551615,".len(),
        DataType::Int8 => "-128,".len(),
        DataType::Int16 => "-32768,".len(),
        DataType::Int32 => "-2147483648,".len(),
        DataType::Int64 => "-9223372036854775808,".len(),
        // The longest text has nine significant digits and eight other characters: the sign, the
        // point and six zeros. A text with an exponent is shorter.
        DataType::Fp16 | DataType::Fp32 => "-123456790000000.0,".len(),
        // The longest text has 17 significant digits, the sign, the point and an exponent.
        DataType::Fp64 => "-1.2345678901234567e-308,".len(),
        DataType::Bytes => "\"\",".len(),
    };
    let texts = match data {
        TensorData::Bytes(values) => values.bytes().iter().map(escaped_size).sum(),
        _ => 0,
    };
    element * data.len() + texts
}

/// The size of a byte in a JSON string.
fn escaped_size(byte: &u8) -> usize {
    match byte {
        0..0x20 => "\\u0000".len(),
        b'"' | b'\\' => "\\n".len(),
        _ => 1,
    }
}

impl IntoResponse for EncodedResponse {
    fn into_response(self) -> Response {
        let content_type = match self.json_length {
            None => "application/json",
            Some(_) => "application/octet-stream",
        };
        let (json_length, coding) = (self.json_length, self.coding);
        // `response` holds the memory reservation until the last byte is written to the socket,
        // even for a slow client.
        let mut response = Bytes::from_owner(ResponseBytes(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        // The length of the JSON before compression, as clients of this extension expect.
        if let Some(length) = json_length {
            headers.insert(binary::HEADER_LENGTH, HeaderValue::from(length));
        }
        if let Some(coding) = coding {
            let name = HeaderValue::from_static(coding.as_str());
            headers.insert(CONTENT_ENCODING, name);
        }
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

/// The bytes of a response body, which keep the memory reservation alive.
struct ResponseBytes(EncodedResponse);

impl AsRef<[u8]> for ResponseBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

impl Serialize for OutputData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(output, data) = *self;
        match data {
            TensorData::Bool(values) => serializer.collect_seq(values),
            TensorData::Uint8(values) => serializer.collect_seq(values),
            TensorData::Uint16(values) => serializer.collect_seq(values),
            TensorData::Uint32(values) => serializer.collect_seq(values),
            TensorData::Uint64(values) => serializer.collect_seq(values),
            TensorData::Int8(values) => serializer.collect_seq(values),
            TensorData::Int16(values) => serializer.collect_seq(values),
            TensorData::Int32(values) => serializer.collect_seq(values),
            TensorData::Int64(values) => serializer.collect_seq(values),
            TensorData::Fp16(_) => Err(S::Error::custom(format_args!(
                "output {output}: {NO_JSON}: {REQUEST_BINARY}"
            ))),
            TensorData::Fp32(values) => {
                serializer.collect_seq(values.iter().copied().map(JsonFloat))
            }
            TensorData::Fp64(values) => {
                serializer.collect_seq(values.iter().copied().map(JsonFloat))
            }
            TensorData::Bytes(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for (position, value) in values.iter().enumerate() {
                    let text = str::from_utf8(value).map_err(|_| {
                        S::Error::custom(format_args!(
                            "output {output}: the element at {position} is not UTF-8 and has no JSON form: {REQUEST_BINARY}"
                        ))
                    })?;
                    list.serialize_element(text)?;
                }
                list.end()
            }
        }
    }
}

#[cfg(test)]
mod tests;
