//! The server from outside: real files, real sockets, one module for each theme.

mod binary;
mod breaker;
mod cli;
mod fallback;
mod house;
mod http;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod refusals;
mod reload;
mod repository;
mod store;
mod support;
mod vetting;
