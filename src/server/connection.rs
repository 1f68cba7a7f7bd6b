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
const REST_OF_A_HEAD: Duration = Duration::from_secs(1);

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
    let requests = Arc::new(Requests::new());
    let service = {
        let requests = Arc::clone(&requests);
        service_fn(move |request| respond(http.clone(), request, UnderWay::mark(&requests)))
    };
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // The first is nearly always what there is to do.
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = super::told_to_stop(&mut stopped) => None,
        () = requests.none_for(idle) => Some(Ok(())),
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let without_request = async {
                sleep(REST_OF_A_HEAD).await;
                requests.none().await;
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
    under_way: UnderWay,
) -> Result<Response<Answering>, std::convert::Infallible> {
    let response = http.answer(request).await;
    Ok(response.map(|body| Answering { body, under_way }))
}

/// The requests of one connection that are under way.
#[derive(Debug)]
struct Requests {
    count: AtomicUsize,
    /// Told when there are none any more; there may be some again by then.
    ended: Notify,
    began: Instant,
    /// Since when there are none, in nanoseconds from the beginning; of no meaning while there are some.
    none_since: AtomicU64,
}

impl Requests {
    fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            ended: Notify::new(),
            began: Instant::now(),
            none_since: AtomicU64::new(0),
        }
    }

    /// Returns when all that was asked for has been written.
    async fn none(&self) {
        while self.count.load(Ordering::Acquire) > 0 {
            self.ended.notified().await;
        }
    }

    /// Returns when there has been none for so long: the time from the beginning, or from the end of an answer, to the end of
    /// the next head. One timer for a connection, set again when it goes off and never before, costs a request next to nothing.
    async fn none_for(&self, time: Duration) {
        loop {
            self.none().await;
            let since = Duration::from_nanos(self.none_since.load(Ordering::Acquire));
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
struct UnderWay(Arc<Requests>);

impl UnderWay {
    fn mark(requests: &Arc<Requests>) -> Self {
        requests.count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(requests))
    }
}

impl Clone for UnderWay {
    fn clone(&self) -> Self {
        Self::mark(&self.0)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Requests {
            count,
            ended,
            began,
            none_since,
        } = &*self.0;
        if count.load(Ordering::Relaxed) == 1 {
            let now = began.elapsed().as_nanos();
            none_since.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Release);
        }
        if count.fetch_sub(1, Ordering::AcqRel) == 1 {
            ended.notify_one();
        }
    }
}

/// The body of an answer, and the mark that its request is under way.
struct Answering {
    body: Body,
    under_way: UnderWay,
}

/// Bytes of a body, which take the mark with them: hyper drops a body when it has taken its bytes, and those when they
/// are written.
struct Chunk {
    bytes: Bytes,
    _under_way: UnderWay,
}

impl HttpBody for Answering {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let chunk = |bytes| Chunk {
            bytes,
            _under_way: self.under_way.clone(),
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

impl Buf for Chunk {
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
