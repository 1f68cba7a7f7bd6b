//! Liveness and readiness.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::target::Target;

/// Answers that the server is live, regardless of its models.
// A supervisor restarts a server that is not live, but a restart does not repair a damaged model.
// If liveness depended on the models, the restarts would never end.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Reports the server as ready if every model can answer. This is the protocol's definition of
/// readiness, and Triton's default ("strict readiness").
///
/// A model that answers with an older version counts as ready. Unloaded models, and directories
/// that never contained a version, are ignored. A server without models is ready.
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.registry
        .readiness()
        .map_err(|(model, failure)| Problem::of_model(failure, &model))?;
    Ok(Json(json!({ "ready": true })))
}

/// Reports a model as ready if the requested version is loaded. If the request names no version,
/// any loaded version suffices.
///
/// A model is not ready while an operator forces its circuit breaker open.
// The readiness of the server ignores forced-open breakers and unloaded models, because operators
// cause both deliberately.
pub(super) async fn model_ready(target: Target) -> Result<Json<Value>, Problem> {
    let Target { predictor, version } = target;
    predictor
        .ready(version)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    Ok(Json(json!({ "name": predictor.model, "ready": true })))
}
