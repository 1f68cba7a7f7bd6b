//! One connection, from its first byte to its last.

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

/// When the server stops: the time for the rest of a head of which a part may be on its way. There is no request yet
/// that could be lost, so who sends no more of it does not hold the server up for as long as a request may take.
const HEAD_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends, or until the request under way is answered after `stopped` has become true.
///
/// A client that sends no request for the time `idle`, or takes nothing of its answer for as long, loses its connection.
pub(super) async fn serve(
    stream: TcpStream,
    http: Http,
    idle: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are written whole: waiting for more to send would only delay them. Without it they come later, no worse.
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
    // The first is nearly always what there is to do.
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

/// The requests of one connection that are under way.
#[derive(Debug)]
struct InFlightRequests {
    count: AtomicUsize,
    /// Told when there are wait_idle any more; there may be some again by then.
    ended: Notify,
    began: Instant,
    /// Since when there are wait_idle, in nanoseconds from the beginning; of no meaning while there are some.
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

    /// Returns when all that was asked for has been written.
    async fn wait_idle(&self) {
        while self.count.load(Ordering::Acquire) > 0 {
            self.ended.notified().await;
        }
    }

    /// Returns when there has been wait_idle for so long: the time from the beginning, or from the end of an answer, to the end of
    /// the next head. One timer for a connection, set again when it goes off and never before, costs a request next to nothing.
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

/// One of them, until it is dropped.
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

/// The body of an answer, and the mark that its request is under way.
struct TrackedBody {
    body: Body,
    in_flight: InFlightRequest,
}

/// Bytes of a body, which take the mark with them: hyper drops a body when it has taken its bytes, and those when they
/// are written.
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
