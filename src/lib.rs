//! A model server that never answers from bytes it has not verified.
//!
//! Models lie on disk in numbered versions, each with a manifest that promises the size and SHA-256 of its files. A
//! version is read into memory once and hashed in the same pass, and only those very bytes are handed to the runtime.
//! When a newer version is damaged the last good one goes on answering; when none is good the answer is an honest 503
//! with a reason and a time to come back; when the damage is repaired the model answers again, without a restart. A
//! model that fails on good requests is left alone for a while by its circuit breaker. All of it is measured.
//!
//! # The concepts, in the order in which data flows through them
//!
//! - A [`Store`] is a directory of models, each a directory of [`Version`]s. [`Store::publish`] adds one: written beside, made
//!   durable, renamed into place.
//! - A [`Manifest`] is what a version promises; [`Store::open`] gives a [`VerifiedVersion`] or a [`VerifyError`].
//! - A [`Probe`] is an input whose answer is known: a version that answers otherwise is not served.
//! - [`Vetting`] loads and runs a version in a process of its own first, where a hostile one can do no harm.
//! - A [`Runtime`] makes a [`Session`] of verified bytes and of nothing else. [`OnnxRuntime`] is the one there is.
//! - An [`Executor`] does what blocks: a [`BlockingPool`] in production, [`Inline`] under virtual time.
//! - The [`Registry`] keeps every model loaded: it notices changes on disk, swaps, falls back and never gives up.
//! - Each model has a circuit breaker ([`BreakerConfig`], [`BreakerSnapshot`]), which a [`BreakerHandle`] listens to and
//!   overrules.
//! - A [`Server`] answers with all that over HTTP, in the Open Inference Protocol, and counts it in [`Metrics`].
//! - A [`Reason`] is one word for why something failed: in the answer, in the metrics, in the log.
//!
//! # A server in a test
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let models = tempfile::tempdir()?;
//! let server = clarity::Server::builder(models.path()).executor(clarity::Inline).bind("127.0.0.1:0".parse()?).await?;
//! server.models().settled().await; // every model has been tried once
//! assert!(server.models().names().is_empty());
//! assert!(server.shutdown().await); // nothing had to be cut
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Time
//!
//! Everything that is decided by time (open breakers, delays between attempts, deadlines) uses `tokio::time`: a paused or
//! hand-driven clock drives all of it. Only the durations in the metrics are real ones.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// Helpers that unit tests share with those of `tests/` call the library by its name.
#[cfg(test)]
extern crate self as clarity;

mod background;
mod bearer;
mod config;
mod digest;
mod executor;
#[cfg(feature = "unstable-fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod loader;
mod manifest;
mod metrics;
mod name;
mod panics;
mod policy;
mod predictor;
mod probe;
mod reason;
mod registry;
mod runtime;
mod sanitize;
mod scrub;
mod seed;
mod server;
mod session;
mod status;
mod stopwatch;
mod store;
mod tensor;
mod version;
mod vetting;

pub use self::bearer::{BearerToken, InvalidToken};
pub use self::config::{Config, ConfigError, ReloadConfig, ScrubConfig};
pub use self::digest::{Digest, InvalidDigest};
pub use self::executor::{BlockingPool, Executor, Inline, Job, JobKind, Overloaded};
pub use self::manifest::{FileEntry, FilePath, Format, InvalidFilePath, Manifest, ManifestError};
pub use self::metrics::Metrics;
pub use self::name::{InvalidModelName, ModelName};
pub use self::policy::{InvalidVersionPolicy, VersionPolicy};
pub use self::probe::{Probe, ProbeError, Tolerance};
pub use self::reason::Reason;
pub use self::registry::{Registry, StatusWatch, UnknownModel};
pub use self::runtime::{OnnxRuntime, Runtime, RuntimeError, try_version};
pub use self::server::{BindError, Server, ServerBuilder};
pub use self::session::{RunError, Session, Work};
pub use self::status::{ModelStatus, VersionStatus};
pub use self::store::{
    IgnoredEntry, Listing, PublishError, Quarantine, QuarantineCause, Source, Staged, Store,
    VerifiedVersion, VerifyError,
};
pub use self::tensor::{DataType, Dimension, Tensor, TensorData, TensorSpec};
pub use self::version::{InvalidVersion, Version};
pub use self::vetting::{Vetting, VettingError, VettingLimits};
pub use clarity_breaker::{
    BreakerConfig, BreakerCounts, BreakerEvent, BreakerEvents, BreakerHandle, BreakerRate,
    BreakerSnapshot, BreakerState, BreakerTrip, BreakerWindow, SlowCalls,
};
