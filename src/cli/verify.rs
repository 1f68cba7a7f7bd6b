//! `clarity verify`

use clap::Args;
use clarity::{ModelName, Store, VerifyError, Version};
use serde_json::{Value, json};

use super::table::Table;
use super::{Models, Outcome, print, print_json};

/// Read every byte of every version again and compare it with the manifest
///
/// Nothing is changed. Exits with 1 when a version is not what its manifest promises, or has none.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Only this model
    name: Option<ModelName>,
    #[command(flatten)]
    models: Models,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

struct Finding {
    model: ModelName,
    version: Version,
    error: Option<VerifyError>,
}

impl Verify {
    pub(super) fn run(&self) -> Outcome {
        let findings = self.findings(&self.models.store())?;
        if self.json {
            print_json(&findings.iter().map(Finding::to_json).collect::<Vec<_>>())?;
        } else {
            let mut table = Table::new(["MODEL", "VERSION", "RESULT", "DETAIL"]);
            findings
                .iter()
                .for_each(|finding| table.row(finding.to_row()));
            print(table)?;
        }
        Ok(findings.iter().all(|finding| finding.error.is_none()))
    }

    fn findings(&self, store: &Store) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
        let mut findings = Vec::new();
        for model in super::list::models(store, self.name.as_ref())? {
            for version in super::list::versions(store, &model)? {
                let error = store.open(&model, version).err();
                findings.push(Finding {
                    model: model.clone(),
                    version,
                    error,
                });
            }
        }
        Ok(findings)
    }
}

impl Finding {
    fn to_row(&self) -> [String; 4] {
        let result = self
            .error
            .as_ref()
            .map_or("ok", |error| error.reason().as_str());
        let detail = self
            .error
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        [
            self.model.to_string(),
            self.version.to_string(),
            result.to_owned(),
            detail,
        ]
    }

    fn to_json(&self) -> Value {
        let Self {
            model,
            version,
            error,
        } = self;
        let (expected, found) = error
            .as_ref()
            .and_then(VerifyError::expected_and_found)
            .unzip();
        json!({
            "model": model,
            "version": version,
            "ok": error.is_none(),
            "reason": error.as_ref().map(|error| error.reason().as_str()),
            "file": error.as_ref().and_then(VerifyError::file),
            "expected": expected,
            "found": found,
            "detail": error.as_ref().map(ToString::to_string),
        })
    }
}
