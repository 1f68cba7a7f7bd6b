//! The server from outside: real files, real sockets, one module for each theme.

mod binary;
mod breaker;
mod cli;
mod config_file;
mod external_data;
mod fallback;
mod hostile;
mod house;
mod http;
mod kills;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod operator;
mod policy;
mod probe;
mod quarantine;
mod refusals;
mod reload;
mod repository;
mod scrub;
mod support;
mod vetting;
