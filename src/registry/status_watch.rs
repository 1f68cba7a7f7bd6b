//! Watches the status of one model.

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

    /// Waits until a load attempt has ended, and returns the status after that attempt. Skips the
    /// statuses that `changed` or `wait_for` has already returned.
    ///
    /// The first call on a new watch also reports an attempt that ended before the watch was
    /// created.
    ///
    /// Returns the last status at once if the server has stopped or the model was unloaded.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> ModelStatus {
        // An error means that no further changes will come.
        let _ = self.0.changed().await;
        (*self.0.borrow_and_update().status).clone()
    }

    /// Waits until the current or a later status satisfies `wanted`, and returns that status.
    /// Returns the last status when no more statuses will come, because the server stopped or the
    /// model was unloaded.
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
