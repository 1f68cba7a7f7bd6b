//! The registry of a server's models.

mod discovery;
mod housekeeping;
mod model_breaker;
mod readiness;
mod status_watch;
mod unload;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(crate) use self::readiness::NotReady;
pub use self::status_watch::StatusWatch;

use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::executor::{Executor, JobKind, execute};
use crate::loader::{DiskWatch, ReloadRequest, Scans};
use crate::predictor::Predictor;
use crate::scrub::Scrubber;
use crate::store::IgnoredEntry;
use crate::{
    BreakerHandle, BreakerSnapshot, Config, Metrics, ModelName, ModelStatus, Runtime, Store,
    VersionPolicy, Vetting,
};

/// All models of a server. An embedding program can query the models, and wait for loads.
///
/// A model is registered when its directory first appears, and stays registered. If the directory
/// vanishes, a loaded version continues to answer from memory. Without a loaded version, requests
/// get 503 `model_missing`.
// The HTTP status is not 404. If a disk is missing for a minute, clients must not conclude that the
// model never existed.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    runtime: Arc<dyn Runtime>,
    vetting: Arc<Vetting>,
    executor: Arc<dyn Executor>,
    metrics: Arc<Metrics>,
    config: Config,
    models: RwLock<BTreeMap<ModelName, RegisteredModel>>,
    ignored: Mutex<Vec<IgnoredEntry>>,
    /// The error of the last scan of the models directory, if the scan failed.
    unreadable: Mutex<Option<String>>,
    /// Whether the models that were there at the start are registered.
    is_started: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    loads: Arc<Semaphore>,
    scans: Arc<Scans>,
    disk: Arc<DiskWatch>,
}

#[derive(Clone)]
struct RegisteredModel {
    predictor: Arc<Predictor>,
    /// The channel to the model's loader; `None` for an unloaded model. Dropping the channel ends
    /// the loader.
    reload: Option<mpsc::UnboundedSender<ReloadRequest>>,
    /// Whether the model was there when the server started, and was not unloaded since.
    is_initial: bool,
}

/// The error for a model that is not registered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown model {name:?}")]
pub struct UnknownModel {
    name: String,
}

