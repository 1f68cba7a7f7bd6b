//! Servers in the test's own process.

use crate::{Client, Repository, metric_in};
use clarity::{
    Config, Executor, Inline, ModelStatus, Reason, Server, ServerBuilder, Version, VersionStatus,
};
use std::time::Duration;

/// The default configuration, with `seed` for the jitter of retries. Damaged versions are bad at
/// once, however recent the damage is.
#[must_use]
pub fn seeded_config(seed: u64) -> Config {
    let mut config = Config::default();
    config.reload.seed = Some(seed);
    config.reload.settle = Duration::ZERO;
    config
}

/// Like [`seeded_config`], with a fixed seed.
#[must_use]
pub fn config() -> Config {
    seeded_config(1)
}

/// Serves `models` with an inline executor. On return, every model has been tried once.
///
/// # Panics
///
/// When the server cannot start.
pub async fn serve(models: &Repository) -> (Server, Client) {
    serve_with(models, config(), Inline).await
}

/// Like [`serve`], with this configuration and executor.
///
/// # Panics
///
/// When the server cannot start.
pub async fn serve_with(
    models: &Repository,
    config: Config,
    executor: impl Executor,
) -> (Server, Client) {
    let builder = Server::builder(models.root()).config(config);
    start(builder.executor(executor)).await
}

/// Starts a server on loopback. On return, every model has been tried once.
///
/// # Panics
///
/// When the server cannot start.
pub async fn start(builder: ServerBuilder) -> (Server, Client) {
    let server = bind(builder).await;
    server.models().settled().await;
    let client = Client::new(server.local_addr());
    (server, client)
}

/// Starts a server on loopback, without waiting for any model.
///
/// # Panics
///
/// When the server cannot start.
pub async fn bind(builder: ServerBuilder) -> Server {
    let loopback = ([127, 0, 0, 1], 0).into();
    let bound = builder.bind(loopback).await;
    bound.unwrap_or_else(|error| panic!("the server cannot start: {error}"))
}

/// The value of a series, named as in the text format of Prometheus.
///
/// # Panics
///
/// When the metrics have no such series.
#[must_use]
#[track_caller]
pub fn metric(server: &Server, series: &str) -> f64 {
    let text = server.metrics().render();
    metric_in(&text, series).unwrap_or_else(|| panic!("no series {series} in:\n{text}"))
}

/// The version with this number.
///
/// # Panics
///
/// When `number` is 0.
#[must_use]
#[track_caller]
pub fn version(number: u64) -> Version {
    Version::new(number).expect("versions are numbered from 1 on")
}

/// The reason for which a version is refused; `None` if the version is not refused.
///
/// # Panics
///
/// When `number` is 0.
#[must_use]
pub fn reason_of(status: &ModelStatus, number: u64) -> Option<Reason> {
    match status.versions.get(&version(number)) {
        Some(VersionStatus::Refused { reason, .. }) => Some(*reason),
        _ => None,
    }
}
