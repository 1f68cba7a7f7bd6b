//! Progress on the terminal.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The refresh interval of the progress line. The line changes even while one large file is read.
const TICK: Duration = Duration::from_millis(100);

/// A progress line on standard error, cleared on drop.
///
/// Hidden with `--json`. Also hidden when standard output or standard error is not a terminal.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Shows progress through a known number of bytes.
    pub(super) fn of_bytes(bytes: u64, json: bool) -> Self {
        let template = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {elapsed}";
        Self::new(Some(bytes), template, json)
    }

    /// Shows steps of unknown duration.
    pub(super) fn of_steps(json: bool) -> Self {
        Self::new(None, "{spinner} {msg} {elapsed}", json)
    }

    fn new(length: Option<u64>, template: &str, json: bool) -> Self {
        let target = match json || !stdout().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(length, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// Shows the current step.
    pub(super) fn set_step(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// Adds to the number of processed bytes.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
