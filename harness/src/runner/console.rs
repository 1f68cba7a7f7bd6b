//! Prints a run in the format of `--format`, for people or for tools.
//!
//! The output has libtest's lines. In addition, it shows the running tests with their ages,
//! failures as they happen, and commands that repeat tests. [`libtest_mimic`] cannot print these
//! additions: for example, it prints failures only after the last test.

mod fixture_text;
mod libtest_event;
mod printer;
mod progress_display;
mod run_summary;
mod sweep_summary;

pub(crate) use self::fixture_text::fixture_text;
pub(crate) use self::printer::Printer;
pub(crate) use self::progress_display::{ProgressDisplay, ProgressUnit, slow_test_line};
pub(crate) use self::run_summary::RunSummary;
pub(crate) use self::sweep_summary::sweep_summary;

use self::libtest_event::LibtestEvent;
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use crate::runner::cli::Options;
use crate::runner::cli::nightly_flags::TimeLimits;
use crate::runner::suspensions::Suspensions;
use anstyle::{AnsiColor, Style};
use clarity_chaos_record::{Record, Seed, Verdict};
use clarity_chaos_report as report;
use clarity_chaos_report::{first_line, format_seconds};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PASS: Style = AnsiColor::Green.on_default();
pub(super) const FAIL: Style = AnsiColor::Red.on_default();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default();
pub(super) const DIM: Style = Style::new().dimmed();

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConsoleFormat {
    /// Prints a line for each test, followed by a report if the test failed.
    Pretty { verbose: bool },
    /// Prints a character for each test, and the reports of failed tests at the end.
    Terse,
    /// Prints libtest's JSON events, with additional fields.
    Json,
}

impl ConsoleFormat {
    fn new(options: &Options) -> Self {
        if options.is_json() {
            Self::Json
        } else if options.is_terse() {
            Self::Terse
        } else {
            Self::Pretty {
                verbose: options.verbose,
            }
        }
    }
}

/// The result of a test, for the console.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TestOutcome<'a> {
    Ran(&'a Record),
    /// The reason why the test has not run.
    NotRun(&'a str),
}

/// The description of a run that starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartedRun<'a> {
    pub(crate) origin: &'a Origin,
    /// The root seed.
    pub(crate) seed: Seed,
    /// The seed of the tests' order, if the order is random.
    pub(crate) shuffle_seed: Option<u64>,
    /// The number of selected tests.
    pub(crate) tests: usize,
    pub(crate) suspensions: &'a Suspensions,
}

/// Prints a run of tests with one root seed.
#[derive(Debug)]
pub(crate) struct Console {
    format: ConsoleFormat,
    printer: Arc<Printer>,
    progress: ProgressDisplay,
    slow_after: Duration,
    /// The limits for durations, if each test's duration is printed.
    time_limits: Option<TimeLimits>,
}

impl Console {
    /// Prints the first line of a run, and starts the progress display.
    pub(crate) fn start(options: &Options, printer: &Arc<Printer>, run: StartedRun<'_>) -> Self {
        let tests = run.tests;
        let format = ConsoleFormat::new(options);
        let printer = Arc::clone(printer);
        match format {
            ConsoleFormat::Json => printer.print(&LibtestEvent::SuiteStarted(run).line()),
            ConsoleFormat::Pretty { .. } | ConsoleFormat::Terse => {
                let plural = if tests == 1 { "" } else { "s" };
                let order = run.shuffle_seed;
                let order = order.map_or(String::new(), |seed| format!(" (shuffle seed: {seed})"));
                printer.print(&format!("\nrunning {tests} test{plural}{order}\n"));
            }
        }
        let slow_printer = Arc::clone(&printer);
        let slow_after = options.slow_after;
        let progress = ProgressDisplay::start(
            ProgressUnit::Tests,
            u64::try_from(tests).unwrap_or(u64::MAX),
            Arc::clone(&printer),
            slow_after,
            run.suspensions.clone(),
            move |name, age| match format {
                ConsoleFormat::Json => slow_printer.print(&LibtestEvent::TestSlow { name }.line()),
                ConsoleFormat::Pretty { .. } => slow_printer.print(&slow_test_line(name, age)),
                ConsoleFormat::Terse => {}
            },
        );
        Self {
            format,
            printer,
            progress,
            slow_after,
            time_limits: options.nightly.time_limits().ok().flatten(),
        }
    }

