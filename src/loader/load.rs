//! One attempt to load one version.

use std::time::Duration;

use thiserror::Error;

use crate::executor::JobError;
use crate::runtime::{RuntimeError, try_version};
use crate::status::Loaded;
use crate::stopwatch::Stopwatch;
use crate::{ModelName, Reason, Runtime, Store, VerifyError, Version, Vetting, VettingError};

/// Why a version was not loaded.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Vetting(#[from] VettingError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("the model's folder cannot be read: {0}")]
    Unreadable(String),
    #[error("there is no version on disk")]
    NoVersion,
    #[error("the folder of the version that answers is gone; it goes on answering from memory")]
    Removed,
}

impl LoadError {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Verify(error) => error.reason(),
            // Nothing was found out about the version, but that there was no process to vet it in.
            Self::Vetting(VettingError::Unavailable { .. }) => Reason::ModelUnreadable,
            Self::Runtime(_) | Self::Vetting(_) | Self::Job(JobError::Panicked(_)) => {
                Reason::ModelIncompatible
            }
            Self::Job(_) | Self::Unreadable(_) => Reason::ModelUnreadable,
            Self::NoVersion | Self::Removed => Reason::ModelMissing,
        }
    }

    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Verify(error) => error.file(),
            _ => None,
        }
    }

    pub(crate) fn expected_and_found(&self) -> Option<(String, String)> {
        match self {
            Self::Verify(error) => error.expected_and_found(),
            _ => None,
        }
    }
}

/// How an attempt ended, and how long it really took.
pub(super) struct Attempt {
    pub(super) result: Result<Loaded, LoadError>,
    pub(super) verification: Duration,
    pub(super) total: Duration,
}

/// Verifies, vets, loads and warms up a version. Blocks.
pub(super) fn load(
    store: &Store,
    vetting: &Vetting,
    runtime: &dyn Runtime,
    model: &ModelName,
    version: Version,
) -> Attempt {
    let stopwatch = Stopwatch::start();
    let verified = store.open(model, version);
    let verification = stopwatch.elapsed();
    let load = || {
        let verified = verified?;
        vetting.vet(&verified)?;
        let manifest = verified.manifest().clone();
        let session = try_version(runtime, verified)?;
        Ok(Loaded { manifest, session })
    };
    let result = load();
    Attempt {
        result,
        verification,
        total: stopwatch.elapsed(),
    }
}
