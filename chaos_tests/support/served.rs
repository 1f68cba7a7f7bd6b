//! The real server, in the test's process, on a real socket.

use crate::support::{Client, Repository, executor::Watched};
use clarity::{BlockingPool, BreakerConfig, BreakerHandle, BreakerSnapshot, Config, Server};
use clarity_chaos::{Context, Result};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A running server and a client of it.
pub(crate) struct Served {
    pub client: Client,
    pub executor: Arc<Watched>,
    server: Server,
}

impl Served {
    /// Serves the repository with everything on the test's own thread, in virtual time; every model has been tried once.
    pub(crate) async fn start(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with_breaker(cx, repository, BreakerConfig::default()).await
    }

    /// The same with circuit breakers that are not the default ones.
    pub(crate) async fn start_with_breaker(
        cx: &Context,
        repository: &Repository,
        breaker: BreakerConfig,
    ) -> Result<Self> {
        let executor = Arc::new(Watched::new());
        let mut config = config(cx);
        config.breaker = breaker;
        let builder = Server::builder(repository.root()).config(config);
        Self::bind(cx, builder.shared_executor(executor.clone()), executor).await
    }

    /// Serves the repository as in production: models load and run on threads of their own.
    pub(crate) async fn start_on_threads(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_on_so_many_threads(cx, repository, BlockingPool::DEFAULT_INFERENCES).await
    }

    /// The same with room for so many inferences at a time.
    pub(crate) async fn start_on_so_many_threads(
        cx: &Context,
        repository: &Repository,
        inferences: usize,
    ) -> Result<Self> {
        let builder = Server::builder(repository.root()).config(config(cx));
        Self::bind(
            cx,
            builder.executor(BlockingPool::new(inferences)),
            Arc::new(Watched::new()),
        )
        .await
    }

    async fn bind(
        cx: &Context,
        builder: clarity::ServerBuilder,
        executor: Arc<Watched>,
    ) -> Result<Self> {
        let server = builder.bind("127.0.0.1:0".parse()?).await?;
        server.models().settled().await;
        Ok(Self {
            client: Client::new(cx, server.local_addr()),
            executor,
            server,
        })
    }

    /// Lets the server look at a model on disk now, and waits until it has.
    pub(crate) async fn reload(&self, model: &str) -> Result {
        self.server.models().reload(model).await?;
        Ok(())
    }

    /// Lets the server look at a model on disk, and does not wait.
    pub(crate) fn reload_in_background(&self, model: &str) -> JoinHandle<()> {
        let (models, model) = (self.server.models().clone(), model.to_owned());
        tokio::spawn(async move {
            // That the model is not there is for the test to find.
            let _ = models.reload(&model).await;
        })
    }

    /// Waits until some version of the model answers.
    pub(crate) async fn until_serving(&self, model: &str) -> Result {
        let mut watch = self.server.models().watch(model)?;
        watch.wait_for(|status| status.serving.is_some()).await;
        Ok(())
    }

    /// How the circuit breaker of a model is.
    pub(crate) fn breaker(&self, model: &str) -> Result<BreakerSnapshot> {
        Ok(self.server.models().breaker(model)?)
    }

    /// Opens the circuit breaker of a model, as an operator may; gives what closes it again.
    pub(crate) fn force_open(&self, model: &str) -> Result<BreakerHandle> {
        let breaker = self.server.models().breaker_handle(model)?;
        breaker.force_open();
        Ok(breaker)
    }

    /// How many times the model was asked to run.
    pub(crate) fn inferences(&self, model: &str) -> usize {
        self.executor.inferences(model)
    }

    /// Ends the server; every request must have been answered.
    pub(crate) async fn shut_down(self) -> Result {
        drop(self.client);
        if self.server.shutdown().await {
            Ok(())
        } else {
            Err("the server had to cut connections".into())
        }
    }
}

/// The defaults, with the randomness of the test.
fn config(cx: &Context) -> Config {
    let mut config = Config::default();
    config.reload.seed = Some(cx.seed());
    config
}
