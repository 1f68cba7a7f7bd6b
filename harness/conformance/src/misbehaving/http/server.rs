//! A web server: hyper's.

use clarity_chaos::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, http};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// The length of each body that is not empty.
pub(super) const LENGTH: usize = 1000;

/// A server that runs as long as the test.
pub(super) struct WebServer {
    pub(super) addr: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl WebServer {
    /// The number of requests so far.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Starts a server with the pages `/sized`, `/chunked`, `/old` (which ends with the connection) and
/// `/empty`.
pub(super) async fn start() -> Result<WebServer> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            let service = service_fn(move |request| {
                count.fetch_add(1, Ordering::Relaxed);
                answer(request)
            });
            let mut builder = http1::Builder::new();
            builder.pipeline_flush(true);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(WebServer { addr, requests })
}

async fn answer(request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    // The body is read before the response, so a client that expects it gets `100 Continue`.
    let _ = request.into_body().collect().await;
    let response = Response::builder();
    let body = Full::new(Bytes::from("x".repeat(LENGTH)));
    match &path[..] {
        "/chunked" => response.header("transfer-encoding", "chunked").body(body),
        "/empty" => response.status(204).body(Full::default()),
        _ => response.body(body),
    }
}
