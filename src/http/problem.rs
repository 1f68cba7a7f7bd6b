//! Errors as problem details: <https://www.rfc-editor.org/rfc/rfc9457>.

use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::coding::SUPPORTED;
use crate::predictor::Failure;
use crate::registry::UnknownModel;
use crate::{ModelName, Reason};

/// A failure that becomes a response, and the model that the failure concerns, if any.
#[derive(Debug)]
pub(super) struct Problem {
    failure: Failure,
    model: Option<ModelName>,
}

/// The problem document of a response.
///
/// `type` is always `about:blank`. For this type, RFC 9457 defines `title` as the standard phrase
/// of the status. `reason` holds the specific kind of failure ([`Reason`]). Clients of the Open
/// Inference Protocol read `error`, which repeats `detail`.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    error: &'a str,
}

impl Problem {
    pub(super) fn of_model(failure: Failure, model: &ModelName) -> Self {
        Self {
            failure,
            model: Some(model.clone()),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            model: None,
        }
    }
}

impl From<UnknownModel> for Problem {
    fn from(unknown: UnknownModel) -> Self {
        Failure::new(Reason::UnknownModel, unknown.to_string()).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Failure {
            reason,
            detail,
            retry_after,
        } = &self.failure;
        let status = status_of(*reason);
        let body = Body {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            reason: reason.as_str(),
            model: self.model.as_ref().map(ModelName::as_str),
            error: detail,
        };
        let mut json = Vec::with_capacity(256 + 2 * detail.len());
        serde_json::to_writer(&mut json, &body)
            .expect("strings and a number always serialize to JSON");
        let mut response =
            (status, [(CONTENT_TYPE, "application/problem+json")], json).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // Tells the client the codings to try instead: RFC 9110, section 15.5.16.
            response
                .headers_mut()
                .insert(ACCEPT_ENCODING, HeaderValue::from_static(SUPPORTED));
        }
        if let Some(after) = retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*after)));
        }
        response
    }
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::NotFound | Reason::UnknownModel | Reason::UnknownVersion | Reason::VersionNotLoaded => StatusCode::NOT_FOUND,
        Reason::AdminDisabled => StatusCode::FORBIDDEN,
        Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::InvalidRequest => StatusCode::BAD_REQUEST,
        Reason::InputRejected => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::NoModels
        | Reason::ShuttingDown
        | Reason::ModelLoading
        | Reason::ModelArriving
        | Reason::ModelUnloaded
        | Reason::ModelMissing
        | Reason::ModelCorrupt
        | Reason::Unverified
        | Reason::LinkNotAllowed
        | Reason::ModelUnreadable
        | Reason::ModelIncompatible
        | Reason::CircuitOpen
        | Reason::Overloaded
        | Reason::InferenceFailed
        | Reason::OutOfMemory
        | Reason::WorkerDied
        // This status is never sent, because the client has disconnected.
        | Reason::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Reason::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Rounds a time up to whole seconds, at least 1, for `Retry-After`.
// A smaller value would make clients retry too early, or at once.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_at_least_one() {
        let cases = [
            (0, 1),
            (1, 1),
            (999, 1),
            (1000, 1),
            (1001, 2),
            (59_000, 59),
            (59_001, 60),
        ];
        for (millis, seconds) in cases {
            assert_eq!(
                whole_seconds(Duration::from_millis(millis)),
                seconds,
                "{millis} ms"
            );
        }
    }
}
