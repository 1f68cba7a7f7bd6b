#![doc = include_str!("README.md")]
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
//! The [`guide`] is for operators.
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
mod backoff;
mod bearer;
mod breaker;
mod config;
mod digest;
mod executor;
#[cfg(feature = "unstable-fuzz")]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
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
mod server;
mod status;
mod stopwatch;
mod store;
mod version;
mod vetting;

pub use self::bearer::{BearerToken, InvalidToken};
pub use self::breaker::{
    BreakerConfig, BreakerCounts, BreakerEvent, BreakerEvents, BreakerHandle, BreakerRate,
    BreakerSnapshot, BreakerState, BreakerTrip, BreakerWindow, SlowCalls,
};
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
pub use self::runtime::{
    DataType, Dimension, OnnxRuntime, RunError, Runtime, RuntimeError, Session, Tensor, TensorData,
    TensorSpec, Work, try_version,
};
pub use self::server::{BindError, Server, ServerBuilder};
pub use self::status::{ModelStatus, VersionStatus};
pub use self::store::{
    IgnoredEntry, Listing, PublishError, Quarantine, QuarantineCause, Source, Staged, Store,
    VerifiedVersion, VerifyError,
};
pub use self::version::{InvalidVersion, Version};
pub use self::vetting::{Vetting, VettingError, VettingLimits};
