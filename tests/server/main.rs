//! The server from outside: real files, real sockets, one module for each theme.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod http;
mod support;
