//! The JSON of an inference request, before the request is validated against the model.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::object::Object;
use super::parameters::Parameters;
use crate::Reason;
use crate::json_float::nonfinite_literal;
use crate::predictor::Failure;

/// The JSON part of an inference request body.
///
/// Unknown members are ignored, as the protocol requires, because extensions can add members.
/// Unsupported parameters are refused if they would change the meaning of the response.
#[derive(Deserialize)]
pub(super) struct RequestDocument<'a> {
    pub(super) id: Option<String>,
    #[serde(default, borrow)]
    pub(super) parameters: Object<Parameters<'a>>,
    #[serde(borrow)]
    pub(super) inputs: Vec<Object<RequestInput<'a>>>,
    #[serde(default, borrow)]
    pub(super) outputs: Vec<Object<RequestOutput<'a>>>,
}

/// A `RequestDocument` whose inputs and outputs are not parsed yet.
// Used only after a parse error, to find the malformed input or output.
#[derive(Deserialize)]
struct UnparsedDocument<'a> {
    #[serde(default, borrow, rename = "parameters")]
    _parameters: Object<Parameters<'a>>,
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    outputs: Vec<&'a RawValue>,
}

/// One input of a request. The data stays unparsed until the datatype and the shape are validated.
#[derive(Deserialize)]
pub(super) struct RequestInput<'a> {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(deserialize_with = "datatype")]
    pub(super) datatype: String,
    #[serde(deserialize_with = "shape")]
    pub(super) shape: Shape,
    #[serde(default, borrow, deserialize_with = "parameters")]
    pub(super) parameters: Object<Parameters<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct RequestOutput<'a> {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(default, borrow, deserialize_with = "parameters")]
    pub(super) parameters: Object<Parameters<'a>>,
}

fn name<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    member("name", value)
}

fn datatype<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    member("datatype", value)
}

fn shape<'de, D: Deserializer<'de>>(value: D) -> Result<Shape, D::Error> {
    member("shape", value)
}

fn parameters<'de, D: Deserializer<'de>>(value: D) -> Result<Object<Parameters<'de>>, D::Error> {
    member("parameters", value)
}

/// Deserializes a member of an object. An error names the member.
fn member<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    name: &str,
    value: D,
) -> Result<T, D::Error> {
    T::deserialize(value).map_err(|error| D::Error::custom(format_args!("{name}: {error}")))
}

/// Parses all inputs, or all outputs, of a request. An error contains the name of the malformed
/// tensor. If the name is unreadable, the error contains the tensor's index.
fn parse_each<'a, T: Deserialize<'a>>(
    kind: &str,
    texts: &[&'a RawValue],
) -> Result<Vec<T>, Failure> {
    #[derive(Deserialize)]
    struct TensorName {
        name: String,
    }

    let read = |(place, text): (usize, &&'a RawValue)| {
        let read = serde_json::from_str(text.get());
        read.map(|Object(tensor)| tensor).map_err(|error| {
            let called = match serde_json::from_str(text.get()) {
                Ok(Object(TensorName { name })) => format!("{kind} {name}"),
                Err(_) => format!("{kind}s[{place}]"),
            };
            invalid(format!("{called}: {error}"))
        })
    };
    texts.iter().enumerate().map(read).collect()
}

/// The maximum number of dimensions of a tensor, as in NumPy.
// Without this limit, a list of dimensions could be as long as the body.
const MAX_DIMENSIONS: usize = 64;

/// The declared sizes of an input's dimensions, before validation.
#[derive(Debug)]
pub(super) struct Shape(pub(super) Vec<i64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_DIMENSIONS} sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() == MAX_DIMENSIONS {
                        return Err(A::Error::invalid_length(MAX_DIMENSIONS + 1, &self));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

/// Describes why a document was refused. Names the malformed input or output if there is one.
fn describe_syntax_error(json: &[u8], error: &serde_json::Error) -> Failure {
    if let Some(literal) = literal_at(json, error) {
        return invalid(format!(
            "invalid request: {error}: expected the string \"{literal}\", found the literal {literal}, which is not JSON"
        ));
    }
    let Object(UnparsedDocument {
        inputs, outputs, ..
    }) = match serde_json::from_slice(json) {
        Ok(unread) => unread,
        Err(error) => return invalid(format!("invalid request: {error}")),
    };
    let inputs = parse_each::<RequestInput<'_>>("input", &inputs).err();
    let of_one = inputs.or_else(|| parse_each::<RequestOutput<'_>>("output", &outputs).err());
    of_one.unwrap_or_else(|| invalid(format!("invalid request: {error}")))
}

/// The literal of a value that is not finite, if the error is at such a literal.
fn literal_at(json: &[u8], error: &serde_json::Error) -> Option<&'static str> {
    let mut lines = json.split_inclusive(|byte| *byte == b'\n');
    let line = lines.nth(error.line().checked_sub(1)?)?;
    // The column counts the bytes up to the unexpected one. After a minus sign, that is the
    // second byte of the literal.
    let place = error.column().checked_sub(1)?;
    let before = place.checked_sub(1).and_then(|place| line.get(place..));
    let at = line.get(place..).and_then(nonfinite_literal);
    let signed = before.filter(|text| text.starts_with(b"-"));
    signed.and_then(nonfinite_literal).or(at)
}

pub(super) fn invalid(detail: String) -> Failure {
    Failure::new(Reason::InvalidRequest, detail)
}

impl<'a> RequestDocument<'a> {
    /// Parses the JSON part of a body.
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, Failure> {
        match serde_json::from_slice(json) {
            Ok(Object(document)) => Ok(document),
            Err(error) => Err(describe_syntax_error(json, &error)),
        }
    }
}
