//! One connection, from its first byte to its last.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Buf, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
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
    // A receiver for each request under way: none is left when all that is asked for has been written.
    let (requests, _) = watch::channel(());
    let service = {
        let requests = requests.clone();
        service_fn(move |request| respond(http.clone(), request, requests.subscribe()))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs from the start, and from the end of each answer, to the end of the next head.
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = super::told_to_stop(&mut stopped) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let without_request = async {
                sleep(REST_OF_A_HEAD).await;
                requests.closed().await;
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
    under_way: watch::Receiver<()>,
) -> Result<Response<Answering>, std::convert::Infallible> {
    let response = http.answer(request).await;
    Ok(response.map(|body| Answering { body, under_way }))
}

/// The body of an answer, and the mark that its request is under way.
struct Answering {
    body: Body,
    under_way: watch::Receiver<()>,
}

/// Bytes of a body, which take the mark with them: hyper drops a body when it has taken its bytes, and those when they
/// are written.
struct Chunk {
    bytes: Bytes,
    _under_way: watch::Receiver<()>,
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
