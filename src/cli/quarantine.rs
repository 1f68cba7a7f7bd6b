//! `clarity quarantine` and `clarity release`

use clap::Args;
use serde_json::json;

use super::list::require_version;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::{ModelName, Version};

/// Quarantine a version: servers answer with an older one
///
/// Writes a marker next to the version and deletes nothing. Servers also quarantine versions
/// themselves: corrupt versions, and versions that cannot be served.
#[derive(Args, Debug)]
pub(super) struct QuarantineCommand {
    /// The model
    name: ModelName,
    /// The version to quarantine
    #[arg(long, value_name = "V")]
    version: Version,
    /// The reason, shown with the quarantine
    #[arg(long, value_name = "TEXT", default_value = "withdrawn by the operator")]
    because: String,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// End a version's quarantine, set by an operator or a server
///
/// A server that watches the directory tries the version at once.
#[derive(Args, Debug)]
pub(super) struct ReleaseCommand {
    /// The model
    name: ModelName,
    /// The version to release
    #[arg(long, value_name = "V")]
    version: Version,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl QuarantineCommand {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        require_version(&store, &self.name, self.version)?;
        let marker = store.quarantine(&self.name, self.version, &self.because)?;
        if self.json {
            print_json(
                &json!({ "model": self.name, "version": self.version, "quarantine": marker }),
            )?;
        } else {
            print(format_args!(
                "{} {} is quarantined\n",
                self.name, self.version
            ))?;
        }
        Ok(true)
    }
}

impl ReleaseCommand {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        require_version(&store, &self.name, self.version)?;
        let released = store.release(&self.name, self.version)?;
        if self.json {
            print_json(
                &json!({ "model": self.name, "version": self.version, "released": released }),
            )?;
        } else {
            let what = if released {
                "is released"
            } else {
                "was not quarantined"
            };
            print(format_args!("{} {} {what}\n", self.name, self.version))?;
        }
        Ok(true)
    }
}
