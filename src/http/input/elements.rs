//! Parses the elements of a tensor in JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::element::{Element, ElementList, most_elements, most_texts};
use crate::DataType;

/// An upper bound on the size in memory, in bytes, of the elements in `text`.
pub(super) fn most_memory(datatype: DataType, text: &RawValue) -> usize {
    let length = text.get().len();
    match datatype.element_size() {
        Some(size) => most_elements(length).saturating_mul(size),
        None => length.saturating_add(most_texts(length).saturating_mul(size_of::<usize>())),
    }
}

/// Parses flat or nested data in row-major order.
pub(super) fn parse_elements<L: ElementList>(
    data: &RawValue,
    shape: &[usize],
    count: usize,
) -> Result<L, String> {
    // The length of the text limits the allocation, so a large declared shape with little data
    // allocates little.
    let mut found = L::with_capacity(count, data.get().len());
    let mut json = serde_json::Deserializer::from_str(data.get());
    let level = NestingLevel {
        shape,
        depth: 0,
        limit: count,
        nested: &mut None,
        found: &mut found,
    };
    level
        .deserialize(&mut json)
        .map_err(|error| error.to_string())?;
    Ok(found)
}

/// The position in the nested data: the top-level list, an inner list, or an element.
struct NestingLevel<'a, L> {
    shape: &'a [usize],
    depth: usize,
    limit: usize,
    /// Whether the data is nested; `None` before the first element. All later elements must be as
    /// deep as the first one.
    nested: &'a mut Option<bool>,
    found: &'a mut L,
}

impl<L: ElementList> NestingLevel<'_, L> {
    fn element<E: Error>(
        self,
        element: Option<L::Element>,
        found: Unexpected<'_>,
    ) -> Result<(), E> {
        let nested = *self.nested.get_or_insert(self.depth > 1);
        if self.depth == 0
            || (nested && self.depth != self.shape.len())
            || (!nested && self.depth != 1)
        {
            return Err(E::invalid_type(found, &self));
        }
        let element = element.ok_or_else(|| E::invalid_value(found, &L::Element::EXPECTED))?;
        if self.found.len() == self.limit {
            return Err(E::custom(format_args!(
                "expected {} elements, found more",
                self.limit
            )));
        }
        self.found.push(element);
        Ok(())
    }
}

impl<'de, L: ElementList> DeserializeSeed<'de> for NestingLevel<'_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !L::Element::READS_DIGITS || self.depth == 0 {
            return deserializer.deserialize_any(self);
        }
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            let value = text.parse().map_err(D::Error::custom)?;
            return self.element(L::Element::from_f64(value), Unexpected::Float(value));
        }
        let inner = serde_json::Deserializer::from_str(text).deserialize_any(self);
        inner.map_err(|error| D::Error::custom(without_position(&error)))
    }
}

impl<'de, L: ElementList> Visitor<'de> for NestingLevel<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} elements ({}), flat or nested like the shape {:?}",
            self.limit,
            L::Element::EXPECTED,
            self.shape
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let NestingLevel {
            shape,
            depth,
            limit,
            nested,
            found,
        } = self;
        if depth > 0 && (depth >= shape.len() || *nested == Some(false)) {
            return Err(A::Error::invalid_type(
                Unexpected::Seq,
                &L::Element::EXPECTED,
            ));
        }
        let mut length = 0_usize;
        while list
            .next_element_seed(NestingLevel {
                shape,
                depth: depth + 1,
                limit,
                nested,
                found,
            })?
            .is_some()
        {
            length += 1;
        }
        let expected = if *nested == Some(true) {
            shape[depth]
        } else {
            limit
        };
        if length != expected {
            return Err(A::Error::invalid_length(
                length,
                &&*format!("{expected} at depth {}", depth + 1),
            ));
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.element(L::Element::from_bool(value), Unexpected::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.element(L::Element::from_i64(value), Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.element(L::Element::from_u64(value), Unexpected::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.element(L::Element::from_f64(value), Unexpected::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match L::Element::from_text(value) {
            Some(element) => self.element(Some(element), Unexpected::Str(value)),
            None => Err(E::invalid_type(Unexpected::Str(value), &self)),
        }
    }
}

/// The text of an error without its position, which counts from the start of an inner list.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((text, _)) if error.line() > 0 => text.to_owned(),
        _ => text,
    }
}
