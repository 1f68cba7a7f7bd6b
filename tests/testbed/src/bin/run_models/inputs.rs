//! Checks the inputs of a run against the model's declaration.
//!
//! A server does the same, and also refuses sizes of 0. The runtimes must be right for these, too:
//! a model can make empty tensors within.

use std::collections::BTreeMap;

use clarity::{Dimension, Tensor, TensorSpec};

use crate::elements;
use crate::frame::TensorHeader;

/// Makes the inputs of a run, in the order of the declaration.
///
/// The error states the first difference from the declaration.
pub(crate) fn inputs(
    specs: &[TensorSpec],
    headers: &[TensorHeader],
    bytes: &[Vec<u8>],
) -> Result<Vec<Tensor>, String> {
    if let Some(header) = headers.iter().find(|each| !has(specs, &each.name)) {
        return Err(format!("the model has no input {}", header.name));
    }
    let mut sizes = BTreeMap::new();
    let mut tensors = Vec::with_capacity(specs.len());
    for spec in specs {
        let mut given = headers.iter().zip(bytes);
        let given = given.find(|(header, _)| header.name == spec.name);
        let (header, bytes) = given.ok_or_else(|| format!("expected the input {}", spec.name))?;
        let tensor = tensor(spec, header, bytes, &mut sizes);
        tensors.push(tensor.map_err(|why| format!("input {}: {why}", spec.name))?);
    }
    Ok(tensors)
}

fn has(specs: &[TensorSpec], name: &str) -> bool {
    specs.iter().any(|spec| spec.name == name)
}

fn tensor(
    spec: &TensorSpec,
    header: &TensorHeader,
    bytes: &[u8],
    sizes: &mut BTreeMap<String, usize>,
) -> Result<Tensor, String> {
    if header.datatype != spec.datatype.as_str() {
        let (expected, found) = (spec.datatype, &header.datatype);
        return Err(format!("expected the datatype {expected}, found {found}"));
    }
    let shape = &header.shape;
    if let Some(declared) = &spec.shape
        && !fits(declared, shape, sizes)
    {
        return Err(format!("expected the shape {declared:?}, found {shape:?}"));
    }
    let data = elements::decode(spec.datatype, bytes)?;
    let count = data.len();
    let tensor = Tensor::new(shape.clone(), data);
    tensor.ok_or_else(|| format!("{count} elements do not have the shape {shape:?}"))
}

/// Whether a shape fits the declared one. Records the sizes of named dimensions in `sizes`.
fn fits(declared: &[Dimension], shape: &[usize], sizes: &mut BTreeMap<String, usize>) -> bool {
    let mut dimensions = declared.iter().zip(shape);
    declared.len() == shape.len()
        && dimensions.all(|(dimension, size)| match dimension {
            Dimension::Fixed(fixed) => fixed == size,
            Dimension::Dynamic(Some(name)) => sizes.entry(name.clone()).or_insert(*size) == size,
            _ => true,
        })
}
