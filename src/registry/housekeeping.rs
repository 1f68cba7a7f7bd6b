//! The work on a store that a server does once, when it starts.

use super::Registry;
use crate::executor::{JobKind, execute};

impl Registry {
    /// Removes the staging directories of killed processes, and logs them. Warns if other users can
    /// change the directory of the store.
    ///
    /// A store that cannot be read or written is no error: then nothing is removed.
    pub(super) async fn keep_house(&self) {
        let store = self.inner.store.clone();
        let work = move || (store.clear_staging(), store.exposed_root());
        let done = execute(&*self.inner.executor, JobKind::Scan, None, work).await;
        let (cleared, exposed) = match done {
            Ok(done) => done,
            Err(error) => {
                return tracing::debug!(detail = %error, "staging directories not cleared");
            }
        };
        match cleared {
            Ok(names) => {
                for name in names {
                    tracing::info!(
                        entry = name,
                        "staging directory of a killed process removed"
                    );
                }
            }
            Err(error) => tracing::debug!(detail = %error, "staging directories not cleared"),
        }
        if let Some(exposed) = exposed {
            let (entry, detail) = (exposed.path, exposed.why);
            tracing::warn!(entry, detail, "other users can change the models directory");
        }
    }
}
