//! `clarity verify`

use clap::Args;
use serde_json::{Value, json};

use super::progress::Progress;
use super::table::Table;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::store::Exposure;
use crate::{ModelName, NonFiniteOutputs, Reason, Store, VerifyError, Version};

/// Re-read every byte of every version and compare it with the manifest
///
/// Changes nothing. Exits with 1 when a version has no manifest, or differs from its manifest. Also
/// exits with 1 when a model has no version or is unreadable. Warns about entries that other users
/// can change.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Only this model
    name: Option<ModelName>,
    #[command(flatten)]
    models: ModelsArg,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

struct Finding {
    model: ModelName,
    /// `None` when the finding concerns the whole model.
    version: Option<Version>,
    fault: Option<Fault>,
    /// The outputs that may hold NaN and infinite values, according to the verified manifest.
    allow_nonfinite: Option<NonFiniteOutputs>,
    unlisted: Vec<String>,
    /// The exposures of the version, or of a model without versions.
    exposures: Vec<Exposure>,
}

/// The reason for a failed verification.
struct Fault {
    reason: Reason,
    file: Option<String>,
    expected_and_found: Option<(String, String)>,
    detail: String,
}

impl Verify {
    pub(super) fn run(&self) -> CommandResult {
        let findings = self.findings(&self.models.store()?)?;
        if self.json {
            print_json(&findings.iter().map(Finding::to_json).collect::<Vec<_>>())?;
        } else {
            let mut table = Table::new(["MODEL", "VERSION", "RESULT", "DETAIL"]);
            findings
                .iter()
                .for_each(|finding| table.row(finding.to_row()));
            print(table)?;
        }
        Ok(findings.iter().all(|finding| finding.fault.is_none()))
    }

    /// Verifies all versions. Returns one finding per version, and one per model that is unreadable
    /// or has no version.
    // The search continues after an unreadable directory, which must not hide the findings of later
    // models.
    fn findings(&self, store: &Store) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
        let models = super::list::models(store, self.name.as_ref())?;
        if let Some(exposure) = store.exposed_root() {
            eprintln!("warning: {exposure}");
        }
        let progress = Progress::of_bytes(
            models
                .iter()
                .map(|model| promised_bytes_of_model(store, model))
                .fold(0, u64::saturating_add),
            self.json,
        );
        let verify = |model: &ModelName, version, exposures: &[Exposure]| {
            progress.set_step(format!("{model} {version}"));
            let opened = store.open(model, version);
            progress.advance(promised_bytes(store, model, version));
            let manifest = opened.as_ref().map(|opened| opened.manifest()).ok();
            let unlisted = super::list::unlisted(store, model, version, manifest);
            let (fault, allow_nonfinite) = match opened {
                Ok(verified) => (None, verified.manifest().allow_nonfinite().cloned()),
                Err(error) => (Some(Fault::from(error)), None),
            };
            Finding {
                model: model.clone(),
                version: Some(version),
                fault,
                allow_nonfinite,
                unlisted,
                exposures: of_version(exposures, model, version),
            }
        };
        let mut findings = Vec::new();
        for model in models {
            let exposures = store.exposures(&model);
            for exposure in &exposures {
                eprintln!("warning: {exposure}");
            }
            let of_model = |reason, detail| Finding {
                model: model.clone(),
                version: None,
                fault: Some(Fault {
                    reason,
                    file: None,
                    expected_and_found: None,
                    detail,
                }),
                allow_nonfinite: None,
                unlisted: Vec::new(),
                exposures: exposures.clone(),
            };
            match super::list::versions(store, &model) {
                Err(error) => findings.push(of_model(Reason::ModelUnreadable, error)),
                Ok(versions) if versions.is_empty() => {
                    let detail = "the model has no version".to_owned();
                    findings.push(of_model(Reason::ModelMissing, detail));
                }
                Ok(versions) => {
                    let verify = |version| verify(&model, version, &exposures);
                    findings.extend(versions.into_iter().map(verify));
                }
            }
        }
        Ok(findings)
    }
}

/// The exposures of the directories and files that a version depends on.
fn of_version(exposures: &[Exposure], model: &ModelName, version: Version) -> Vec<Exposure> {
    let (directory, inside) = (format!("{model}/{version}"), format!("{model}/{version}/"));
    let concerns =
        |path: &str| path == model.as_str() || path == directory || path.starts_with(&inside);
    let concerned = exposures.iter().filter(|exposure| concerns(&exposure.path));
    concerned.cloned().collect()
}

/// The total size in bytes of a model's files, according to all readable manifests.
fn promised_bytes_of_model(store: &Store, model: &ModelName) -> u64 {
    let versions = store.versions(model).map(|listing| listing.entries);
    let versions = versions.unwrap_or_default().into_iter();
    versions
        .map(|version| promised_bytes(store, model, version))
        .fold(0, u64::saturating_add)
}

fn promised_bytes(store: &Store, model: &ModelName, version: Version) -> u64 {
    let Ok(manifest) = store.manifest(model, version) else {
        return 0;
    };
    let sizes = manifest.files().values().map(|file| file.size);
    sizes.fold(0, u64::saturating_add)
}

impl From<VerifyError> for Fault {
    fn from(error: VerifyError) -> Self {
        Self {
            reason: error.reason(),
            file: error.file().map(str::to_owned),
            expected_and_found: error.expected_and_found(),
            detail: error.to_string(),
        }
    }
}

impl Finding {
    fn to_row(&self) -> [String; 4] {
        let allowed = |outputs: &NonFiniteOutputs| format!("may be NaN or infinite: {outputs}");
        let (result, detail) = match &self.fault {
            None => (
                "ok",
                self.allow_nonfinite
                    .as_ref()
                    .map(allowed)
                    .unwrap_or_default(),
            ),
            Some(fault) => (fault.reason.as_str(), fault.detail.clone()),
        };
        [
            self.model.to_string(),
            self.version
                .map_or_else(String::new, |version| version.to_string()),
            result.to_owned(),
            detail,
        ]
    }

    fn to_json(&self) -> Value {
        let fault = self.fault.as_ref();
        let (expected, found) = fault
            .and_then(|fault| fault.expected_and_found.clone())
            .unzip();
        json!({
            "model": self.model,
            "version": self.version,
            "ok": fault.is_none(),
            "reason": fault.map(|fault| fault.reason.as_str()),
            "file": fault.and_then(|fault| fault.file.as_deref()),
            "expected": expected,
            "found": found,
            "detail": fault.map(|fault| &fault.detail),
            "allow_nonfinite": self.allow_nonfinite,
            "unlisted": self.unlisted,
            "warnings": self.exposures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}
