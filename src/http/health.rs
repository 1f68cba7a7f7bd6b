//! Liveness and readiness.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::target::Target;
use crate::Reason;
use crate::phase::Phase;
use crate::predictor::Failure;
use crate::registry::NotReady;

/// Answers that the server is live, regardless of its models.
// A supervisor restarts a server that is not live, but a restart does not repair a damaged model.
// If liveness depended on the models, the restarts would never end.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Reports the server as ready under the condition [`ReadyWhen`](crate::ReadyWhen), until its
/// shutdown is announced.
// `ReadyWhen::All` is the protocol's definition of readiness, and Triton's default ("strict
// readiness"). It lets one bad upload take all replicas out of service, so it is not the default.
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    check_phase(&app)?;
    match app.registry.readiness() {
        Ok(()) => Ok(Json(json!({ "ready": true }))),
        Err(NotReady { model, failure }) => Err(match model {
            Some(model) => Problem::of_model(failure, &model),
            None => failure.into(),
        }),
    }
}

/// Fails once the shutdown of the server is announced.
fn check_phase(app: &App) -> Result<(), Problem> {
    if *app.phase.borrow() > Phase::Serving {
        let detail = "the server is shutting down: send new requests to another server";
        return Err(Failure::new(Reason::ShuttingDown, detail).into());
    }
    Ok(())
}

/// Reports a model as ready if the requested version is loaded. If the request names no version,
/// any loaded version suffices. No model is ready once the shutdown of the server is announced.
///
/// A model is not ready while an operator forces its circuit breaker open.
// The readiness of the server ignores forced-open breakers and unloaded models, because operators
// cause both deliberately.
pub(super) async fn model_ready(
    State(app): State<App>,
    target: Target,
) -> Result<Json<Value>, Problem> {
    check_phase(&app)?;
    let Target { predictor, version } = target;
    predictor
        .ready(version)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    Ok(Json(json!({ "name": predictor.model, "ready": true })))
}