    /// Records the start of a test. Returns the number that [`finished`](Self::finished) needs.
    pub(crate) fn started(&self, test: &'static TestCase) -> u64 {
        if self.format == ConsoleFormat::Json {
            self.printer
                .print(&LibtestEvent::TestStarted { name: test.name() }.line());
        }
        self.progress.started(test.name().to_owned())
    }

    /// Prints the result of a test. `number` is the test's number from [`started`](Self::started).
    pub(crate) fn finished(&self, number: u64, test: &'static TestCase, outcome: TestOutcome<'_>) {
        let failed = matches!(outcome, TestOutcome::Ran(record) if record.verdict.is_failure());
        self.progress.finished(number, failed);
        match self.format {
            ConsoleFormat::Pretty { verbose } => {
                let text = self.pretty(test.name(), outcome, verbose);
                self.printer.print(&text);
            }
            ConsoleFormat::Terse => {
                let (style, mark) = match outcome {
                    _ if failed => (FAIL, 'F'),
                    TestOutcome::Ran(record) if record.verdict == Verdict::Passed => (PASS, '.'),
                    _ => (WARN, 'i'),
                };
                self.printer.print(&format!("{style}{mark}{style:#}"));
            }
            ConsoleFormat::Json => self.printer.print(
                &LibtestEvent::TestFinished {
                    name: test.name(),
                    outcome,
                }
                .line(),
            ),
        }
    }

    /// Removes the progress bar and prints the summary.
    pub(crate) fn finish(&self, summary: &RunSummary<'_>) {
        self.progress.finish();
        let text = match self.format {
            ConsoleFormat::Json => LibtestEvent::SuiteFinished(summary).line(),
            ConsoleFormat::Terse => summary.terse(),
            ConsoleFormat::Pretty { .. } => summary.pretty(),
        };
        self.printer.print(&text);
    }

    /// Formats the test's line, followed by a report if the test failed.
    fn pretty(&self, name: &str, outcome: TestOutcome<'_>, verbose: bool) -> String {
        let mut text = format!("test {name} ... ");
        let record = match outcome {
            TestOutcome::NotRun(reason) => {
                let _ = writeln!(text, "{WARN}ignored{WARN:#} ({})", first_line(reason));
                return text;
            }
            TestOutcome::Ran(record) => record,
        };
        let _ = match &record.verdict {
            Verdict::Passed if record.is_flaky() => {
                let attempts = record.failed_attempts.len() + 1;
                write!(
                    text,
                    "{PASS}ok{PASS:#}, {WARN}flaky{WARN:#}: attempt {attempts}"
                )
            }
            Verdict::Passed => write!(text, "{PASS}ok{PASS:#}"),
            Verdict::Skipped { reason } => {
                write!(text, "{WARN}ignored{WARN:#} ({})", first_line(reason))
            }
            _ => write!(text, "{FAIL}FAILED{FAIL:#}"),
        };
        let took = Duration::from_micros(record.duration_us);
        if let Some(TimeLimits { warn, critical }) = self.time_limits {
            let style = match took {
                _ if took >= critical => FAIL,
                _ if took >= warn => WARN,
                _ => DIM,
            };
            let _ = write!(text, " {style}<{:.3}s>{style:#}", took.as_secs_f64());
        } else if verbose || took >= self.slow_after {
            let _ = write!(text, " {DIM}<{}>{DIM:#}", format_seconds(took));
        }
        if verbose {
            let faults = record.faults.len();
            let plural = if faults == 1 { "" } else { "s" };
            let events = record.timeline.len();
            let _ = write!(text, " {DIM}{faults} fault{plural}, {events} events");
            let _ = write!(text, ", root seed {}{DIM:#}", record.root_seed);
            for line in record.description.lines() {
                let _ = write!(text, "\n    {DIM}{line}{DIM:#}");
            }
            let events = record.timeline.iter();
            for extent in events.filter_map(|event| report::render_exploration(&event.kind)) {
                for line in extent.lines() {
                    let _ = write!(text, "\n    {DIM}explored: {line}{DIM:#}");
                }
            }
        }
        text.push('\n');
        if record.verdict.is_failure() {
            let _ = writeln!(
                text,
                "\n---- {name} ----\n{}\n",
                report::render_failure(record)
            );
        }
        text
    }
}
