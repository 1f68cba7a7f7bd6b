//! Decides whether the server is ready.

use std::sync::{Arc, PoisonError};

use super::{RegisteredModel, Registry};
use crate::predictor::{Failure, Predictor};
use crate::{ModelName, ReadyWhen, Reason};

/// The reason why the server is not ready, and the model that the reason concerns, if any.
pub(crate) struct NotReady {
    pub(crate) model: Option<ModelName>,
    pub(crate) failure: Failure,
}

impl Registry {
    /// Checks the condition [`Config::ready_when`](crate::Config::ready_when).
    ///
    /// If no model answers, the error names a model that is loading. If none is loading, it names
    /// the first model.
    pub(crate) fn readiness(&self) -> Result<(), NotReady> {
        let all = self.all();
        let counts =
            |model: &&RegisteredModel| !model.predictor.unloaded && !model.predictor.is_vacant();
        let models: Vec<&RegisteredModel> = all.iter().filter(counts).collect();
        if models.is_empty() {
            // Operators unload models deliberately. An unready server could not get the requests
            // that load its models again.
            let is_deliberate = all.iter().any(|model| model.predictor.unloaded);
            return match is_deliberate {
                true => Ok(()),
                false => Err(self.no_models(all.len())),
            };
        }
        let failures = models
            .iter()
            .filter_map(|model| Some((*model, model.predictor.serving(None).err()?)));
        let failures: Vec<(&RegisteredModel, Failure)> = failures.collect();
        let is_loading = |failure: &Failure| failure.reason == Reason::ModelLoading;
        let must_answer = match self.inner.config.ready_when {
            ReadyWhen::All => failures.first(),
            ReadyWhen::Loaded => failures
                .iter()
                .find(|(model, failure)| model.is_initial && is_loading(failure)),
            ReadyWhen::Any => None,
        };
        if let Some((model, failure)) = must_answer {
            return Err(not_ready(&model.predictor, failure.clone()));
        }
        if failures.len() < models.len() {
            return Ok(());
        }
        let loading = failures.iter().find(|(_, failure)| is_loading(failure));
        let Some((model, failure)) = loading.or(failures.first()) else {
            return Ok(());
        };
        let mut failure = failure.clone();
        if models.len() > 1 {
            let (count, name) = (models.len(), &model.predictor.model);
            let detail = format!("none of {count} models answers; {name}: {}", failure.detail);
            failure.detail = detail.into();
        }
        Err(not_ready(&model.predictor, failure))
    }

    /// The failure of a server whose `directories` contain no version of any model.
    fn no_models(&self, directories: usize) -> NotReady {
        let inner = &*self.inner;
        let root = inner.store.root().display();
        let lock = |text: &std::sync::Mutex<Option<String>>| {
            let text = text.lock().unwrap_or_else(PoisonError::into_inner);
            text.clone()
        };
        let ignored = inner.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match (lock(&inner.unreadable), ignored.first()) {
            (Some(error), _) => format!("cannot read the models directory {root}: {error}"),
            (None, Some(entry)) => format!(
                "no models in {root}; ignored {} of its entries, such as {:?}: {}",
                ignored.len(),
                entry.name,
                entry.why
            ),
            (None, None) if directories > 0 => format!("no model in {root} has a version"),
            (None, None) => format!("no models in {root}"),
        };
        drop(ignored);
        let detail = format!(
            "{found}: add one with `clarity add NAME FILE --models {root}`, or correct --models"
        );
        NotReady {
            model: None,
            failure: Failure {
                retry_after: Some(inner.config.reload.poll),
                ..Failure::new(Reason::NoModels, detail)
            },
        }
    }
}

fn not_ready(predictor: &Arc<Predictor>, failure: Failure) -> NotReady {
    NotReady {
        model: Some(predictor.model.clone()),
        failure,
    }
}
