//! The progress bar of a sweep, where there is a terminal to show it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};

/// How a bar looks: `[#####-----] 4,811/10,000 cases, 812/s, 6s left, 2 failed`.
const TEMPLATE: &str =
    "[{bar:40}] {human_pos}/{human_len} cases, {per_sec}, {eta} left, {msg} failed";

/// How far a sweep is. Where standard error is no terminal nothing is drawn, and lines are told all the same.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for so many cases.
    pub(crate) fn begin(cases: u64) -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(TEMPLATE)
            .expect("the template is a constant")
            .progress_chars("#>-");
        let bar = ProgressBar::with_draw_target(Some(cases), target).with_style(style);
        bar.set_message("0");
        Self { bar }
    }

    /// A case has ended; so many have failed by now.
    pub(crate) fn advance(&self, failed: u64) {
        self.bar.set_message(failed.to_string());
        self.bar.inc(1);
    }

    /// Prints a line of the run above the bar. That nobody listens is no reason to stop.
    pub(crate) fn tell(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stdout(), "{line}");
        });
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
