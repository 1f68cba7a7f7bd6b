//! The chaos suite: the real server, real HTTP, real models, really damaged. No wrong answer may come out.
//!
//! One file for each family of failures; `support/` holds the model repository, the running server, a client, and what the right answers are.

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
mod support;
mod swarm;
mod system_calls;
mod whole_program;

// The runtime keeps the threads of its pools until the process ends.
clarity_chaos::main!(lasting_threads = ["rten-"]);
