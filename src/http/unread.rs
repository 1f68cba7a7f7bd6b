//! What is left of a request's body when its answer is known.
//!
//! A request that is refused early leaves its body on the wire. The connection can then only be closed, and a client that
//! sends its next request on it meets a reset in the place of an answer. So the rest is read and thrown away, within the
//! bounds that any body has; where that cannot be, the answer says that the connection ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::App;

/// Lets `answer` have the request, and reads to its end whatever of the body it has not read.
pub(super) async fn read_whole<A: Future<Output = Response>>(
    app: &App,
    request: hyper::Request<Incoming>,
    answer: impl FnOnce(Request<Lent>) -> A,
) -> Response {
    let (parts, body) = request.into_parts();
    let asks_first = parts.headers.contains_key(EXPECT);
    let lent = Lent(Arc::new(Mutex::new(body)));
    let mut response = answer(Request::from_parts(parts, lent.clone())).await;
    // A body that is too large or too slow has had its chance, and one that waits to be asked for need not come at all.
    let unwanted = asks_first
        || matches!(
            response.status(),
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
        );
    if !lent.is_end_stream() && (unwanted || !throw_away(lent, app).await) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Whether the end of the body came within the bounds of size and time.
async fn throw_away(rest: Lent, app: &App) -> bool {
    if rest.size_hint().lower() > app.body_limit as u64 {
        return false;
    }
    let mut rest = Limited::new(rest, app.body_limit);
    let read = async {
        loop {
            match rest.frame().await {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    };
    timeout(app.deadline, read).await.unwrap_or(false)
}

/// A body that can be read on when the one who was reading it has lost interest.
#[derive(Clone)]
pub(super) struct Lent(Arc<Mutex<Incoming>>);

impl Lent {
    /// Never contended: the handler has ended before anybody else reads.
    fn body(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
