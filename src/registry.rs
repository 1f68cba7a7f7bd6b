//! All models of a server.

mod status_watch;
mod unload;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use self::status_watch::StatusWatch;

use clarity_breaker::Breaker;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::executor::{Executor, JobKind, execute};
use crate::loader::{Loader, ReloadRequest};
use crate::metrics::ModelMetrics;
use crate::predictor::{Failure, Predictor};
use crate::scrub::Scrubber;
use crate::seed::seed_for;
use crate::status::State;
use crate::store::{Listing, Mistake};
use crate::{
    BreakerEvent, BreakerHandle, BreakerSnapshot, BreakerState, Config, Metrics, ModelName,
    ModelStatus, Reason, Runtime, Store, Vetting,
};

/// All models of a server: what a program that embeds it can ask and wait for.
///
/// A model is registered when its folder is first seen, and stays so: when the folder vanishes later, what answers goes
/// on answering from memory, and otherwise requests get 503 `model_missing` rather than 404, since a disk that is away
/// for a minute must not tell clients that the model never was.
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
    models: RwLock<BTreeMap<ModelName, Model>>,
    mistakes: Mutex<Vec<Mistake>>,
    tasks: Mutex<JoinSet<()>>,
    loads: Arc<Semaphore>,
}

#[derive(Clone)]
struct Model {
    predictor: Arc<Predictor>,
    /// To the loader, which ends when this is gone; none when the model is unloaded.
    reload: Option<mpsc::UnboundedSender<ReloadRequest>>,
}

