//! `clarity serve`

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::breaker::BreakerArgs;
use super::duration::parse_duration;
use super::logs::LogArgs;
use super::vetting::VettingArgs;
use super::{CommandResult, ModelsArg, print};
use crate::{
    BearerToken, BlockingPool, Config, InvalidModelName, InvalidToken, InvalidVersionPolicy,
    ModelName, OnnxRuntime, ReloadConfig, Server, VersionPolicy,
};

/// Serve predictions over HTTP with the Open Inference Protocol
///
/// Prints `listening on http://ADDRESS:PORT` to standard output when it accepts requests, and logs
/// to standard error. Then loads the models; requests for a loading model get 503 `model_loading`.
/// Detects changes in the directory of the models. SIGTERM or SIGINT (Ctrl-C) stops the server
/// after the running requests have ended.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    models: ModelsArg,
    /// A TOML file with values for these flags, such as `deadline = "10s"`. The setting
    /// `breaker-failures` can also be `failures` in the table `[breaker]`. Flags and environment
    /// variables override the file
    #[arg(long, value_name = "FILE", env = "CLARITY_CONFIG")]
    config: Option<PathBuf>,
    /// The address to listen on; port 0 selects a free port
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "CLARITY_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,
    /// The time limit for a request body to arrive, and separately for a model to answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    deadline: Duration,
    /// How long a shutdown waits for running requests; at least the deadline
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = parse_duration)]
    drain: Duration,
    /// The maximum number of connections; further connections wait until one ends
    #[arg(long, value_name = "N", default_value_t = Config::default().connections)]
    connections: usize,
    /// The timeout of a connection without a request, or with a client that does not read its
    /// response
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    idle: Duration,
    /// The maximum size of a request body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().body_limit)]
    body_limit: usize,
    /// The memory limit for all request and response bodies, in bytes; excess requests get 503
    /// `overloaded`
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().memory_limit)]
    memory_limit: usize,
    /// A file with the bearer token for loading and unloading models; without this file, clients
    /// can do neither
    #[arg(long, value_name = "FILE", env = "CLARITY_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// The maximum number of concurrent predictions; excess requests get 503 `overloaded`
    #[arg(long, value_name = "N", default_value_t = BlockingPool::DEFAULT_INFERENCES)]
    concurrency: usize,
    /// The number of threads per model [default: the number of processors, at most 4]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    breaker: BreakerArgs,
    /// The interval between scans of the directory of the models
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    poll: Duration,
    /// The time without a change after which a version that is incomplete or differs from its
    /// manifest counts as bad; until then it counts as arriving. 0s: at once
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    settle_time: Duration,
    /// The delay before the first retry of a bad version; doubled with each further retry
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    backoff_least: Duration,
    /// The maximum delay before a retry of a bad version
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    backoff_most: Duration,
    /// The maximum number of versions of all models that are read, vetted and loaded at the same
    /// time
    #[arg(long, value_name = "N", default_value_t = ReloadConfig::default().parallel)]
    parallel_loads: usize,
    /// The versions of a model to serve: `latest` (the default), `all`, or a list such as
    /// `cole_kripke=1,3`. May be repeated, once per model
    #[arg(long, value_name = "MODEL=VERSIONS", value_parser = parse_policy)]
    versions: Vec<(ModelName, VersionPolicy)>,
    /// Also serve versions without a manifest; their responses contain `unverified`
    #[arg(long)]
    allow_unverified: bool,
    /// The interval between probes of a loaded version, if it has a probe
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    probe_interval: Duration,
    /// The rate of background reads that detect bit rot, in bytes per second; 0 disables them
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    scrub_rate: u64,
    /// The pause between two rounds of background reads
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    scrub_pause: Duration,
    #[command(flatten)]
    vetting: VettingArgs,
    #[command(flatten)]
    logs: LogArgs,
}

impl Serve {
    pub(super) fn run(&self) -> CommandResult {
        self.logs.install();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(self.serve());
        // The shutdown has already waited for running requests. A model that still runs must not
        // keep the process alive.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(&self) -> CommandResult {
        // Listens for signals first: a reader of the printed line `listening on …` can send a
        // signal at once.
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
            tracing::warn!(drain = ?self.drain, "running requests were aborted");
        }
        Ok(true)
    }

    /// Reads the admin token from its file, if a file is configured.
    // A file keeps the token secret: command lines and environments are visible to other users.
    fn admin_token(&self) -> Result<Option<BearerToken>, String> {
        let Some(path) = &self.admin_token_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the token file {}: {error}", path.display()))?;
        let token = text.trim_end().parse();
        token
            .map(Some)
            .map_err(|error: InvalidToken| format!("{}: {error}", path.display()))
    }

    /// Checks that all settings are within their bounds.
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
        config.reload.settle = self.settle_time;
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

/// Parses a model and its version policy.
fn parse_policy(text: &str) -> Result<(ModelName, VersionPolicy), String> {
    let parts = text.split_once('=');
    let (model, policy) = parts.ok_or("expected MODEL=VERSIONS, such as cole_kripke=1,3")?;
    let model = model
        .parse()
        .map_err(|error: InvalidModelName| error.to_string())?;
    let policy = policy
        .parse()
        .map_err(|error: InvalidVersionPolicy| error.to_string())?;
    Ok((model, policy))
}

/// Listens for SIGTERM and SIGINT from now on. The future completes at the first of these signals.
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

/// Listens for Ctrl-C from now on. The future completes at the first Ctrl-C.
#[cfg(windows)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move { drop(interrupt.recv().await) })
}
