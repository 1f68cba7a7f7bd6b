//! Implements the Open Inference Protocol, version 2, over HTTP, with JSON and binary tensors. The
//! protocol's specification is `specification/protocol/inference_rest.md` in
//! <https://github.com/kserve/open-inference-protocol>.
//!
//! A handler sends every error as a problem document. Hyper itself refuses a bad request line or an
//! oversized head, with status 4xx and no body. Then Hyper closes the connection. Hyper has no hook
//! that could add a body to such a response.

mod binary;
mod body;
pub(crate) mod budget;
mod coding;
mod decoder;
mod document;
mod drain_body;
mod encoder;
mod exposition_format;
mod extension;
mod health;
mod infer;
mod input;
mod metadata;
mod model_config;
mod object;
mod parameters;
mod problem;
mod repository;
mod request;
mod response;
mod scrape;
mod statistics;
mod target;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use hyper::body::Incoming;
use tokio::sync::watch;
use tower_service::Service;

use self::budget::Budget;
use self::problem::Problem;
use self::target::Target;
use crate::phase::Phase;
use crate::predictor::Failure;
use crate::{BearerToken, Metrics, Reason, Registry};

/// Decodes the input tensors in an inference request body.
#[cfg(feature = "unstable-fuzz")]
pub(crate) fn decode(
    body: &[u8],
    json_length: Option<usize>,
    takes: &[crate::TensorSpec],
    gives: &[crate::TensorSpec],
    budget: &Budget,
) -> Result<Vec<crate::Tensor>, Failure> {
    let request = request::InferRequest::decode(body, json_length, takes, gives, budget)?;
    Ok(request.inputs)
}

/// The state that all handlers share. A clone refers to the same state.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Settings>);

/// The content of [`App`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) body_limit: usize,
    pub(crate) budget: Budget,
    pub(crate) admin_token: Option<BearerToken>,
    pub(crate) deadline: Duration,
    /// The phase of the main listener.
    pub(crate) phase: watch::Receiver<Phase>,
}

impl App {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

impl Deref for App {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

/// The listener that a request came through. Each has its own resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The main listener of a server without an admin listener. It has all resources.
    Only,
    /// The main listener of a server with an admin listener.
    Main,
    /// The admin listener.
    Admin,
}

/// The HTTP service. Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    app: App,
    door: Door,
    router: Router,
}

impl Http {
    pub(crate) fn new(app: App, door: Door) -> Self {
        Self {
            router: router(app.clone(), door),
            app,
            door,
        }
    }

    /// Answers a request. Also reads the request body to its end, unless the body exceeds the
    /// limits on size or time. If the end of the body was not reached, the server closes the
    /// connection after the response.
    pub(crate) async fn answer(&self, request: hyper::Request<Incoming>) -> Response {
        let app = &self.app;
        drain_body::answer_then_drain(app, request, async |request| {
            if self.door != Door::Admin
                && let Some(target) = Target::of_prediction(request.method(), request.uri().path())
            {
                return match target.find(app) {
                    Ok(target) => infer::answer(app, target, request).await,
                    Err(problem) => problem.into_response(),
                };
            }
            let answered = self.router.clone().call(request.map(Body::new)).await;
            answered.unwrap_or_else(|never| match never {})
        })
        .await
    }
}

/// The routes of a listener.
fn router(app: App, door: Door) -> Router {
    let health = Router::new()
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/models/{model}/ready", get(health::model_ready))
        .route(
            "/v2/models/{model}/versions/{version}/ready",
            get(health::model_ready),
        );
    let router = match door {
        Door::Only => health.merge(protocol()).merge(administration()),
        Door::Main => health
            .merge(protocol())
            .merge(only_on("admin", ADMINISTRATION)),
        Door::Admin => health
            .merge(administration())
            .merge(only_on("main", PROTOCOL)),
    };
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(app)
}

/// The paths of [`protocol`].
const PROTOCOL: &[&str] = &[
    "/v2",
    "/v2/models/stats",
    "/v2/models/{model}",
    "/v2/models/{model}/config",
    "/v2/models/{model}/stats",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}",
    "/v2/models/{model}/versions/{version}/config",
    "/v2/models/{model}/versions/{version}/stats",
    "/v2/models/{model}/versions/{version}/infer",
    "/v2/repository/index",
];

fn protocol() -> Router<App> {
    Router::new()
        .route("/v2", get(metadata::server))
        // A model called `stats` is described at the paths with a version alone.
        .route("/v2/models/stats", get(statistics::all))
        .route("/v2/models/{model}", get(metadata::model))
        .route("/v2/models/{model}/config", get(model_config::config))
        .route("/v2/models/{model}/stats", get(statistics::model))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route(
            "/v2/models/{model}/versions/{version}",
            get(metadata::model),
        )
        .route(
            "/v2/models/{model}/versions/{version}/config",
            get(model_config::config),
        )
        .route(
            "/v2/models/{model}/versions/{version}/stats",
            get(statistics::model),
        )
        .route(
            "/v2/models/{model}/versions/{version}/infer",
            post(infer::infer),
        )
        .route("/v2/repository/index", post(repository::index))
}

/// The paths of [`administration`].
const ADMINISTRATION: &[&str] = &[
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
    "/metrics",
];

fn administration() -> Router<App> {
    Router::new()
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route(
            "/v2/repository/models/{model}/unload",
            post(repository::unload),
        )
        .route("/metrics", get(scrape::metrics))
}

/// Routes that refuse each request, and name the listener that answers it.
fn only_on(listener: &'static str, paths: &[&str]) -> Router<App> {
    let refuse = move |uri: Uri| async move {
        let path = uri.path();
        Problem::from(Failure::new(
            Reason::NotFound,
            format!("{path} is on the {listener} listener alone"),
        ))
    };
    let routes = paths.iter();
    routes.fold(Router::new(), |router, path| {
        router.route(path, any(refuse))
    })
}

async fn not_found(uri: Uri) -> Problem {
    let path = uri.path();
    let detail = match extension::unsupported(path) {
        None => format!("no resource at {path}"),
        Some(extension) => format!(
            "no resource at {path}: the server does not support the extension {extension}; GET /v2 lists the supported extensions"
        ),
    };
    Failure::new(Reason::NotFound, detail).into()
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Failure::new(
        Reason::MethodNotAllowed,
        format!("{method} is not allowed for {}", uri.path()),
    )
    .into()
}
