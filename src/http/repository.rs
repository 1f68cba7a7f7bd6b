//! Implements the protocol's model repository extension, which lists, loads and unloads models. The
//! extension's specification is `docs/protocol/extension_model_repository.md` in
//! <https://github.com/triton-inference-server/server>.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::App;
use super::body::read_body;
use super::coding::ContentCoding;
use super::object::Object;
use super::problem::Problem;
use super::target::Target;
use crate::predictor::{Failure, Predictor};
use crate::{ModelName, Reason, Version, VersionStatus};

/// Proof that a request carries the server's admin token.
pub(super) struct Admin;

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some(token) = &app.admin_token else {
            let detail = "loading and unloading are disabled: the server has no admin token";
            return Err(Failure::new(Reason::AdminDisabled, detail).into());
        };
        let mut given = parts.headers.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(given), None) if token.admits(given.as_bytes()) => Ok(Self),
            _ => {
                let detail = "expected the server's bearer token in the header Authorization";
                Err(Failure::new(Reason::Unauthorized, detail).into())
            }
        }
    }
}

#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

/// One version of a model, or a model without any known version.
#[derive(Serialize)]
pub(super) struct IndexEntry {
    name: ModelName,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    state: &'static str,
    reason: String,
}

/// Lists the versions of all models. Lists only the versions that are ready if `ready` is true in
/// the request.
// A client needs no token to list versions, because it needs none for a model's metadata either.
pub(super) async fn index(
    State(app): State<App>,
    request: Request<Body>,
) -> Result<Json<Vec<IndexEntry>>, Problem> {
    let IndexRequest { ready } = parse_body(&app, request).await?;
    let all = app.registry.predictors();
    let entries = all.iter().flat_map(|predictor| entries(predictor));
    Ok(Json(
        entries
            .filter(|entry| !ready || entry.state == READY)
            .collect(),
    ))
}

const READY: &str = "READY";

fn entries(predictor: &Predictor) -> Vec<IndexEntry> {
    let (status, unloaded) = (predictor.status(), predictor.unloaded);
    let serving = predictor.versions();
    let entry = |version, state, reason| IndexEntry {
        name: status.model.clone(),
        version,
        state,
        reason,
    };
    if status.versions.is_empty() && serving.is_empty() {
        let (state, reason) = match status.unavailable() {
            _ if unloaded => ("UNAVAILABLE", "unloaded".to_owned()),
            Some((Reason::ModelLoading | Reason::ModelArriving, reason)) => ("LOADING", reason),
            Some((_, reason)) => ("UNAVAILABLE", reason),
            None => ("UNAVAILABLE", String::new()),
        };
        return vec![entry(None, state, reason)];
    }
    let only_in_memory = |version: &&Version| !status.versions.contains_key(*version);
    let memory_only = serving.iter().filter(only_in_memory).map(|version| {
        let reason = "removed from disk, served from memory".to_owned();
        entry(Some(version.to_string()), READY, reason)
    });
    let on_disk = status.versions.iter().map(|(version, found)| {
        let state = match found {
            _ if serving.contains(version) => READY,
            VersionStatus::Arriving { .. } if !unloaded => "LOADING",
            _ => "UNAVAILABLE",
        };
        let reason = match found {
            VersionStatus::Refused { detail, .. } => detail.clone(),
            _ if unloaded => "unloaded".to_owned(),
            VersionStatus::Arriving { detail } => format!("still arriving: {detail}"),
            _ => String::new(),
        };
        entry(Some(version.to_string()), state, reason)
    });
    on_disk.chain(memory_only).collect()
}

#[derive(Default, Deserialize)]
struct LoadRequest {
    #[serde(default)]
    parameters: Object<BTreeMap<String, IgnoredAny>>,
}

/// Loads a model from disk. Answers once the load has succeeded or failed, but no later than the
/// deadline. A load that misses the deadline continues.
///
/// The requested name is only compared with directory names. It never becomes part of a path.
pub(super) async fn load(
    _: Admin,
    State(app): State<App>,
    Path(model): Path<String>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let LoadRequest {
        parameters: Object(parameters),
    } = parse_body(&app, request).await?;
    if let Some((name, _)) = parameters.first_key_value() {
        let detail = format!(
            "unsupported parameter {name}: models are only loaded from disk, with the server's configuration"
        );
        return Err(Failure::new(Reason::InvalidRequest, detail).into());
    }
    let attempt = timeout(app.deadline, app.registry.load(&model)).await;
    let loaded = attempt.map_err(|_| {
        let detail = format!(
            "the model was not loaded within {:?}; the load continues",
            app.deadline
        );
        Failure::new(Reason::DeadlineExceeded, detail)
    })?;
    let predictor = loaded?;
    predictor
        .serving(None)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    Ok(StatusCode::OK)
}

/// Stops serving a model. The model's memory is freed once the running requests are answered.
pub(super) async fn unload(
    _: Admin,
    target: Target,
    State(app): State<App>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    // The option `unload_dependents` has no effect, because this server's models have no
    // dependents.
    let LoadRequest { .. } = parse_body(&app, request).await?;
    app.registry.unload(target.predictor.model.as_str())?;
    Ok(StatusCode::OK)
}

/// Parses the request body as a JSON object. Returns the default value for an empty body.
async fn parse_body<T: Default + DeserializeOwned>(
    app: &App,
    request: Request<Body>,
) -> Result<T, Failure> {
    let coding = ContentCoding::of_request(request.headers())?;
    let body = read_body(app, coding, request.into_body()).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    match serde_json::from_slice(&body) {
        Ok(Object(parsed)) => Ok(parsed),
        Err(error) => Err(Failure::new(
            Reason::InvalidRequest,
            format!("invalid request: {error}"),
        )),
    }
}
