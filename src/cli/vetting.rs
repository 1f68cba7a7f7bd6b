//! Command-line arguments of vetting: the vetting process, and its limits.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::CommandResult;
use super::duration::parse_duration;
use super::progress::Progress;
use super::runtimes::RuntimeArgs;
use super::workers::WorkerArgs;
use crate::runtime::{TrialOptions, try_with};
use crate::vetting::{CANNOT_VET, Vetted};
use crate::{Runtime, SecondOpinionPolicy, Staged, Vetting, VettingLimits};

/// The name of the hidden command that vets one version on behalf of another process.
pub(super) const COMMAND: &str = "vet";

#[derive(Args, Debug)]
pub(super) struct VettingArgs {
    #[command(flatten)]
    runtimes: RuntimeArgs,
    /// The process that loads and runs a version once before it is used
    #[arg(long = "vetting", value_name = "WHERE", default_value = "child")]
    mode: VettingMode,
    /// The address space limit of the vetting process, in bytes; three times the size of the
    /// version is added
    #[arg(long = "vetting-memory", value_name = "BYTES", default_value_t = VettingLimits::default().address_space)]
    memory: u64,
    /// The CPU time limit of the vetting process, in whole seconds
    #[arg(long = "vetting-cpu", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    cpu: Duration,
    /// The time limit of the vetting process
    #[arg(long = "vetting-time", value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    time: Duration,
    /// The time for runs on generated inputs, which a version without a probe gets: no further run
    /// begins afterwards
    #[arg(long = "vetting-warm-up", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    warm_up: Duration,
    /// The answers of a second runtime to the same inputs, if two runtimes can run the version:
    /// `warn` serves a version with different answers, `require` refuses it
    #[arg(long, value_name = "POLICY", default_value_t = SecondOpinionPolicy::default())]
    second_opinion: SecondOpinionPolicy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VettingMode {
    /// A short-lived process with limits, which confines a hostile model
    Child,
    /// The server's own process: only for trusted models
    InProcess,
}

impl VettingArgs {
    pub(super) fn vetting(&self) -> Result<Vetting, Box<dyn std::error::Error>> {
        let limits = VettingLimits {
            address_space: self.memory,
            cpu: self.cpu,
            time: self.time,
            warm_up: self.warm_up,
        };
        limits.check()?;
        let vetting = match self.mode {
            VettingMode::Child => {
                let runtime = self.runtimes.to_args()?;
                let runtime = runtime.iter().map(String::as_str);
                let args: Vec<&str> = std::iter::once(COMMAND).chain(runtime).collect();
                Vetting::child(this_program()?, &args, limits)
            }
            VettingMode::InProcess => Vetting::in_process_within(limits.warm_up),
        };
        Ok(vetting.second_opinion(self.second_opinion))
    }

    /// Whether a run of this command can need ONNX Runtime.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn needs_library(&self) -> bool {
        self.runtimes.needs_library()
    }

    /// The runtime that loads versions, with `threads` threads for each session.
    pub(super) fn runtime(
        &self,
        threads: Option<NonZeroUsize>,
    ) -> Result<Arc<dyn Runtime>, String> {
        self.runtimes.runtime(threads)
    }

    /// The runtime of a server, which can run each version in a worker.
    pub(super) fn serving_runtime(
        &self,
        threads: Option<NonZeroUsize>,
        workers: &WorkerArgs,
    ) -> Result<Arc<dyn Runtime>, String> {
        match workers.are_on() {
            true => {
                let program = this_program().map_err(|error| error.to_string())?;
                self.runtimes.in_workers(threads, workers, &program)
            }
            false => self.runtime(threads),
        }
    }

    /// Vets a staged version, as a server does before it serves the version. Records the answer to
    /// the version's probe, if the probe has no answer yet. Records in the manifest if the version
    /// is unprobed.
    pub(super) fn try_out(
        &self,
        staged: &mut Staged,
        progress: &Progress,
    ) -> Result<(), Box<dyn std::error::Error>> {
        progress.set_step("verifying");
        let version = staged.open()?;
        let record = version.probe()?.is_some_and(|probe| !probe.has_outputs());
        let (runtimes, first) = self.runtimes.count();
        let vetting = self.vetting()?.for_runtimes(runtimes, first)?;
        let on_step = |step: &str| progress.set_step(format!("vetting: {step}"));
        let vetted = match vetting.vet_with(&version, record, &on_step)? {
            Some(vetted) => vetted,
            None => {
                let options = TrialOptions {
                    warm_up: self.warm_up,
                    record,
                    second_opinion: self.second_opinion,
                    on_step: &on_step,
                    ..TrialOptions::default()
                };
                let runtime = self.runtime(None)?;
                let tried = try_with(&*runtime, version, &options)?;
                Vetted::new(tried.with_second_opinion(&options)?, record)
            }
        };
        if let Some(recorded) = vetted.recorded {
            progress.set_step("recording the probe");
            staged.add_probe(&recorded)?;
        }
        staged.set_runtime(vetted.runtime, vetted.second_opinion)?;
        if let Some(why) = vetted.trial.unprobed_detail() {
            staged.set_unprobed(why)?;
        }
        Ok(())
    }
}

/// A path to the executable of this process. On Linux, the path leads to this executable even after
/// an upgrade has replaced the file on disk.
// After an upgrade on disk, an executable of the new release must not vet the models of this
// server.
pub(super) fn this_program() -> std::io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}

/// Runs in the child process for vetting. Reads a version from standard input, and writes the
/// result of the vetting to standard output.
pub(super) fn vet(runtimes: &RuntimeArgs) -> CommandResult {
    let runtime = match runtimes.runtime(Some(NonZeroUsize::MIN)) {
        Ok(runtime) => runtime,
        Err(error) => {
            // If this write fails, nothing can report the error.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            // A library that was replaced on disk says nothing about the version.
            std::process::exit(CANNOT_VET);
        }
    };
    Vetting::answer(&*runtime, std::io::stdin().lock(), std::io::stdout())?;
    Ok(true)
}
