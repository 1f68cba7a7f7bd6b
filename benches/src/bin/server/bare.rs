//! A bare handler. For each request, it only parses the request, runs the model and writes the
//! answer.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt;
use rten::{Model, ModelOptions, Value};
use rten_tensor::prelude::*;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Request {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    shape: Vec<usize>,
    data: Vec<f32>,
}

#[derive(Serialize)]
struct Response {
    model_name: &'static str,
    model_version: &'static str,
    outputs: (Output<f32>, Output<bool>),
}

#[derive(Serialize)]
struct Output<T> {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    data: Vec<T>,
}

/// Answers on a free loopback port until the process is killed. Prints its address as the server
/// does: `listening on http://ADDRESS:PORT`.
///
/// `/blocking` runs the model on a thread for blocking work. `/inline` runs the model on the
/// connection's thread. `/rejected` answers with status 503 and the bytes of the file `rejection`.
pub(crate) fn serve(model: &Path, rejection: &Path) -> Result<(), Box<dyn Error>> {
    let model = Arc::new(ModelOptions::with_all_ops().load(fs::read(model)?)?);
    let rejection = Bytes::from(fs::read(rejection)?);
    let router = Router::new()
        .route("/blocking", post(blocking))
        .route("/inline", post(inline))
        .with_state(model)
        .route("/rejected", post(rejected).with_state(rejection));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn blocking(State(model): State<Arc<Model>>, body: Bytes) -> impl IntoResponse {
    let request = parse(&body)?;
    tokio::task::spawn_blocking(move || run(&model, request))
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
}

async fn inline(State(model): State<Arc<Model>>, body: Bytes) -> impl IntoResponse {
    run(&model, parse(&body)?)
}

async fn rejected(State(rejection): State<Bytes>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/problem+json"),
        (RETRY_AFTER, "60"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, rejection)
}

fn parse(body: &[u8]) -> Result<Input, StatusCode> {
    let request: Request = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut inputs = request.inputs;
    inputs.pop().ok_or(StatusCode::BAD_REQUEST)
}

fn run(model: &Model, input: Input) -> Result<Json<Response>, StatusCode> {
    let Input { shape, data } = input;
    let value = Value::from_shape(shape, data).map_err(|_| StatusCode::BAD_REQUEST)?;
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    let inputs = vec![(model.input_ids()[0], value.into())];
    let outputs = model
        .run(inputs, model.output_ids(), None)
        .map_err(|_| failed)?;
    match <[Value; 2]>::try_from(outputs) {
        Ok([Value::FloatTensor(index), Value::Int32Tensor(asleep)]) => Ok(Json(Response {
            model_name: "cole_kripke",
            model_version: "1",
            outputs: (
                Output {
                    name: "sleep_index",
                    datatype: "FP32",
                    shape: index.shape().to_vec(),
                    data: index.into_data(),
                },
                Output {
                    name: "asleep",
                    datatype: "BOOL",
                    shape: asleep.shape().to_vec(),
                    data: asleep.into_data().into_iter().map(|one| one != 0).collect(),
                },
            ),
        })),
        _ => Err(failed),
    }
}
