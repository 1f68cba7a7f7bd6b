//! Internal functions for the fuzz targets. Not public API.

#[cfg(feature = "cli")]
use std::path::Path;

use crate::http::budget::Budget;
use crate::http::decode;
use crate::{Tensor, TensorSpec};

/// Decodes the body of a prediction request into the inputs for the model. The first `json_length`
/// bytes are JSON; with `None`, all bytes are JSON.
///
/// # Errors
///
/// The `detail` of the error response.
pub fn decode_request(
    body: &[u8],
    json_length: Option<usize>,
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
    memory: usize,
) -> Result<Vec<Tensor>, String> {
    let decoded = decode(body, json_length, inputs, outputs, &Budget::new(memory));
    decoded.map_err(|failure| failure.detail.into_owned())
}

/// Reads a configuration file of `clarity serve`.
///
/// # Errors
///
/// A sentence that begins with the path of the file.
#[cfg(feature = "cli")]
pub fn read_configuration(file: &Path) -> Result<(), String> {
    crate::cli::with_file(file).map(drop)
}
