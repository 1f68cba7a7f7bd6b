//! Renames the external files of an ONNX model.
//!
//! rten takes external files only from the directory of the model, and only under names that end
//! with `.data` or `.onnx_data`. ONNX allows any relative name, and lets a model leave out the
//! offset and the length. This module rewrites the locations of all tensors to names that rten
//! takes. It refuses each location that is no file of the version.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{
    DATA_LOCATION, EXTERNAL, EXTERNAL_DATA, KEY, ProtoValue, Splitter, VALUE, VARINT, write_bytes,
    write_tag, write_varint,
};
use crate::FilePath;
use crate::sanitize::sanitize_for_log;

/// The number of the field `TensorProto.name`.
const NAME: u64 = 8;

/// The largest depth of nested messages. A model is malformed if it is nested more deeply.
const MAX_DEPTH: usize = 128;

/// The name of an external file for rten, and the length of the file in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct ExternalFile {
    pub(in crate::runtime) name: String,
    pub(in crate::runtime) length: u64,
}

/// A message that can contain tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Message {
    /// The type of the field with this number. `None` if the field contains no tensors.
    pub(super) fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) => Self::Tensor,
            (Self::Graph, 15) => Self::SparseTensor,
            (Self::Node, 5) => Self::Attribute,
            (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::SparseTensor, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

/// Renames the locations in `model` to the names in `files`. Returns `None` if no tensor has a
/// location, or if the model is malformed. For a malformed model, the model runtime gives a better
/// error message.
///
/// # Errors
///
/// When a location is not in `files`.
pub(in crate::runtime) fn rename(
    model: &[u8],
    files: &BTreeMap<FilePath, ExternalFile>,
) -> Result<Option<Vec<u8>>, String> {
    let mut renamer = Renamer {
        reader: Splitter {
            model,
            file: "",
            moves: Vec::new(),
        },
        files,
        refused: None,
    };
    let whole = 0..model.len();
    if renamer.has_location(Message::Model, whole.clone(), 0) != Some(true) {
        return Ok(None);
    }
    let renamed = renamer.message(Message::Model, whole, 0);
    match renamer.refused {
        Some(refused) => Err(refused),
        None => Ok(renamed),
    }
}

struct Renamer<'a> {
    reader: Splitter<'a>,
    files: &'a BTreeMap<FilePath, ExternalFile>,
    /// The first location that is refused.
    refused: Option<String>,
}

impl Renamer<'_> {
    /// Whether a tensor has its elements in an external file. `None` if the message is malformed.
    fn has_location(&self, kind: Message, message: Range<usize>, depth: usize) -> Option<bool> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut at = message.start;
        while at < message.end {
            let field = self.reader.field(at..message.end)?;
            at = field.whole.end;
            let found = match (field.value, kind.field(field.number)) {
                (ProtoValue::Varint(EXTERNAL), _) => {
                    kind == Message::Tensor && field.number == DATA_LOCATION
                }
                (ProtoValue::Bytes(inside), Some(kind)) => {
                    self.has_location(kind, inside, depth + 1)?
                }
                _ => false,
            };
            if found {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Copies a message, with other locations of its tensors.
    fn message(&mut self, kind: Message, message: Range<usize>, depth: usize) -> Option<Vec<u8>> {
        if depth > MAX_DEPTH {
            return None;
        }
        if kind == Message::Tensor {
            return self.tensor(message);
        }
        let mut written = Vec::new();
        let mut at = message.start;
        while at < message.end {
            let field = self.reader.field(at..message.end)?;
            at = field.whole.end;
            match (field.value, kind.field(field.number)) {
                (ProtoValue::Bytes(inside), Some(kind)) => {
                    let inside = self.message(kind, inside, depth + 1)?;
                    write_bytes(&mut written, field.number, &inside);
                }
                _ => written.extend_from_slice(&self.reader.model[field.whole]),
            }
        }
        Some(written)
    }

    fn tensor(&mut self, tensor: Range<usize>) -> Option<Vec<u8>> {
        let model = self.reader.model;
        let mut written = Vec::new();
        let mut entries = Vec::new();
        let (mut is_external, mut name) = (false, String::new());
        let mut at = tensor.start;
        while at < tensor.end {
            let field = self.reader.field(at..tensor.end)?;
            at = field.whole.end;
            match (field.number, field.value) {
                (EXTERNAL_DATA, ProtoValue::Bytes(entry)) => entries.push(self.entry(entry)?),
                (DATA_LOCATION, ProtoValue::Varint(location)) => is_external = location == EXTERNAL,
                (NAME, ProtoValue::Bytes(text)) => {
                    name = sanitize_for_log(String::from_utf8_lossy(&model[text]));
                    written.extend_from_slice(&model[field.whole]);
                }
                _ => written.extend_from_slice(&model[field.whole]),
            }
        }
        if !is_external {
            return Some(model[tensor].to_vec());
        }
        let value = |key: &[u8]| {
            let mut entries = entries.iter().rev();
            entries
                .find(|(found, _)| found == key)
                .map(|(_, value)| value)
        };
        let location = value(b"location").map(|text| String::from_utf8_lossy(text).into_owned());
        let Some(file) = location
            .as_ref()
            .and_then(|location| self.files.get(&location.parse().ok()?))
        else {
            self.refused
                .get_or_insert_with(|| refusal(&name, location.as_deref()));
            return None;
        };
        let length = offset_of(value(b"offset")).and_then(|offset| file.length.checked_sub(offset));
        let defaults = [
            (&b"offset"[..], Some("0".to_owned())),
            (b"length", length.map(|length| length.to_string())),
        ];
        let added: Vec<(Vec<u8>, Vec<u8>)> = defaults
            .into_iter()
            .filter(|(key, _)| value(key).is_none())
            .filter_map(|(key, default)| Some((key.to_vec(), default?.into_bytes())))
            .collect();
        for (key, value) in entries.iter().chain(&added) {
            let value = match &**key {
                b"location" => file.name.as_bytes(),
                _ => value,
            };
            let mut entry = Vec::new();
            write_bytes(&mut entry, KEY, key);
            write_bytes(&mut entry, VALUE, value);
            write_bytes(&mut written, EXTERNAL_DATA, &entry);
        }
        write_tag(&mut written, DATA_LOCATION, VARINT);
        write_varint(&mut written, EXTERNAL);
        Some(written)
    }

    /// The key and the value of an entry of `TensorProto.external_data`.
    fn entry(&self, entry: Range<usize>) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut at = entry.start;
        while at < entry.end {
            let field = self.reader.field(at..entry.end)?;
            at = field.whole.end;
            match (field.number, field.value) {
                (KEY, ProtoValue::Bytes(text)) => key = self.reader.model[text].to_vec(),
                (VALUE, ProtoValue::Bytes(text)) => value = self.reader.model[text].to_vec(),
                _ => {}
            }
        }
        Some((key, value))
    }
}

/// The offset of a tensor in its file: 0 if the model gives none. `None` if it is not a number.
fn offset_of(value: Option<&Vec<u8>>) -> Option<u64> {
    let Some(value) = value else { return Some(0) };
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn refusal(tensor: &str, location: Option<&str>) -> String {
    let expected = "expected the relative name of a file that the manifest lists";
    match location {
        None => format!("tensor {tensor}: external data without a location: {expected}"),
        Some(location) => {
            let why = match location.parse::<FilePath>() {
                Ok(_) => "the manifest does not list this file".to_owned(),
                Err(error) => error.to_string(),
            };
            let location = sanitize_for_log(location);
            format!("tensor {tensor}: external data in {location:?}: {expected}: {why}")
        }
    }
}
