//! Watching the status of one model.

use tokio::sync::watch;

use crate::ModelStatus;
use crate::status::ModelState;

/// A receiver for the status of a model.
#[derive(Clone, Debug)]
pub struct StatusWatch(pub(super) watch::Receiver<ModelState>);

impl StatusWatch {
    /// The current status.
    pub fn current(&self) -> ModelStatus {
        (*self.0.borrow().status).clone()
    }

    /// Waits for the end of a load attempt after the last returned status, or since the creation.
    ///
    /// Returns the last status at once when the server has stopped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> ModelStatus {
        // An error means that no more changes will come.
        let _ = self.0.changed().await;
        (*self.0.borrow_and_update().status).clone()
    }

    /// Waits for a status that satisfies `wanted`; returns the last one if the server stops first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&ModelStatus) -> bool) -> ModelStatus {
        let found = self
            .0
            .wait_for(|state| wanted(&state.status))
            .await
            .map(|state| (*state.status).clone());
        found.unwrap_or_else(|_| self.current())
    }
}
