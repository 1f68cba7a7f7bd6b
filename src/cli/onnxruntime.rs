//! The shared library of ONNX Runtime: command-line arguments, and the record of the library.

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{Digest, Runtime};

/// The environment variable with the path of the record.
pub(super) const RECORD_VARIABLE: &str = "CLARITY_ONNXRUNTIME_RECORD";

/// The answer of a program that was built without the feature `onnxruntime`.
pub(super) const NOT_BUILT: &str =
    "this program was built without ONNX Runtime: build it with `--features onnxruntime`";

#[derive(Args, Clone, Debug)]
pub(super) struct OnnxRuntimeArgs {
    /// The shared library of ONNX Runtime, together with `--onnxruntime-sha256`. Without this flag,
    /// the library that `clarity runtime add` recorded, if any
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// The SHA-256 of the library: a file with another digest is not loaded
    #[arg(long, value_name = "DIGEST")]
    onnxruntime_sha256: Option<Digest>,
}

/// A library: where it is, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LibraryRecord {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
    /// Empty if it is unknown.
    #[serde(default)]
    pub(super) version: String,
}

impl OnnxRuntimeArgs {
    /// The library of the arguments, or else the recorded one, if there is any.
    ///
    /// # Errors
    ///
    /// When only one of the two arguments is given, or the record is unreadable. Also when a
    /// library is given to a program that cannot load it.
    pub(super) fn library(&self) -> Result<Option<LibraryRecord>, String> {
        let given = match (&self.onnxruntime, self.onnxruntime_sha256) {
            (Some(path), Some(sha256)) => Some(LibraryRecord {
                path: path.clone(),
                sha256,
                version: String::new(),
            }),
            (None, None) => None,
            (Some(_), None) => return Err("--onnxruntime needs --onnxruntime-sha256".to_owned()),
            (None, Some(_)) => return Err("--onnxruntime-sha256 needs --onnxruntime".to_owned()),
        };
        match (given, cfg!(feature = "onnxruntime")) {
            (Some(_), false) => Err(format!("--onnxruntime: {NOT_BUILT}")),
            (None, false) => Ok(None),
            (Some(given), true) => Ok(Some(given)),
            (None, true) => recorded(),
        }
    }

    /// The arguments that name the same library in another process.
    pub(super) fn to_args(&self) -> Result<Vec<String>, String> {
        let Some(library) = self.library()? else {
            return Ok(Vec::new());
        };
        let path = std::path::absolute(&library.path);
        let path = path.map_err(|error| format!("{}: {error}", library.path.display()))?;
        let text = path.to_str();
        let text = text.ok_or_else(|| format!("{}: expected UTF-8", path.display()))?;
        Ok(vec![
            "--onnxruntime".to_owned(),
            text.to_owned(),
            "--onnxruntime-sha256".to_owned(),
            library.sha256.to_string(),
        ])
    }

    /// ONNX Runtime with `threads` threads for each session; `None` if there is no library.
    ///
    /// # Errors
    ///
    /// When there is a library that cannot be loaded.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn runtime(
        &self,
        threads: Option<NonZeroUsize>,
    ) -> Result<Option<Arc<dyn Runtime>>, String> {
        let Some(library) = self.library()? else {
            return Ok(None);
        };
        let opened = crate::OnnxRuntimeLibrary::open(&library.path, library.sha256);
        let opened = opened.map_err(|error| error.to_string())?;
        Ok(Some(Arc::new(match threads {
            Some(threads) => opened.threads(threads),
            None => opened,
        })))
    }

    #[cfg(not(feature = "onnxruntime"))]
    pub(super) fn runtime(
        &self,
        _threads: Option<NonZeroUsize>,
    ) -> Result<Option<Arc<dyn Runtime>>, String> {
        self.library().map(|_| None)
    }
}

/// The recorded library; `None` if there is no record.
pub(super) fn recorded() -> Result<Option<LibraryRecord>, String> {
    let Some(path) = record_path() else {
        return Ok(None);
    };
    let unreadable = |why: String| format!("cannot read the record {}: {why}", path.display());
    match fs::read(&path) {
        Ok(text) => {
            let record = serde_json::from_slice(&text);
            record
                .map(Some)
                .map_err(|error| unreadable(error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

impl LibraryRecord {
    /// Writes the record, in place of an earlier one. Returns its path.
    pub(super) fn write(&self) -> Result<PathBuf, String> {
        let path = record_path().ok_or_else(|| {
            format!(
                "no place for the record: expected HOME or {RECORD_VARIABLE} in the environment"
            )
        })?;
        let written = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(directory)?;
            let text = serde_json::to_string_pretty(self)? + "\n";
            // The rename replaces the record at once, so no reader finds a half.
            let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
            let mut file = fs::File::create(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        written()
            .map_err(|error| format!("cannot write the record {}: {error}", path.display()))?;
        Ok(path)
    }
}

/// The path of the record: in the user's directory of configurations, as the environment tells it.
// Not in the directory of the models: others may write there, and a record decides which code runs.
pub(super) fn record_path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable(RECORD_VARIABLE) {
        return Some(path.into());
    }
    let directory = match cfg!(windows) {
        true => PathBuf::from(variable("APPDATA")?),
        false => match variable("XDG_CONFIG_HOME").map(PathBuf::from) {
            Some(directory) if directory.is_absolute() => directory,
            _ => PathBuf::from(variable("HOME")?).join(".config"),
        },
    };
    Some(directory.join("clarity").join("onnxruntime.json"))
}
