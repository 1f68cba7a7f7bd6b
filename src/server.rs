//! The server, which answers HTTP requests for the models of a store.

mod accept;
mod activity;
mod connection;
mod listener;
mod stream;
#[cfg(unix)]
mod unix_socket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use self::accept::AcceptLoop;
use self::connection::{ConnectionSettings, HEAD_GRACE};
use self::listener::Listener;
use crate::config::ADMIN_CONNECTIONS;
use crate::http::budget::Budget;
use crate::http::{App, Door, Http, Settings};
use crate::phase::Phase;
use crate::{
    BlockingPool, Config, ConfigError, Executor, ListenAddress, Metrics, Registry, RtenRuntime,
    Runtime, Store, Vetting,
};

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
    addresses: Vec<ListenAddress>,
    admin_addresses: Vec<ListenAddress>,
    registry: Registry,
    metrics: Arc<Metrics>,
    drain: Duration,
    main: RunningListener,
    admin: Option<RunningListener>,
}

/// The task that accepts the connections of a listener.
#[derive(Debug)]
struct RunningListener {
    phase: watch::Sender<Phase>,
    task: Option<JoinHandle<JoinSet<()>>>,
}

/// Configures a [`Server`].
#[derive(Debug)]
pub struct ServerBuilder {
    models: PathBuf,
    admin: Option<ListenAddress>,
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
    #[error("cannot listen on {}: {source}", address.to_string().trim_start_matches("http://"))]
    Listen {
        /// The address that could not be bound.
        address: ListenAddress,
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

    /// Sets the model runtime, which loads and runs models. The default is an [`RtenRuntime`].
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

    /// Adds an admin listener, with connections of its own. A flood of requests to the main
    /// listener cannot make it fail.
    ///
    /// The admin listener answers requests for health, readiness and metrics, and requests to load
    /// and unload models. The main listener then answers those for health and readiness alone.
    #[must_use]
    pub fn admin_listen(self, address: impl Into<ListenAddress>) -> Self {
        Self {
            admin: Some(address.into()),
            ..self
        }
    }

    /// Starts the server on `address`; port 0 selects a free port. See
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Panics
    ///
    /// When called outside of a Tokio runtime with I/O and time drivers.
    pub async fn bind(self, address: SocketAddr) -> Result<Server, BindError> {
        self.listen(&address.into()).await
    }

    /// Starts the server on `address`.
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
    pub async fn listen(self, address: &ListenAddress) -> Result<Server, BindError> {
        self.config.check()?;
        let vetting = self.vetting.for_runtime(&*self.runtime)?;
        let (listener, addresses) = bind_listener(address).await?;
        let (admin_listener, admin_addresses) = match &self.admin {
            Some(address) => {
                let (listener, addresses) = bind_listener(address).await?;
                (Some(listener), addresses)
            }
            None => (None, Vec::new()),
        };
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(&self.models);
        let store = store.follow_links_under(&self.config.follow_links_under);
        let store = store.map_err(|source| BindError::Links { source })?;
        let registry = Registry::new(
            store,
            self.runtime,
            Arc::new(vetting),
            self.executor,
            Arc::clone(&metrics),
            self.config.clone(),
        );
        registry.start().await.map_err(|source| BindError::Models {
            path: self.models,
            source,
        })?;
        let (main_phase, phase) = watch::channel(Phase::Serving);
        let app = App::new(Settings {
            registry: registry.clone(),
            metrics: Arc::clone(&metrics),
            body_limit: self.config.body_limit,
            budget: Budget::new(self.config.memory_limit - self.config.connection_memory()),
            phase,
            admin_token: self.config.admin_token.clone(),
            deadline: self.config.deadline,
        });
        let settings = |door, phase: &watch::Sender<Phase>| ConnectionSettings {
            http: Http::new(app.clone(), door),
            idle: self.config.idle,
            metrics: Arc::clone(&metrics),
            phase: phase.subscribe(),
        };
        let door = match admin_listener {
            Some(_) => Door::Main,
            None => Door::Only,
        };
        let main = AcceptLoop {
            listener,
            limit: self.config.connections,
            settings: settings(door, &main_phase),
        };
        let admin = admin_listener.map(|listener| {
            let phase = watch::Sender::new(Phase::Serving);
            let accept = AcceptLoop {
                listener,
                limit: ADMIN_CONNECTIONS,
                settings: settings(Door::Admin, &phase),
            };
            RunningListener::start(accept, phase)
        });
        Ok(Server {
            addresses,
            admin_addresses,
            main: RunningListener::start(main, main_phase),
            admin,
            registry,
            metrics,
            drain: self.config.drain,
        })
    }
}

/// Binds a listener. Returns it with its addresses.
async fn bind_listener(
    address: &ListenAddress,
) -> Result<(Listener, Vec<ListenAddress>), BindError> {
    let failed = |source| BindError::Listen {
        address: address.clone(),
        source,
    };
    let listener = Listener::bind(address).await.map_err(failed)?;
    let addresses = listener.addresses().map_err(failed)?;
    Ok((listener, addresses))
}

impl RunningListener {
    fn start(accept: AcceptLoop, phase: watch::Sender<Phase>) -> Self {
        Self {
            phase,
            task: Some(tokio::spawn(accept.run())),
        }
    }

