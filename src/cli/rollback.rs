//! `clarity rollback`

use clap::Args;
use clarity::{ModelName, QuarantineCause, Store, Version};
use serde_json::json;

use super::{CommandResult, ModelsArg, print, print_json};

/// Go back to an older version of a model
///
/// The version to go back to is verified first; then every newer one is held back, the newest last, so that servers
/// change once. Nothing is deleted: `clarity release` gives a version back.
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// The model
    name: ModelName,
    /// The version to go back to [default: the one before the newest that is not held back]
    #[arg(long, value_name = "V")]
    to: Option<Version>,
    #[command(flatten)]
    models: ModelsArg,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Rollback {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store();
        let servable = self.servable(&store)?;
        let target = self.target(&servable)?;
        store.open(&self.name, target).map_err(|error| {
            format!(
                "{} {target} is no version to go back to: {error}",
                self.name
            )
        })?;
        let detail = format!("rolled back to version {target}");
        let newer: Vec<Version> = servable
            .into_iter()
            .filter(|&version| version > target)
            .collect();
        for &version in &newer {
            store.quarantine(&self.name, version, &detail)?;
        }
        if self.json {
            print_json(&json!({ "model": self.name, "version": target, "held_back": newer }))?;
        } else {
            let newer: Vec<String> = newer.iter().map(Version::to_string).collect();
            print(format_args!(
                "{} is back at version {target}; held back: {}\n",
                self.name,
                newer.join(", ")
            ))?;
        }
        Ok(true)
    }

    /// The versions that a server may serve. What is held back for its bytes counts when it is asked for by number only.
    fn servable(&self, store: &Store) -> Result<Vec<Version>, String> {
        let versions = super::list::versions(store, &self.name)?;
        let withdrawn = |version: &Version| {
            store
                .quarantined(&self.name, *version)
                .is_some_and(|held| held.cause() == QuarantineCause::Operator)
        };
        Ok(versions
            .into_iter()
            .filter(|version| !withdrawn(version))
            .collect())
    }

    fn target(&self, servable: &[Version]) -> Result<Version, String> {
        match (self.to, servable) {
            (Some(to), _) if !servable.contains(&to) => Err(format!(
                "{} has no version {to} that is not held back",
                self.name
            )),
            (Some(to), [.., newest]) if to == *newest => {
                Err(format!("{} is at version {to} already", self.name))
            }
            (Some(to), _) => Ok(to),
            (None, [.., before, _]) => Ok(*before),
            (None, _) => Err(format!("{} has no older version to go back to", self.name)),
        }
    }
}
