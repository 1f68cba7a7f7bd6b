//! The outputs of a version that may hold NaN and infinite values.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sanitize::sanitize_for_log;

/// The word for all outputs, in manifests and on the command line.
const ALL: &str = "all";

/// The outputs of a version whose NaN and infinite values are answers.
///
/// In a manifest, `"allow_nonfinite": "all"` declares all outputs. An object declares outputs by
/// name: `"allow_nonfinite": { "logits": true }`.
// An object, because a manifest contains no arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonFiniteOutputs {
    /// All floating-point outputs.
    All,
    /// The outputs with these names. Each must be a floating-point output of the model.
    Named(BTreeSet<String>),
}

impl NonFiniteOutputs {
    /// The declaration of the outputs with these names. The name `all` stands for all outputs.
    ///
    /// ```
    /// use clarity::NonFiniteOutputs;
    ///
    /// let logits = NonFiniteOutputs::of(["logits"]);
    /// assert!(logits.includes("logits") && !logits.includes("mask"));
    /// assert_eq!(NonFiniteOutputs::of(["logits", "all"]), NonFiniteOutputs::All);
    /// ```
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        match names.contains(ALL) {
            true => Self::All,
            false => Self::Named(names),
        }
    }

    /// Whether the output with the name `output` is declared.
    pub fn includes(&self, output: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(output),
        }
    }
}

/// Writes the names of the outputs, or `all`.
impl fmt::Display for NonFiniteOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(ALL),
            Self::Named(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                f.write_str(&sanitize_for_log(names.join(", ")))
            }
        }
    }
}

impl Serialize for NonFiniteOutputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(ALL),
            Self::Named(names) => {
                let mut map = serializer.serialize_map(Some(names.len()))?;
                for name in names {
                    map.serialize_entry(name, &true)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for NonFiniteOutputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Outputs;
        impl<'de> Visitor<'de> for Outputs {
            type Value = NonFiniteOutputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", or an object with the value true for each output")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NonFiniteOutputs, E> {
                match text {
                    ALL => Ok(NonFiniteOutputs::All),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<NonFiniteOutputs, A::Error> {
                let mut names = BTreeSet::new();
                while let Some((name, is_allowed)) = map.next_entry::<String, bool>()? {
                    if !is_allowed {
                        return Err(A::Error::invalid_value(
                            serde::de::Unexpected::Bool(false),
                            &self,
                        ));
                    }
                    if names.contains(&name) {
                        return Err(A::Error::custom(format_args!(
                            "allow_nonfinite: the output {name} is listed twice"
                        )));
                    }
                    names.insert(name);
                }
                if names.is_empty() {
                    return Err(A::Error::invalid_length(0, &self));
                }
                Ok(NonFiniteOutputs::Named(names))
            }
        }
        deserializer.deserialize_any(Outputs)
    }
}
