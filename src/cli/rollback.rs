//! `clarity rollback`

use clap::Args;
use serde_json::json;

use super::{CommandResult, ModelsArg, print, print_json};
use crate::{ModelName, QuarantineCause, Store, Version};

/// Roll a model back to an older version
///
/// Verifies the target version, then quarantines every newer version. The newest version is
/// quarantined last, so that servers change versions only once. Deletes nothing: `clarity release`
/// restores a version.
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// The model
    name: ModelName,
    /// The target version [default: the second newest of the versions that are not withdrawn]
    #[arg(long, value_name = "V")]
    to: Option<Version>,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Rollback {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        let servable = self.servable(&store)?;
        let target = self.target(&servable)?;
        store.open(&self.name, target).map_err(|error| {
            format!(
                "cannot roll {} back to version {target}: {error}",
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
                "rolled {} back to version {target}; quarantined: {}\n",
                self.name,
                newer.join(", ")
            ))?;
        }
        Ok(true)
    }

    /// The versions that the operator has not withdrawn.
    // Includes corrupt and incompatible versions, because `--to` may name such a version after its
    // repair.
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
                "{} has no version {to} that is not withdrawn",
                self.name
            )),
            (Some(to), [.., newest]) if to == *newest => {
                Err(format!("{} is already at version {to}", self.name))
            }
            (Some(to), _) => Ok(to),
            (None, [.., before, _]) => Ok(*before),
            (None, _) => Err(format!(
                "{} has no older version to roll back to",
                self.name
            )),
        }
    }
}
