//! The server, which answers HTTP requests for the models of a store.

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

/// The pause after a failed attempt to accept a connection.
// Most of these attempts fail because no file descriptor is free. During the pause, some
// connections can close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping the server without [`shutdown`](Self::shutdown) closes all
/// connections at once.
///
/// ```
/// # async fn serve(models: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
/// let server = clarity::Server::builder(models)
///     .executor(clarity::Inline)
///     .bind("127.0.0.1:0".parse()?)
///     .await?;
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

/// Configures a [`Server`].
#[derive(Debug)]
pub struct ServerBuilder {
    models: PathBuf,
    config: Config,
    executor: Arc<dyn Executor>,
    runtime: Arc<dyn Runtime>,
    vetting: Vetting,
}

/// The reason why a server could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// A setting is out of bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The models directory is unreadable.
    #[error("cannot read the models directory {}: {source}", path.display())]
    Models {
        /// The path of the models directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A directory inside of which symlinks are followed cannot be opened.
    #[error(transparent)]
    Links {
        /// The error, which names the directory.
        source: io::Error,
    },
    /// Binding the address failed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that could not be bound.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
}

impl ServerBuilder {
    /// Sets the configuration.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets the executor for blocking work. The default is a [`BlockingPool`].
    #[must_use]
    pub fn executor(self, executor: impl Executor) -> Self {
        self.shared_executor(Arc::new(executor))
    }

    /// Sets the executor for blocking work. The caller shares this executor with the server.
    #[must_use]
    pub fn shared_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    /// Sets the model runtime, which loads and runs models. The default is an [`OnnxRuntime`].
    #[must_use]
    pub fn runtime(self, runtime: impl Runtime) -> Self {
        self.shared_runtime(Arc::new(runtime))
    }

    /// Sets the model runtime, which loads and runs models. The caller shares this runtime with the
    /// server.
    #[must_use]
    pub fn shared_runtime(self, runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, ..self }
    }

    /// Sets how versions are vetted before they are served. The default is [`Vetting::in_process`].
    #[must_use]
    pub fn vetting(self, vetting: Vetting) -> Self {
        Self { vetting, ..self }
    }

    /// Starts the server on `address`; port 0 selects a free port.
    ///
    /// Returns once the server accepts requests, possibly before its models are loaded. A model
    /// that is still loading answers with the error `model_loading`. [`Registry::settled`] waits
    /// for the first load of each model. A bad model does not prevent the start.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Panics
    ///
    /// When called outside of a Tokio runtime with I/O and time drivers.
    pub async fn bind(self, address: SocketAddr) -> Result<Server, BindError> {
        self.config.check()?;
        self.vetting.check()?;
        let unlistenable = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(unlistenable)?;
        let local_addr = listener.local_addr().map_err(unlistenable)?;
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(&self.models);
        let store = store.follow_links_under(&self.config.follow_links_under);
        let store = store.map_err(|source| BindError::Links { source })?;
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
    /// Creates a builder for a server of the models in the directory `models`.
    pub fn builder(models: impl Into<PathBuf>) -> ServerBuilder {
        ServerBuilder {
            models: models.into(),
            config: Config::default(),
            executor: Arc::new(BlockingPool::default()),
            runtime: Arc::new(OnnxRuntime::default()),
            vetting: Vetting::default(),
        }
    }

    /// The local address of the listening socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The registry of the server's models.
    pub fn models(&self) -> &Registry {
        &self.registry
    }

    /// The metrics of this server.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Shuts down gracefully. Returns whether all running requests were answered.
    ///
    /// Accepts no more connections, closes idle connections, and waits at most [`Config::drain`]
    /// for running requests. Then closes the remaining connections.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the server at once.
    pub async fn shutdown(mut self) -> bool {
        let _ = self.stop.send(true);
        let drain = async {
            let accepting = self.accepting.as_mut()?;
            let mut connections = accepting.await.ok()?;
            // Discards the results, because each connection task has logged its own errors.
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

/// The task that accepts connections.
struct AcceptLoop {
    listener: TcpListener,
    http: Http,
    /// The maximum number of open connections. Further connections wait in the kernel's backlog.
    // An error response to each further connection would cost as much as serving the connection.
    connections: usize,
    idle: Duration,
}

impl AcceptLoop {
    /// Accepts connections until the server stops. Returns the open connections, each of which ends
    /// after its running request.
    async fn run(self, mut stopped: watch::Receiver<bool>) -> JoinSet<()> {
        let mut connections = JoinSet::new();
        let mut was_full = false;
        loop {
            let full = connections.len() >= self.connections;
            if full && !was_full {
                // Logs this only once, because clients can reach the limit any number of times, and
                // must not fill the log.
                tracing::warn!(connections = self.connections, "connection limit reached");
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
                        tracing::warn!(detail = %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Waits until the server stops or is dropped.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.local_addr)
    }
}
