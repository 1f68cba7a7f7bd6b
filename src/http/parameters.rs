//! The parameters of a request, an input or an output.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::sanitize::sanitize_for_log;

/// Parameters that change what a request means. They are kept as text until it is known who has them: a parameter
/// costs no more memory than its name, whatever its value, and what is wrong with one is told with the name of its tensor.
///
/// All others are ignored, as the protocol has it for extensions that a server does not know.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters<'a> {
    #[serde(default, borrow, deserialize_with = "given")]
    binary_data: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    binary_data_output: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    binary_data_size: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    classification: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    shared_memory_region: Option<&'a RawValue>,
}

/// What is there has a value, and null is one.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Parameters<'_> {
    /// Whether the outputs are wanted in binary where they do not say.
    pub(super) fn of_request(&self) -> Result<bool, String> {
        let binary = read(
            "binary_data_output",
            "true or false",
            self.binary_data_output,
        )?;
        Ok(binary.unwrap_or_default())
    }

    /// The size of the input's binary data, if it has such.
    pub(super) fn of_input(&self) -> Result<Option<usize>, String> {
        self.refuse_unknown_extensions()?;
        read(
            "binary_data_size",
            "a number of bytes",
            self.binary_data_size,
        )
    }

    /// Whether the output is wanted in binary, if it says.
    pub(super) fn of_output(&self) -> Result<Option<bool>, String> {
        self.refuse_unknown_extensions()?;
        read("binary_data", "true or false", self.binary_data)
    }

    fn refuse_unknown_extensions(&self) -> Result<(), String> {
        let extensions = [
            ("classification", self.classification),
            ("shared_memory_region", self.shared_memory_region),
        ];
        match extensions.into_iter().find(|(_, value)| value.is_some()) {
            Some((name, _)) => Err(format!(
                "the parameter {name} asks for an extension that is not spoken here: tensors are sent as JSON or binary data"
            )),
            None => Ok(()),
        }
    }
}

fn read<T: DeserializeOwned>(
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
