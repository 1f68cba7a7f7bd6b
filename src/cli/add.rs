//! `clarity add`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::progress::Progress;
use super::vetting::VettingArgs;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::{
    FilePath, Manifest, ModelName, NonFiniteOutputs, OnnxRuntime, Probe, Source, Staged,
    try_version,
};

/// The name of the published model file. Existing model repositories use the same name.
const ENTRY: &str = "model.onnx";

/// Publish the next version of a model
///
/// Copies the files into a hidden staging directory, with a manifest of their sizes and SHA-256
/// digests. Then reads the version back and verifies it. Loads the version and runs it once on
/// synthetic inputs, as a server does. One rename publishes the version. A server that watches the
/// directory starts to serve the version automatically.
///
/// Exactly one file must be an ONNX model, which becomes model.onnx. Other files, such as external
/// weights, keep their names.
#[derive(Args, Debug)]
pub(super) struct Add {
    /// The name of the model, new or existing: A-Z a-z 0-9 _ . -
    name: ModelName,
    /// The files of the version
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    models: ModelsArg,
    #[command(flatten)]
    vetting: VettingArgs,
    /// A prediction request as JSON, in the form that clients send. The model's answer is recorded
    /// with the request. Servers serve the version only if it gives the same answer again. The file
    /// may also contain the expected `outputs`, and a `tolerance` {"relative": …, "absolute": …}
    /// for the comparison
    #[arg(long, value_name = "FILE", conflicts_with = "no_check")]
    probe: Option<PathBuf>,
    /// An output that may hold NaN and infinite values, such as masked logits; `all` stands for all
    /// floating-point outputs. May be repeated. Without this flag, such a value is a failure of the
    /// model
    #[arg(long, value_name = "OUTPUT")]
    allow_nonfinite: Vec<String>,
    /// Publish without loading the version first
    #[arg(long)]
    no_check: bool,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

impl Add {
    pub(super) fn run(&self) -> CommandResult {
        let files = self.sources()?;
        let progress = Progress::of_steps(self.json);
        progress.set_step("copying");
        let entry = ENTRY.parse()?;
        let mut staged = self.models.store()?.stage(&self.name, &entry, &files)?;
        if !self.allow_nonfinite.is_empty() {
            staged.allow_nonfinite(NonFiniteOutputs::of(&self.allow_nonfinite))?;
        }
        if let Some(probe) = &self.probe {
            progress.set_step("recording the probe");
            self.record(probe, &mut staged)
                .map_err(|error| format!("{}: {error}", probe.display()))?;
        }
        progress.set_step("verifying");
        let verified = staged.open()?;
        if !self.no_check {
            progress.set_step("vetting");
            self.vetting
                .try_out(verified)
                .map_err(|error| format!("cannot publish {}: {error}", self.name))?;
        }
        let manifest = staged.publish()?;
        drop(progress);
        if self.json {
            print_json(&manifest)?;
        } else {
            print(format_args!("{}", summary(&manifest)))?;
        }
        Ok(true)
    }

    /// Records the model's answer to `probe`, after vetting has shown that the model runs safely.
    fn record(&self, probe: &Path, staged: &mut Staged) -> Result<(), Box<dyn std::error::Error>> {
        let probe = Probe::parse(&std::fs::read(probe)?)?;
        self.vetting.try_out(staged.open()?)?;
        let session = try_version(&OnnxRuntime::new(), staged.open()?)?;
        staged.add_probe(&probe.record(&*session)?)?;
        Ok(())
    }

    /// Maps the published path of each file to its source.
    fn sources(&self) -> Result<BTreeMap<FilePath, Source>, Box<dyn std::error::Error>> {
        let is_model = |file: &&PathBuf| {
            file.extension()
                .is_some_and(|extension| extension == "onnx")
        };
        let models: Vec<&PathBuf> = self.files.iter().filter(is_model).collect();
        let [model] = models[..] else {
            return Err(format!(
                "expected exactly one file that ends with .onnx, found {}",
                models.len()
            )
            .into());
        };
        let mut sources = BTreeMap::new();
        for file in &self.files {
            let path = if file == model {
                ENTRY.parse()?
            } else {
                name_of(file)?.parse()?
            };
            if sources.insert(path, Source::File(file.clone())).is_some() {
                return Err(format!("{}: the name is used twice", file.display()).into());
            }
        }
        Ok(sources)
    }
}

fn name_of(file: &Path) -> Result<&str, String> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| format!("{}: expected a file name in UTF-8", file.display()))
}

fn summary(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files().values().map(|file| file.size).sum();
    let files = manifest.files().len();
    let (model, version, digest) = (manifest.model(), manifest.version(), manifest.digest());
    let allowed = manifest.allow_nonfinite();
    let allowed = allowed.map_or_else(String::new, |outputs| {
        format!(", may be NaN or infinite: {outputs}")
    });
    format!(
        "published {model} {version}: {files} file(s), {bytes} bytes, SHA-256 of {ENTRY} {digest}{allowed}\n"
    )
}
