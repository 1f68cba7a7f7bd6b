//! Moves the weights of external files into an ONNX model.
//!
//! ONNX Runtime opens external files itself, by their names. This server passes no names: it takes
//! the weights from the verified bytes, and gives ONNX Runtime one model without external files.

use std::collections::BTreeMap;
use std::ops::Range;

use super::external::{ExternalFile, Message, rename};
use super::{
    DATA_LOCATION, EXTERNAL, EXTERNAL_DATA, KEY, ProtoField, ProtoValue, RAW_DATA, VALUE,
    write_bytes,
};
use crate::sanitize::sanitize_for_log;
use crate::{FilePath, Manifest};

/// The number of the field `TensorProto.name`.
const NAME: u64 = 8;

/// The largest model that ONNX Runtime reads, in bytes: the limit of protobuf.
const MAX_MODEL_BYTES: usize = i32::MAX as usize;

/// The model of a version, with the weights of its external files.
///
/// # Errors
///
/// When the model needs a file that the manifest does not list, or a part beyond the end of a file.
/// Also when the model is too large for ONNX Runtime.
pub(in crate::runtime) fn verified_model(
    manifest: &Manifest,
    mut files: BTreeMap<FilePath, Vec<u8>>,
) -> Result<Vec<u8>, String> {
    let model = files.remove(manifest.entry()).unwrap_or_default();
    let probe = manifest.probe();
    let external: BTreeMap<FilePath, Vec<u8>> = files
        .into_iter()
        .filter(|(path, _)| Some(path) != probe)
        .collect();
    let named = external.iter().map(|(path, bytes)| {
        let (name, length) = (path.as_str().to_owned(), bytes.len() as u64);
        (path.clone(), ExternalFile { name, length })
    });
    // Refuses each file that the manifest does not list, and adds offsets and lengths.
    let model = match rename(&model, &named.collect())? {
        None => model,
        Some(model) => fold(&model, &external)?,
    };
    if model.len() > MAX_MODEL_BYTES {
        return Err(format!(
            "expected at most {MAX_MODEL_BYTES} bytes of the model and its weights, found {}",
            model.len()
        ));
    }
    Ok(model)
}

fn fold(model: &[u8], files: &BTreeMap<FilePath, Vec<u8>>) -> Result<Vec<u8>, String> {
    let folder = Folder { model, files };
    let mut folded = Vec::new();
    folder.message(Message::Model, 0..model.len(), &mut folded)?;
    Ok(folded)
}

struct Folder<'a> {
    model: &'a [u8],
    files: &'a BTreeMap<FilePath, Vec<u8>>,
}

impl<'a> Folder<'a> {
    fn fields(&self, message: Range<usize>) -> Result<Vec<ProtoField>, String> {
        ProtoField::read_all(self.model, message).ok_or_else(|| "the model is malformed".to_owned())
    }

    /// Copies a message, with the elements of its external tensors. The depth is bounded: `rename`
    /// has copied the same message.
    fn message(
        &self,
        kind: Message,
        message: Range<usize>,
        to: &mut Vec<u8>,
    ) -> Result<(), String> {
        if kind == Message::Tensor {
            return self.tensor(message, to);
        }
        for field in self.fields(message)? {
            match (field.value, kind.field(field.number)) {
                (ProtoValue::Bytes(inside), Some(kind)) => {
                    let mut written = Vec::new();
                    self.message(kind, inside, &mut written)?;
                    write_bytes(to, field.number, &written);
                }
                _ => to.extend_from_slice(&self.model[field.whole]),
            }
        }
        Ok(())
    }

    fn tensor(&self, tensor: Range<usize>, to: &mut Vec<u8>) -> Result<(), String> {
        let fields = self.fields(tensor.clone())?;
        let is_external = |field: &ProtoField| {
            field.number == DATA_LOCATION && matches!(field.value, ProtoValue::Varint(EXTERNAL))
        };
        if !fields.iter().any(is_external) {
            to.extend_from_slice(&self.model[tensor]);
            return Ok(());
        }
        let mut entries: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
        let mut name = String::new();
        for field in fields {
            match (field.number, field.value) {
                (EXTERNAL_DATA, ProtoValue::Bytes(entry)) => {
                    let (key, value) = self.entry(entry)?;
                    entries.insert(key, value);
                }
                (DATA_LOCATION | RAW_DATA, _) => {}
                (number, value) => {
                    if let (NAME, ProtoValue::Bytes(text)) = (number, value) {
                        name = sanitize_for_log(String::from_utf8_lossy(&self.model[text]));
                    }
                    to.extend_from_slice(&self.model[field.whole]);
                }
            }
        }
        let elements = self.elements(&entries);
        let elements = elements.map_err(|why| format!("tensor {name}: external data: {why}"))?;
        write_bytes(to, RAW_DATA, elements);
        Ok(())
    }

    /// The elements that the entries of `TensorProto.external_data` locate.
    fn elements(&self, entries: &BTreeMap<&[u8], &[u8]>) -> Result<&'a [u8], String> {
        let text = |key: &str| {
            let value = entries.get(key.as_bytes()).copied();
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let number = |key: &str| {
            let text = text(key);
            let expected = || format!("expected a number of bytes as {key}, found {text:?}");
            text.parse::<usize>().map_err(|_| expected())
        };
        let location = text("location");
        let file = location.parse::<FilePath>().ok();
        let file = file.and_then(|path| self.files.get(&path));
        let file = file.ok_or_else(|| format!("no file {location:?}"))?;
        let (offset, length) = (number("offset")?, number("length")?);
        let end = offset.checked_add(length);
        let elements = end.and_then(|end| file.get(offset..end));
        elements.ok_or_else(|| {
            format!(
                "expected {length} bytes at {offset} in {location:?}, found {} bytes in total",
                file.len()
            )
        })
    }

    /// The key and the value of an entry of `TensorProto.external_data`.
    fn entry(&self, entry: Range<usize>) -> Result<(&'a [u8], &'a [u8]), String> {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in self.fields(entry)? {
            match (field.number, field.value) {
                (KEY, ProtoValue::Bytes(text)) => key = &self.model[text],
                (VALUE, ProtoValue::Bytes(text)) => value = &self.model[text],
                _ => {}
            }
        }
        Ok((key, value))
    }
}
