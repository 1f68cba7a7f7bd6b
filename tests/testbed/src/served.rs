//! The real server in the process of a chaos test, on a real socket.

use crate::{Client, HoldingExecutor, Repository, seeded_config};
use clarity::{BlockingPool, BreakerConfig, BreakerHandle, BreakerSnapshot, Server};
use clarity_chaos::{Context, Result};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A running server and a client of it.
#[derive(Debug)]
pub struct Served {
    /// A client of the server.
    pub client: Client,
    /// The executor of a server that runs everything on the test's own thread.
    pub executor: Arc<HoldingExecutor>,
    server: Server,
}

impl Served {
    /// Serves the repository on the test's own thread, in virtual time; every model has been tried
    /// once.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with_breaker(cx, repository, BreakerConfig::default()).await
    }

    /// The same with circuit breakers of this configuration.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_with_breaker(
        cx: &Context,
        repository: &Repository,
        breaker: BreakerConfig,
    ) -> Result<Self> {
        let executor = Arc::new(HoldingExecutor::new());
        let mut config = seeded_config(cx.seed());
        config.breaker = breaker;
        let builder = Server::builder(repository.root()).config(config);
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Serves the repository as in production: models load and run on threads of their own.
    ///
    /// # Errors
    ///
    /// When the server cannot start.
    pub async fn start_on_threads(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with_capacity(cx, repository, BlockingPool::DEFAULT_INFERENCES).await
    }

    /// The same with capacity for this many inferences at a time.
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

    /// Reloads a model from disk, and waits for the end of that.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub async fn reload(&self, model: &str) -> Result {
        self.server.models().reload(model).await?;
        Ok(())
    }

    /// Reloads a model from disk on a task of its own.
    #[must_use]
    pub fn reload_in_background(&self, model: &str) -> JoinHandle<()> {
        let (models, model) = (self.server.models().clone(), model.to_owned());
        tokio::spawn(async move {
            // An error: the model is unknown, which the test will see.
            let _ = models.reload(&model).await;
        })
    }

    /// Waits until some version of the model answers.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub async fn until_serving(&self, model: &str) -> Result {
        let mut watch = self.server.models().watch(model)?;
        watch.wait_for(|status| status.serving.is_some()).await;
        Ok(())
    }

    /// The state of a model's circuit breaker.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub fn breaker(&self, model: &str) -> Result<BreakerSnapshot> {
        Ok(self.server.models().breaker(model)?)
    }

    /// Opens the circuit breaker of a model as an operator may; the handle releases it.
    ///
    /// # Errors
    ///
    /// When the model is unknown.
    pub fn force_open(&self, model: &str) -> Result<BreakerHandle> {
        let breaker = self.server.models().breaker_handle(model)?;
        breaker.force_open();
        Ok(breaker)
    }

    /// The number of times that the model was run, or was to be.
    #[must_use]
    pub fn inferences(&self, model: &str) -> usize {
        self.executor.inferences(model)
    }

    /// Shuts the server down.
    ///
    /// # Errors
    ///
    /// When a request was not answered.
    pub async fn shut_down(self) -> Result {
        drop(self.client);
        if self.server.shutdown().await {
            Ok(())
        } else {
            Err("the server cut connections at its shutdown".into())
        }
    }
}
