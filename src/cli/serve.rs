//! `clarity serve`

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::breaker::BreakerArgs;
use super::duration::parse_duration;
use super::logs::LogArgs;
use super::open_files;
use super::stop_signals::{StopSignal, StopSignals};
use super::vetting::VettingArgs;
use super::workers::WorkerArgs;
use super::{CommandResult, ModelsArg, print};
use crate::{
    BearerToken, BlockingPool, Config, InvalidModelName, InvalidToken, InvalidVersionPolicy,
    ListenAddress, ModelName, ReadyWhen, ReloadConfig, Server, VersionPolicy,
};

/// Serve predictions over HTTP with the Open Inference Protocol
///
/// Prints `listening on http://ADDRESS:PORT` to standard output when it accepts requests, and logs
/// to standard error. Then loads the models; requests for a loading model get 503 `model_loading`.
/// Detects changes in the directory of the models. SIGTERM makes the server unready, and stops it
/// after `--drain-delay`, once the running requests have ended. SIGINT (Ctrl-C) and a second signal
/// skip the delay.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    models: ModelsArg,
    /// A TOML file with values for these flags, such as `deadline = "10s"`. The setting
    /// `breaker-failures` can also be `failures` in the table `[breaker]`. Flags and environment
    /// variables override the file
    #[arg(long, value_name = "FILE", env = "CLARITY_CONFIG")]
    config: Option<PathBuf>,
    /// The address to listen on: `127.0.0.1:8080`, `localhost:8080`, `:8080` for all interfaces, or
    /// `unix:PATH`; port 0 selects a free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CLARITY_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: ListenAddress,
    /// A second address, for health, readiness and metrics, and for loading and unloading models.
    /// It has connections of its own. Then `--listen` has neither metrics nor loading and unloading
    #[arg(long, value_name = "ADDRESS", env = "CLARITY_ADMIN_LISTEN")]
    admin_listen: Option<ListenAddress>,
    /// When the server is ready: `any` model answers, `all` models answer, or any model answers and
    /// each model that was there at the start is `loaded` or refused
    #[arg(long, value_name = "CONDITION", default_value_t = ReadyWhen::Any)]
    ready_when: ReadyWhen,
    /// The time limit for a request body to arrive, and separately for a model to answer. A request
    /// that is still in the queue then gets 503 `overloaded`, and one whose run takes too long 504
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    deadline: Duration,
    /// How long the server is unready but still accepts connections after SIGTERM, so that load
    /// balancers notice; 0s skips this
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    drain_delay: Duration,
    /// How long a shutdown waits for running requests; at least the deadline [default: 45s, or 1.5
    /// times a longer deadline]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    drain: Option<Duration>,
    /// The maximum number of connections; a further one replaces the one that is idle for the
    /// longest time, or waits
    #[arg(long, value_name = "N", default_value_t = Config::default().connections)]
    connections: usize,
    /// The timeout of a connection without a request, or with a client that does not read its
    /// response
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    idle: Duration,
    /// The maximum size of a request body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().body_limit)]
    body_limit: usize,
    /// The memory limit for the heads and bodies of all requests and responses, in bytes; excess
    /// requests get 503 `overloaded` [default: 268435456; more, if 5 times the body limit and 32
    /// KiB for each connection are more]
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<usize>,
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
    /// The interval between scans of the directory of the models; at most 80 models are scanned in
    /// a second, so with more models each one is scanned less often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    poll: Duration,
    /// The time without a change after which a version that is incomplete or differs from its
    /// manifest counts as bad; until then it counts as arriving. 0s: at once
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    settle_time: Duration,
    /// The delay before the first retry of a bad version; doubled with each further retry
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    backoff_least: Duration,
    /// The maximum delay before a retry of a bad version [default: 60s, or a longer
    /// `--backoff-least`]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    backoff_most: Option<Duration>,
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
    pub(super) vetting: VettingArgs,
    #[command(flatten)]
    workers: WorkerArgs,
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
        let mut signals = StopSignals::listen()?;
        open_files::raise_limit(self.connections);
        self.workers.check()?;
        let config = self.config(self.admin_token()?);
        let drain = config.drain;
        let mut builder = Server::builder(self.models.path())
            .config(config)
            .shared_runtime(self.vetting.serving_runtime(self.threads, &self.workers)?)
            .vetting(self.vetting.vetting()?);
        if let Some(address) = &self.admin_listen {
            builder = builder.admin_listen(address.clone());
        }
        let server = builder
            .executor(BlockingPool::new(self.concurrency))
            .listen(&self.listen)
            .await?;
        self.report_start(&server, drain)?;
        let signal = signals.next().await;
        server.announce_shutdown();
        if signal == StopSignal::Terminate && !self.drain_delay.is_zero() {
            tracing::info!(drain_delay = ?self.drain_delay, "not ready, and still accepting connections");
            tokio::select! {
                () = tokio::time::sleep(self.drain_delay) => {}
                _ = signals.next() => {}
            }
        }
        tracing::info!(?drain, "stopping");
        if !server.shutdown().await {
            tracing::warn!(?drain, "running requests were aborted");
        }
        Ok(true)
    }

    /// Prints and logs the addresses of the server, and the longest time of a shutdown.
    /// `drain` is the part of this time for running requests.
    fn report_start(&self, server: &Server, drain: Duration) -> std::io::Result<()> {
        let main = server.addresses().iter();
        let main = main.map(|address| format!("listening on {address}\n"));
        let admin = server.admin_addresses().iter();
        let admin = admin.map(|address| format!("admin listening on {address}\n"));
        let lines: String = main.chain(admin).collect();
        // One write, so that the reader of the first line finds the others.
        print(lines)?;
        let admin: Vec<String> = server
            .admin_addresses()
            .iter()
            .map(ToString::to_string)
            .collect();
        let admin = (!admin.is_empty()).then(|| admin.join(", "));
        tracing::info!(
            address = %server,
            admin,
            models = %self.models.path().display(),
            drain_delay = ?self.drain_delay,
            ?drain,
            longest_shutdown = ?self.drain_delay.saturating_add(drain),
            "listening"
        );
        Ok(())
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
        self.workers.check()
    }

    fn config(&self, admin_token: Option<BearerToken>) -> Config {
        let mut config = Config::with_deadline(self.deadline);
        config.breaker = self.breaker.config(config.breaker.probe_lease);
        config.reload.poll = self.poll;
        config.reload.settle = self.settle_time;
        config.reload.backoff_least = self.backoff_least;
        let longest = config.reload.backoff_most.max(self.backoff_least);
        config.reload.backoff_most = self.backoff_most.unwrap_or(longest);
        config.reload.parallel = self.parallel_loads;
        config.reload.allow_unverified = self.allow_unverified;
        config.reload.probe = self.probe_interval;
        config.versions = self.versions.iter().cloned().collect();
        config.scrub.rate = NonZeroU64::new(self.scrub_rate);
        config.scrub.pause = self.scrub_pause;
        config.body_limit = self.body_limit;
        config.connections = self.connections;
        // A JSON request can need five times the size of its body.
        let request = self.body_limit.saturating_mul(5);
        let least = request.saturating_add(config.connection_memory());
        let larger = config.memory_limit.max(least);
        config.memory_limit = self.memory_limit.unwrap_or(larger);
        config.drain = self.drain.unwrap_or(config.drain);
        config.idle = self.idle;
        config.follow_links_under = self.models.follow_links_under().to_vec();
        config.ready_when = self.ready_when;
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct ServeCommand {
        #[command(flatten)]
        serve: Serve,
    }

    fn config(flags: &[&str]) -> Config {
        let words = ["serve", "--models", "models"].iter().chain(flags);
        let command = ServeCommand::try_parse_from(words).expect("the flags are valid");
        command.serve.config(None)
    }

    /// A default that is bounded by another setting follows it.
    #[test]
    fn flag_alone_is_within_the_bounds_of_the_defaults() {
        assert_eq!(config(&[]), Config::default());
        for flags in [
            ["--deadline", "60s"],
            ["--deadline", "1d"],
            ["--body-limit", "1073741824"],
            ["--connections", "100000"],
            ["--backoff-least", "2m"],
            ["--breaker-open", "2m"],
            ["--breaker-probes", "3"],
        ] {
            assert_eq!(config(&flags).check(), Ok(()), "{flags:?}");
        }
        let flags = [
            "--deadline",
            "2m",
            "--drain",
            "1h",
            "--breaker-probe-lease",
            "5m",
        ];
        let config = config(&flags);
        assert_eq!(config.drain, Duration::from_secs(3600));
        assert_eq!(config.breaker.probe_lease, Duration::from_secs(300));
    }
}
