//! A fault that replaces the content of a file, for example with a stale copy or with another
//! service's file.

use super::in_place_edit::{InPlaceEdit, size};
use super::limit::with_limits_lifted;
use super::{Fault, FaultError, Injection, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Replaces the content of a file by the content of another file, in place.
#[derive(Clone, Debug)]
pub struct Replace {
    path: PathBuf,
    source: PathBuf,
}

/// The plan of a [`Replace`] fault. Nothing is drawn: the test names the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplacePlan {
    /// The file that contains the new content.
    pub source: PathBuf,
}

impl Replace {
    /// Replaces the content of the file at `path` by the content of the file at `source`.
    pub fn new(path: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
        }
    }
}

impl Fault for Replace {
    type Plan = ReplacePlan;
    const KIND: &'static str = "replace";

    fn describe(plan: &ReplacePlan, target: &str) -> String {
        let source = plan.source.file_name().unwrap_or(plan.source.as_os_str());
        format!("{target} replaced by the content of {}", source.display())
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<ReplacePlan, FaultError> {
        size(&self.source)?;
        Ok(ReplacePlan {
            source: self.source.clone(),
        })
    }

    fn apply(&self, plan: &ReplacePlan, injection: &Injection) -> Result<Undo, FaultError> {
        let new = with_limits_lifted(|| std::fs::read(&plan.source))
            .map_err(FaultError::file("read", &plan.source))?;
        let edit = InPlaceEdit::plan(&self.path, 0, size(&self.path)?, |_| new)?;
        if edit.changes_nothing() {
            return Err(FaultError::unfit(
                format!("content other than that of {}", plan.source.display()),
                "the same content",
            ));
        }
        edit.apply(injection)?;
        Ok(Undo::steps())
    }
}
