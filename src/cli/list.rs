//! `clarity list`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::duration::parse_duration;
use super::table::Table;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::sanitize::sanitize_for_log;
use crate::{Manifest, ModelName, Quarantine, Reason, Store, VerifyError, Version};

/// List all models and versions, from their manifests
///
/// Reads manifests only; `clarity verify` reads the files. A version that is incomplete and changed
/// recently is shown as `model_arriving`.
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    models: ModelsArg,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
    /// A version that is incomplete is shown as arriving if it changed less than this time ago
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    settle_time: Duration,
}

struct Row {
    model: ModelName,
    version: Version,
    manifest: Result<Manifest, VerifyError>,
    quarantine: Option<Quarantine>,
    unlisted: Vec<String>,
    arriving: Option<VerifyError>,
}

impl List {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        let mut rows = Vec::new();
        let mut all_readable = true;
        for model in models(&store, None)? {
            let versions = versions(&store, &model).unwrap_or_else(|error| {
                eprintln!("error: {error}");
                all_readable = false;
                Vec::new()
            });
            for version in versions {
                let manifest = store.manifest(&model, version);
                rows.push(Row {
                    quarantine: store.quarantined(&model, version),
                    unlisted: unlisted(&store, &model, version, manifest.as_ref().ok()),
                    arriving: store.arriving(&model, version, self.settle_time),
                    manifest,
                    version,
                    model: model.clone(),
                });
            }
        }
        if self.json {
            print_json(&rows.iter().map(Row::to_json).collect::<Vec<_>>())?;
        } else {
            let mut table = Table::new([
                "MODEL",
                "VERSION",
                "FILES",
                "BYTES",
                "PUBLISHED",
                "PROBE",
                "RUNTIME",
                "QUARANTINE",
                "SHA-256",
            ]);
            rows.iter().for_each(|row| table.row(row.to_cells()));
            print(table)?;
        }
        Ok(all_readable)
    }
}

impl Row {
    fn to_cells(&self) -> [String; 9] {
        let [model, version] = [self.model.to_string(), self.version.to_string()];
        let none = String::new;
        let held = self.quarantine.as_ref();
        let held = held.map_or_else(none, |held| held.cause().as_str().to_owned());
        if let Some(error) = &self.arriving {
            let sentence = format!("{}: {error}", Reason::ModelArriving);
            let empty = [none(), none(), none(), none(), none()];
            let [files, bytes, published, probe, runtime] = empty;
            return [
                model, version, files, bytes, published, probe, runtime, held, sentence,
            ];
        }
        match &self.manifest {
            Ok(manifest) => {
                let [files, bytes] = [
                    manifest.files().len().to_string(),
                    total_bytes(manifest).to_string(),
                ];
                [
                    model,
                    version,
                    files,
                    bytes,
                    manifest.created_at().to_owned(),
                    probe(manifest).to_owned(),
                    manifest.runtime().map_or_else(none, sanitize_for_log),
                    held,
                    manifest.digest().to_string(),
                ]
            }
            Err(error) => [
                model,
                version,
                none(),
                none(),
                none(),
                none(),
                none(),
                held,
                format!("{}: {error}", error.reason()),
            ],
        }
    }

    fn to_json(&self) -> Value {
        let Self {
            model,
            version,
            manifest,
            quarantine,
            unlisted,
            arriving,
        } = self;
        if let Some(error) = arriving {
            return json!({
                "model": model,
                "version": version,
                "reason": Reason::ModelArriving.as_str(),
                "detail": error.to_string(),
                "quarantine": quarantine,
            });
        }
        match manifest {
            Ok(manifest) => json!({
                "model": model,
                "version": version,
                "files": manifest.files().len(),
                "bytes": total_bytes(manifest),
                "created_at": manifest.created_at(),
                "probe": probe(manifest),
                "unprobed": manifest.unprobed(),
                "runtime": manifest.runtime(),
                "second_opinion": manifest.second_opinion(),
                "sha256": manifest.digest(),
                "quarantine": quarantine,
                "unlisted": unlisted,
            }),
            Err(error) => json!({
                "model": model,
                "version": version,
                "reason": error.reason().as_str(),
                "detail": error.to_string(),
                "quarantine": quarantine,
                "unlisted": unlisted,
            }),
        }
    }
}

/// Whether a version has a probe, or needs one.
fn probe(manifest: &Manifest) -> &'static str {
    match (manifest.probe(), manifest.unprobed()) {
        (Some(_), _) => "recorded",
        (None, Some(_)) => "unprobed",
        (None, None) => "none",
    }
}

fn total_bytes(manifest: &Manifest) -> u64 {
    manifest.files().values().map(|file| file.size).sum()
}

/// Returns an error unless the directory of the version exists. Does not check the content of the
/// version.
pub(super) fn require_version(
    store: &Store,
    model: &ModelName,
    version: Version,
) -> Result<(), String> {
    match versions(store, model)?.contains(&version) {
        true => Ok(()),
        false => Err(format!("{model} has no version {version}")),
    }
}

/// The entries of a version that its manifest does not list. Names them on standard error.
pub(super) fn unlisted(
    store: &Store,
    model: &ModelName,
    version: Version,
    manifest: Option<&Manifest>,
) -> Vec<String> {
    let found = manifest.and_then(|manifest| store.unlisted(model, version, manifest).ok());
    let found = found.unwrap_or_default();
    for name in &found {
        eprintln!("note: {model}/{version}/{name} is ignored: the manifest does not list it");
    }
    found
}

/// Lists all models of a store, and warns about ignored entries. Lists only the model `only`,
/// without warnings, if `only` is given. Returns an error if the model `only` does not exist.
pub(super) fn models(store: &Store, only: Option<&ModelName>) -> Result<Vec<ModelName>, String> {
    let listing = store
        .models()
        .map_err(|error| format!("cannot read {}: {error}", store.root().display()))?;
    let Some(only) = only else {
        for entry in &listing.ignored {
            eprintln!("warning: {} is ignored: {}", entry.name, entry.why);
        }
        return Ok(listing.entries);
    };
    match listing.entries.contains(only) {
        true => Ok(vec![only.clone()]),
        false => Err(format!("no model {only} in {}", store.root().display())),
    }
}

/// Lists the versions of a model, the oldest first. Warns about ignored entries.
pub(super) fn versions(store: &Store, model: &ModelName) -> Result<Vec<Version>, String> {
    let listing = store
        .versions(model)
        .map_err(|error| format!("cannot read the directory of {model}: {error}"))?;
    for entry in &listing.ignored {
        eprintln!("warning: {model}/{} is ignored: {}", entry.name, entry.why);
    }
    Ok(listing.entries)
}
