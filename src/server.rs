//! A server: the models of a store, answering on a socket.

mod connection;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::http::budget::Budget;
use crate::http::{App, Http, Settings};
use crate::{
    BlockingPool, Config, ConfigError, Executor, Metrics, OnnxRuntime, Registry, Runtime, Store,
    Vetting,
};

/// The pause after the operating system could not accept a connection, mostly for want of file descriptors: time for
/// some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropped without [`shutdown`](Self::shutdown) it stops at once, and cuts its connections.
///
/// ```
/// # async fn serve(models: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
/// let server = clarity::Server::builder(models).executor(clarity::Inline).bind("127.0.0.1:0".parse()?).await?;
/// server.models().settled().await;
/// println!("http://{}/v2/models", server.local_addr());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    registry: Registry,
    metrics: Arc<Metrics>,
    drain: Duration,
    stop: watch::Sender<bool>,
    accepting: Option<JoinHandle<JoinSet<()>>>,
}

/// What a server is made of, before it is bound.
#[derive(Debug)]
pub struct ServerBuilder {
    models: PathBuf,
    config: Config,
    executor: Arc<dyn Executor>,
    runtime: Arc<dyn Runtime>,
    vetting: Vetting,
}

/// Why a server could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// A setting is out of its bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory of the models cannot be read.
    #[error("cannot read the models directory {}: {source}", path.display())]
    Models {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address is not to be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ServerBuilder {
    /// What can be set about the server.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Where work that blocks is done; a [`BlockingPool`] if nothing is said.
    #[must_use]
    pub fn executor(self, executor: impl Executor) -> Self {
        self.shared_executor(Arc::new(executor))
    }

    /// The same, for an executor that the caller goes on looking at.
    #[must_use]
    pub fn shared_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    /// What loads and runs models; an [`OnnxRuntime`] if nothing is said.
    #[must_use]
    pub fn runtime(self, runtime: impl Runtime) -> Self {
        self.shared_runtime(Arc::new(runtime))
    }

    /// The same, for a runtime that the caller goes on looking at.
    #[must_use]
    pub fn shared_runtime(self, runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, ..self }
    }

    /// Where a version is tried before it is swapped in; [`Vetting::in_process`] if nothing is said.
    #[must_use]
    pub fn vetting(self, vetting: Vetting) -> Self {
        Self { vetting, ..self }
    }

    /// Starts the server on `address`; port 0 takes a free one.
    ///
    /// Returns as soon as it answers, which is before its models are loaded: until then they are `model_loading`
    /// ([`Registry::settled`] waits for them). A bad model does not keep it from starting.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its I/O and time drivers.
    pub async fn bind(self, address: SocketAddr) -> Result<Server, BindError> {
        self.config.check()?;
        self.vetting.check()?;
        let unlistenable = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(unlistenable)?;
        let local_addr = listener.local_addr().map_err(unlistenable)?;
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(&self.models);
        let registry = Registry::new(
            store,
            self.runtime,
            Arc::new(self.vetting),
            self.executor,
            Arc::clone(&metrics),
            self.config.clone(),
        );
        registry.start().await.map_err(|source| BindError::Models {
            path: self.models,
            source,
        })?;
        let app = App::new(Settings {
            registry: registry.clone(),
            metrics: Arc::clone(&metrics),
            body_limit: self.config.body_limit,
            budget: Budget::new(self.config.memory_limit),
            admin_token: self.config.admin_token.clone(),
            deadline: self.config.deadline,
        });
        let (stop, stopped) = watch::channel(false);
        let accepting = AcceptLoop {
            listener,
            http: Http::new(app),
            connections: self.config.connections,
            idle: self.config.idle,
        };
        let accepting = tokio::spawn(accepting.run(stopped));
        Ok(Server {
            local_addr,
            registry,
            metrics,
            drain: self.config.drain,
            stop,
            accepting: Some(accepting),
        })
    }
}

impl Server {
    /// A server of the models in the directory `models`.
    pub fn builder(models: impl Into<PathBuf>) -> ServerBuilder {
        ServerBuilder {
            models: models.into(),
            config: Config::default(),
            executor: Arc::new(BlockingPool::default()),
            runtime: Arc::new(OnnxRuntime::default()),
            vetting: Vetting::default(),
        }
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Its models.
    pub fn models(&self) -> &Registry {
        &self.registry
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Stops: no more connections are accepted, idle ones are closed, requests under way are answered, for at most
    /// [`Config::drain`]; then what is left is cut. Tells whether nothing had to be cut.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the server at once.
    pub async fn shutdown(mut self) -> bool {
        let _ = self.stop.send(true);
        let drain = async {
            let accepting = self.accepting.as_mut()?;
            let mut connections = accepting.await.ok()?;
            // A connection's task has nothing to say: what failed was reported where it failed.
            while connections.join_next().await.is_some() {}
            Some(())
        };
        timeout(self.drain, drain).await.is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.registry.stop();
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

/// What it takes to accept connections.
struct AcceptLoop {
    listener: TcpListener,
    http: Http,
    /// So many at a time. Others wait with the operating system, which refuses them when it has too many: a thousand
    /// connections that are answered with an error cost as much as a thousand that are served.
    connections: usize,
    idle: Duration,
}

impl AcceptLoop {
    /// Accepts connections until told to stop; then gives those that are open, each of which ends after its request.
    async fn run(self, mut stopped: watch::Receiver<bool>) -> JoinSet<()> {
        let mut connections = JoinSet::new();
        let mut was_full = false;
        loop {
            let full = connections.len() >= self.connections;
            if full && !was_full {
                // Once: how often it happens is up to clients, and so would be the length of the log.
                tracing::warn!(
                    connections = self.connections,
                    "as many connections as there may be"
                );
                was_full = true;
            }
            tokio::select! {
                () = stop_requested(&mut stopped) => return connections,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok((stream, _)) => {
                        let http = self.http.clone();
                        connections.spawn(connection::serve(stream, http, self.idle, stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(detail = %error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Returns when the server is told to stop, or is gone.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.local_addr)
    }
}
