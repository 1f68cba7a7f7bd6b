//! `clarity remove`

use clap::Args;
use clarity::{ModelName, Version};
use serde_json::json;

use super::list::require_version;
use super::{CommandResult, ModelsArg, print, print_json};

/// Delete a version from the disk
///
/// It cannot be undone: `clarity quarantine` takes a version out of service and keeps it. A server that answers from this
/// version goes on doing so from memory, and says that it is degraded.
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The model
    name: ModelName,
    /// The version to delete
    #[arg(long, value_name = "V")]
    version: Version,
    #[command(flatten)]
    models: ModelsArg,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store();
        require_version(&store, &self.name, self.version)?;
        // What others have left behind is no reason not to remove.
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
