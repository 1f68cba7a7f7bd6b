//! The testbed of the model server: models on disk, servers, clients, and the right answers.
//!
//! The tests in `tests/` and the scenarios in `chaos_tests/` share it.
//!
//! - A [`Repository`] is a directory of published models, which a test serves or damages.
//! - `KubernetesVolume` and `HubCache` are directories of symlinks, as other programs make them.
//! - [`cole_kripke`] is the model in most repositories, with its requests and its right answers.
//!   [`onnx`] builds other models, and [`hostile`] holds models that crash or block their process.
//! - A [`Client`] sends requests over real sockets. On a [`Connection`], the test itself writes
//!   each byte.
//! - A [`FaultyRuntime`] fails on demand; a [`HoldingExecutor`] holds jobs back. The models of an
//!   [`EchoRuntime`] answer with their inputs, of every datatype.
//! - [`serve`] starts a server in the test's process; [`ServerProcess`] runs the binary.
//! - [`Served`] is a server inside a chaos test's own process, and [`Clients`] check its answers.
//! - [`until`] and [`within`] wait, each with a time limit.

#![forbid(unsafe_code)]

pub mod cole_kripke;
pub mod corruptions;
pub mod hostile;
pub mod onnx;

mod client;
mod clients;
mod clock;
mod connection;
mod echo_runtime;
mod fake_runtime;
mod faulty_runtime;
mod holding_executor;
#[cfg(unix)]
mod hub_cache;
#[cfg(unix)]
mod kubernetes_volume;
mod metrics;
mod process;
mod repository;
mod response;
mod served;
mod server;
mod wait;

pub use client::Client;
pub use clients::{Clients, Seen, scale_of};
pub use clock::ManualClock;
pub use cole_kripke::{INFER, RecordedWeek, SHORT_ANSWER, other_model, short_request};
pub use connection::{Connection, expecting_head, post_head};
pub use echo_runtime::EchoRuntime;
pub use fake_runtime::FakeRuntime;
pub use faulty_runtime::{Behaviour, FaultSwitch, FaultyRuntime, POISON};
pub use holding_executor::HoldingExecutor;
#[cfg(unix)]
pub use hub_cache::HubCache;
#[cfg(unix)]
pub use kubernetes_volume::{KubernetesVolume, Payload, payload_of};
pub use metrics::metric_in;
pub use process::{ServerProcess, command, listening_address};
pub use repository::{MODEL, MODEL_BYTES, Repository};
pub use response::{BinaryResponse, Response};
pub use served::Served;
pub use server::{
    bind, config, metric, reason_of, seeded_config, serve, serve_with, start, version,
};
pub use wait::{LIMIT, until, until_some, within};
