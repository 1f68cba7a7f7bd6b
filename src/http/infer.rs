//! A request for a prediction, from its first byte to its answer.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};
use tokio::time::timeout;

use super::App;
use super::output::encode;
use super::problem::Problem;
use super::request::InferRequest;
use super::target::Target;
use crate::predictor::{Failure, Predictor};
use crate::{Reason, Version};

/// The header that announces the protocol's binary tensor extension.
const BINARY_HEADER: &str = "inference-header-content-length";

pub(super) async fn infer(
    State(app): State<App>,
    target: Target,
    request: Request<Body>,
) -> Response {
    let Target { predictor, version } = target;
    let account = predictor.account();
    match answer(&app, &predictor, version, request).await {
        Ok(body) => {
            account.answered();
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(failure) => {
            account.failed(&failure);
            Problem::of_model(failure, &predictor.model).into_response()
        }
    }
}

/// What can be refused without reading the body is refused first; the breaker is asked last, when the request is known
/// to be good.
async fn answer(
    app: &App,
    predictor: &Predictor,
    version: Option<Version>,
    request: Request<Body>,
) -> Result<Vec<u8>, Failure> {
    predictor.serving(version)?;
    refuse_extensions(request.headers())?;
    let body = read(app, request.into_body()).await?;
    // Asked again: while the body arrived another version may have taken over, and its breaker must not be told of this one's failures.
    let serving = predictor.serving(version)?;
    let request = InferRequest::parse(&body)?;
    let inputs = request.inputs(serving.loaded.session.inputs())?;
    let wanted = request.outputs(serving.loaded.session.outputs())?;
    let outputs = predictor.predict(&serving.loaded, inputs).await?;
    Ok(encode(
        &predictor.model,
        &serving,
        request.id(),
        &wanted,
        &outputs,
    ))
}

fn refuse_extensions(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(BINARY_HEADER) {
        let detail = "binary tensors are not spoken here: send JSON tensors (in tritonclient: binary_data=False for inputs and outputs)";
        return Err(Failure::new(Reason::InvalidRequest, detail));
    }
    let encodings = headers.get_all(CONTENT_ENCODING);
    match encodings.iter().find(|encoding| *encoding != "identity") {
        Some(encoding) => Err(Failure::new(
            Reason::UnsupportedEncoding,
            format!("expected a body without content encoding, found {encoding:?}"),
        )),
        None => Ok(()),
    }
}

async fn read(app: &App, body: Body) -> Result<Bytes, Failure> {
    let limit = app.body_limit;
    let too_large = || {
        Failure::new(
            Reason::PayloadTooLarge,
            format!("expected a body of at most {limit} bytes"),
        )
    };
    // What announces itself as too large is not read at all.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let slow = |_| {
        Failure::new(
            Reason::RequestTimeout,
            format!("the body did not arrive within {:?}", app.deadline),
        )
    };
    let broken =
        |error: Box<dyn std::error::Error + Send + Sync>| match error.is::<LengthLimitError>() {
            true => too_large(),
            false => Failure::new(
                Reason::InvalidRequest,
                format!("the body cannot be read: {error}"),
            ),
        };
    let collected = timeout(app.deadline, Limited::new(body, limit).collect())
        .await
        .map_err(slow)?;
    Ok(collected.map_err(broken)?.to_bytes())
}
