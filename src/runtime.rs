//! Model runtimes, which make sessions from verified bytes.

mod auto;
mod choice;
mod claims;
mod comparison;
mod declared_tensors;
mod manifest_outputs;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod refusal;
mod refused_node;
mod rewrite;
mod rten;
pub(crate) mod session_threads;
mod trial;
mod warm_up;
mod weights;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;

pub use self::auto::AutoRuntime;
use self::claims::Unmet;
#[cfg(feature = "onnxruntime")]
pub use self::onnxruntime::{LibraryError, OnnxRuntimeLibrary};
pub use self::refusal::{RefusalKind, RuntimeRefusal};
pub use self::refused_node::RefusedNode;
#[doc(hidden)]
pub use self::rten::ClaimsCheck;
pub use self::rten::RtenRuntime;
pub use self::trial::Trial;
pub(crate) use self::trial::{DEFAULT_WARM_UP, TrialOptions, TriedVersion, try_with};
use crate::onnx::protobuf;
use crate::panics::catch;
use crate::{
    Manifest, NonFiniteOutputs, ProbeError, RunError, RuntimeId, SecondOpinion, Session,
    TensorSpec, VerifiedVersion,
};

/// The upper limit of the default number of threads of a session. A caller can set more threads.
const MAX_DEFAULT_THREADS: usize = 4;

/// Loads models. The server comes with [`RtenRuntime`]; another model runtime can wrap or replace
/// it.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Makes a session from a verified version.
    ///
    /// The server calls this method on an [`Executor`](crate::Executor), so the method is allowed
    /// to block. A panic is caught and reported as [`RuntimeError::Panicked`].
    ///
    /// The runtime sets [`TensorSpec::allow_nonfinite`] of each output that the manifest
    /// [declares](crate::Manifest::allow_nonfinite).
    ///
    /// # Errors
    ///
    /// When the runtime cannot serve the bytes of the version: see [`RuntimeError`].
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError>;

    /// The name and the version of the runtime, for metadata, metrics and logs. The default is
    /// `custom`, without a version.
    ///
    /// A runtime that wraps another one should forward this call.
    fn id(&self) -> RuntimeId {
        RuntimeId::new("custom", "")
    }

    /// The runtimes among which this one chooses, in the order of preference. Empty by default: the
    /// runtime loads each version itself.
    ///
    /// The server asks the candidates itself instead of calling [`load`](Self::load). So it knows
    /// the one that serves a version. See [`AutoRuntime`].
    fn candidates(&self) -> &[Arc<dyn Runtime>] {
        &[]
    }
}

/// The reason why a runtime does not load a verified version.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bytes are not a model that the runtime can run.
    #[error("the runtime cannot load the model: {0}")]
    Unloadable(String),
    /// The server cannot serve an input or output of the model.
    #[error("{tensor}: {why}")]
    Unservable {
        /// The name of the input or output.
        tensor: String,
        /// The reason why the server cannot serve the input or output.
        why: String,
    },
    /// The runtime is not known to compute the model rightly: a node satisfies none of the
    /// runtime's claims. The claims cover each operator's versions, datatypes and attributes.
    #[error("no claim of the runtime covers {refused}{}", if *may_be_computed { ONNX_RUNTIME } else { "" })]
    Unclaimed {
        /// The first such node.
        refused: Box<RefusedNode>,
        /// Whether ONNX Runtime may compute the model, and has not been asked.
        may_be_computed: bool,
    },
    /// A node of the model can draw random numbers, and the manifest does not
    /// [allow](crate::Manifest::allow_random) it.
    #[error(
        "the model can draw random numbers: {0}: if answers to the same request may differ, publish the version with `clarity add --allow-random`"
    )]
    Random(Box<RefusedNode>),
    /// The runtime is known to compute a node of the model wrongly.
    #[error("{runtime} is known to compute wrongly {refused}")]
    Excepted {
        /// The name and the version of the runtime.
        runtime: Box<RuntimeId>,
        /// The first such node.
        refused: Box<RefusedNode>,
    },
    /// The runtime panicked during the load.
    #[error("the runtime panicked while loading: {0}")]
    Panicked(String),
    /// Each of several runtimes refuses the version.
    #[error("no runtime can serve the model: {}", refusal::list(.0))]
    NoRuntime(Vec<RuntimeRefusal>),
    /// The runtime that served the version in the vetting process does not exist in this process.
    #[error("the version was vetted with {0}, which this process does not have")]
    OtherRuntime(RuntimeId),
    /// The runtime in a worker refuses the version.
    #[error("{why}")]
    RefusedByWorker {
        /// The kind of the reason.
        kind: RefusalKind,
        /// The reason as a sentence.
        why: String,
    },
    /// A worker cannot be started, or died while it loaded the version.
    #[error("cannot run a worker: {0}")]
    Worker(String),
    /// An output of a run on generated inputs does not have the declared datatype or rank, or is
    /// not finite.
    #[error("the warm-up failed: {}{}", .0, remedy(.0))]
    WarmUp(#[source] RunError),
    /// The model did not pass its probe.
    #[error("the probe failed: {}{}", .0, remedy_of_probe(.0))]
    Probe(#[source] ProbeError),
    /// The [policy](crate::SecondOpinionPolicy) of second opinions does not admit the version.
    #[error("the second opinion: {}{}", .0, remedy_of_opinion(.0))]
    SecondOpinion(SecondOpinion),
}

/// How to serve a good model whose second opinion is bad.
fn remedy_of_opinion(opinion: &SecondOpinion) -> &'static str {
    match opinion {
        SecondOpinion::Uncompared { .. } => ": publish the version with a probe",
        _ => ": `--second-opinion warn` serves it all the same, `--runtime` selects one runtime",
    }
}

