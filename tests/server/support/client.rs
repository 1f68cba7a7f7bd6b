//! A client over a real socket.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// An answer with binary data behind its JSON.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) binary: Bytes,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { address, http }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Method::POST, path, &[], body.to_string().into())
            .await
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Bytes>) -> Response {
        self.send(Method::POST, path, &[], body.into()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, headers, body) = self
            .send_bytes(request.body(Full::new(body)).unwrap())
            .await;
        Response {
            status,
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A request for a prediction with binary data behind its JSON, and the parts of the answer.
    pub(crate) async fn post_binary(&self, path: &str, json: &Value, binary: &[u8]) -> Parts {
        let json = json.to_string();
        let request = Request::post(format!("http://{}{path}", self.address))
            .header("Inference-Header-Content-Length", json.len());
        let body = Bytes::from([json.as_bytes(), binary].concat());
        let (status, headers, body) = self
            .send_bytes(request.body(Full::new(body)).unwrap())
            .await;
        let length = headers.get("inference-header-content-length");
        let length = length.map_or(body.len(), |length| {
            length.to_str().unwrap().parse().unwrap()
        });
        Parts {
            status,
            json: serde_json::from_slice(&body[..length]).unwrap(),
            binary: body.slice(length..),
            headers,
        }
    }

    async fn send_bytes(&self, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
        let (parts, body) = self.http.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, body)
    }
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Seconds of `Retry-After`, if there is one.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        Some(
            self.headers
                .get("retry-after")?
                .to_str()
                .unwrap()
                .parse()
                .unwrap(),
        )
    }

    /// It must be a problem of this status and reason, complete and consistent.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["reason"], reason, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(
            problem["error"], problem["detail"],
            "what clients of the protocol read"
        );
    }

    /// It must be a problem whose detail says this.
    #[track_caller]
    pub(crate) fn assert_says(&self, says: &str) {
        let problem = self.json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    }
}