impl Registry {
    pub(crate) fn new(
        store: Store,
        runtime: Arc<dyn Runtime>,
        vetting: Arc<Vetting>,
        executor: Arc<dyn Executor>,
        metrics: Arc<Metrics>,
        config: Config,
    ) -> Self {
        let loads = Arc::new(Semaphore::new(config.reload.parallel));
        let inner = Inner {
            store,
            runtime,
            vetting,
            executor,
            metrics,
            config,
            models: RwLock::default(),
            ignored: Mutex::default(),
            unreadable: Mutex::default(),
            is_started: AtomicBool::new(false),
            tasks: Mutex::default(),
            loads,
            scans: Arc::default(),
            disk: Arc::new(DiskWatch::open()),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The names of all models, sorted.
    pub fn names(&self) -> Vec<ModelName> {
        self.all()
            .into_iter()
            .map(|model| model.predictor.model.clone())
            .collect()
    }

    /// The status of a model.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is not registered.
    pub fn status(&self, model: &str) -> Result<ModelStatus, UnknownModel> {
        Ok((*self.find(model)?.predictor.status()).clone())
    }

    /// The state of a model's circuit breaker.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is not registered.
    pub fn breaker(&self, model: &str) -> Result<BreakerSnapshot, UnknownModel> {
        Ok(self.find(model)?.predictor.breaker())
    }

    /// A handle that observes and overrides a model's circuit breaker.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is not registered.
    pub fn breaker_handle(&self, model: &str) -> Result<BreakerHandle, UnknownModel> {
        let predictor = self.find(model)?.predictor;
        Ok(BreakerHandle::new(Arc::clone(&predictor.breaker)))
    }

    /// Watches the status of a model.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is not registered.
    pub fn watch(&self, model: &str) -> Result<StatusWatch, UnknownModel> {
        Ok(StatusWatch(self.find(model)?.predictor.state.clone()))
    }

    /// Reloads a model even if its files did not change, then returns the status. Tries versions
    /// from the newest down to the first good version. Tries all versions instead if the model's
    /// [`VersionPolicy`](crate::VersionPolicy) serves several versions.
    ///
    /// Registers the model first if its directory is new. An unloaded model stays unloaded.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is neither registered nor on disk.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the wait, not the reload.
    pub async fn reload(&self, model: &str) -> Result<ModelStatus, UnknownModel> {
        if self.find(model).is_err() {
            self.discover().await;
        }
        let model = self.find(model)?;
        let (request, done) = oneshot::channel();
        // Both calls return an error only after the loader has stopped. Then the status is final.
        if let Some(reload) = &model.reload {
            let _ = reload.send(request);
            let _ = done.await;
        }
        Ok((*model.predictor.status()).clone())
    }

    /// The policy that selects the versions of a model that answer.
    pub(crate) fn version_policy(&self, model: &ModelName) -> VersionPolicy {
        let policies = &self.inner.config.versions;
        policies.get(model).cloned().unwrap_or_default()
    }

    /// The predictors of all models, sorted by the models' names.
    pub(crate) fn predictors(&self) -> Vec<Arc<Predictor>> {
        let all = self.all().into_iter();
        all.map(|RegisteredModel { predictor, .. }| predictor)
            .collect()
    }

    /// Waits until each registered model has finished its first load, successful or not.
    pub async fn settled(&self) {
        for model in self.all() {
            StatusWatch(model.predictor.state.clone())
                .wait_for(|status| status.attempts > 0)
                .await;
        }
    }

    /// Lists and registers the models, then starts the background tasks. Returns an error if
    /// the models cannot be listed.
    pub(crate) async fn start(&self) -> io::Result<()> {
        let store = self.inner.store.clone();
        let models = execute(&*self.inner.executor, JobKind::Scan, None, move || {
            store.models()
        })
        .await;
        self.register_all(models.map_err(io::Error::other)??);
        self.inner.is_started.store(true, Ordering::Release);
        let registry = self.clone();
        self.spawn(async move { registry.keep_house().await });
        let (disk, poll) = (Arc::clone(&self.inner.disk), self.inner.config.reload.poll);
        self.spawn(async move {
            loop {
                tokio::time::sleep(poll).await;
                disk.wake_loaders();
            }
        });
        let discovery = {
            let registry = self.clone();
            async move {
                loop {
                    tokio::time::sleep(registry.inner.config.reload.poll).await;
                    registry.discover().await;
                }
            }
        };
        self.spawn(discovery);
        let scrubber = Scrubber {
            store: self.inner.store.clone(),
            executor: Arc::clone(&self.inner.executor),
            metrics: Arc::clone(&self.inner.metrics),
            config: self.inner.config.scrub.clone(),
            settle: self.inner.config.reload.settle,
        };
        let registry = self.clone();
        self.spawn(scrubber.run(move || {
            let name_and_metrics = |RegisteredModel { predictor, .. }: RegisteredModel| {
                (predictor.model.clone(), Arc::clone(&predictor.metrics))
            };
            registry.all().into_iter().map(name_and_metrics).collect()
        }));
        Ok(())
    }

    /// Aborts all background tasks. Loaded models stay loaded.
    pub(crate) fn stop(&self) {
        self.inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }

    pub(crate) fn predictor(&self, model: &str) -> Result<Arc<Predictor>, UnknownModel> {
        Ok(self.find(model)?.predictor)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }

    fn find(&self, model: &str) -> Result<RegisteredModel, UnknownModel> {
        let models = self
            .inner
            .models
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        models.get(model).cloned().ok_or_else(|| UnknownModel {
            name: model.to_owned(),
        })
    }

    fn all(&self) -> Vec<RegisteredModel> {
        self.inner
            .models
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("store", &self.inner.store)
            .field("models", &self.names())
            .finish_non_exhaustive()
    }
}
