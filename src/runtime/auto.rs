//! The automatic choice between two runtimes.

use std::sync::Arc;

use super::choice::choose;
use super::{Runtime, RuntimeError};
use crate::{RuntimeId, Session, VerifiedVersion};

/// Loads each version with the preferred runtime. Loads the version with the other runtime if the
/// preferred one refuses it.
///
/// A runtime refuses a version with an error of [`Runtime::load`]. A version that loads and then
/// fails its trial is refused without a second try: its answers are wrong, or unknown.
///
/// The preferred runtime loads a copy of the version, so a load needs more memory than with one
/// runtime. After a [vetting](crate::Vetting) in a child, the server knows the choice, and needs no
/// copy.
#[derive(Debug)]
pub struct AutoRuntime {
    runtimes: [Arc<dyn Runtime>; 2],
}

impl AutoRuntime {
    /// Chooses between two runtimes, which must have different [names](Runtime::id).
    pub fn new(preferred: Arc<dyn Runtime>, other: Arc<dyn Runtime>) -> Self {
        Self {
            runtimes: [preferred, other],
        }
    }
}

impl Runtime for AutoRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        choose(self, version).map(|choice| choice.session)
    }

    fn id(&self) -> RuntimeId {
        RuntimeId::new("auto", "")
    }

    fn candidates(&self) -> &[Arc<dyn Runtime>] {
        &self.runtimes
    }
}
