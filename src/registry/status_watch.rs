//! News of how one model is.

use tokio::sync::watch;

use crate::ModelStatus;
use crate::status::ModelState;

/// The status of a model, and the news of it.
#[derive(Clone, Debug)]
pub struct StatusWatch(pub(super) watch::Receiver<ModelState>);

impl StatusWatch {
    /// The status as it is now.
    pub fn current(&self) -> ModelStatus {
        (*self.0.borrow().status).clone()
    }

    /// Waits until an attempt has ended that [`current`](Self::current) had not told of when this was made or last
    /// returned; returns at once with the last status when the server has stopped.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> ModelStatus {
        // An error says that there will be no more news.
        let _ = self.0.changed().await;
        (*self.0.borrow_and_update().status).clone()
    }

    /// Waits until the status is as `wanted`, and gives it; returns the last status when the server stops before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&ModelStatus) -> bool) -> ModelStatus {
        let found = self
            .0
            .wait_for(|state| wanted(&state.status))
            .await
            .map(|state| (*state.status).clone());
        found.unwrap_or_else(|_| self.current())
    }
}
