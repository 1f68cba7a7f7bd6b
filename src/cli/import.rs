//! `clarity import`

mod checksums;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use self::checksums::{Checksums, ModelChecksums};
use super::progress::Progress;
use super::vetting::VettingArgs;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::{FilePath, Manifest, ModelName, Source, Store, Version};

/// Publish the models listed in a checksums.json
///
/// The file has the form {"NAME": {"created_at": …, "total_size_bytes": …, "files": {"FILE":
/// {"checksum": …, "size_bytes": …, "algorithm": "sha256"}}}}. The files of a model are in the
/// directory NAME next to checksums.json, or directly next to checksums.json.
///
/// Publishes a model as its next version if every byte matches and the version can be served. A
/// model with an identical version is skipped, so an import can be repeated. Exits with 1 if the
/// import of any model failed; the other models are still imported.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The checksums.json file
    #[arg(value_name = "CHECKSUMS")]
    checksums: PathBuf,
    /// The directory of the model files [default: the directory of CHECKSUMS]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    #[command(flatten)]
    models: ModelsArg,
    #[command(flatten)]
    pub(super) vetting: VettingArgs,
    /// Publish without loading the versions first
    #[arg(long)]
    no_check: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

enum Imported {
    Published(Box<Manifest>),
    AlreadyPublished(Version),
    Failed(String),
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

impl Import {
    pub(super) fn run(&self) -> CommandResult {
        let listed = Checksums::read(&self.checksums)?;
        let directory = self.checksums.parent().unwrap_or(Path::new(""));
        let from = self.from.as_deref().unwrap_or(directory);
        let store = self.models.store()?;
        let mut done = Vec::new();
        for (name, promise) in &listed.0 {
            let imported = self.import(&store, from, name, promise);
            let imported = imported.unwrap_or_else(|error| Imported::Failed(error.to_string()));
            done.push((name, imported));
        }
        if self.json {
            let objects: Vec<Value> = done
                .iter()
                .map(|(name, imported)| imported.to_json(name))
                .collect();
            print_json(&objects)?;
        } else {
            let lines: String = done
                .iter()
                .map(|(name, imported)| imported.to_line(name))
                .collect();
            print(lines)?;
        }
        let failed = |(_, imported): &(_, Imported)| matches!(imported, Imported::Failed(_));
        Ok(!done.iter().any(failed))
    }

    fn import(
        &self,
        store: &Store,
        from: &Path,
        name: &str,
        promise: &ModelChecksums,
    ) -> Result<Imported> {
        let model: ModelName = name.parse()?;
        let promised = promise.files()?;
        if let Some(version) = find_identical(store, &model, &promised)? {
            return Ok(Imported::AlreadyPublished(version));
        }
        let directory = from.join(model.as_str());
        let directory = if directory.is_dir() {
            directory.as_path()
        } else {
            from
        };
        let source = |path: &FilePath| Source::File(directory.join(path.as_str()));
        let sources = promised
            .keys()
            .map(|path| (path.clone(), source(path)))
            .collect();
        let mut staged = store.stage(&model, entry(&promised)?, &sources)?;
        // Staging hashed the bytes while it copied them, so the manifest lists the digests of the
        // published bytes.
        for (path, found) in staged.manifest().files() {
            let expected = &promised[path];
            if found != expected {
                let text = |entry: &crate::FileEntry| {
                    format!("{} bytes, SHA-256 {}", entry.size, entry.sha256)
                };
                return Err(
                    format!("{path}: expected {}, found {}", text(expected), text(found)).into(),
                );
            }
        }
        if !self.no_check {
            let progress = Progress::of_steps(self.json);
            self.vetting.try_out(&mut staged, &progress)?;
        }
        Ok(Imported::Published(Box::new(staged.publish()?)))
    }
}

/// Finds an existing version whose files are exactly the files in `promised`.
fn find_identical(
    store: &Store,
    model: &ModelName,
    promised: &BTreeMap<FilePath, crate::FileEntry>,
) -> Result<Option<Version>> {
    let versions = match store.versions(model) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        listing => listing?.entries,
    };
    let same = |version: &Version| {
        let manifest = store.manifest(model, *version);
        manifest.is_ok_and(|manifest| manifest.files() == promised)
    };
    Ok(versions.into_iter().find(same))
}

fn entry(promised: &BTreeMap<FilePath, crate::FileEntry>) -> Result<&FilePath> {
    let is_model = |path: &&FilePath| path.as_str().ends_with(".onnx");
    let models: Vec<&FilePath> = promised.keys().filter(is_model).collect();
    match models[..] {
        [model] => Ok(model),
        _ => Err(format!(
            "expected exactly one file that ends with .onnx, found {}",
            models.len()
        )
        .into()),
    }
}

impl Imported {
    fn to_line(&self, name: &str) -> String {
        match self {
            Self::Published(manifest) => format!(
                "published {name} {}\n{}",
                manifest.version(),
                super::add::unprobed_notice(manifest)
            ),
            Self::AlreadyPublished(version) => {
                format!("{name} {version} already has these files\n")
            }
            Self::Failed(why) => format!("cannot import {name}: {why}\n"),
        }
    }

    fn to_json(&self, name: &str) -> Value {
        match self {
            Self::Published(manifest) => {
                let mut published = json!({ "model": name, "ok": true, "published": true, "version": manifest.version() });
                if let Some(why) = manifest.unprobed() {
                    published["unprobed"] = json!(why);
                }
                published
            }
            Self::AlreadyPublished(version) => {
                json!({ "model": name, "ok": true, "published": false, "version": version })
            }
            Self::Failed(why) => {
                json!({ "model": name, "ok": false, "published": false, "detail": why })
            }
        }
    }
}

fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
