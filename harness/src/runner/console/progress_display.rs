//! Shows the running tests: a progress bar, the tests' names below the bar, and a line for each
//! slow test.

use super::Printer;
use crate::runner::suspensions::Suspensions;
use clarity_chaos_report::format_seconds;
use indicatif::{ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The interval between updates of the display.
const TICK: Duration = Duration::from_millis(100);
/// The largest number of running tests that the display names.
const NAMED: usize = 4;

/// The unit that the progress bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressUnit {
    Tests,
    /// Cases of a sweep.
    Cases,
    /// Cases of a sweep, whose seeds begin within this time.
    CasesWithin(Duration),
}

impl ProgressUnit {
    /// Returns the template of the display. The first line looks like `[#####-----] 4,811/10,000
    /// cases, 2 failed, 865/s, 6s left`. The second line shows the running tests.
    fn template(self, is_coloured: bool) -> String {
        let bar = "[{wide_bar}] ";
        let counts = match self {
            Self::Tests => format!("{bar}{{human_pos}}/{{human_len}} tests{{prefix}}, {{elapsed}}"),
            Self::Cases => {
                format!("{bar}{{human_pos}}/{{human_len}} cases{{prefix}}, {{rate}}, {{eta}} left")
            }
            Self::CasesWithin(limit) => {
                let limit = format_seconds(limit);
                format!("{{human_pos}} cases{{prefix}}, {{rate}}, {{elapsed}} of {limit}")
            }
        };
        let running = if is_coloured {
            "{wide_msg:.dim}"
        } else {
            "{wide_msg}"
        };
        format!("{counts}\n{running}")
    }
}

/// Shows the running tests until [`finish`](Self::finish) is called or the display is dropped.
#[derive(Debug)]
pub(crate) struct ProgressDisplay {
    monitor: Arc<ProgressMonitor>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct ProgressMonitor {
    printer: Arc<Printer>,
    slow_after: Duration,
    suspensions: Suspensions,
    running: Mutex<RunningTests>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct RunningTests {
    next: u64,
    tests: BTreeMap<u64, RunningTest>,
    failed: u64,
    is_over: bool,
}

#[derive(Debug)]
struct RunningTest {
    name: String,
    since: Instant,
    /// The age at which the test is next reported as slow.
    named_at: Duration,
}

impl ProgressDisplay {
    /// Starts the display for `total` tests or cases. Calls `slow` with a test's name and age when
    /// the test has run for `slow_after`. Calls `slow` again each time the test's age has doubled.
    /// Ages leave out `suspensions`.
    pub(crate) fn start(
        unit: ProgressUnit,
        total: u64,
        printer: Arc<Printer>,
        slow_after: Duration,
        suspensions: Suspensions,
        slow: impl Fn(&str, Duration) + Send + 'static,
    ) -> Self {
        let style = ProgressStyle::with_template(&unit.template(printer.colours_the_bar()))
            .expect("the templates are valid")
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{:.0}/s", state.per_sec());
            })
            .progress_chars("#>-");
        printer.show_bar(total, style);
        let monitor = Arc::new(ProgressMonitor {
            printer,
            slow_after,
            suspensions,
            running: Mutex::default(),
            over: Condvar::new(),
        });
        let ticked = Arc::clone(&monitor);
        // An error is ignored: without the thread, only the progress display is missing.
        let ticker = thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || ticked.tick(&slow))
            .ok();
        Self {
            monitor,
            ticker: Mutex::new(ticker),
        }
    }

    /// Adds a running test. Returns the number that [`finished`](Self::finished) needs.
    pub(crate) fn started(&self, name: String) -> u64 {
        let mut running = self.monitor.running();
        let number = running.next;
        running.next += 1;
        let test = RunningTest {
            name,
            since: Instant::now(),
            named_at: self.monitor.slow_after,
        };
        running.tests.insert(number, test);
        number
    }

    /// Removes the test with this number, and counts it as finished.
    pub(crate) fn finished(&self, number: u64, failed: bool) {
        let mut running = self.monitor.running();
        running.tests.remove(&number);
        running.failed += u64::from(failed);
        let failed = running.failed;
        drop(running);
        let bar = self.monitor.printer.bar();
        if failed > 0 {
            bar.set_prefix(format!(", {failed} failed"));
        }
        bar.inc(1);
    }

    /// Stops the display and removes the bar.
    pub(crate) fn finish(&self) {
        self.monitor.running().is_over = true;
        self.monitor.over.notify_all();
        let ticker = self
            .ticker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ticker) = ticker {
            let _ = ticker.join();
        }
        self.monitor.printer.bar().finish_and_clear();
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.finish();
    }
}

impl ProgressMonitor {
    fn running(&self) -> MutexGuard<'_, RunningTests> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, slow: &dyn Fn(&str, Duration)) {
        let mut running = self.running();
        while !running.is_over {
            for (name, age) in running.slow(&self.suspensions) {
                // The lock of `running` is held during the call of `slow`. So no test is reported
                // as slow after its end.
                slow(&name, age);
            }
            let bar = self.printer.bar();
            bar.set_message(running.message(&self.suspensions));
            bar.tick();
            let waited = self.over.wait_timeout(running, TICK);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl RunningTests {
    /// Returns the tests that must now be reported as slow, with their ages.
    fn slow(&mut self, suspensions: &Suspensions) -> Vec<(String, Duration)> {
        let mut slow = Vec::new();
        for test in self.tests.values_mut() {
            let age = suspensions.active_time(test.since);
            if age >= test.named_at {
                slow.push((test.name.clone(), age));
                while test.named_at <= age {
                    test.named_at = test.named_at.saturating_mul(2);
                }
            }
        }
        slow
    }

    /// Formats the running tests, the oldest first: `a::test 12s, another::test 3s and 2 more`.
    fn message(&self, suspensions: &Suspensions) -> String {
        let mut text = String::new();
        for (index, test) in self.tests.values().take(NAMED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let age = suspensions.active_time(test.since).as_secs();
            let _ = write!(text, "{comma}{} {age}s", test.name);
        }
        let more = self.tests.len().saturating_sub(NAMED);
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text
    }
}

/// Formats the line that reports a test as slow.
pub(crate) fn slow_test_line(name: &str, age: Duration) -> String {
    format!("test {name} has been running for {}\n", format_seconds(age))
}
