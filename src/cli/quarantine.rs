//! `clarity quarantine` and `clarity release`

use clap::Args;
use clarity::{ModelName, Version};
use serde_json::json;

use super::list::require_version;
use super::{CommandResult, ModelsArg, print, print_json};

/// Hold a version back: servers serve an older one in its place
///
/// A marker is written beside the version, and nothing is deleted. Servers also hold versions back by themselves: those
/// whose bytes are not the promised ones, and those that cannot be served.
#[derive(Args, Debug)]
pub(super) struct QuarantineCommand {
    /// The model
    name: ModelName,
    /// The version to hold back
    #[arg(long, value_name = "V")]
    version: Version,
    /// Why, for whoever looks at it later
    #[arg(long, value_name = "TEXT", default_value = "withdrawn by the operator")]
    because: String,
    #[command(flatten)]
    models: ModelsArg,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// End the quarantine of a version, whoever began it
///
/// A server that watches the directory tries the version at once.
#[derive(Args, Debug)]
pub(super) struct ReleaseCommand {
    /// The model
    name: ModelName,
    /// The version to give free
    #[arg(long, value_name = "V")]
    version: Version,
    #[command(flatten)]
    models: ModelsArg,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl QuarantineCommand {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store();
        require_version(&store, &self.name, self.version)?;
        let marker = store.quarantine(&self.name, self.version, &self.because)?;
        if self.json {
            print_json(
                &json!({ "model": self.name, "version": self.version, "quarantine": marker }),
            )?;
        } else {
            print(format_args!(
                "{} {} is held back\n",
                self.name, self.version
            ))?;
        }
        Ok(true)
    }
}

impl ReleaseCommand {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store();
        require_version(&store, &self.name, self.version)?;
        let released = store.release(&self.name, self.version)?;
        if self.json {
            print_json(
                &json!({ "model": self.name, "version": self.version, "released": released }),
            )?;
        } else {
            let what = if released {
                "is free again"
            } else {
                "was not held back"
            };
            print(format_args!("{} {} {what}\n", self.name, self.version))?;
        }
        Ok(true)
    }
}
