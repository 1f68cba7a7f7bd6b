//! `clarity remove`

use clap::Args;
use serde_json::json;

use super::list::require_version;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::{ModelName, Version};

/// Delete a version from disk
///
/// A removal cannot be undone; `clarity quarantine` withdraws a version and keeps its files. A
/// server that answers from the version continues from memory, and reports the model as degraded.
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The model
    name: ModelName,
    /// The version to delete
    #[arg(long, value_name = "V")]
    version: Version,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        require_version(&store, &self.name, self.version)?;
        // A failure to remove leftovers of killed processes must not prevent this removal.
        let _ = store.clean();
        store
            .remove(&self.name, self.version)
            .map_err(|error| format!("cannot remove {} {}: {error}", self.name, self.version))?;
        if self.json {
            print_json(&json!({ "model": self.name, "version": self.version, "removed": true }))?;
        } else {
            print(format_args!("removed {} {}\n", self.name, self.version))?;
        }
        Ok(true)
    }
}
