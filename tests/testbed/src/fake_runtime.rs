//! A second runtime, whose refusals and answers a test invents.

use clarity::{
    RtenRuntime, RunError, Runtime, RuntimeError, RuntimeId, Session, Tensor, TensorSpec,
    VerifiedVersion,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Replaces the answer of the real runtime.
type Replace = dyn Fn(Vec<Tensor>) -> Result<Vec<Tensor>, RunError> + Send + Sync;

/// Loads models with the real runtime, under another name. Refuses them, or replaces their answers,
/// as a test demands.
#[derive(Clone)]
pub struct FakeRuntime {
    inner: RtenRuntime,
    id: RuntimeId,
    refusal: Option<Arc<dyn Fn() -> RuntimeError + Send + Sync>>,
    replace: Arc<Replace>,
    loads: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

impl FakeRuntime {
    /// A runtime of this name that loads and answers as the real one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            inner: RtenRuntime::new(),
            id: RuntimeId::new(name, "1.2.3"),
            refusal: None,
            replace: Arc::new(Ok),
            loads: Arc::default(),
            runs: Arc::default(),
        }
    }

    /// Refuses all versions with the error of `refusal`, which may panic.
    #[must_use]
    pub fn refusing(mut self, refusal: impl Fn() -> RuntimeError + Send + Sync + 'static) -> Self {
        self.refusal = Some(Arc::new(refusal));
        self
    }

    /// Replaces all outputs of each run by `replace`, which may panic or block.
    #[must_use]
    pub fn answering(
        mut self,
        replace: impl Fn(Vec<Tensor>) -> Result<Vec<Tensor>, RunError> + Send + Sync + 'static,
    ) -> Self {
        self.replace = Arc::new(replace);
        self
    }

    /// The number of versions that this runtime and its copies have loaded.
    #[must_use]
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// The number of runs of all sessions.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Runtime for FakeRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal());
        }
        let session = self.inner.load(version)?;
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FakeSession {
            session,
            replace: Arc::clone(&self.replace),
            runs: Arc::clone(&self.runs),
        }))
    }

    fn id(&self) -> RuntimeId {
        self.id.clone()
    }
}

impl fmt::Debug for FakeRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeRuntime").field(&self.id).finish()
    }
}

struct FakeSession {
    session: Box<dyn Session>,
    replace: Arc<Replace>,
    runs: Arc<AtomicUsize>,
}

impl Session for FakeSession {
    fn inputs(&self) -> &[TensorSpec] {
        self.session.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.session.outputs()
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        (self.replace)(self.session.run(inputs)?)
    }
}
