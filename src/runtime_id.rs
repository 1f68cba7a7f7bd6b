//! The name and the version of a runtime.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name and the version of a [`Runtime`](crate::Runtime), such as `rten 0.27.0`.
///
/// ```
/// use clarity::RuntimeId;
///
/// assert_eq!(RuntimeId::new("rten", "0.27.0").to_string(), "rten 0.27.0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuntimeId {
    /// The name: a label of metrics, and the first part of the platform in a model's metadata.
    pub name: String,
    /// The version; empty if it is unknown.
    pub version: String,
}

impl RuntimeId {
    /// Names a runtime.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
        }
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &*self.version {
            "" => Ok(()),
            version => write!(f, " {version}"),
        }
    }
}
