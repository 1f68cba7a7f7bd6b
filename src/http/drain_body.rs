//! Drains the unread rest of a request body.
//!
//! A request that is refused early has an unread body. If the server closed the connection at once,
//! the client's next request would fail with a reset. So the server reads and discards the rest of
//! the body, within the limits on size and time. If the rest exceeds these limits, the response
//! announces that the server closes the connection. Before it closes, the server discards a few
//! seconds of the rest: a reset during the upload would destroy the response.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::App;

/// The maximum time for which the rest of a body is discarded after its response.
// Many clients read the response only after they have sent the whole body.
const DISCARD: Duration = Duration::from_secs(5);

/// Passes the request to `answer`, then drains the unread rest of the body.
///
/// Adds `Connection: close` to the response if the end of the body is not reached. Then discards
/// the rest in the background, until the body ends, but for at most `DISCARD`.
pub(super) async fn answer_then_drain<A: Future<Output = Response>>(
    app: &App,
    request: hyper::Request<Incoming>,
    answer: impl FnOnce(Request<SharedBody>) -> A,
) -> Response {
    let (parts, body) = request.into_parts();
    let asks_first = parts.headers.contains_key(EXPECT);
    let shared = SharedBody(Arc::new(Mutex::new(body)));
    let mut response = answer(Request::from_parts(parts, shared.clone())).await;
    // Does not drain two kinds of bodies. An oversized or slow body has already reached a limit. A
    // client that sent `Expect` might never send the body. A compressed body can be oversized while
    // its compressed rest is known to be small.
    let unwanted = asks_first
        || match response.status() {
            StatusCode::REQUEST_TIMEOUT => true,
            StatusCode::PAYLOAD_TOO_LARGE => shared.size_hint().upper().is_none(),
            _ => false,
        };
    if !shared.is_end_stream() && (unwanted || !drain(shared.clone(), app).await) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        // Reading would invite a client that sent `Expect` to send the body.
        if !asks_first {
            tokio::spawn(timeout(DISCARD, discard(shared)));
        }
    }
    response
}

/// Reads and discards a body until it ends or the connection breaks.
// Hyper writes the response meanwhile. It closes the connection when the body is dropped.
async fn discard(mut rest: SharedBody) {
    while let Some(Ok(_)) = rest.frame().await {}
}

/// Reads and discards the rest of a body. Returns whether the end of the body arrived within the
/// limits on size and time.
async fn drain(rest: SharedBody, app: &App) -> bool {
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

/// A request body that can still be drained after the handler has dropped its clone.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<Incoming>>);

impl SharedBody {
    /// Locks the body. The lock is never contended: the drain starts after the handler has ended,
    /// and the background task after the drain.
    fn body(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for SharedBody {
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
