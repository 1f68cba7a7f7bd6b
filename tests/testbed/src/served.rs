//! The real server, run inside a chaos test's own process, with a real socket.

use crate::{Client, FaultSwitch, HoldingExecutor, Repository, metric, seeded_config};
use clarity::{
    BlockingPool, BreakerConfig, BreakerHandle, BreakerSnapshot, ListenAddress, ReadyWhen, Runtime,
    Server,
};
use clarity_chaos::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A running server and its client.
#[derive(Debug)]
pub struct Served {
    /// A client of the server.
    pub client: Client,
    /// The executor of a server that runs all jobs on the test's own thread. Unused by other
    /// servers.
    pub executor: Arc<HoldingExecutor>,
    server: Server,
}

impl Served {
    /// Serves the repository on the test's own thread, in virtual time. On return, every model has
    /// been tried once.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with_breaker(cx, repository, BreakerConfig::default()).await
    }

    /// Like [`start`](Self::start), with circuit breakers of this configuration.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_with_breaker(
        cx: &Context,
        repository: &Repository,
        breaker: BreakerConfig,
    ) -> Result<Self> {
        Self::start_faulty(cx, repository, breaker, &FaultSwitch::new()).await
    }

    /// Like [`start_with_breaker`](Self::start_with_breaker). `faulty` sets the behaviour of the
    /// server's models.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_faulty(
        cx: &Context,
        repository: &Repository,
        breaker: BreakerConfig,
        faulty: &FaultSwitch,
    ) -> Result<Self> {
        let executor = Arc::new(HoldingExecutor::new());
        let mut config = seeded_config(cx.seed());
        config.breaker = breaker;
        let builder = Server::builder(repository.root()).config(config);
        let builder = builder.runtime(faulty.runtime());
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Like [`start`](Self::start), with another condition of readiness.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_ready_when(
        cx: &Context,
        repository: &Repository,
        ready_when: ReadyWhen,
    ) -> Result<Self> {
        let executor = Arc::new(HoldingExecutor::new());
        let mut config = seeded_config(cx.seed());
        config.ready_when = ready_when;
        let builder = Server::builder(repository.root()).config(config);
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Like [`start`](Self::start), with at most `connections` connections, and an admin listener.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_with_connections(
        cx: &Context,
        repository: &Repository,
        connections: usize,
    ) -> Result<Self> {
        let executor = Arc::new(HoldingExecutor::new());
        let mut config = seeded_config(cx.seed());
        config.connections = connections;
        let admin: SocketAddr = "127.0.0.1:0".parse()?;
        let builder = Server::builder(repository.root()).config(config);
        let builder = builder.admin_listen(admin);
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Serves the repository as in production: models load and run on their own threads.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_on_threads(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with_capacity(cx, repository, BlockingPool::DEFAULT_INFERENCES).await
    }

    /// Like [`start_on_threads`](Self::start_on_threads), with capacity for `inferences` concurrent
    /// inferences.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_with_capacity(
        cx: &Context,
        repository: &Repository,
        inferences: usize,
    ) -> Result<Self> {
        let builder = Server::builder(repository.root()).config(seeded_config(cx.seed()));
        Self::bind(
            cx,
            builder.executor(BlockingPool::new(inferences)),
            Arc::new(HoldingExecutor::new()),
        )
        .await
    }

    /// Like [`start_on_threads`](Self::start_on_threads), with models of `runtime` in this pool.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_with_runtime(
        cx: &Context,
        repository: &Repository,
        runtime: impl Runtime,
        pool: &BlockingPool,
    ) -> Result<Self> {
        let builder = Server::builder(repository.root())
            .config(seeded_config(cx.seed()))
            .runtime(runtime)
            .executor(pool.clone());
        Self::bind(cx, builder, Arc::new(HoldingExecutor::new())).await
    }

    /// Like [`start`](Self::start), with this settle time of incomplete versions.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_settling(
        cx: &Context,
        repository: &Repository,
        settle: Duration,
    ) -> Result<Self> {
        let executor = Arc::new(HoldingExecutor::new());
        let mut config = seeded_config(cx.seed());
        config.reload.settle = settle;
        let builder = Server::builder(repository.root()).config(config);
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Like [`start_on_threads`](Self::start_on_threads), with this settle time of incomplete
    /// versions and ten polls a second.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_settling_on_threads(
        cx: &Context,
        repository: &Repository,
        settle: Duration,
    ) -> Result<Self> {
        let mut config = seeded_config(cx.seed());
        config.reload.settle = settle;
        config.reload.poll = Duration::from_millis(100);
        let builder = Server::builder(repository.root()).config(config);
        let pool = BlockingPool::new(BlockingPool::DEFAULT_INFERENCES);
        let unused = Arc::new(HoldingExecutor::new());
        Self::bind(cx, builder.executor(pool), unused).await
    }

    async fn bind(
        cx: &Context,
        builder: clarity::ServerBuilder,
        executor: Arc<HoldingExecutor>,
    ) -> Result<Self> {
        let server = builder.bind("127.0.0.1:0".parse()?).await?;
        server.models().settled().await;
        Ok(Self {
            client: Client::marking(cx, server.local_addr()),
            executor,
            server,
        })
    }

    /// Reloads a model from disk, and waits until the reload ends.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub async fn reload(&self, model: &str) -> Result {
        self.server.models().reload(model).await?;
        Ok(())
    }

    /// Reloads a model from disk on a new task.
    #[must_use]
    pub fn reload_in_background(&self, model: &str) -> JoinHandle<()> {
        let (models, model) = (self.server.models().clone(), model.to_owned());
        tokio::spawn(async move {
            // An error means that the model is unknown, which the test itself detects.
            let _ = models.reload(&model).await;
        })
    }

    /// Waits until any version of the model answers.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub async fn until_serving(&self, model: &str) -> Result {
        let mut watch = self.server.models().watch(model)?;
        watch.wait_for(|status| status.serving.is_some()).await;
        Ok(())
    }

    /// A snapshot of a model's circuit breaker.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub fn breaker(&self, model: &str) -> Result<BreakerSnapshot> {
        Ok(self.server.models().breaker(model)?)
    }

    /// Forces the circuit breaker of a model open, as an operator can. The returned handle can
    /// release it.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub fn force_open(&self, model: &str) -> Result<BreakerHandle> {
        let breaker = self.server.models().breaker_handle(model)?;
        breaker.force_open();
        Ok(breaker)
    }

    /// The addresses of the admin listener; none without an admin listener.
    #[must_use]
    pub fn admin_addresses(&self) -> &[ListenAddress] {
        self.server.admin_addresses()
    }

    /// The number of idle connections that were closed for new ones.
    #[must_use]
    pub fn evicted(&self) -> f64 {
        metric(&self.server, "connections_evicted_total")
    }

    /// The number of inferences of the model so far, including those held back.
    #[must_use]
    pub fn inferences(&self, model: &str) -> usize {
        self.executor.inferences(model)
    }

    /// Shuts down the server.
    ///
    /// # Errors
    ///
    /// When the shutdown had to cut a connection.
    pub async fn shut_down(self) -> Result {
        drop(self.client);
        if self.server.shutdown().await {
            Ok(())
        } else {
            Err("the server cut connections at its shutdown".into())
        }
    }
}
