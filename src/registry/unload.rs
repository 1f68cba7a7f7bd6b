//! Unloads models and loads them again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::{Registry, UnknownModel};
use crate::predictor::Predictor;
use crate::status::ModelState;

impl Registry {
    /// Unloads a model. Only a load request to the server loads the model again.
    ///
    /// The model stops answering. Its memory is freed once its running requests have ended. The
    /// model's files stay on disk, and a change of these files does not load the model again. An
    /// unloaded model does not affect the server's readiness.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`] when the model is not registered.
    pub fn unload(&self, model: &str) -> Result<(), UnknownModel> {
        let mut models = self
            .inner
            .models
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(model) = models.get_mut(model) else {
            return Err(UnknownModel {
                name: model.to_owned(),
            });
        };
        // Drops the sender to end the loader, because a running loader keeps the loaded versions in
        // memory. A loader in the middle of a load ends after that load. The loader sends the
        // result of the load to a channel without receivers.
        if model.reload.take().is_some() {
            let before = &model.predictor;
            let mut status = (*before.status()).clone();
            status.serving = None;
            status.degraded = None;
            status.next_attempt = None;
            let state = ModelState {
                loaded: None,
                others: BTreeMap::new(),
                vacant: false,
                status: Arc::new(status),
            };
            model.predictor = Arc::new(Predictor {
                model: before.model.clone(),
                state: watch::channel(state).1,
                breaker: Arc::clone(&before.breaker),
                metrics: Arc::clone(&before.metrics),
                executor: Arc::clone(&before.executor),
                judge: Arc::clone(&before.judge),
                deadline: before.deadline,
                unloaded: true,
            });
            model.predictor.metrics.stopped_serving();
            tracing::info!(model = %model.predictor.model, "model unloaded");
        }
        Ok(())
    }

    /// Loads an unloaded model. For any other model, does the same as [`reload`](Self::reload).
    pub(crate) async fn load(&self, model: &str) -> Result<Arc<Predictor>, UnknownModel> {
        if let Ok(found) = self.find(model)
            && found.predictor.unloaded
        {
            let name = found.predictor.model.clone();
            {
                let mut models = self
                    .inner
                    .models
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                // A concurrent request may have loaded the model already.
                if models
                    .get(&name)
                    .is_some_and(|model| model.predictor.unloaded)
                {
                    models.remove(&name);
                }
            }
            self.register(name, true);
        }
        self.reload(model).await?;
        self.predictor(model)
    }
}