/// Where to get another runtime.
const ONNX_RUNTIME: &str =
    ": ONNX Runtime may compute the model: `clarity runtime` shows how to add it";

impl RuntimeError {
    /// Reports nodes of `model` that satisfy no claim.
    fn unclaimed(unmet: &[Unmet], model: &[u8]) -> Self {
        let Some(refused) = RefusedNode::first_of(unmet) else {
            return Self::Unloadable("a node satisfies no claim".to_owned());
        };
        let may_know = || unmet.iter().all(claims::may_be_computed_by_onnxruntime);
        let is_exception = || claims::exceptions(model).map_or(true, |found| !found.is_empty());
        Self::Unclaimed {
            refused: Box::new(refused),
            may_be_computed: may_know() && !is_exception(),
        }
    }

    /// Checks that no node of `model` draws random numbers, unless the manifest allows it.
    fn check_randomness(manifest: &Manifest, model: &[u8]) -> Result<(), Self> {
        if manifest.allow_random() {
            return Ok(());
        }
        // The runtime reports bytes that are no model.
        let random = claims::random_nodes(model).unwrap_or_default();
        match RefusedNode::first_of(&random) {
            Some(refused) => Err(Self::Random(Box::new(refused))),
            None => Ok(()),
        }
    }

    /// Checks that a runtime is not known to compute a node of `model` wrongly.
    #[cfg(feature = "onnxruntime")]
    fn check_exceptions(runtime: RuntimeId, model: &[u8]) -> Result<(), Self> {
        let found = claims::exceptions(model).map_err(|why| Self::Unloadable(why.0.to_owned()))?;
        let Some(refused) = RefusedNode::first_of(&found) else {
            return Ok(());
        };
        Err(Self::Excepted {
            runtime: Box::new(runtime),
            refused: Box::new(refused),
        })
    }

    /// The error for a caller that has asked the other runtimes.
    fn without_remedy(mut self) -> Self {
        if let Self::Unclaimed {
            may_be_computed, ..
        } = &mut self
        {
            *may_be_computed = false;
        }
        self
    }
}

fn remedy_of_probe(error: &ProbeError) -> String {
    match error {
        ProbeError::Run(error @ RunError::UnexpectedRank { .. }) => remedy(error),
        _ => String::new(),
    }
}

/// How to serve a good model that failed its warm-up.
fn remedy(error: &RunError) -> String {
    match error {
        RunError::NotFinite { .. } => {
            ": if real inputs do not do this, publish the version with a probe".to_owned()
        }
        RunError::UnexpectedRank { output, found, .. } => {
            format!(": to override the declaration, publish with --output-rank {output}={found}")
        }
        _ => String::new(),
    }
}

/// Loads a version and runs its probe. Runs the model on generated inputs instead if the version
/// has no probe. A server does the same before it serves a version.
///
/// A version without a probe that refuses each generated input is not an error.
///
/// # Errors
///
/// The reason why a server would refuse the version.
pub fn try_version(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Box<dyn Session>, RuntimeError> {
    try_with(runtime, version, &TrialOptions::default()).map(|tried| tried.session)
}

/// The default number of threads of a session: one for each processor, but at most 4.
pub(crate) fn default_threads() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let most = NonZeroUsize::new(MAX_DEFAULT_THREADS).unwrap_or(NonZeroUsize::MIN);
    processors.min(most)
}

/// Loads a version, and turns a panic of the runtime into an error. Checks that the outputs in the
/// manifest's declaration exist.
pub(crate) fn load(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Box<dyn Session>, RuntimeError> {
    let allow_nonfinite = version.manifest().allow_nonfinite().cloned();
    let session = catch(|| runtime.load(version))
        .unwrap_or_else(|panic| Err(RuntimeError::Panicked(panic)))?;
    if let Some(NonFiniteOutputs::Named(names)) = allow_nonfinite {
        check_nonfinite(&names, session.outputs())?;
    }
    Ok(session)
}

/// Checks that each name is the name of a floating-point output.
fn check_nonfinite(names: &BTreeSet<String>, outputs: &[TensorSpec]) -> Result<(), RuntimeError> {
    for name in names {
        let found = match outputs.iter().find(|output| output.name == *name) {
            Some(output) if output.datatype.is_floating_point() => continue,
            Some(output) => format!("the datatype {}", output.datatype),
            None => {
                let outputs = outputs.iter().map(|output| &*output.name);
                format!("only {}", outputs.collect::<Vec<_>>().join(", "))
            }
        };
        return Err(RuntimeError::Unservable {
            tensor: name.clone(),
            why: format!(
                "allow_nonfinite: expected a floating-point output of this name, found {found}"
            ),
        });
    }
    Ok(())
}
