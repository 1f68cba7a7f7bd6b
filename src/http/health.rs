//! Liveness and readiness.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::target::Target;

/// Live as soon as the process answers.
// A supervisor that restarts a server because of a bad file would restart it forever.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Ready when every model answers, as the protocol and Triton's default (strict readiness) define.
///
/// An older version counts as an answer. A server without models is ready.
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.registry
        .readiness()
        .map_err(|(model, failure)| Problem::of_model(failure, &model))?;
    Ok(Json(json!({ "ready": true })))
}

/// Ready when the model answers with any good version.
///
/// Not ready while an operator holds its circuit breaker open.
// Server readiness ignores forced-open breakers and unloaded models: both are deliberate.
pub(super) async fn model_ready(target: Target) -> Result<Json<Value>, Problem> {
    let Target { predictor, version } = target;
    predictor
        .ready(version)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    Ok(Json(json!({ "name": predictor.model, "ready": true })))
}
