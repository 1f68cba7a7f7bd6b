//! A client of the server, over real TCP.

use clarity_chaos::{Context, Result};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Talks to one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    server: SocketAddr,
    cx: Context,
    http: HyperClient<HttpConnector, Full<hyper::body::Bytes>>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub content_type: String,
    pub text: String,
}

impl Client {
    /// Marks what it is answered on the timeline.
    pub(crate) fn new(cx: &Context, server: SocketAddr) -> Self {
        Self {
            server,
            cx: cx.clone(),
            http: HyperClient::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Where the server is.
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, body.to_string()).await
    }

    /// Asks `model` to score these minutes of activity.
    pub(crate) async fn infer(&self, model: &str, activity: &[f32]) -> Result<Answer> {
        self.post(
            &format!("/v2/models/{model}/infer"),
            &Self::inference(activity),
        )
        .await
    }

    /// The body of such a request.
    pub(crate) fn inference(activity: &[f32]) -> Value {
        json!({ "inputs": [{
            "name": "activity",
            "shape": [1, activity.len()],
            "datatype": "FP32",
            "data": activity,
        }]})
    }

    /// Asks on a task of its own.
    pub(crate) fn infer_in_background(
        &self,
        model: &str,
        activity: &[f32],
    ) -> JoinHandle<Result<Answer>> {
        let (client, model, activity) = (self.clone(), model.to_owned(), activity.to_vec());
        tokio::spawn(async move { client.infer(&model, &activity).await })
    }

    /// A connection of its own, to be written to by hand.
    pub(crate) async fn connect(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.server).await?)
    }

    /// Asks whether a body may be sent for `model` to answer, and gives what comes back though none was sent.
    pub(crate) async fn ask_before_sending(&self, model: &str) -> Result<String> {
        let mut connection = self.connect().await?;
        let head = format!(
            "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: clarity\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await?;
        read_answer(&mut connection).await
    }

    /// The status of a page.
    pub(crate) async fn status(&self, path: &str) -> Result<u16> {
        Ok(self.get(path).await?.status)
    }

    /// The value of a metric's series, as `/metrics` writes it: `name{label="value"}`. A series that is not there is an error.
    pub(crate) async fn metric(&self, series: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.text;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .ok_or_else(|| format!("no series {series} in:\n{text}"))?;
        Ok(line.parse()?)
    }

    async fn send(&self, method: &str, path: &str, body: String) -> Result<Answer> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server))
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let response = self.http.request(request).await?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let (retry_after, content_type) = (header("retry-after"), header("content-type"));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        let answer = Answer {
            status,
            retry_after: retry_after.map(|seconds| seconds.parse()).transpose()?,
            content_type: content_type.unwrap_or_default(),
            text: String::from_utf8(body.to_vec())?,
        };
        self.mark(method, path, &answer);
        Ok(answer)
    }

    /// Requests for predictions stand in a lane of their own, with the version that answered or the reason why none did.
    fn mark(&self, method: &str, path: &str, answer: &Answer) {
        let status = answer.status;
        if path.ends_with("/infer") {
            let told = match answer.member("model_version") {
                Ok(version) => format!("version {version}"),
                Err(_) => answer.member("reason").unwrap_or_default(),
            };
            self.cx.mark("predictions", format!("{status} {told}"));
        } else {
            self.cx
                .mark("requests", format!("{status} {method} {path}"));
        }
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text)
            .map_err(|error| format!("status {}: {error}: {}", self.status, self.text).into())
    }

    /// The member `name` of the body, as text.
    pub(crate) fn member(&self, name: &str) -> Result<String> {
        match &self.json()?[name] {
            Value::String(text) => Ok(text.clone()),
            other => Err(format!(
                "expected a text as `{name}`, found {other} in {}",
                self.text
            )
            .into()),
        }
    }

    /// The numbers of the output `sleep_index`.
    pub(crate) fn sleep_index(&self) -> Result<Vec<f32>> {
        let body = self.json()?;
        let outputs = body["outputs"].as_array();
        let outputs = outputs.ok_or_else(|| format!("no outputs in {}", self.text))?;
        let output = outputs
            .iter()
            .find(|output| output["name"] == "sleep_index");
        let data = output.ok_or("no output `sleep_index`")?["data"].clone();
        Ok(serde_json::from_value(data)?)
    }

    /// That this is an answer of this version, and whether it says that it is less than it should be.
    #[track_caller]
    pub(crate) fn assert_served_by(&self, version: u64, degraded: bool) {
        assert_eq!(self.status, 200, "{}", self.text);
        let body = self.json().expect("an answer is JSON");
        assert_eq!(body["model_version"], version.to_string(), "{}", self.text);
        let said = body["parameters"]["degraded"].as_bool().unwrap_or(false);
        assert_eq!(said, degraded, "{}", self.text);
    }

    /// That this is a refusal a client can act on: a 503 problem with this reason, and a time to come back.
    #[track_caller]
    pub(crate) fn assert_unavailable(&self, reason: &str) -> u64 {
        assert_eq!(self.status, 503, "{}", self.text);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(
            self.member("reason").ok().as_deref(),
            Some(reason),
            "{}",
            self.text
        );
        // The protocol's clients look for `error`.
        assert!(
            self.member("error").is_ok_and(|error| !error.is_empty()),
            "{}",
            self.text
        );
        let seconds = self.retry_after.expect("a 503 says when to come back");
        assert!(seconds >= 1, "Retry-After: {seconds}");
        seconds
    }
}

/// Reads one answer, whose body has an announced length.
pub(crate) async fn read_answer(connection: &mut TcpStream) -> Result<String> {
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.ok_or("the answer has a length")?.parse::<usize>()? {
                return Ok(answer);
            }
        }
        match connection.read(&mut buffer).await? {
            0 => return Err(format!("the connection ended after {answer:?}").into()),
            read => answer.push_str(std::str::from_utf8(&buffer[..read])?),
        }
    }
}
