//! Reads JSON documents of a known format. The error tells why a document cannot be read.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;

/// The reason why a document could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The text is not JSON, or not a document of the expected format.
    Malformed {
        /// The expected document, in words.
        expected: &'static str,
        /// The first error in the text.
        error: serde_json::Error,
    },
    /// The document has a version of the format that this release does not read.
    Schema {
        /// The version in the document.
        found: u32,
        /// The only version that this release reads.
        expected: u32,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { expected, error } => write!(f, "expected {expected}, found {error}"),
            Self::Schema { found, expected } => write!(
                f,
                "expected schema {expected}, found {found}: run the tests again with this release, or read the file with a release of schema {found}"
            ),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed { error, .. } => Some(error),
            Self::Schema { .. } => None,
        }
    }
}

/// The version of a document. All other fields of the document are ignored.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

/// Reads a document whose field `schema` has the value of the argument `schema`.
pub(crate) fn read<T: DeserializeOwned>(
    text: &[u8],
    schema: u32,
    expected: &'static str,
) -> Result<T, ReadError> {
    let malformed = |error| ReadError::Malformed { expected, error };
    // The version is checked first, because other versions may have other fields.
    let Version { schema: found } = serde_json::from_slice(text).map_err(malformed)?;
    if found != schema {
        return Err(ReadError::Schema {
            found,
            expected: schema,
        });
    }
    serde_json::from_slice(text).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    #[test]
    fn other_schema_is_an_error_with_both_versions() {
        // Schema 1 had other fields. Of the fields of schema 2, this document has only `schema`.
        let error = Record::from_json(br#"{ "schema": 1, "replay": "cargo test" }"#).unwrap_err();
        assert!(matches!(
            error,
            ReadError::Schema {
                found: 1,
                expected: 2
            }
        ));
        let text = error.to_string();
        assert!(text.contains("expected schema 2, found 1"), "{text}");
    }

    #[test]
    fn malformed_document_is_an_error_with_its_place() {
        for wrong in ["", "{}", "[]", r#"{ "schema": 2 }"#] {
            let error = Record::from_json(wrong.as_bytes()).unwrap_err();
            assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("expected a record of a test, found "));
            assert!(text.contains("line "), "{text}");
        }
    }
}
