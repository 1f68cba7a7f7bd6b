//! `clarity serve`

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clarity::{
    BearerToken, BlockingPool, Config, InvalidModelName, InvalidToken, InvalidVersionPolicy,
    ModelName, OnnxRuntime, ReloadConfig, Server, VersionPolicy,
};

use super::breaker::BreakerArgs;
use super::logs::Logs;
use super::time::time;
use super::vetting::VettingArgs;
use super::{Models, Outcome, print};

/// Answer requests for predictions, in the Open Inference Protocol over HTTP
///
/// Prints one line to standard output when it answers, `listening on http://ADDRESS:PORT`, and logs to standard error.
/// Models are loaded after that; until a model is, requests for it get 503 `model_loading`. Changes in the folder of
/// the models are noticed by themselves. SIGTERM and SIGINT (Ctrl-C) stop it: requests under way are answered first.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    models: Models,
    /// A file in TOML with any of these settings: `deadline = "10s"`, `breaker-failures = 3`, or `[breaker]` and
    /// `failures = 3`. What is given here or in the environment is over it
    #[arg(long, value_name = "FILE", env = "CLARITY_CONFIG")]
    config: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "CLARITY_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,
    /// How long a model may take to answer, and a body to arrive
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    deadline: Duration,
    /// How long a shutdown waits for requests under way; no less than the deadline
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = time)]
    drain: Duration,
    /// So many connections at a time; more wait until one ends
    #[arg(long, value_name = "N", default_value_t = Config::default().connections)]
    connections: usize,
    /// How long a connection may be without a request, and a client take nothing of its answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    idle: Duration,
    /// The largest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().body_limit)]
    body_limit: usize,
    /// The memory that the bodies of all requests and answers may take, in bytes; more are refused with 503 `overloaded`
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().memory_limit)]
    memory_limit: usize,
    /// A file with the bearer token that requests to load and unload models must bring; without it these are off
    #[arg(long, value_name = "FILE", env = "CLARITY_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// So many predictions may be under way at a time; more are refused with 503 `overloaded`
    #[arg(long, value_name = "N", default_value_t = BlockingPool::DEFAULT_INFERENCES)]
    concurrency: usize,
    /// The threads that each model computes with [default: one for each processor, 4 at most]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    breaker: BreakerArgs,
    /// How often the folder of the models is looked at
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    poll: Duration,
    /// The first delay before a bad version is tried again, doubled each time
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    backoff_least: Duration,
    /// The longest delay before a bad version is tried again
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    backoff_most: Duration,
    /// So many versions may be read, vetted and loaded at a time, all models together
    #[arg(long, value_name = "N", default_value_t = ReloadConfig::default().parallel)]
    parallel_loads: usize,
    /// Which versions of a model answer: `latest` (the default), `all`, or numbers with commas between them, such as
    /// `cole_kripke=1,3`. May be given once for each model
    #[arg(long, value_name = "MODEL=VERSIONS", value_parser = policy)]
    versions: Vec<(ModelName, VersionPolicy)>,
    /// Serve versions without a manifest too; each of their answers says `unverified`
    #[arg(long)]
    allow_unverified: bool,
    /// How often a version that answers is probed again, if it has a probe
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    probe_interval: Duration,
    /// How many bytes on disk are read again in a second to find rot; 0 for none
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    scrub_rate: u64,
    /// The pause before everything on disk is read again
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    scrub_pause: Duration,
    #[command(flatten)]
    vetting: VettingArgs,
    #[command(flatten)]
    logs: Logs,
}

impl Serve {
    pub(super) fn run(&self) -> Outcome {
        self.logs.install();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(self.serve());
        // The drain was the time to wait: a model that is still at it then must not keep the process.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(&self) -> Outcome {
        // Before the line that says that it runs: who reads that may stop it at once.
        let stop = stop_signal()?;
        let mut runtime = OnnxRuntime::new();
        if let Some(threads) = self.threads {
            runtime = runtime.threads(threads);
        }
        let builder = Server::builder(&self.models.path)
            .config(self.config(self.admin_token()?))
            .runtime(runtime)
            .vetting(self.vetting.vetting()?);
        let server = builder
            .executor(BlockingPool::new(self.concurrency))
            .bind(self.listen)
            .await?;
        print(format_args!("listening on {server}\n"))?;
        tracing::info!(address = %server.local_addr(), models = %self.models.path.display(), "listening");
        stop.await;
        tracing::info!("stopping");
        if !server.shutdown().await {
            tracing::warn!(drain = ?self.drain, "requests under way were cut");
        }
        Ok(true)
    }

    /// From a file, since command lines and environments are for others to see.
    fn admin_token(&self) -> Result<Option<BearerToken>, String> {
        let Some(path) = &self.admin_token_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the token in {} cannot be read: {error}", path.display()))?;
        let token = text.trim_end().parse();
        token
            .map(Some)
            .map_err(|error: InvalidToken| format!("{}: {error}", path.display()))
    }

    /// Whether all settings are within their bounds.
    pub(super) fn check(&self) -> Result<(), String> {
        self.config(None)
            .check()
            .map_err(|error| error.to_string())?;
        self.vetting.vetting().map_err(|error| error.to_string())?;
        Ok(())
    }

    fn config(&self, admin_token: Option<BearerToken>) -> Config {
        let mut config = Config::default();
        config.breaker = self.breaker.config();
        config.reload.poll = self.poll;
        config.reload.backoff_least = self.backoff_least;
        config.reload.backoff_most = self.backoff_most;
        config.reload.parallel = self.parallel_loads;
        config.reload.allow_unverified = self.allow_unverified;
        config.reload.probe = self.probe_interval;
        config.versions = self.versions.iter().cloned().collect();
        config.scrub.rate = NonZeroU64::new(self.scrub_rate);
        config.scrub.pause = self.scrub_pause;
        config.body_limit = self.body_limit;
        config.memory_limit = self.memory_limit;
        config.deadline = self.deadline;
        config.drain = self.drain;
        config.connections = self.connections;
        config.idle = self.idle;
        config.admin_token = admin_token;
        config
    }
}

/// A model and which of its versions answer.
fn policy(text: &str) -> Result<(ModelName, VersionPolicy), String> {
    let parts = text.split_once('=');
    let (model, policy) = parts.ok_or("expected MODEL=VERSIONS, as in cole_kripke=1,3")?;
    let model = model
        .parse()
        .map_err(|error: InvalidModelName| error.to_string())?;
    let policy = policy
        .parse()
        .map_err(|error: InvalidVersionPolicy| error.to_string())?;
    Ok((model, policy))
}

/// Listens for the signals that stop a server from now on; the future ends with the first one.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens for Ctrl-C from now on.
#[cfg(windows)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move { drop(interrupt.recv().await) })
}
