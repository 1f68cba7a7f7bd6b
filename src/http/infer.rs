//! Handles one inference request.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};

use super::App;
use super::binary::json_length;
use super::body::read_body;
use super::coding::{AcceptedCodings, ContentCoding};
use super::problem::Problem;
use super::request::InferRequest;
use super::response::EncodedResponse;
use super::target::Target;
use crate::executor::{Executor, JobKind, execute};
use crate::predictor::{Failure, Predictor};
use crate::stopwatch::Stopwatch;
use crate::{ModelName, Tensor, Version};

/// The minimum size for which encoding and decoding run on the executor. For decoding, the size is
/// a number of bytes. For encoding, the size is a number of elements.
// The JSON parser reads about 100 MB/s, so smaller bodies do not delay other requests noticeably.
const OFFLOAD_BYTES: usize = 64 << 10;

/// The weight of an element of a compressed answer, against `OFFLOAD_BYTES`. An element has about
/// this number of bytes as JSON.
// Compression is not faster than the JSON parser.
const COMPRESSED_ELEMENT: usize = 16;

/// The number of elements of a tensor. Elements of BYTES count by their size: a few can be large.
fn elements(tensor: &Tensor) -> usize {
    let data = tensor.data();
    data.len().max(data.size() / COMPRESSED_ELEMENT)
}

pub(super) async fn infer(
    State(app): State<App>,
    target: Target,
    request: Request<Body>,
) -> Response {
    answer(&app, target, request).await
}

pub(super) async fn answer<B>(app: &App, target: Target, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let Target { predictor, version } = target;
    let account = predictor.account();
    match predict(app, &predictor, version, request).await {
        Ok(answer) => {
            account.answered();
            answer.into_response()
        }
        Err(failure) => {
            account.failed(&failure);
            Problem::of_model(failure, &predictor.model).into_response()
        }
    }
}

/// Validates a request, runs the model once and encodes the outputs.
// The checks that need no body come first. The breaker admits the call only after all checks. So an
// invalid request never uses up a probe of a half-open breaker.
async fn predict<B>(
    app: &App,
    predictor: &Predictor,
    version: Option<Version>,
    request: Request<B>,
) -> Result<EncodedResponse, Failure>
where
    B: HttpBody<Data = Bytes, Error: Error + 'static> + Unpin,
{
    predictor.serving(version)?;
    let coding = ContentCoding::of_request(request.headers())?;
    let accepted = AcceptedCodings::of_request(request.headers());
    let json_length = json_length(request.headers())?;
    predictor.reject_if_open()?;
    predictor.reject_if_full()?;
    let body = read_body(app, coding, request.into_body()).await?;
    // Looks up the version again: a reload may have replaced the version while the body arrived.
    // Such a reload also resets the breaker, which must not count failures of the old version.
    let serving = Arc::new(predictor.serving(version)?);
    let stopwatch = Stopwatch::start();
    let decode = {
        let (serving, budget) = (Arc::clone(&serving), app.budget.clone());
        let size = body.len();
        let work = move || {
            let session = &serving.loaded.session;
            InferRequest::decode(
                &body,
                json_length,
                session.inputs(),
                session.outputs(),
                &budget,
            )
        };
        transcode(predictor, size, work)
    };
    let (request, decoding) = decode.await?;
    let statistics = Arc::clone(&serving.loaded.statistics);
    let answer = async {
        let outputs = predictor
            .predict(&serving.loaded, request.inputs, request.memory)
            .await?;
        let size: usize = outputs.iter().map(elements).sum();
        let work = match accepted.coding {
            Some(_) => size.saturating_mul(COMPRESSED_ELEMENT),
            None => size,
        };
        let encode = {
            let (model, budget) = (predictor.model.clone(), app.budget.clone());
            move || {
                let id = request.id.as_deref();
                EncodedResponse::encode(&model, &serving, id, &request.outputs, &outputs, &budget)?
                    .compress(accepted)
            }
        };
        transcode(predictor, work, encode).await
    };
    let answer = answer.await;
    let took = stopwatch.elapsed();
    match &answer {
        Ok((_, encoding)) => statistics.answered(took, decoding, *encoding),
        Err(_) => statistics.failed(took),
    }
    answer.map(|(response, _)| response)
}

/// Runs `work`, which encodes or decodes tensors. Runs it on the calling thread if `size` is below
/// `OFFLOAD_BYTES`, otherwise on the executor. Also returns the time that the work took.
async fn transcode<T: Send + 'static>(
    predictor: &Predictor,
    size: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<(T, Duration), Failure> {
    let work = move || {
        let stopwatch = Stopwatch::start();
        work().map(|result| (result, stopwatch.elapsed()))
    };
    if size < OFFLOAD_BYTES {
        return work();
    }
    let (executor, model): (&dyn Executor, &ModelName) = (&*predictor.executor, &predictor.model);
    match execute(executor, JobKind::Transcode, Some(model), work).await {
        Ok(result) => result,
        Err(error) => Err(error.into_failure()),
    }
}
