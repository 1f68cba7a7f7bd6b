//! Where the lines of a run go: standard output or a file, above the progress bar if there is one.

use crate::cli::Options;
use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressDrawTarget};
use libtest_mimic::ColorSetting;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

pub(crate) struct Output {
    to: Mutex<Box<dyn Write + Send>>,
    /// Hidden where there is no terminal to show it, or where something else writes to it.
    bar: ProgressBar,
    trouble: OnceLock<io::Error>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// # Errors
    ///
    /// When the file of `--logfile` cannot be made.
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        let colour = match options.libtest.color.unwrap_or(ColorSetting::Auto) {
            ColorSetting::Auto => ColorChoice::Auto,
            ColorSetting::Always => ColorChoice::Always,
            ColorSetting::Never => ColorChoice::Never,
        };
        let to: Box<dyn Write + Send> = match &options.libtest.logfile {
            Some(path) => {
                let file = File::create(path).map_err(|error| {
                    io::Error::new(error.kind(), format!("--logfile {path}: {error}"))
                })?;
                Box::new(AutoStream::new(file, colour))
            }
            None => Box::new(AutoStream::new(io::stdout(), colour)),
        };
        let is_shown = io::stderr().is_terminal()
            && !stdout_is_a_pipe()
            && !options.libtest.nocapture
            && !options.is_terse();
        let target = match is_shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Ok(Self {
            to: Mutex::new(to),
            bar: ProgressBar::with_draw_target(None, target),
            trouble: OnceLock::new(),
        })
    }

    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Writes lines above the bar, in one piece. When nobody reads any more that is remembered.
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| {
            let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
            let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            if let Err(error) = written {
                let _ = self.trouble.set(error);
            }
        });
    }

    /// What kept lines from being written, if something did.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.get().map(ToString::to_string)
    }
}

/// Then what reads it may show it on the same terminal, at any time.
fn stdout_is_a_pipe() -> bool {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        use std::os::unix::fs::FileTypeExt as _;
        let metadata = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .and_then(|fd| File::from(fd).metadata());
        metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    !io::stdout().is_terminal()
}
