//! Logs on standard error. Standard output is reserved for results.

use std::io;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// The format of log events on standard error
    #[arg(
        long = "log-format",
        value_name = "FORMAT",
        env = "CLARITY_LOG_FORMAT",
        default_value = "human"
    )]
    format: LogFormat,
    /// The log filter: a level (error, warn, info, debug, trace), or targets with levels
    /// (`info,clarity::predictor=debug`)
    #[arg(
        long = "log",
        value_name = "FILTER",
        env = "CLARITY_LOG",
        default_value = "info"
    )]
    filter: Targets,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// One line of text per event
    Human,
    /// One JSON object per event
    Json,
}

impl LogArgs {
    pub(super) fn install(&self) {
        let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let layer = match self.format {
            LogFormat::Human => layer.with_ansi(false).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry()
            .with(layer.with_filter(self.filter.clone()))
            .init();
    }
}