    /// Stops to accept connections, and waits until all connections have ended. Returns whether
    /// they ended within `limit`.
    async fn drain(&mut self, limit: Duration) -> bool {
        self.phase.send_replace(Phase::Draining);
        let drain = async {
            let mut connections = self.task.as_mut()?.await.ok()?;
            // Discards the results, because each connection task has logged its own errors.
            while connections.join_next().await.is_some() {}
            Some(())
        };
        timeout(limit, drain).await.is_ok()
    }
}

impl Drop for RunningListener {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Server {
    /// Creates a builder for a server of the models in the directory `models`.
    pub fn builder(models: impl Into<PathBuf>) -> ServerBuilder {
        ServerBuilder {
            models: models.into(),
            admin: None,
            config: Config::default(),
            executor: Arc::new(BlockingPool::default()),
            runtime: Arc::new(RtenRuntime::default()),
            vetting: Vetting::default(),
        }
    }

    /// The local address of the listening TCP socket: the first one, if there are several.
    ///
    /// # Panics
    ///
    /// When the server listens on a Unix socket. [`addresses`](Self::addresses) has its path.
    pub fn local_addr(&self) -> SocketAddr {
        match self.addresses.first() {
            Some(ListenAddress::Ip(address)) => *address,
            _ => panic!("the server listens on a Unix socket, which has no IP address"),
        }
    }

    /// The addresses of the main listener: IP addresses with ports, or the path of a Unix socket.
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The addresses of the admin listener; none without an admin listener.
    pub fn admin_addresses(&self) -> &[ListenAddress] {
        &self.admin_addresses
    }

    /// The registry of the server's models.
    pub fn models(&self) -> &Registry {
        &self.registry
    }

    /// The metrics of this server.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Announces the shutdown. From now on, the server is not ready, with the reason
    /// `shutting_down`, and each response closes its connection.
    ///
    /// The server still accepts connections and answers requests. Meanwhile, load balancers that
    /// watch the readiness choose other servers, so [`shutdown`](Self::shutdown) loses no request.
    pub fn announce_shutdown(&self) {
        self.main.phase.send_if_modified(|phase| {
            let is_first = *phase == Phase::Serving;
            *phase = Phase::Leaving.max(*phase);
            is_first
        });
    }

    /// Shuts down gracefully. Returns whether all running requests were answered.
    ///
    /// Accepts no more connections, closes idle connections, and waits at most [`Config::drain`]
    /// for running requests. Then closes the remaining connections. An admin listener answers until
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the server at once.
    pub async fn shutdown(mut self) -> bool {
        let is_drained = self.main.drain(self.drain).await;
        if let Some(admin) = &mut self.admin {
            admin.drain(HEAD_GRACE).await;
        }
        is_drained
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.registry.stop();
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        f.write_str(&addresses.join(", "))
    }
}
