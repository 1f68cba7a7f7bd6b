//! Serves one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Buf, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_io_timeout::TimeoutWriter;

use crate::http::Http;

/// The time limit at shutdown for a client that has sent only a part of a request head.
// A client that exceeds this limit loses only an incomplete request. So this limit is shorter than
// the limit for running requests.
const HEAD_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends. Once `stopped` is true, ends the connection after its running
/// request is answered.
///
/// Closes the connection if the client sends no request for the time `idle`. Also closes it if the
/// client reads nothing of a response for that time.
pub(super) async fn serve(
    stream: TcpStream,
    http: Http,
    idle: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    // Responses are written whole, so Nagle's algorithm would only delay them. A failure to disable
    // it is ignored, because then the responses are only slower.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(idle));
    let requests = Arc::new(InFlightRequests::new());
    let service = {
        let requests = Arc::clone(&requests);
        service_fn(move |request| respond(http.clone(), request, InFlightRequest::mark(&requests)))
    };
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // Polls the connection first, because nearly always the connection is the branch that is ready.
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = super::stop_requested(&mut stopped) => None,
        () = requests.wait_idle_for(idle) => Some(Ok(())),
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let without_request = async {
                sleep(HEAD_GRACE).await;
                requests.wait_idle().await;
            };
            tokio::select! {
                biased;
                ended = connection => ended,
                () = without_request => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(detail = %error, "connection ended");
    }
}

async fn respond(
    http: Http,
    request: hyper::Request<hyper::body::Incoming>,
    in_flight: InFlightRequest,
) -> Result<Response<TrackedBody>, std::convert::Infallible> {
    let response = http.answer(request).await;
    Ok(response.map(|body| TrackedBody { body, in_flight }))
}

/// The running requests of one connection.
#[derive(Debug)]
struct InFlightRequests {
    count: AtomicUsize,
    /// Notified when `count` reaches 0. `count` may be above 0 again when the waiter runs.
    ended: Notify,
    began: Instant,
    /// The start of the idle period in nanoseconds since `began`; meaningless while requests run.
    idle_since: AtomicU64,
}

impl InFlightRequests {
    fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            ended: Notify::new(),
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
        }
    }

    /// Waits until all responses are written.
    async fn wait_idle(&self) {
        while self.count.load(Ordering::Acquire) > 0 {
            self.ended.notified().await;
        }
    }

    /// Waits until the connection has been idle for `time`.
    ///
    /// An idle period starts when the connection opens or a response ends. The period ends with the
    /// next request head.
    // Each connection has one timer, which is set again only after it has fired. So the timer adds
    // nearly no cost to a request.
    async fn wait_idle_for(&self, time: Duration) {
        loop {
            self.wait_idle().await;
            let since = Duration::from_nanos(self.idle_since.load(Ordering::Acquire));
            let over = self.began + since + time;
            if over <= Instant::now() {
                return;
            }
            sleep_until(over).await;
        }
    }
}

/// Counts one request as running until this value is dropped.
#[derive(Debug)]
struct InFlightRequest(Arc<InFlightRequests>);

impl InFlightRequest {
    fn mark(requests: &Arc<InFlightRequests>) -> Self {
        requests.count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(requests))
    }
}

impl Clone for InFlightRequest {
    fn clone(&self) -> Self {
        Self::mark(&self.0)
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        let InFlightRequests {
            count,
            ended,
            began,
            idle_since,
        } = &*self.0;
        if count.load(Ordering::Relaxed) == 1 {
            let now = began.elapsed().as_nanos();
            idle_since.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Release);
        }
        if count.fetch_sub(1, Ordering::AcqRel) == 1 {
            ended.notify_one();
        }
    }
}

/// A response body. Its request counts as running until the body is dropped.
struct TrackedBody {
    body: Body,
    in_flight: InFlightRequest,
}

/// A chunk of a response body. Its request counts as running until the bytes of the chunk are
/// written.
// Hyper drops a body once it has taken all chunks of the body. It drops each chunk only after it
// has written that chunk.
struct TrackedChunk {
    bytes: Bytes,
    _request: InFlightRequest,
}

impl HttpBody for TrackedBody {
    type Data = TrackedChunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedChunk>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let chunk = |bytes| TrackedChunk {
            bytes,
            _request: self.in_flight.clone(),
        };
        frame.map_ok(|frame| frame.map_data(chunk))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for TrackedChunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
