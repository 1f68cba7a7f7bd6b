//! Command-line arguments of the runtimes.

use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::{AutoRuntime, OnnxRuntime, Runtime};

#[derive(Args, Clone, Debug)]
pub(super) struct RuntimeArgs {
    /// The runtime of the models. `auto`: rten, and ONNX Runtime for the models that rten refuses,
    /// if ONNX Runtime is installed
    #[arg(long = "runtime", value_name = "RUNTIME", default_value = "auto")]
    selected: SelectedRuntime,
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
        let second = match self.selected {
            SelectedRuntime::Rten => None,
            SelectedRuntime::Auto | SelectedRuntime::Onnxruntime => onnxruntime(threads)?,
        };
        match (self.selected, second) {
            (SelectedRuntime::Onnxruntime, Some(second)) => Ok(second),
            (SelectedRuntime::Onnxruntime, None) => {
                Err("--runtime onnxruntime: ONNX Runtime is not a part of this program".to_owned())
            }
            (_, Some(second)) => Ok(Arc::new(AutoRuntime::new(rten(threads), second))),
            (_, None) => Ok(rten(threads)),
        }
    }

    /// The arguments that select the same runtime in another process.
    pub(super) fn to_args(&self) -> [&'static str; 2] {
        let selected = match self.selected {
            SelectedRuntime::Auto => "auto",
            SelectedRuntime::Rten => "rten",
            SelectedRuntime::Onnxruntime => "onnxruntime",
        };
        ["--runtime", selected]
    }
}

fn rten(threads: Option<NonZeroUsize>) -> Arc<dyn Runtime> {
    let runtime = OnnxRuntime::new();
    Arc::new(match threads {
        Some(threads) => runtime.threads(threads),
        None => runtime,
    })
}

/// ONNX Runtime, if it is installed.
fn onnxruntime(_threads: Option<NonZeroUsize>) -> Result<Option<Arc<dyn Runtime>>, String> {
    Ok(None)
}
