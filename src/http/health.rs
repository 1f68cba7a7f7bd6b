//! Alive, and ready.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::target::Target;

/// The process answers: that is all it takes to be alive. A supervisor that restarts a server for a bad file would
/// restart it for ever.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Ready when every model answers, as the protocol defines it (and Triton's strict readiness, its default); an older
/// version is an answer. A server without models is ready.
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.registry
        .readiness()
        .map_err(|(model, failure)| Problem::of_model(failure, &model))?;
    Ok(Json(json!({ "ready": true })))
}

/// Ready when the model answers, with whatever good version, unless an operator has opened its circuit breaker. The
/// server is ready all the same then, as it is without a model that was unloaded: both are meant.
pub(super) async fn model_ready(target: Target) -> Result<Json<Value>, Problem> {
    let Target { predictor, version } = target;
    predictor
        .ready(version)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    Ok(Json(json!({ "name": predictor.model, "ready": true })))
}
