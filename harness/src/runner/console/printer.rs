//! Writes the output of a run to standard output or a file. If there is a progress bar, the output
//! appears above the bar.

use crate::runner::cli::Options;
use crate::runner::standard_streams::print_error;
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use clarity_chaos_record::Isolation;
use clarity_chaos_report::workflow_commands::neutralize;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use libtest_mimic::ColorSetting;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The destination of a run's output, with the progress bar.
pub(crate) struct Printer {
    to: Mutex<Box<dyn Write + Send>>,
    /// The progress bar. Hidden until [`show_bar`](Self::show_bar) is called, and always hidden if
    /// `can_be_shown` is `false`.
    bar: ProgressBar,
    can_be_shown: bool,
    colour: ColorChoice,
    /// Whether the destination gets colours. If not, the text's colours are removed.
    is_coloured: bool,
    error: OnceLock<io::Error>,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Printer {
    /// Opens the destination: standard output or the file of `--logfile`.
    ///
    /// # Errors
    ///
    /// When the file of `--logfile` cannot be created.
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        let colour = match options.libtest.color.unwrap_or(ColorSetting::Auto) {
            ColorSetting::Auto => ColorChoice::Auto,
            ColorSetting::Always => ColorChoice::Always,
            ColorSetting::Never => ColorChoice::Never,
        };
        let is_coloured = |auto: ColorChoice| match colour {
            ColorChoice::Auto => auto != ColorChoice::Never,
            choice => choice != ColorChoice::Never,
        };
        let (to, is_coloured): (Box<dyn Write + Send>, bool) = match &options.libtest.logfile {
            Some(path) => {
                let file = File::create(path).map_err(|error| {
                    io::Error::new(error.kind(), format!("--logfile {path}: {error}"))
                })?;
                let is_coloured = is_coloured(AutoStream::choice(&file));
                (Box::new(AutoStream::new(file, colour)), is_coloured)
            }
            None => (
                Box::new(AutoStream::new(io::stdout(), colour)),
                is_coloured(AutoStream::choice(&io::stdout())),
            ),
        };
        let can_be_shown = io::stderr().is_terminal()
            && !stdout_is_a_pipe()
            && !options.libtest.nocapture
            // The output of a test in the runner's process is not captured, and would disturb the
            // bar.
            && options.isolation != Some(Isolation::Thread)
            && !options.is_terse();
        Ok(Self {
            to: Mutex::new(to),
            bar: ProgressBar::hidden(),
            can_be_shown,
            colour,
            is_coloured,
            error: OnceLock::new(),
        })
    }

    /// Sets the bar's length and style. Shows the bar if `can_be_shown` is true.
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

    /// Whether `--color` and standard error allow colours in the bar.
    pub(super) fn colours_the_bar(&self) -> bool {
        match self.colour {
            ColorChoice::Auto => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
            choice => choice != ColorChoice::Never,
        }
    }

    /// Writes `text` above the bar, without interruption by other threads. Keeps the first error
    /// for [`error`](Self::error).
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| {
            let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
            let text = match self.is_coloured {
                true => Cow::Borrowed(text),
                // Removed here, since `neutralize` must see the text without them.
                false => Cow::Owned(strip_str(text).to_string()),
            };
            let text = neutralize(&text);
            let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            if let Err(error) = written {
                let _ = self.error.set(error);
            }
        });
    }

    /// Writes a line to standard error, above the bar.
    pub(crate) fn print_to_stderr(&self, line: &str) {
        self.bar.suspend(|| {
            print_error(format_args!("{line}"));
        });
    }

    /// Returns the first error of [`print`](Self::print); `None` if all output was written.
    pub(crate) fn error(&self) -> Option<String> {
        let error = self.error.get()?;
        Some(if error.kind() == io::ErrorKind::BrokenPipe {
            format!("cannot write to stdout: it is closed ({error})")
        } else {
            format!("cannot write the output of the run: {error}")
        })
    }
}

/// Whether standard output is a pipe. The reader of a pipe may write to the bar's terminal at any
/// time, and disturb the bar.
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
