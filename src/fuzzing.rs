//! Not public API: the inside of the server, as far as fuzz targets give it bytes.

use crate::http::budget::Budget;
use crate::http::decode;
use crate::{Tensor, TensorSpec};

/// Reads the body of a request for a prediction, of which so many bytes are JSON, or all of them; gives the inputs for the model.
///
/// # Errors
///
/// What a client is told.
pub fn decode_request(
    body: &[u8],
    json_length: Option<usize>,
    takes: &[TensorSpec],
    gives: &[TensorSpec],
    memory: usize,
) -> Result<Vec<Tensor>, String> {
    let decoded = decode(body, json_length, takes, gives, &Budget::new(memory));
    decoded.map_err(|failure| failure.detail.into_owned())
}
