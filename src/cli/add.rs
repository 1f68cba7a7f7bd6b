//! `clarity add`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::progress::Progress;
use super::vetting::VettingArgs;
use super::{CommandResult, ModelsArg, print, print_json};
use crate::{FilePath, Manifest, ModelName, NonFiniteOutputs, Probe, Source, Staged};

/// The name of the published model file. Existing model repositories use the same name.
const ENTRY: &str = "model.onnx";

/// Publish the next version of a model
///
/// Copies the files into a hidden staging directory, with a manifest of their sizes and SHA-256
/// digests. Then reads the version back and verifies it. Loads the version and runs it in the
/// vetting process, as a server does: on the probe alone, if there is one, and otherwise on
/// generated inputs. One rename publishes the version. A server that watches the directory starts
/// to serve the version automatically.
///
/// A version without a probe that refuses every generated input is published as unprobed: nothing
/// is known about its answers until it gets a probe.
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
    pub(super) vetting: VettingArgs,
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
    /// The model may draw random numbers, such as `RandomNormal`, so two answers to a request
    /// differ. Without this flag, such a model is refused. ONNX Runtime alone runs it
    #[arg(long)]
    allow_random: bool,
    /// Override the number of dimensions of an output that the model declares wrongly; `any` if the
    /// number varies. May be repeated
    #[arg(long = "output-rank", value_name = "OUTPUT=RANK")]
    output_ranks: Vec<OutputRank>,
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
        if self.allow_random {
            staged.allow_random()?;
        }
        let output_ranks = ranks(&self.output_ranks)?;
        if !output_ranks.is_empty() {
            staged.set_output_ranks(output_ranks)?;
        }
        if let Some(probe) = &self.probe {
            add_probe(probe, &mut staged)
                .map_err(|error| format!("{}: {error}", probe.display()))?;
        }
        if self.no_check {
            progress.set_step("verifying");
            staged.open()?;
        } else {
            let tried = self.vetting.try_out(&mut staged, &progress);
            tried.map_err(|error| match &self.probe {
                None => format!("cannot publish {}: {error}", self.name),
                Some(probe) => {
                    format!("cannot publish {}: {}: {error}", self.name, probe.display())
                }
            })?;
        }
        let manifest = staged.publish()?;
        drop(progress);
        print_published(&manifest, self.json)
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

fn add_probe(probe: &Path, staged: &mut Staged) -> Result<(), Box<dyn std::error::Error>> {
    staged.add_probe(&Probe::parse(&std::fs::read(probe)?)?)?;
    Ok(())
}

/// The overridden rank of an output. `None` stands for any rank.
#[derive(Clone, Debug)]
pub(super) struct OutputRank {
    output: String,
    rank: Option<u8>,
}

impl FromStr for OutputRank {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected OUTPUT=RANK with a number or `any`, found {text:?}");
        // The name of an output may contain an equals sign.
        let (output, rank) = text.rsplit_once('=').ok_or_else(expected)?;
        let rank = match rank {
            "any" => None,
            number => Some(number.parse().map_err(|_| expected())?),
        };
        Ok(Self {
            output: output.to_owned(),
            rank,
        })
    }
}

pub(super) fn ranks(given: &[OutputRank]) -> Result<BTreeMap<String, Option<u8>>, String> {
    let mut ranks = BTreeMap::new();
    for OutputRank { output, rank } in given {
        if ranks.insert(output.clone(), *rank).is_some() {
            return Err(format!("--output-rank {output}: the output is given twice"));
        }
    }
    Ok(ranks)
}

/// Prints a version that was just published, as JSON or as a line of text.
pub(super) fn print_published(manifest: &Manifest, json: bool) -> CommandResult {
    if json {
        print_json(manifest)?;
    } else {
        print(published(manifest))?;
    }
    Ok(true)
}

fn published(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files().values().map(|file| file.size).sum();
    let files = manifest.files().len();
    let (model, version, digest) = (manifest.model(), manifest.version(), manifest.digest());
    let allowed = manifest.allow_nonfinite();
    let allowed = allowed.map_or_else(String::new, |outputs| {
        format!(", may be NaN or infinite: {outputs}")
    });
    let random = if manifest.allow_random() {
        ", may draw random numbers"
    } else {
        ""
    };
    let entry = manifest.entry();
    let mut text = format!(
        "published {model} {version}: {files} file(s), {bytes} bytes, SHA-256 of {entry} {digest}{allowed}{random}\n"
    );
    if let Some(probe) = manifest.probe() {
        let digest = manifest.files()[probe].sha256;
        text += &format!("probe recorded: SHA-256 of {probe} {digest}\n");
    }
    if let Some(opinion) = manifest.second_opinion() {
        text += &format!("second opinion: {opinion}\n");
    }
    text + &unprobed_notice(manifest)
}

/// Tells how to give an unprobed version a probe. Empty for other versions.
pub(super) fn unprobed_notice(manifest: &Manifest) -> String {
    manifest.unprobed().map_or_else(String::new, |why| {
        let model = manifest.model();
        format!(
            "unprobed: {why}\nadd a probe with a real request: clarity probe {model} request.json\n"
        )
    })
}
