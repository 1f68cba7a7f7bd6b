//! How far a command is, for a person who waits.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves, so that one sees that the command is alive while it reads a large file.
const TICK: Duration = Duration::from_millis(100);

/// A line on the terminal that is gone when the command has ended. Drawn on standard error, and only where a person reads
/// both that and the result: in a pipe, in a file or with `--json` there is nothing.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of work whose size is known, in bytes.
    pub(super) fn of_bytes(bytes: u64, json: bool) -> Self {
        let template = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {elapsed}";
        Self::new(Some(bytes), template, json)
    }

    /// Of work that takes its time.
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

    /// What is being done now.
    pub(super) fn set_step(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// So many bytes more are done.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
