//! Responses of the server.

use clarity_chaos::Result;
use hyper::body::Bytes;
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;

/// A response whose body is text.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status of the response.
    pub status: StatusCode,
    /// The header fields of the response.
    pub headers: HeaderMap,
    /// The body of the response.
    pub body: String,
}

/// A response with binary data after its JSON part.
#[derive(Debug)]
pub struct BinaryResponse {
    /// The status of the response.
    pub status: StatusCode,
    /// The header fields of the response.
    pub headers: HeaderMap,
    /// The JSON part of the body.
    pub json: Value,
    /// The bytes after the JSON part.
    pub binary: Bytes,
}

impl Response {
    /// The body, parsed as JSON.
    ///
    /// # Panics
    ///
    /// When the body is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.body);
        parsed.unwrap_or_else(|error| panic!("{} {error}: {:?}", self.status, self.body))
    }

    /// The value of the body's text member `name`.
    ///
    /// # Errors
    ///
    /// When the body is not JSON, or has no text member of this name.
    pub fn member(&self, name: &str) -> Result<String> {
        let body: Value = serde_json::from_str(&self.body)
            .map_err(|error| format!("status {}: {error}: {}", self.status, self.body))?;
        let text = body[name].as_str();
        Ok(text
            .ok_or_else(|| format!("no text `{name}` in {}", self.body))?
            .to_owned())
    }

    /// The numbers of the output `sleep_index` in the body.
    ///
    /// # Errors
    ///
    /// When the body is not JSON, or has no such output of numbers.
    pub fn sleep_index(&self) -> Result<Vec<f32>> {
        let body: Value = serde_json::from_str(&self.body)?;
        let outputs = body["outputs"].as_array().into_iter().flatten();
        let output = outputs
            .into_iter()
            .find(|output| output["name"] == "sleep_index");
        let output = output.ok_or_else(|| format!("no output `sleep_index` in {}", self.body))?;
        Ok(serde_json::from_value(output["data"].clone())?)
    }

    /// The seconds of the `Retry-After` header, if the header is present.
    ///
    /// # Panics
    ///
    /// When the header is not a whole number.
    #[must_use]
    #[track_caller]
    pub fn retry_after(&self) -> Option<u64> {
        let seconds = self.headers.get("retry-after")?;
        let seconds = seconds.to_str().ok().and_then(|text| text.parse().ok());
        Some(seconds.expect("Retry-After is a whole number of seconds"))
    }

    /// Asserts that the response is a complete and consistent problem (RFC 9457) of this status and
    /// reason.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["reason"], reason, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"].as_str(), self.status.canonical_reason());
        let detail = problem["detail"].as_str();
        assert!(detail.is_some_and(|detail| !detail.is_empty()), "{self:?}");
        // Clients of the Open Inference Protocol read the member `error`.
        assert_eq!(problem["error"], problem["detail"]);
    }

    /// Asserts that the response is a problem whose detail contains `says`.
    #[track_caller]
    pub fn assert_says(&self, says: &str) {
        let problem = self.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    }

    /// Asserts a 503 with this reason and a retry delay, and returns that delay in seconds.
    #[track_caller]
    pub fn assert_unavailable(&self, reason: &str) -> u64 {
        self.assert_problem(503, reason);
        let seconds = self.retry_after();
        let seconds = seconds.unwrap_or_else(|| panic!("no Retry-After: {self:?}"));
        assert!(seconds >= 1, "Retry-After: {seconds}");
        seconds
    }

    /// Asserts that the response is a prediction by this version, marked as degraded only if
    /// `degraded`.
    #[track_caller]
    pub fn assert_served_by(&self, version: u64, degraded: bool) {
        assert_eq!(self.status, 200, "{}", self.body);
        let body = self.json();
        assert_eq!(body["model_version"], version.to_string(), "{}", self.body);
        let marked = body["parameters"]["degraded"].as_bool().unwrap_or(false);
        assert_eq!(marked, degraded, "{}", self.body);
    }
}
