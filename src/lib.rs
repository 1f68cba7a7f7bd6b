#![doc = include_str!("README.md")]
//!
//! If a newer version is damaged, the last good one continues to answer. If no version is good, the
//! answer is a 503 with a reason and a retry delay. Once the damage is repaired, the model answers
//! again without a restart. A circuit breaker rejects requests to a model that fails on valid
//! requests. Metrics cover all of these events.
//!
//! # The concepts, in the order of the data flow
//!
//! - A [`Store`] is a directory with one directory for each model. The directory of a model
//!   contains its [`Version`]s. [`Store::publish`] adds a version: it writes a staging directory,
//!   syncs it, and renames it into place.
//! - A [`Manifest`] lists the files of a version. [`Store::open`] verifies these files, and returns
//!   a [`VerifiedVersion`] or a [`VerifyError`].
//! - A [`Probe`] is an input with a known answer. A version that gives another answer is not
//!   served.
//! - [`Vetting`] loads and runs a version in a child process before the server loads it. In the
//!   child process, a hostile version does no harm.
//! - A [`Runtime`] makes a [`Session`] from verified bytes. [`RtenRuntime`] comes with the server.
//!   With the feature `onnxruntime`, `OnnxRuntimeLibrary` loads a shared library of ONNX Runtime.
//!   On Linux, a `WorkerRuntime` runs the sessions of another runtime in processes of their own.
//! - An [`Executor`] runs blocking jobs. [`BlockingPool`] is for production, and [`Inline`] is for
//!   virtual time.
//! - The [`Registry`] keeps every model loaded: it notices changes on disk, swaps versions, falls
//!   back to older versions, and retries failed loads.
//! - Each model has a circuit breaker from the crate [`clarity_breaker`]. A [`BreakerConfig`]
//!   configures the breaker, and a [`BreakerSnapshot`] describes its state. A [`BreakerHandle`]
//!   observes and overrides the breaker.
//! - A [`Server`] answers over HTTP in the Open Inference Protocol, and counts events in
//!   [`Metrics`].
//! - A [`Reason`] names the cause of a failure. Answers, metrics and logs contain the reason.
//!
//! The [`guide`] is for operators.
//!
//! # A server in a test
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let models = tempfile::tempdir()?;
//! let builder = clarity::Server::builder(models.path()).executor(clarity::Inline);
//! let server = builder.bind("127.0.0.1:0".parse()?).await?;
//! server.models().settled().await; // the first load of every model has ended
//! assert!(server.models().names().is_empty());
//! assert!(server.shutdown().await); // no connection had to be cut
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Time
//!
//! All decisions that depend on time (open breakers, retries, deadlines) use `tokio::time`. A test
//! can pause or advance Tokio's clock. Only the durations in the metrics are measured in real time.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// Unit tests share files with `tests/`. These files refer to the library as `clarity`.
#[cfg(test)]
extern crate self as clarity;

mod background;
mod bearer;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod config;
mod digest;
mod executor;
#[cfg(feature = "unstable-fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod good_input;
pub mod guide;
mod http;
mod json_float;
mod judge;
mod listen_address;
mod loader;
mod manifest;
mod metrics;
mod name;
mod onnx;
mod onnxruntime_telemetry;
mod panics;
mod phase;
mod policy;
mod predictor;
mod probe;
mod ready_when;
mod reason;
mod registry;
mod run_queue;
mod runtime;
mod runtime_id;
mod sanitize;
mod scrub;
mod second_opinion;
mod seed;
mod server;
mod session;
mod signature;
mod status;
mod stopwatch;
mod store;
mod system_thread;
mod tensor;
mod verdict;
mod version;
mod vetting;
#[cfg(target_os = "linux")]
mod worker;

pub use self::bearer::{BearerToken, InvalidToken};
pub use self::config::{Config, ConfigError, ReloadConfig, ScrubConfig};
pub use self::digest::{Digest, InvalidDigest};
pub use self::executor::{BlockingPool, Executor, Inline, Job, JobKind, Overloaded};
pub use self::listen_address::{InvalidListenAddress, ListenAddress};
pub use self::manifest::{
    FileEntry, FilePath, Format, InvalidFilePath, Manifest, ManifestError, NonFiniteOutputs,
};
pub use self::metrics::Metrics;
pub use self::name::{InvalidModelName, ModelName};
pub use self::policy::{InvalidVersionPolicy, VersionPolicy};
pub use self::probe::{Probe, ProbeError, Tolerance};
pub use self::ready_when::{InvalidReadyWhen, ReadyWhen};
pub use self::reason::Reason;
pub use self::registry::{Registry, StatusWatch, UnknownModel};
#[doc(hidden)]
pub use self::runtime::ClaimsCheck;
pub use self::runtime::{
    AutoRuntime, RefusalKind, RefusedNode, RtenRuntime, Runtime, RuntimeError, RuntimeRefusal,
    Trial, try_version,
};
#[cfg(feature = "onnxruntime")]
pub use self::runtime::{LibraryError, OnnxRuntimeLibrary};
pub use self::runtime_id::RuntimeId;
pub use self::second_opinion::{
    Disagreement, InvalidSecondOpinionPolicy, SecondOpinion, SecondOpinionPolicy,
};
pub use self::server::{BindError, Server, ServerBuilder};
pub use self::session::{RunError, Session, Work};
pub use self::signature::{
    PrivateKey, PublicKey, SignatureError, SignedFiles, Signer, TrustedSigners, VerifiedSignature,
};
pub use self::status::{ModelStatus, VersionStatus};
pub use self::store::{
    IgnoredEntry, Listing, PublishError, Quarantine, QuarantineCause, RestageError, Source, Staged,
    Store, VerifiedVersion, VerifyError,
};
pub use self::tensor::{ByteStrings, DataType, Dimension, Fp16, Tensor, TensorData, TensorSpec};
pub use self::version::{InvalidVersion, Version};
pub use self::vetting::{Vetting, VettingError, VettingLimits};
#[cfg(target_os = "linux")]
pub use self::worker::{WorkerRuntime, serve_worker};
pub use clarity_breaker::{
    BreakerConfig, BreakerCounts, BreakerEvent, BreakerEvents, BreakerHandle, BreakerRate,
    BreakerSnapshot, BreakerState, BreakerTrip, BreakerWindow, SlowCalls,
};
