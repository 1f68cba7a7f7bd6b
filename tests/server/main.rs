//! Tests of the server as a client sees it: real files, real sockets, one module for each topic.

mod arriving;
mod binary;
mod bodies;
mod breaker;
mod cli;
mod compression;
mod config_file;
mod connections;
mod extensions;
mod external_data;
mod fallback;
mod half_open;
mod hostile;
mod housekeeping;
mod http;
mod kills;
mod lifecycle;
mod logs;
mod malformed_requests;
mod metrics;
mod model_config;
mod nonfinite;
mod operator;
mod policy;
mod probe;
mod quarantine;
mod real_time;
mod refusals;
mod reload;
mod repository;
mod scrape;
mod scrub;
mod statistics;
mod unread_bodies;
mod uploads;
mod vetting;

/// The path of the binary `clarity`.
const CLARITY: &str = env!("CARGO_BIN_EXE_clarity");
