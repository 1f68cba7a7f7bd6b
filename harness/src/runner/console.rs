//! What is seen of a run while it goes on, and at its end, in the form that was asked for: for people, or for programs.
//!
//! libtest's lines, and more: what is running at the moment and for how long, failures at once, and what to do next. [`libtest_mimic`], whose command
//! line this is, tells a failure once everything has run, and has no place for the rest.

mod closing;
mod events;
mod live;
mod output;
mod sweep;

pub(crate) use self::closing::Closing;
pub(crate) use self::live::{Live, Unit, slow_line};
pub(crate) use self::output::Output;
pub(crate) use self::sweep::sweep;

use self::events::Event;
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use crate::runner::cli::Options;
use anstyle::{AnsiColor, Style};
use clarity_chaos_record::{Record, Seed, Verdict};
use clarity_chaos_report as report;
use clarity_chaos_report::format_seconds;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(super) const FAINT: Style = Style::new().dimmed();

/// How a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A line for each test, and the story of each failure below its line.
    Pretty { verbose: bool },
    /// A character for each test, and the stories at the end.
    Terse,
    /// libtest's stream of events, with our fields beside.
    Json,
}

impl Form {
    fn of(options: &Options) -> Self {
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

/// What became of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    Ran(&'a Record),
    /// Why it has not run.
    NotRun(&'a str),
}

/// Tells a run of tests, each once.
#[derive(Debug)]
pub(crate) struct Console {
    form: Form,
    output: Arc<Output>,
    live: Live,
    slow_after: Duration,
}

impl Console {
    /// Begins to tell the run of so many tests.
    pub(crate) fn begin(
        options: &Options,
        output: &Arc<Output>,
        origin: &Origin,
        seed: Seed,
        tests: usize,
    ) -> Self {
        let form = Form::of(options);
        let output = Arc::clone(output);
        match form {
            Form::Json => {
                let begun = Event::Begun {
                    tests,
                    origin,
                    seed,
                };
                output.print(&begun.line());
            }
            Form::Pretty { .. } | Form::Terse => {
                let plural = if tests == 1 { "" } else { "s" };
                output.print(&format!("\nrunning {tests} test{plural}\n"));
            }
        }
        let teller = Arc::clone(&output);
        let slow_after = options.slow_after;
        let live = Live::begin(
            Unit::Tests,
            u64::try_from(tests).unwrap_or(u64::MAX),
            Arc::clone(&output),
            slow_after,
            move |name, age| match form {
                Form::Json => teller.print(&Event::Slow { name }.line()),
                Form::Pretty { .. } => teller.print(&slow_line(name, age)),
                Form::Terse => {}
            },
        );
        Self {
            form,
            output,
            live,
            slow_after,
        }
    }

    /// A test begins. Gives the number under which it has to end.
    pub(crate) fn started(&self, test: &'static TestCase) -> u64 {
        if self.form == Form::Json {
            self.output
                .print(&Event::Started { name: test.name() }.line());
        }
        self.live.started(test.name().to_owned())
    }

    /// The test that began under this number has ended.
    pub(crate) fn ended(&self, number: u64, test: &'static TestCase, outcome: Outcome<'_>) {
        let failed = matches!(outcome, Outcome::Ran(record) if record.verdict.is_failure());
        self.live.ended(number, failed);
        match self.form {
            Form::Pretty { verbose } => {
                let told = self.pretty(test.name(), outcome, verbose);
                self.output.print(&told);
            }
            Form::Terse => {
                let (style, mark) = match outcome {
                    _ if failed => (BAD, 'F'),
                    Outcome::Ran(record) if record.verdict == Verdict::Passed => (GOOD, '.'),
                    _ => (DOUBTFUL, 'i'),
                };
                self.output.print(&format!("{style}{mark}{style:#}"));
            }
            Form::Json => self.output.print(
                &Event::Ended {
                    name: test.name(),
                    outcome,
                }
                .line(),
            ),
        }
    }

    /// Ends the telling: the sum of it all.
    pub(crate) fn conclude(&self, closing: &Closing<'_>) {
        self.live.end();
        let told = match self.form {
            Form::Json => Event::Over(closing).line(),
            Form::Terse => closing.terse(),
            Form::Pretty { .. } => closing.pretty(),
        };
        self.output.print(&told);
    }

    /// The line of a test, and below it the story if it has failed.
    fn pretty(&self, name: &str, outcome: Outcome<'_>, verbose: bool) -> String {
        let mut text = format!("test {name} ... ");
        let record = match outcome {
            Outcome::NotRun(why) => {
                let _ = writeln!(text, "{DOUBTFUL}ignored{DOUBTFUL:#} ({why})");
                return text;
            }
            Outcome::Ran(record) => record,
        };
        let _ = match &record.verdict {
            Verdict::Passed if record.is_flaky() => {
                let attempts = record.failed_attempts.len() + 1;
                write!(
                    text,
                    "{GOOD}ok{GOOD:#}, {DOUBTFUL}flaky{DOUBTFUL:#}: attempt {attempts}"
                )
            }
            Verdict::Passed => write!(text, "{GOOD}ok{GOOD:#}"),
            Verdict::Skipped { reason } => {
                write!(text, "{DOUBTFUL}ignored{DOUBTFUL:#} ({reason})")
            }
            _ => write!(text, "{BAD}FAILED{BAD:#}"),
        };
        let took = Duration::from_micros(record.duration_us);
        if verbose || took >= self.slow_after {
            let _ = write!(text, " {FAINT}<{}>{FAINT:#}", format_seconds(took));
        }
        if verbose {
            let faults = record.faults.len();
            let plural = if faults == 1 { "" } else { "s" };
            let events = record.timeline.len();
            let _ = write!(text, " {FAINT}{faults} fault{plural}, {events} events");
            let _ = write!(text, ", root seed {}{FAINT:#}", record.root_seed);
            for line in record.description.lines() {
                let _ = write!(text, "\n    {FAINT}{line}{FAINT:#}");
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
