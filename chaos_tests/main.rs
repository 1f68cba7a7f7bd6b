//! The chaos suite: the real server, real HTTP, and real models with real damage. No answer may be
//! wrong.
//!
//! Each file holds one family of failures. The testbed (`tests/testbed`) holds the models, the
//! server, its clients and the right answers.

mod checksums;
mod circuit_breaker;
mod concurrency;
mod corruption;
mod degradation;
mod exploration;
mod files;
mod network;
mod observability;
mod overload;
mod performance;
mod resources;
mod swarm;
mod system_calls;
mod whole_program;

// The model runtime, rten, keeps the threads of its pools until the process ends.
clarity_chaos::main!(lasting_threads = ["rten-"]);
