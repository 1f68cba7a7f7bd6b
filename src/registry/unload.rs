//! Taking a model away on request, and bringing it back.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::{Registry, UnknownModel};
use crate::predictor::Predictor;
use crate::status::ModelState;

impl Registry {
    /// Unloads a model: it answers no more, its memory is free when the requests under way are answered, and nothing on
    /// disk brings it back until a server is asked to load it. Nothing on disk changes. A model that is unloaded keeps no server from being ready.
    ///
    /// # Errors
    ///
    /// [`UnknownModel`].
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
        // The loader keeps what answers alive, and ends with the sender. One that is loading just now ends after that;
        // what it publishes then goes to a channel that nobody reads.
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
                deadline: before.deadline,
                unloaded: true,
            });
            tracing::info!(model = %model.predictor.model, "model unloaded");
        }
        Ok(())
    }

    /// Loads a model that was unloaded, or is new; otherwise the same as [`reload`](Self::reload). Gives what answers now.
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
                // Another request may have been faster.
                if models
                    .get(&name)
                    .is_some_and(|model| model.predictor.unloaded)
                {
                    models.remove(&name);
                }
            }
            self.register(name);
        }
        self.reload(model).await?;
        self.predictor(model)
    }
}
