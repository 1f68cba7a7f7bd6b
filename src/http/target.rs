//! The model, and the version if any, that a path names.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::App;
use super::problem::Problem;
use crate::predictor::{Failure, Predictor};
use crate::{Reason, Version};

/// What a path names. The model is known; the version is only well-formed. Neither ever becomes part of a path on disk.
pub(super) struct Target {
    pub(super) predictor: Arc<Predictor>,
    pub(super) version: Option<Version>,
}

impl FromRequestParts<App> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let undecodable = || Failure::new(Reason::NotFound, "the path is not UTF-8 text");
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| undecodable())?;
        let param = |wanted: &str| {
            params
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value)
        };
        let predictor = app.registry.predictor(param("model").unwrap_or_default())?;
        let parse = |text: &str| {
            text.parse().map_err(|error: crate::InvalidVersion| {
                Problem::of_model(
                    Failure::new(Reason::UnknownVersion, error.to_string()),
                    &predictor.model,
                )
            })
        };
        let version = param("version").map(parse).transpose()?;
        Ok(Self { predictor, version })
    }
}
