//! Logs each ignored entry once.

use std::collections::BTreeSet;

use crate::{IgnoredEntry, ModelName, Version};

/// The largest number of entries that are remembered. Further entries are not logged.
const MAX_NAMED: usize = 1024;

/// The ignored entries that a loader has logged.
#[derive(Debug, Default)]
pub(super) struct NamedEntries {
    ignored: BTreeSet<IgnoredEntry>,
    unlisted: BTreeSet<(Version, String)>,
}

impl NamedEntries {
    /// Logs entries that look like versions, but are none.
    pub(super) fn log_ignored(&mut self, model: &ModelName, entries: &[IgnoredEntry]) {
        for entry in entries {
            if self.ignored.len() < MAX_NAMED && self.ignored.insert(entry.clone()) {
                tracing::warn!(%model, entry = %entry.name, detail = %entry.why, "entry ignored");
            }
        }
    }

    /// Logs entries that the manifest of their version does not list.
    pub(super) fn log_unlisted(&mut self, model: &ModelName, version: Version, names: Vec<String>) {
        for entry in names {
            let named = (version, entry);
            if self.unlisted.len() >= MAX_NAMED || self.unlisted.contains(&named) {
                continue;
            }
            let detail = "the manifest does not list this entry: it is not opened";
            tracing::info!(%model, %version, entry = %named.1, detail, "entry ignored");
            self.unlisted.insert(named);
        }
    }
}
