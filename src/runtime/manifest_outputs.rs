//! The outputs of a model, as its version's manifest declares them.

use super::RuntimeError;
use crate::Manifest;
use crate::sanitize::sanitize_for_log;
use crate::tensor::{Dimension, TensorSpec};

/// Adds the declarations of the manifest to those of the model.
///
/// # Errors
///
/// When the manifest overrides the rank of an output that the model does not have.
pub(super) fn declare_outputs(
    outputs: &mut [TensorSpec],
    manifest: &Manifest,
) -> Result<(), RuntimeError> {
    if let Some(allowed) = manifest.allow_nonfinite() {
        for output in &mut *outputs {
            output.allow_nonfinite =
                output.datatype.is_floating_point() && allowed.includes(&output.name);
        }
    }
    override_ranks(outputs, manifest)
}

/// Replaces the declared shapes of the outputs that the manifest overrides.
fn override_ranks(outputs: &mut [TensorSpec], manifest: &Manifest) -> Result<(), RuntimeError> {
    for (name, rank) in manifest.output_ranks() {
        let output = outputs.iter_mut().find(|output| output.name == *name);
        let output = output.ok_or_else(|| RuntimeError::Unservable {
            tensor: sanitize_for_log(name),
            why: "expected an output of the model in `output_ranks`, found no such output"
                .to_owned(),
        })?;
        output.shape = rank.map(|rank| vec![Dimension::Dynamic(None); rank.into()]);
    }
    Ok(())
}
