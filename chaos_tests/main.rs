//! The chaos suite: the real server, real HTTP, and real models with real damage. No answer may be
//! wrong.
//!
//! Each module tests one family of failures. The testbed (`tests/testbed`) provides the models, the
//! server, the clients and the right answers.

mod checksums;
mod circuit_breaker;
mod compression;
mod concurrency;
mod corruption;
mod degradation;
mod doors;
mod exploration;
mod faulty_requests;
mod files;
#[cfg(unix)]
mod links;
mod network;
mod observability;
mod overload;
mod performance;
mod queue;
mod resources;
mod swarm;
mod system_calls;
mod uploads;
mod whole_program;

// The model runtime, rten, keeps its pool threads until the process ends. These threads are not
// leaks.
clarity_chaos::main!(lasting_threads = ["rten-"]);
