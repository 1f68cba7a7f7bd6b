//! Tests of the server as a client sees it: real files, real sockets, one module for each topic.

mod abandoned;
mod arriving;
mod attributes;
mod binary;
mod bodies;
mod breaker;
mod cli;
mod compression;
mod config_file;
mod connections;
mod datatypes;
mod doors;
mod eviction;
mod extensions;
mod external_data;
mod fallback;
mod half_open;
#[cfg(target_os = "linux")]
mod heads;
mod hostile;
mod housekeeping;
mod http;
mod judge;
mod judged_breaker;
mod kills;
mod lifecycle;
#[cfg(unix)]
mod links;
mod logs;
mod malformed_requests;
mod many_models;
mod metrics;
mod model_config;
mod nonfinite;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
#[cfg(all(feature = "onnxruntime", target_os = "linux"))]
mod onnxruntime_calls;
#[cfg(all(feature = "onnxruntime", unix))]
mod onnxruntime_library;
#[cfg(feature = "onnxruntime")]
mod onnxruntime_runs;
mod operator;
mod poisonous_inputs;
mod policy;
mod probe;
mod quarantine;
mod queue;
#[cfg(feature = "onnxruntime")]
mod randomness;
mod readiness;
mod real_time;
mod refusals;
mod reload;
mod repository;
mod rewriting;
mod rewritten_layers;
mod rollout;
mod runtimes;
mod scrape;
mod scrub;
mod second_opinion;
mod signing;
mod statistics;
mod strangers;
#[cfg(unix)]
mod unclaimed;
mod unix_socket;
mod unprobed;
mod unread_bodies;
mod uploads;
mod vetted_opinion;
mod vetting;
#[cfg(target_os = "linux")]
mod workers;
mod wrong_rank;

/// The path of the binary `clarity`.
const CLARITY: &str = env!("CARGO_BIN_EXE_clarity");
