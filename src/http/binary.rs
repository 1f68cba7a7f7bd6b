//! The protocol's binary tensor extension:
//! `docs/protocol/extension_binary_data.md` in <https://github.com/triton-inference-server/server>.

use axum::http::HeaderMap;

use crate::Reason;
use crate::predictor::Failure;
pub(super) use crate::tensor::encoding::{decode, encode, most_memory, size};

/// Says how to get an output that has no JSON form.
pub(super) const REQUEST_BINARY: &str = "request it as binary data, with the parameter binary_data";

/// Says why a tensor of FP16 is refused in JSON.
// The protocol says so, and Triton refuses it, too.
pub(super) const NO_JSON: &str = "FP16 has no JSON form in the protocol";

/// The name of the header with the length of a body's JSON part in bytes. Binary tensors follow the
/// JSON part.
// In lower case, because `HeaderName` stores names in lower case.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// Reads the header with the length of the JSON part in bytes. Returns `None` if the header is
/// absent: then the whole body is JSON.
pub(super) fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let mut values = headers.get_all(HEADER_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Checks that the text has only digits, because Rust's parser also accepts a leading `+`.
    let length = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok());
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        (_, found) => {
            let found = match found {
                Some(_) => "several".to_owned(),
                None => format!("{value:?}"),
            };
            Err(Failure::new(
                Reason::InvalidRequest,
                format!(
                    "Inference-Header-Content-Length: expected one number of bytes, found {found}"
                ),
            ))
        }
    }
}
