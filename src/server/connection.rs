//! Serves one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Buf, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;

use super::activity::{Activity, InFlightRequest};
use super::stream::{ObservedStream, Stream};
use crate::Metrics;
use crate::config::HEAD_LIMIT;
use crate::http::Http;
use crate::phase::{Phase, drain_begun};

/// The time limit at shutdown for a client that has sent only a part of a request head.
// A client that exceeds this limit loses only an incomplete request. So this limit is shorter than
// the limit for running requests.
pub(super) const HEAD_GRACE: Duration = Duration::from_secs(1);

/// The settings of all connections of a listener.
#[derive(Clone)]
pub(super) struct ConnectionSettings {
    pub(super) http: Http,
    pub(super) idle: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Serves a connection until it ends. Once the drain begins, ends the connection after its running
/// request is answered.
///
/// Closes the connection if the client sends no request for the time `idle`. Also closes it if the
/// client reads nothing of a response for that time, and when `activity` is evicted. An evicted
/// connection stays if a request runs or has begun to arrive.
pub(super) async fn serve(stream: Stream, activity: Arc<Activity>, settings: ConnectionSettings) {
    let ConnectionSettings {
        http,
        idle,
        metrics,
        mut phase,
    } = settings;
    stream.set_nodelay();
    let mut stream = TimeoutWriter::new(ObservedStream {
        stream,
        activity: Arc::clone(&activity),
    });
    stream.set_timeout(Some(idle));
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request| respond(http.clone(), request, InFlightRequest::mark(&activity)))
    };
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = loop {
        // Polls the connection first, because nearly always the connection is the branch that is
        // ready.
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            () = drain_begun(&mut phase) => {
                match is_quiet(connection.as_mut(), &activity).await {
                    Err(ended) => break ended,
                    // Without this, a connection with an unfinished head would close at once.
                    Ok(false) if !activity.has_request() => {}
                    Ok(_) => connection.as_mut().graceful_shutdown(),
                }
                let without_request = async {
                    sleep(HEAD_GRACE).await;
                    activity.wait_idle().await;
                };
                tokio::select! {
                    biased;
                    ended = connection => break ended,
                    () = without_request => break Ok(()),
                }
            }
            () = activity.eviction() => match is_quiet(connection.as_mut(), &activity).await {
                Err(ended) => break ended,
                Ok(true) => {
                    metrics.connection_evicted();
                    connection.as_mut().graceful_shutdown();
                    break timeout(HEAD_GRACE, connection).await.unwrap_or(Ok(()));
                }
                Ok(false) if activity.is_stalled() => {
                    metrics.connection_evicted();
                    break Ok(());
                }
                Ok(false) => activity.stay(),
            },
            () = activity.wait_idle_for(idle) => break Ok(()),
        }
    };
    if let Err(error) = ended {
        tracing::debug!(detail = %error, "connection ended");
    }
}

/// Polls the connection once more. Returns whether no request runs or arrives. An error contains
/// the result of a connection that has ended.
async fn is_quiet<C: Future>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
) -> Result<bool, C::Output> {
    poll_fn(|context| {
        activity.begin_check();
        let polled = connection.as_mut().poll(context);
        let is_quiet = activity.end_check();
        Poll::Ready(match polled {
            Poll::Ready(ended) => Err(ended),
            Poll::Pending => Ok(is_quiet),
        })
    })
    .await
}

async fn respond(
    http: Http,
    request: hyper::Request<Incoming>,
    in_flight: InFlightRequest,
) -> Result<Response<TrackedBody>, Infallible> {
    let mut response = http.answer(request).await;
    if in_flight.is_last() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response.map(|body| TrackedBody { body, in_flight }))
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
