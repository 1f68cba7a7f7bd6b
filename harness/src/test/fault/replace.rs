//! Other content in a file's place: a stale copy, another version, somebody else's file.

use super::limit::lifted;
use super::splice::{Splice, size};
use super::{Fault, FaultError, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Writes the content of one file over another, in place.
#[derive(Clone, Debug)]
pub struct Replace {
    path: PathBuf,
    source: PathBuf,
}

/// Nothing is drawn: what is copied is named by the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFrom {
    /// The file whose content is copied.
    pub source: PathBuf,
}

impl Replace {
    /// Gives the file at `path` the content of the file at `source`.
    pub fn content_of(path: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
        }
    }
}

impl Fault for Replace {
    type Plan = CopiedFrom;
    const KIND: &'static str = "replace";

    fn describe(plan: &CopiedFrom, target: &str) -> String {
        let source = plan.source.file_name().unwrap_or(plan.source.as_os_str());
        format!("{target} replaced by the content of {}", source.display())
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<CopiedFrom, FaultError> {
        size(&self.source)?;
        Ok(CopiedFrom {
            source: self.source.clone(),
        })
    }

    fn apply(&self, plan: &CopiedFrom, scratch: &Path) -> Result<Undo, FaultError> {
        let new = lifted(|| std::fs::read(&plan.source))
            .map_err(FaultError::file("read", &plan.source))?;
        let splice = Splice::plan(&self.path, 0, size(&self.path)?, |_| new)?;
        if splice.changes_nothing() {
            return Err(FaultError::unfit(
                format!("content other than that of {}", plan.source.display()),
                "the same content",
            ));
        }
        splice.apply(scratch)
    }
}
