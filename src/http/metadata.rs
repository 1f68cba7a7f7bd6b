//! Metadata of the server and its models.

use axum::Json;
use serde_json::{Map, Value, json};

use super::extension;
use super::problem::Problem;
use super::target::Target;
use crate::status::Loaded;
use crate::{Dimension, RuntimeId, TensorSpec};

pub(super) async fn server() -> Json<Value> {
    Json(
        json!({ "name": "clarity", "version": env!("CARGO_PKG_VERSION"), "extensions": extension::SUPPORTED }),
    )
}

/// Describes a model. `versions` lists the loaded versions. A request for any other version gets an
/// error.
pub(super) async fn model(target: Target) -> Result<Json<Value>, Problem> {
    let serving = target.serving()?;
    let Target { predictor, .. } = target;
    let loaded = &serving.loaded;
    let tensors = |specs: &[TensorSpec]| specs.iter().map(tensor).collect::<Vec<_>>();
    let metadata = json!({
        "name": predictor.model,
        "versions": predictor.versions().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "platform": platform(loaded),
        "inputs": tensors(loaded.session.inputs()),
        "outputs": tensors(loaded.session.outputs()),
        "parameters": parameters(loaded),
    });
    Ok(Json(metadata))
}

/// The parameters of a model: the runtime and its version. Also the second opinion, whether the
/// version that answers is unprobed, and the overridden ranks of outputs.
fn parameters(loaded: &Loaded) -> Map<String, Value> {
    let mut parameters = Map::new();
    let RuntimeId { name, version, .. } = &loaded.runtime;
    parameters.insert("runtime".to_owned(), json!(name));
    if !version.is_empty() {
        parameters.insert("runtime_version".to_owned(), json!(version));
    }
    if let Some(opinion) = &loaded.second_opinion {
        parameters.insert("second_opinion".to_owned(), json!(opinion.result()));
        let detail = json!(opinion.to_string());
        parameters.insert("second_opinion_detail".to_owned(), detail);
    }
    if let Some(why) = loaded.trial.unprobed_detail() {
        parameters.insert("unprobed".to_owned(), json!(true));
        parameters.insert("unprobed_detail".to_owned(), json!(why));
    }
    let ranks = loaded.manifest.output_ranks();
    if !ranks.is_empty() {
        parameters.insert("output_ranks".to_owned(), json!(ranks));
    }
    parameters
}

/// The runtime and the format of a version.
pub(super) fn platform(loaded: &Loaded) -> String {
    format!("{}_{}", loaded.runtime.name, loaded.manifest.format())
}

/// Describes a tensor. The parameter `allow_nonfinite` marks an output that may hold NaN and
/// infinite values.
fn tensor(spec: &TensorSpec) -> Value {
    let mut tensor = json!({
        "name": spec.name,
        "datatype": spec.datatype.as_str(),
        "shape": dimensions(spec),
    });
    if spec.allow_nonfinite {
        tensor["parameters"] = json!({ "allow_nonfinite": true });
    }
    tensor
}

/// The sizes of a tensor's dimensions. A dynamic dimension becomes -1, and an undeclared shape
/// becomes `[-1]`.
pub(super) fn dimensions(spec: &TensorSpec) -> Vec<Value> {
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => json!(size),
        Dimension::Dynamic(_) => json!(-1),
    };
    spec.shape
        .as_ref()
        .map_or_else(|| vec![json!(-1)], |shape| shape.iter().map(size).collect())
}
