//! Warns about files of a model that other users can change.

use super::{Loader, LoaderState};
use crate::executor::{JobKind, execute};

impl Loader {
    /// Logs one warning if other users can change entries of the model that no earlier warning
    /// counted.
    pub(super) async fn warn_of_exposures(&self, state: &mut LoaderState) {
        let (store, model) = (self.store.clone(), self.model.clone());
        let find = move || store.exposures(&model);
        let found = execute(&*self.executor, JobKind::Scan, Some(&self.model), find).await;
        // A check that the executor did not run follows the next load.
        let mut found = found.unwrap_or_default();
        found.retain(|exposure| !state.exposures.contains(exposure));
        if let Some(first) = found.first() {
            let (entry, detail) = (&*first.path, &*first.why);
            let entries = found.len();
            tracing::warn!(model = %self.model, entries, entry, detail, "other users can change the model");
        }
        state.exposures.extend(found);
    }
}
