//! `clarity info`

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::duration::parse_duration;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::sanitize::sanitize_for_log;
use crate::{Manifest, ModelName, Quarantine, Reason, VerifyError, Version};

/// Show a model: its versions, their files, and their quarantines
///
/// Reads manifests only; `clarity verify` reads the files. A version that is incomplete and changed
/// recently is shown as `model_arriving`.
#[derive(Args, Debug)]
pub(super) struct Info {
    /// The model
    name: ModelName,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// A version that is incomplete is shown as arriving if it changed less than this time ago
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    settle_time: Duration,
}

struct VersionDetails {
    version: Version,
    manifest: Result<Manifest, VerifyError>,
    quarantine: Option<Quarantine>,
    unlisted: Vec<String>,
    arriving: Option<VerifyError>,
}

impl Info {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        super::list::models(&store, Some(&self.name))?;
        let details = |version| {
            let manifest = store.manifest(&self.name, version);
            let found = manifest.as_ref().ok();
            VersionDetails {
                version,
                unlisted: super::list::unlisted(&store, &self.name, version, found),
                manifest,
                quarantine: store.quarantined(&self.name, version),
                arriving: store.arriving(&self.name, version, self.settle_time),
            }
        };
        let versions = super::list::versions(&store, &self.name)?;
        let versions: Vec<VersionDetails> = versions.into_iter().map(details).collect();
        if self.json {
            let versions: Vec<Value> = versions.iter().map(VersionDetails::to_json).collect();
            print_json(&json!({ "model": self.name, "versions": versions }))?;
        } else {
            let texts: String = versions.iter().map(VersionDetails::to_text).collect();
            print(format_args!(
                "{}, {} version(s)\n{texts}",
                self.name,
                versions.len()
            ))?;
        }
        Ok(true)
    }
}

impl VersionDetails {
    fn to_text(&self) -> String {
        let mut text = format!("\nversion {}", self.version);
        // Writing to a String cannot fail.
        let _ = match &self.manifest {
            Ok(manifest) => writeln!(
                text,
                ", {}, published {}",
                manifest.format(),
                manifest.created_at()
            ),
            Err(error) if self.arriving.is_none() => {
                writeln!(text, ", {}: {error}", error.reason())
            }
            Err(_) => writeln!(text),
        };
        if let Some(error) = &self.arriving {
            let _ = writeln!(text, "  {}: {error}", Reason::ModelArriving);
        }
        let manifest = self.manifest.as_ref().ok();
        if let Some(outputs) = manifest.and_then(Manifest::allow_nonfinite) {
            let _ = writeln!(text, "  outputs that may be NaN or infinite: {outputs}");
        }
        if manifest.is_some_and(Manifest::allow_random) {
            let _ = writeln!(text, "  may draw random numbers");
        }
        if let Some(runtime) = manifest.and_then(Manifest::runtime) {
            let runtime = sanitize_for_log(runtime);
            let _ = writeln!(text, "  runtime: {runtime}, when it was published");
        }
        if let Some(opinion) = manifest.and_then(Manifest::second_opinion) {
            let opinion = sanitize_for_log(opinion);
            let _ = writeln!(text, "  second opinion: {opinion}");
        }
        if let Some(held) = &self.quarantine {
            let (cause, since, detail) = (held.cause().as_str(), held.since(), held.detail());
            let _ = writeln!(text, "  quarantined since {since} ({cause}): {detail}");
        }
        if let Ok(manifest) = &self.manifest {
            if let Some(why) = manifest.unprobed() {
                let _ = writeln!(text, "  unprobed: {why}");
                let model = manifest.model();
                let _ = writeln!(text, "  add a probe: clarity probe {model} request.json");
            }
            for (output, rank) in manifest.output_ranks() {
                let output = sanitize_for_log(output);
                let rank = rank.map_or_else(|| "any number of".to_owned(), |rank| rank.to_string());
                let _ = writeln!(
                    text,
                    "  output {output}: {rank} dimensions, against the model's declaration"
                );
            }
        }
        for (path, file) in self.manifest.iter().flat_map(|manifest| manifest.files()) {
            let _ = writeln!(text, "  {}  {:>12} bytes  {path}", file.sha256, file.size);
        }
        text
    }

    fn to_json(&self) -> Value {
        let arriving = self.arriving.as_ref();
        let arriving = arriving.map(|error| (Reason::ModelArriving, error));
        let error = self.manifest.as_ref().err();
        let fault = arriving.or_else(|| error.map(|error| (error.reason(), error)));
        json!({
            "version": self.version,
            "manifest": self.manifest.as_ref().ok(),
            "reason": fault.map(|(reason, _)| reason.as_str()),
            "detail": fault.map(|(_, error)| error.to_string()),
            "quarantine": self.quarantine,
            "unlisted": self.unlisted,
        })
    }
}
