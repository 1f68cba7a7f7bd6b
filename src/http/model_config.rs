//! Implements the protocol's model configuration extension. The extension's specification is
//! `docs/protocol/extension_model_configuration.md` in
//! <https://github.com/triton-inference-server/server>. The members are those of the message
//! `ModelConfig` in <https://github.com/triton-inference-server/common>.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use super::metadata::{dimensions, platform};
use super::problem::Problem;
use super::target::Target;
use crate::{DataType, TensorSpec, VersionPolicy};

/// Describes the configuration of a model. Members without a counterpart in this server are absent.
///
/// `max_batch_size` is 0: the server runs each request by itself, and `dims` has all dimensions.
pub(super) async fn config(State(app): State<App>, target: Target) -> Result<Json<Value>, Problem> {
    let serving = target.serving()?;
    let Target { predictor, .. } = target;
    let loaded = &serving.loaded;
    let tensors = |specs: &[TensorSpec]| specs.iter().map(tensor).collect::<Vec<_>>();
    Ok(Json(json!({
        "name": predictor.model,
        "platform": platform(loaded),
        "version_policy": version_policy(&app.registry.version_policy(&predictor.model)),
        "max_batch_size": 0,
        "input": tensors(loaded.session.inputs()),
        "output": tensors(loaded.session.outputs()),
        "default_model_filename": loaded.manifest.entry(),
    })))
}

fn tensor(spec: &TensorSpec) -> Value {
    let data_type = match spec.datatype {
        // The message has another name for this datatype.
        DataType::Bytes => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    };
    json!({ "name": spec.name, "data_type": data_type, "dims": dimensions(spec) })
}

fn version_policy(policy: &VersionPolicy) -> Value {
    match policy {
        VersionPolicy::Latest => json!({ "latest": { "num_versions": 1 } }),
        VersionPolicy::All => json!({ "all": {} }),
        VersionPolicy::Only(versions) => {
            let versions: Vec<u64> = versions.iter().map(|version| version.get()).collect();
            json!({ "specific": { "versions": versions } })
        }
    }
}