/// No model of that name is registered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no model {name:?}")]
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
            mistakes: Mutex::default(),
            tasks: Mutex::default(),
            loads,
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

    /// How a model is.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`].
    pub fn status(&self, model: &str) -> Result<ModelStatus, UnknownModel> {
        Ok((*self.find(model)?.predictor.status()).clone())
    }

    /// How the circuit breaker of a model is.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`].
    pub fn breaker(&self, model: &str) -> Result<BreakerSnapshot, UnknownModel> {
        Ok(self.find(model)?.predictor.breaker())
    }

    /// The circuit breaker of a model, to listen to and to overrule.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`].
    pub fn breaker_handle(&self, model: &str) -> Result<BreakerHandle, UnknownModel> {
        let predictor = self.find(model)?.predictor;
        Ok(BreakerHandle::new(Arc::clone(&predictor.breaker)))
    }

    /// The status of a model, to wait for news of it.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`].
    pub fn watch(&self, model: &str) -> Result<StatusWatch, UnknownModel> {
        Ok(StatusWatch(self.find(model)?.predictor.state.clone()))
    }

    /// Looks at a model on disk now, verifies anew what answers and everything newer, and returns when that attempt has
    /// ended. A model whose folder is new is registered.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when it is neither registered nor on disk.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting and not the attempt.
    pub async fn reload(&self, model: &str) -> Result<ModelStatus, UnknownModel> {
        if self.find(model).is_err() {
            self.discover().await;
        }
        let model = self.find(model)?;
        let (request, done) = oneshot::channel();
        // Both fail only when the loader has been stopped; then the last status is all there is.
        if let Some(reload) = &model.reload {
            let _ = reload.send(request);
            let _ = done.await;
        }
        Ok((*model.predictor.status()).clone())
    }

    /// All models.
    pub(crate) fn predictors(&self) -> Vec<Arc<Predictor>> {
        let all = self.all().into_iter();
        all.map(|Model { predictor, .. }| predictor).collect()
    }

    /// Waits until every registered model has been tried once, whatever came of it.
    pub async fn settled(&self) {
        for model in self.all() {
            StatusWatch(model.predictor.state.clone())
                .wait_for(|status| status.attempts > 0)
                .await;
        }
    }

    /// Looks for folders of models that are not registered, registers them and starts to load them. A server does so
    /// by itself at each poll.
    pub async fn discover(&self) {
        let store = self.inner.store.clone();
        let models = execute(&*self.inner.executor, JobKind::Scan, None, move || {
            store.models()
        })
        .await;
        match models {
            Ok(Ok(listing)) => self.register_all(listing),
            // The models that are registered notice for themselves, and report it each.
            Ok(Err(error)) => tracing::debug!(detail = %error, "the models' folder cannot be read"),
            Err(error) => tracing::debug!(detail = %error, "the models' folder was not looked at"),
        }
    }

    /// The first look: unlike later ones it must succeed.
    pub(crate) async fn start(&self) -> io::Result<()> {
        let store = self.inner.store.clone();
        let models = execute(&*self.inner.executor, JobKind::Scan, None, move || {
            store.models()
        })
        .await;
        self.register_all(models.map_err(io::Error::other)??);
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
        };
        let registry = self.clone();
        self.spawn(scrubber.run(move || {
            let of_model = |Model { predictor, .. }: Model| {
                (predictor.model.clone(), Arc::clone(&predictor.metrics))
            };
            registry.all().into_iter().map(of_model).collect()
        }));
        Ok(())
    }

    /// Ends all tasks. Models stay as they are.
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

    /// Whether every model answers; otherwise why the first of those that do not does not. A folder in which there never
    /// was a version keeps nobody waiting.
    pub(crate) fn readiness(&self) -> Result<(), (ModelName, Failure)> {
        let loaded = self
            .all()
            .into_iter()
            .filter(|model| !model.predictor.unloaded);
        for model in loaded {
            if model.predictor.is_vacant() {
                continue;
            }
            model
                .predictor
                .serving(None)
                .map_err(|failure| (model.predictor.model.clone(), failure))?;
        }
        Ok(())
    }

    fn register_all(&self, listing: Listing<ModelName>) {
        let mut mistakes = self
            .inner
            .mistakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *mistakes != listing.mistakes {
            for mistake in &listing.mistakes {
                tracing::warn!(entry = %mistake.name, detail = mistake.why, "entry ignored");
            }
            *mistakes = listing.mistakes;
        }
        drop(mistakes);
        for name in listing.entries {
            if self.find(name.as_str()).is_err() {
                self.register(name);
            }
        }
    }

    fn register(&self, name: ModelName) {
        let mut models = self
            .inner
            .models
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(place) = models.entry(name.clone()) else {
            return;
        };
        let inner = &*self.inner;
        let metrics = Arc::new(inner.metrics.of_model(&name));
        let breaker = Arc::new(new_breaker(&inner.config, &name, &metrics));
        inner.metrics.watch_breaker(&name, Arc::downgrade(&breaker));
        let status = Arc::new(ModelStatus::loading(name.clone()));
        let (sender, state) = watch::channel(State {
            loaded: None,
            others: BTreeMap::new(),
            vacant: true,
            status,
        });
        let (reload, requests) = mpsc::unbounded_channel();
        let loader = Loader {
            model: name.clone(),
            store: inner.store.clone(),
            runtime: Arc::clone(&inner.runtime),
            vetting: Arc::clone(&inner.vetting),
            executor: Arc::clone(&inner.executor),
            breaker: Arc::clone(&breaker),
            metrics: Arc::clone(&metrics),
            state: sender,
            loads: Arc::clone(&inner.loads),
            requests,
            config: inner.config.reload.clone(),
            policy: inner
                .config
                .versions
                .get(&name)
                .cloned()
                .unwrap_or_default(),
            deadline: inner.config.deadline,
        };
        let executor = Arc::clone(&inner.executor);
        let predictor = Predictor {
            model: name,
            state,
            breaker,
            metrics,
            executor,
            deadline: inner.config.deadline,
            unloaded: false,
        };
        place.insert(Model {
            predictor: Arc::new(predictor),
            reload: Some(reload),
        });
        self.spawn(loader.run());
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }

    fn find(&self, model: &str) -> Result<Model, UnknownModel> {
        let models = self
            .inner
            .models
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        models.get(model).cloned().ok_or_else(|| UnknownModel {
            name: model.to_owned(),
        })
    }

    fn all(&self) -> Vec<Model> {
        self.inner
            .models
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

fn new_breaker(config: &Config, model: &ModelName, metrics: &Arc<ModelMetrics>) -> Breaker {
    let (model, metrics) = (model.clone(), Arc::clone(metrics));
    let mut breaker = config.breaker.clone();
    breaker.seed = Some(seed_for(model.as_str(), breaker.seed));
    let breaker = Breaker::new(breaker).expect("a server checks its configuration first");
    breaker.with_hook(move |event: &BreakerEvent| {
        let BreakerEvent { from, to, .. } = *event;
        metrics.breaker_changed(from, to);
        if matches!(to, BreakerState::Open | BreakerState::ForcedOpen) {
            tracing::warn!(%model, %from, %to, reason = %Reason::CircuitOpen, "circuit breaker changed");
        } else {
            tracing::info!(%model, %from, %to, "circuit breaker changed");
        }
    })
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("store", &self.inner.store)
            .field("models", &self.names())
            .finish_non_exhaustive()
    }
}
