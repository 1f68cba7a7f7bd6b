//! `clarity runtime`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::onnxruntime::{LibraryRecord, NOT_BUILT, record_path, recorded};
use super::{CommandResult, print, print_json};
use crate::{RtenRuntime, Runtime};

/// The name of the hidden command that loads a library on behalf of another process.
pub(super) const LOAD_COMMAND: &str = "load-library";

/// The way to ONNX Runtime for a user without it.
const INSTRUCTIONS: &str = "\
  PyPI's package has the library. To add it:
    python3 -m venv onnxruntime
    onnxruntime/bin/pip install onnxruntime
    clarity runtime add onnxruntime/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.so.*
";

/// Show the runtimes of models, and how to add ONNX Runtime
///
/// rten is a part of this program. ONNX Runtime is a shared library that you provide. Loads the
/// recorded library in another process, and exits with 1 if it cannot be loaded.
#[derive(Args, Debug)]
pub(super) struct RuntimeCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(AddLibrary),
}

/// Record a shared library of ONNX Runtime for the user's servers
///
/// Loads the library in another process, and runs a small model. Then records the path, the version
/// and the SHA-256 of the library. A file with another SHA-256 is not loaded. The record replaces
/// an earlier one. A server of another user, or in a container, can get the library from its flags
/// `--onnxruntime` and `--onnxruntime-sha256` instead.
#[derive(Args, Debug)]
struct AddLibrary {
    /// The library: libonnxruntime.so.VERSION, libonnxruntime.VERSION.dylib or onnxruntime.dll
    path: PathBuf,
}

impl RuntimeCommand {
    pub(super) fn run(&self) -> CommandResult {
        match &self.action {
            None => self.show(),
            Some(Action::Add(add)) => self.add(add),
        }
    }

    fn show(&self) -> CommandResult {
        let rten = RtenRuntime::new().id();
        let library = recorded()?;
        let fault = match (&library, cfg!(feature = "onnxruntime")) {
            (_, false) => Some(NOT_BUILT.to_owned()),
            (None, true) => None,
            (Some(library), true) => load_in_child(library).err(),
        };
        if self.json {
            let library = library.as_ref().map(|library| json!(library));
            let record = record_path().map(|path| path.display().to_string());
            print_json(&json!([
                { "runtime": rten.name, "version": rten.version },
                { "runtime": "onnxruntime", "library": library, "record": record, "fault": fault },
            ]))?;
        } else {
            let text = match &library {
                None => "ONNX Runtime: none\n".to_owned(),
                Some(library) => describe(library),
            };
            let record = record_path().filter(|_| library.is_some());
            let record = record.map_or_else(String::new, |path| {
                format!("  recorded in {}\n", path.display())
            });
            let fault = fault.as_ref();
            let fault = fault.map_or_else(String::new, |fault| format!("  not usable: {fault}\n"));
            let instructions = match (&library, cfg!(feature = "onnxruntime")) {
                (None, true) => INSTRUCTIONS,
                _ => "",
            };
            print(format_args!(
                "{rten}: a part of this program\n{text}{record}{fault}{instructions}"
            ))?;
        }
        Ok(library.is_none() || fault.is_none())
    }

    fn add(&self, add: &AddLibrary) -> CommandResult {
        if !cfg!(feature = "onnxruntime") {
            return Err(NOT_BUILT.into());
        }
        let path = std::path::absolute(&add.path)?;
        let mut library = LibraryRecord {
            sha256: crate::digest::digest_of_file(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
            path,
            version: String::new(),
        };
        library.version = load_in_child(&library)?;
        let record = library.write()?;
        if self.json {
            print_json(&library)?;
        } else {
            print(format_args!(
                "{}  recorded in {}\n",
                describe(&library),
                record.display()
            ))?;
        }
        Ok(true)
    }
}

fn describe(library: &LibraryRecord) -> String {
    let space = if library.version.is_empty() { "" } else { " " };
    format!(
        "ONNX Runtime{space}{}: {}\n  SHA-256 {}\n",
        library.version,
        library.path.display(),
        library.sha256
    )
}

/// Loads a library in another process, which runs a small model. Returns the version.
// A library that crashes must not end this process. Like the vetting process, the other one gets an
// empty environment.
fn load_in_child(library: &LibraryRecord) -> Result<String, String> {
    use crate::onnxruntime_telemetry::{OFF, VARIABLE};

    let program = super::vetting::this_program().map_err(|error| error.to_string())?;
    let mut child = std::process::Command::new(program);
    if cfg!(unix) {
        child.env_clear();
    }
    let ended = child
        .arg(LOAD_COMMAND)
        .arg("--onnxruntime")
        .arg(&library.path)
        .arg("--onnxruntime-sha256")
        .arg(library.sha256.to_string())
        .env(VARIABLE, OFF)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text =
        |bytes: &[u8]| crate::sanitize::sanitize_for_log(String::from_utf8_lossy(bytes).trim());
    match ended.status.success() {
        true => Ok(text(&ended.stdout)),
        false => {
            let errors = text(&ended.stderr);
            let why = errors.strip_prefix("error: ").unwrap_or(&errors);
            Err(match why {
                "" => format!(
                    "the process that loaded the library ended: {}",
                    ended.status
                ),
                why => why.to_owned(),
            })
        }
    }
}

/// Runs in another process: loads the library, runs a small model, and prints the version.
#[cfg(feature = "onnxruntime")]
pub(super) fn load_library(library: &super::onnxruntime::OnnxRuntimeArgs) -> CommandResult {
    let library = library.library()?.ok_or("expected --onnxruntime")?;
    let opened = crate::OnnxRuntimeLibrary::open(&library.path, library.sha256)?;
    opened.self_test()?;
    print(format_args!("{}\n", opened.version()))?;
    Ok(true)
}

#[cfg(not(feature = "onnxruntime"))]
pub(super) fn load_library(_library: &super::onnxruntime::OnnxRuntimeArgs) -> CommandResult {
    Err(NOT_BUILT.into())
}
