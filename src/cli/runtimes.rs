//! Command-line arguments of the runtimes.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::CommandResult;
use super::onnxruntime::OnnxRuntimeArgs;
use super::workers::WorkerArgs;
#[cfg(target_os = "linux")]
use crate::WorkerRuntime;
use crate::{AutoRuntime, RtenRuntime, Runtime};

#[derive(Args, Clone, Debug)]
pub(super) struct RuntimeArgs {
    /// The runtime of the models. `auto`: rten, and ONNX Runtime for the models that rten refuses,
    /// if ONNX Runtime is installed
    #[arg(long = "runtime", value_name = "RUNTIME", default_value = "auto")]
    selected: SelectedRuntime,
    #[command(flatten)]
    onnxruntime: OnnxRuntimeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SelectedRuntime {
    Auto,
    Rten,
    Onnxruntime,
}

impl RuntimeArgs {
    /// The selected runtime, with `threads` threads for each session.
    ///
    /// # Errors
    ///
    /// When the selected runtime is not installed.
    pub(super) fn runtime(
        &self,
        threads: Option<NonZeroUsize>,
    ) -> Result<Arc<dyn Runtime>, String> {
        self.choose(rten(threads), self.onnxruntime(threads)?)
    }

    /// The selected runtime, in workers that run `program` with `threads` threads each.
    ///
    /// # Errors
    ///
    /// When the selected runtime is not installed.
    #[cfg(target_os = "linux")]
    pub(super) fn in_workers(
        &self,
        threads: Option<NonZeroUsize>,
        workers: &WorkerArgs,
        program: &Path,
    ) -> Result<Arc<dyn Runtime>, String> {
        let in_worker = |runtime, selected: [&str; 2], library: &[String]| -> Arc<dyn Runtime> {
            let args = [super::workers::COMMAND].into_iter().chain(selected);
            let args: Vec<&str> = args.chain(library.iter().map(String::as_str)).collect();
            let runtime = WorkerRuntime::new(runtime, program, &args)
                .memory(workers.worker_memory)
                .require_lockdown(workers.requires_lockdown());
            Arc::new(match threads {
                Some(threads) => runtime.threads(threads),
                None => runtime,
            })
        };
        let first = in_worker(rten(threads), ["--runtime", "rten"], &[]);
        let second = match self.onnxruntime(threads)? {
            None => None,
            Some(second) => {
                let (selected, library) =
                    (["--runtime", "onnxruntime"], self.onnxruntime.to_args()?);
                Some(in_worker(second, selected, &library))
            }
        };
        self.choose(first, second)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn in_workers(
        &self,
        _threads: Option<NonZeroUsize>,
        workers: &WorkerArgs,
        _program: &Path,
    ) -> Result<Arc<dyn Runtime>, String> {
        workers.check()?;
        Err("--workers on: expected Linux".to_owned())
    }

    /// ONNX Runtime, if it can be selected and is installed.
    fn onnxruntime(
        &self,
        threads: Option<NonZeroUsize>,
    ) -> Result<Option<Arc<dyn Runtime>>, String> {
        match self.selected {
            SelectedRuntime::Rten => Ok(None),
            SelectedRuntime::Auto | SelectedRuntime::Onnxruntime => {
                self.onnxruntime.runtime(threads)
            }
        }
    }

    /// Selects among rten and ONNX Runtime.
    fn choose(
        &self,
        rten: Arc<dyn Runtime>,
        second: Option<Arc<dyn Runtime>>,
    ) -> Result<Arc<dyn Runtime>, String> {
        match (self.selected, second) {
            (SelectedRuntime::Onnxruntime, Some(second)) => Ok(second),
            (SelectedRuntime::Onnxruntime, None) => {
                Err("--runtime onnxruntime: no ONNX Runtime (see `clarity runtime`)".to_owned())
            }
            (_, Some(second)) => Ok(Arc::new(AutoRuntime::new(rten, second))),
            (_, None) => Ok(rten),
        }
    }

    /// Runs in a worker: loads and runs the version that the server sends over standard input.
    #[cfg(target_os = "linux")]
    pub(super) fn serve_worker(&self) -> CommandResult {
        crate::serve_worker(|threads| self.runtime(Some(threads)))?;
        Ok(true)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn serve_worker(&self) -> CommandResult {
        Err("expected Linux: workers exist only there".into())
    }

    /// Whether the selected runtime can need ONNX Runtime.
    pub(super) fn needs_library(&self) -> bool {
        // The command itself reports an error.
        let library = || self.onnxruntime.library();
        self.selected != SelectedRuntime::Rten && library().is_ok_and(|library| library.is_some())
    }

    /// The number of selected runtimes, and the name of the first. Does not load ONNX Runtime: that
    /// is left to the vetting process.
    pub(super) fn count(&self) -> (u64, &'static str) {
        match self.selected {
            SelectedRuntime::Auto => (1 + u64::from(self.needs_library()), "rten"),
            SelectedRuntime::Rten => (1, "rten"),
            SelectedRuntime::Onnxruntime => (1, "onnxruntime"),
        }
    }

    /// The arguments that select the same runtime in another process.
    ///
    /// # Errors
    ///
    /// When the library of ONNX Runtime cannot be named.
    pub(super) fn to_args(&self) -> Result<Vec<String>, String> {
        let (selected, library) = match self.selected {
            SelectedRuntime::Auto => ("auto", self.onnxruntime.to_args()?),
            SelectedRuntime::Rten => ("rten", Vec::new()),
            SelectedRuntime::Onnxruntime => ("onnxruntime", self.onnxruntime.to_args()?),
        };
        let selected = ["--runtime", selected].map(str::to_owned);
        Ok(selected.into_iter().chain(library).collect())
    }
}

fn rten(threads: Option<NonZeroUsize>) -> Arc<dyn Runtime> {
    let runtime = RtenRuntime::new();
    Arc::new(match threads {
        Some(threads) => runtime.threads(threads),
        None => runtime,
    })
}
