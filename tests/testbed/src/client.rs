//! A client of the server that uses real sockets.

use crate::connection::Connection;
use crate::{BinaryResponse, Response, cole_kripke, expecting_head, metric_in, within};
use clarity_chaos::{Context, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// Sends requests to one server. Clones share the same connections.
#[derive(Clone, Debug)]
pub struct Client {
    server: SocketAddr,
    http: HyperClient<HttpConnector, Full<Bytes>>,
    /// The chaos test whose timeline gets a mark for each response; `None` if no timeline does.
    marked: Option<Context>,
}

impl Client {
    /// A client whose requests must be answered within [`LIMIT`](crate::LIMIT).
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            http: HyperClient::builder(TokioExecutor::new()).build_http(),
            marked: None,
        }
    }

    /// A client that marks responses on the timeline of a chaos test. Only the test's own timeout
    /// applies.
    #[must_use]
    pub fn marking(cx: &Context, server: SocketAddr) -> Self {
        Self {
            marked: Some(cx.clone()),
            ..Self::new(server)
        }
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends a GET request.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn get(&self, path: &str) -> Result<Response> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Response> {
        self.post_text(path, body.to_string()).await
    }

    /// Posts `body` unchanged, with the content type of JSON.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn post_text(&self, path: &str, body: impl Into<Bytes>) -> Result<Response> {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, body.into()).await
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response> {
        let exchanged = self.send_for_bytes(&method, path, headers, body).await;
        let (status, headers, body) = exchanged?;
        let response = Response {
            status,
            headers,
            body: String::from_utf8(body.to_vec())?,
        };
        self.mark(&method, path, &response);
        Ok(response)
    }

    /// Sends a request. Returns the status, the header fields and the body of the response.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn send_for_bytes(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.exchange(request.body(Full::new(body))?).await
    }

    /// Posts a prediction request with binary data after its JSON part.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response does not begin with JSON.
    pub async fn post_binary(
        &self,
        path: &str,
        json: &Value,
        binary: &[u8],
    ) -> Result<BinaryResponse> {
        let json = json.to_string();
        let request = Request::post(format!("http://{}{path}", self.server))
            .header("Inference-Header-Content-Length", json.len());
        let body = Bytes::from([json.as_bytes(), binary].concat());
        let (status, headers, body) = self.exchange(request.body(Full::new(body))?).await?;
        let length = match headers.get("inference-header-content-length") {
            Some(length) => length.to_str()?.parse()?,
            None => body.len(),
        };
        Ok(BinaryResponse {
            status,
            json: serde_json::from_slice(&body[..length])?,
            binary: body.slice(length..),
            headers,
        })
    }

    /// Requests a prediction by `model` for these minutes of activity.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn infer(&self, model: &str, activity: &[f32]) -> Result<Response> {
        let path = format!("/v2/models/{model}/infer");
        self.post(&path, &cole_kripke::request(activity)).await
    }

    /// Sends the request of [`infer`](Self::infer) on a new task.
    #[must_use]
    pub fn infer_in_background(
        &self,
        model: &str,
        activity: &[f32],
    ) -> JoinHandle<Result<Response>> {
        let (client, model, activity) = (self.clone(), model.to_owned(), activity.to_vec());
        tokio::spawn(async move { client.infer(&model, &activity).await })
    }

    /// The status of the response to a GET request of `path`.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the response body is not text.
    pub async fn status(&self, path: &str) -> Result<StatusCode> {
        Ok(self.get(path).await?.status)
    }

    /// The value of a series, named as in `/metrics`: `name{label="value"}`.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or `/metrics` has no such series.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.body;
        let value = metric_in(&text, series);
        Ok(value.ok_or_else(|| format!("no series {series} in:\n{text}"))?)
    }

    /// Opens a connection on which the test itself writes each byte.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(self.server).await?)
    }

    /// Sends the head of a prediction request for `model` that expects `100 Continue`, and no body.
    /// Returns the response.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn ask_before_sending(&self, model: &str) -> Result<String> {
        let mut connection = self.connect().await?;
        let path = format!("/v2/models/{model}/infer");
        connection.send(expecting_head(&path, 1000)).await?;
        connection.read_response().await
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let exchange = async {
            let (parts, body) = self.http.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok((parts.status, parts.headers, body))
        };
        match self.marked {
            Some(_) => exchange.await,
            None => within("a response", exchange).await,
        }
    }

    /// Marks a response. Predictions have their own lane, with the version that answered or the
    /// reason of the refusal.
    fn mark(&self, method: &Method, path: &str, response: &Response) {
        let Some(cx) = &self.marked else { return };
        let status = response.status.as_u16();
        if path.ends_with("/infer") {
            let label = match response.member("model_version") {
                Ok(version) => format!("version {version}"),
                Err(_) => response.member("reason").unwrap_or_default(),
            };
            cx.mark("predictions", format!("{status} {label}"));
        } else {
            cx.mark("requests", format!("{status} {method} {path}"));
        }
    }
}
