//! The time of a publication.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A time in RFC 3339 format, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Timestamp(String);

impl Timestamp {
    pub(crate) fn at(moment: SystemTime) -> Self {
        Self(humantime::format_rfc3339_seconds(moment).to_string())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Timestamp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match humantime::parse_rfc3339(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!(
                "expected a time in RFC 3339 form, in UTC, found {text:?}"
            )),
        }
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}
