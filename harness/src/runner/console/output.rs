//! Where the lines of a run go: standard output or a file, above the progress bar if there is one.

use crate::runner::cli::Options;
use anstream::{AutoStream, ColorChoice};
use clarity_chaos_record::Isolation;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use libtest_mimic::ColorSetting;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

pub(crate) struct Output {
    to: Mutex<Box<dyn Write + Send>>,
    /// Hidden until it is [shown](Self::show_bar), and where there is no terminal for it, or where something else writes to that.
    bar: ProgressBar,
    can_be_shown: bool,
    colour: ColorChoice,
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
        let can_be_shown = io::stderr().is_terminal()
            && !stdout_is_a_pipe()
            && !options.libtest.nocapture
            // What a test in a thread of the runner prints is not captured.
            && options.isolation != Some(Isolation::Thread)
            && !options.is_terse();
        Ok(Self {
            to: Mutex::new(to),
            bar: ProgressBar::hidden(),
            can_be_shown,
            colour,
            trouble: OnceLock::new(),
        })
    }

    /// Shows the bar, if there is somewhere to show it.
    pub(super) fn show_bar(&self, length: u64, style: ProgressStyle) {
        self.bar.set_length(length);
        self.bar.set_style(style);
        if self.can_be_shown {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Whether the bar may have colours.
    pub(super) fn colours_the_bar(&self) -> bool {
        match self.colour {
            ColorChoice::Auto => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
            choice => choice != ColorChoice::Never,
        }
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

    /// Writes a line to standard error, above the bar.
    pub(crate) fn notice(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    /// What kept lines from being written, if something did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let error = self.trouble.get()?;
        Some(format!("nobody takes what is printed ({error})"))
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
