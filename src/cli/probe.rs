//! `clarity probe`

use std::path::PathBuf;

use clap::Args;

use super::add::{OutputRank, print_published, ranks};
use super::progress::Progress;
use super::vetting::VettingArgs;
use super::{CommandResult, ModelsArg};
use crate::{ModelName, Probe, QuarantineCause, Store, Version};

/// Give a model a probe, from a request that its clients send
///
/// Runs the request in the vetting process, on the newest version or on the given one. Publishes
/// the files of that version, the request and the model's answer as the next version. Servers serve
/// this version only if it gives the same answer again, and run it on no generated inputs. The old
/// version stays as it is: versions are immutable.
#[derive(Args, Debug)]
pub(super) struct ProbeCommand {
    /// The model
    name: ModelName,
    /// A prediction request as JSON, in the form that clients send. The file may also contain the
    /// expected `outputs`, and a `tolerance` {"relative": …, "absolute": …} for the comparison
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    /// The version to probe [default: the newest]
    #[arg(long, value_name = "N")]
    version: Option<Version>,
    #[command(flatten)]
    models: ModelsArg,
    #[command(flatten)]
    pub(super) vetting: VettingArgs,
    /// Override the number of dimensions of an output that the model declares wrongly; `any` if the
    /// number varies. May be repeated
    #[arg(long = "output-rank", value_name = "OUTPUT=RANK")]
    output_ranks: Vec<OutputRank>,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

impl ProbeCommand {
    pub(super) fn run(&self) -> CommandResult {
        let file = self.request.display();
        let request = std::fs::read(&self.request).map_err(|error| format!("{file}: {error}"))?;
        let probe = Probe::parse(&request).map_err(|error| format!("{file}: {error}"))?;
        let store = self.models.store()?;
        super::list::models(&store, Some(&self.name))?;
        let version = self.version(&store)?;
        let progress = Progress::of_steps(self.json);
        progress.set_step("copying");
        let mut staged = store
            .stage_again(&self.name, version)
            .map_err(|error| format!("cannot copy {} {version}: {error}", self.name))?;
        staged
            .add_probe(&probe)
            .map_err(|error| format!("{file}: {error}"))?;
        let mut output_ranks = staged.manifest().output_ranks().clone();
        output_ranks.extend(ranks(&self.output_ranks)?);
        if !output_ranks.is_empty() {
            staged.set_output_ranks(output_ranks)?;
        }
        self.vetting
            .try_out(&mut staged, &progress)
            .map_err(|error| format!("{file}: {error}"))?;
        let manifest = staged.publish()?;
        drop(progress);
        print_published(&manifest, self.json)
    }

    /// The version to probe: the given one, or the newest one that is not withdrawn.
    // Its files would be served again as the next version, which an operator who withdrew the
    // version does not expect.
    fn version(&self, store: &Store) -> Result<Version, String> {
        if let Some(version) = self.version {
            super::list::require_version(store, &self.name, version)?;
            return Ok(version);
        }
        let newest = super::list::versions(store, &self.name)?.pop();
        let newest = newest.ok_or_else(|| format!("{} has no version", self.name))?;
        match store.quarantined(&self.name, newest) {
            Some(held) if held.cause() == QuarantineCause::Operator => Err(format!(
                "{} {newest} is withdrawn: {}: name the version with --version",
                self.name,
                held.detail()
            )),
            _ => Ok(newest),
        }
    }
}
