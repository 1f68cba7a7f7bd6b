//! Discovers and registers the models of a store.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, watch};

use super::{RegisteredModel, Registry, model_breaker};
use crate::executor::{JobKind, execute};
use crate::judge::Judge;
use crate::loader::Loader;
use crate::predictor::Predictor;
use crate::status::ModelState;
use crate::store::Listing;
use crate::{Metrics, ModelName, ModelStatus};

impl Registry {
    /// Registers the models whose directories are new, and starts to load these models.
    ///
    /// A running server also calls this method after each poll interval.
    pub async fn discover(&self) {
        let store = self.inner.store.clone();
        let models = execute(&*self.inner.executor, JobKind::Scan, None, move || {
            store.models()
        })
        .await;
        match models {
            Ok(Ok(listing)) => {
                self.set_unreadable(None);
                self.register_all(listing);
            }
            // Logs this error only for debugging, because the loaders of registered models report
            // it themselves.
            Ok(Err(error)) => {
                tracing::debug!(detail = %error, "cannot read the models directory");
                self.set_unreadable(Some(error.to_string()));
            }
            Err(error) => {
                tracing::debug!(detail = %error, "models directory not scanned")
            }
        }
    }

    fn set_unreadable(&self, error: Option<String>) {
        let unreadable = &self.inner.unreadable;
        *unreadable.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(super) fn register_all(&self, listing: Listing<ModelName>) {
        let mut ignored = self
            .inner
            .ignored
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *ignored != listing.ignored {
            for entry in &listing.ignored {
                tracing::warn!(entry = %entry.name, detail = %entry.why, "entry ignored");
            }
            *ignored = listing.ignored;
        }
        drop(ignored);
        let are_few = listing.entries.len() <= Metrics::FEW_MODELS;
        for name in listing.entries {
            if self.find(name.as_str()).is_err() {
                self.register(name, are_few);
            }
        }
    }

    /// Registers a model, and starts to load it. With `begins_metrics`, its metrics begin at once.
    pub(super) fn register(&self, name: ModelName, begins_metrics: bool) {
        let mut models = self
            .inner
            .models
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(place) = models.entry(name.clone()) else {
            return;
        };
        let inner = &*self.inner;
        let metrics = Arc::new(inner.metrics.for_model(&name));
        let breaker = Arc::new(model_breaker::new(&inner.config.breaker, &name, &metrics));
        let of_breaker = Arc::downgrade(&breaker);
        inner.metrics.watch_breaker(&name, of_breaker, &metrics);
        if begins_metrics {
            metrics.begin();
        }
        let status = Arc::new(ModelStatus::loading(name.clone()));
        let (sender, state) = watch::channel(ModelState {
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
            scans: Arc::clone(&inner.scans),
            disk: Arc::clone(&inner.disk),
            changed: Arc::default(),
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
        let judge = Arc::new(Judge::new(
            name.clone(),
            Arc::clone(&executor),
            Arc::clone(&metrics),
            inner.config.deadline,
        ));
        let predictor = Predictor {
            model: name,
            state,
            breaker,
            metrics,
            executor,
            judge,
            deadline: inner.config.deadline,
            unloaded: false,
        };
        place.insert(RegisteredModel {
            predictor: Arc::new(predictor),
            reload: Some(reload),
            is_initial: !inner.is_started.load(Ordering::Acquire),
        });
        inner.scans.set_models(models.len());
        self.spawn(loader.run());
    }
}
