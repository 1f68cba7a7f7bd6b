//! `clarity info`

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::{CommandResult, ModelsArg, print, print_json};
use crate::sanitize::sanitize_for_log;
use crate::{Manifest, ModelName, Quarantine, VerifyError, Version};

/// Show a model: its versions, their files, and their quarantines
///
/// Reads manifests only; `clarity verify` reads the files.
#[derive(Args, Debug)]
pub(super) struct Info {
    /// The model
    name: ModelName,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

struct VersionDetails {
    version: Version,
    manifest: Result<Manifest, VerifyError>,
    quarantine: Option<Quarantine>,
    unlisted: Vec<String>,
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
            Err(error) => writeln!(text, ", {}: {error}", error.reason()),
        };
        let manifest = self.manifest.as_ref().ok();
        if let Some(outputs) = manifest.and_then(Manifest::allow_nonfinite) {
            let _ = writeln!(text, "  outputs that may be NaN or infinite: {outputs}");
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
        json!({
            "version": self.version,
            "manifest": self.manifest.as_ref().ok(),
            "reason": self.manifest.as_ref().err().map(|error| error.reason().as_str()),
            "detail": self.manifest.as_ref().err().map(ToString::to_string),
            "quarantine": self.quarantine,
            "unlisted": self.unlisted,
        })
    }
}
