//! Command-line arguments of the workers, which run models in processes of their own.

use clap::{Args, ValueEnum};

/// The name of the hidden command that runs one version on behalf of a server.
pub(super) const COMMAND: &str = "worker";

/// The default memory limit of a worker, in bytes.
const DEFAULT_MEMORY: u64 = 2 << 30;

#[derive(Args, Clone, Debug)]
pub(super) struct WorkerArgs {
    /// `on`: each version runs in a process of its own, a worker, which is sandboxed. A run that
    /// ends its worker costs the requests that the worker was running; the server starts another
    /// worker at once. Linux only
    #[arg(long, value_name = "MODE", default_value = "off")]
    workers: WorkerMode,
    /// The limit of each worker's private memory, in bytes; four times the size of the version is
    /// added. A run that needs more gets 503 `out_of_memory`
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MEMORY)]
    pub(super) worker_memory: u64,
    /// Refuse versions if this system does not enforce a part of the workers' sandbox: Landlock,
    /// the filter of system calls, or the drop of privileges
    #[arg(long)]
    require_worker_sandbox: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WorkerMode {
    Off,
    On,
}

impl WorkerArgs {
    pub(super) fn are_on(&self) -> bool {
        self.workers == WorkerMode::On
    }

    /// Checks that this system has workers.
    pub(super) fn check(&self) -> Result<(), String> {
        const LEAST: u64 = 64 << 20;
        if self.are_on() && !cfg!(target_os = "linux") {
            return Err("--workers on: expected Linux; use `--workers off`".to_owned());
        }
        if self.require_worker_sandbox && !self.are_on() {
            return Err("--require-worker-sandbox: expected `--workers on`, too".to_owned());
        }
        if self.worker_memory < LEAST {
            let found = self.worker_memory;
            return Err(format!(
                "--worker-memory: expected at least {LEAST} bytes, found {found}"
            ));
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    pub(super) fn requires_lockdown(&self) -> bool {
        self.require_worker_sandbox
    }
}
