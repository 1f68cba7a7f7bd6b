//! Parameters of a request, an input or an output.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::sanitize::sanitize_for_log;

/// The parameters that change the meaning of a request. All other parameters are ignored, as the
/// protocol requires.
// Each value stays unparsed until a caller asks for it. So an unused value takes no memory, and the
// caller can add the tensor's name to an error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    binary_data: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    binary_data_output: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    binary_data_size: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    classification: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    shared_memory_region: Option<&'a RawValue>,
}

/// Deserializes a member that is present; `null` counts as a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Parameters<'_> {
    /// Whether the outputs of the request are binary by default. False if `binary_data_output` is
    /// absent.
    pub(super) fn of_request(&self) -> Result<bool, String> {
        let binary = parse_parameter(
            "binary_data_output",
            "true or false",
            self.binary_data_output,
        )?;
        Ok(binary.unwrap_or_default())
    }

    /// The size in bytes of an input's binary data. `None` if `binary_data_size` is absent.
    pub(super) fn of_input(&self) -> Result<Option<usize>, String> {
        self.refuse_unknown_extensions()?;
        parse_parameter(
            "binary_data_size",
            "a number of bytes",
            self.binary_data_size,
        )
    }

    /// Whether an output is binary. `None` if `binary_data` is absent: then the request's default
    /// applies.
    pub(super) fn of_output(&self) -> Result<Option<bool>, String> {
        self.refuse_unknown_extensions()?;
        parse_parameter("binary_data", "true or false", self.binary_data)
    }

    fn refuse_unknown_extensions(&self) -> Result<(), String> {
        let extensions = [
            ("classification", self.classification),
            ("shared_memory_region", self.shared_memory_region),
        ];
        match extensions.into_iter().find(|(_, value)| value.is_some()) {
            Some((name, _)) => Err(format!(
                "the parameter {name} belongs to an unsupported extension; send tensors as JSON or binary data"
            )),
            None => Ok(()),
        }
    }
}

fn parse_parameter<T: DeserializeOwned>(
    name: &str,
    expected: &str,
    value: Option<&RawValue>,
) -> Result<Option<T>, String> {
    let Some(value) = value else { return Ok(None) };
    let read = serde_json::from_str(value.get());
    read.map(Some).map_err(|_| {
        format!(
            "{name}: expected {expected}, found {}",
            sanitize_for_log(value.get())
        )
    })
}
